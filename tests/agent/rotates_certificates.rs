//! Certificates are exchanged while lines flow.

use crate::authenticates::{Pki, host_name, later};
use crate::tells::{metrics, port};
use crate::world::{World, await_that};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration as Wait;
use time::{Duration, OffsetDateTime};

/// A folder of certificates as Kubernetes mounts a Secret: the files are links to what `..data` holds, a link itself, which is
/// exchanged in one step.
struct Mounted {
    folder: PathBuf,
    pki: Pki,
    host: String,
    rotations: usize,
}

impl Mounted {
    fn new(world: &World) -> Self {
        let mut mounted = Self { folder: world.path("q/certs"), pki: Pki::new(), host: host_name(world), rotations: 0 };
        fs::create_dir(&mounted.folder).unwrap();
        mounted.rotate();
        for name in ["ca.pem", "client.pem", "client.key", "server.pem", "server.key"] {
            symlink(format!("..data/{name}"), mounted.folder.join(name)).unwrap();
            // tls = { … } of target and receiver
            world.configure(|config| config.replace(&format!("\"{name}\""), &format!("\"certs/{name}\"")));
        }
        mounted
    }

    /// New certificates and keys of both ends.
    fn rotate(&mut self) {
        self.rotations += 1;
        let name = format!("..{}", self.rotations);
        let folder = self.folder.join(&name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("ca.pem"), &self.pki.pem).unwrap();
        self.pki.issue(&folder, "client", &self.host, later());
        self.pki.issue(&folder, "server", "localhost", later());
        for role in ["client", "server"] {
            make_private(&folder.join(format!("{role}.key")));
        }
        symlink(&name, self.folder.join("..data_tmp")).unwrap();
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
    }
}

fn make_private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// How often a log says something.
fn count(log: &str, what: &str) -> usize {
    log.matches(what).count()
}

/// Lines are written without a pause while both ends' certificates rotate, each time after a further batch was archived and
/// `between` has passed.
pub(crate) fn rotate_under_load(rotations: usize, between: impl Fn()) {
    let mut world = World::new();
    world.configure(|config| config.replace("flush_interval = \"250ms\"", "flush_interval = \"20ms\""));
    let mut mounted = Mounted::new(&world);
    world.start_receiver();
    world.start_agent();
    let (process, archive) = (world.agent_pid(), world.path("q/archive"));
    let (written, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let number = written.load(Ordering::Relaxed);
                world.append((number..number + 5).map(|n| format!("line {n:06}\n")).collect::<String>());
                written.store(number + 5, Ordering::Relaxed);
                // the pace of the load: nothing is awaited
                std::thread::sleep(Wait::from_millis(5));
            }
        });
        for _ in 0..rotations {
            let before = batches(&archive);
            await_that("a further batch is archived", || batches(&archive) > before);
            mounted.rotate();
            between();
        }
        let before = batches(&archive);
        await_that("a batch is archived after the last rotation", || batches(&archive) > before);
        done.store(true, Ordering::Relaxed);
    });
    let written = written.into_inner();
    world.await_archived(written);
    assert_eq!(world.agent_pid(), process);
    assert_eq!(world.stop_agent(), Some(0));
    let expected: Vec<String> = (0..written).map(|n| format!("line {n:06}")).collect();
    assert_eq!(world.messages(), expected);
    world.verify().assert_intact(&[]);
    assert_eq!(world.streams().len(), 1, "nothing began anew");
    assert!(count(&world.agent_log(), "certificates reloaded") >= rotations / 2, "{}", world.agent_log());
    await_that("the receiver's are exchanged too", || world.receiver_log().contains("took up changed certificates"));
}

/// Files of an archive.
fn batches(archive: &std::path::Path) -> usize {
    let inside = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    inside(archive.to_owned()).flat_map(inside).flat_map(inside).count()
}

#[test]
fn rotations_under_load_lose_nothing_and_restart_nothing() {
    rotate_under_load(30, || {});
}

#[test]
fn a_certificate_without_its_key_leaves_the_old_pair_in_use_and_is_told_once() {
    let mut world = World::new();
    let (pki, q) = (Pki::new(), world.path("q"));
    let name = host_name(&world);
    pki.issue(&q, "client", &name, later());
    pki.issue(&q, "server", "localhost", later());
    fs::write(q.join("ca.pem"), &pki.pem).unwrap();
    world.start_receiver();
    world.start_agent();
    world.append("with the old pair\n");
    world.await_archived(1);
    let (new, unusable) = (world.path("new"), "changed certificates are not usable");
    fs::create_dir(&new).unwrap();
    pki.issue(&new, "client", &name, later());
    fs::copy(new.join("client.pem"), q.join("client.pem")).unwrap();
    for lines in 2..6 {
        world.append("with the old pair still\n");
        world.await_archived(lines);
    }
    assert_eq!(count(&world.agent_log(), unusable), 1, "{}", world.agent_log());
    // not even whole
    let key = fs::read_to_string(new.join("client.key")).unwrap();
    fs::write(q.join("client.key"), &key[..key.len() / 2]).unwrap();
    world.append("with the old pair even now\n");
    world.await_archived(6);
    await_that("the damaged key is told", || count(&world.agent_log(), unusable) == 2);
    fs::write(q.join("client.key"), key).unwrap();
    world.append("with the new pair\n");
    world.await_archived(7);
    assert_eq!(count(&world.agent_log(), "certificates reloaded"), 1, "{}", world.agent_log());
    assert_eq!(count(&world.agent_log(), unusable), 2);
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&[]);
}

#[test]
fn what_expires_soon_is_warned_of_and_in_the_metrics() {
    let mut world = World::new();
    let (pki, q, name) = (Pki::new(), world.path("q"), host_name(&world));
    // of 40 days 10 are left: less than two weeks; of the server's 60 days 30
    let soon = OffsetDateTime::now_utc() + Duration::days(10);
    pki.issue(&q, "client", &name, soon);
    pki.issue(&q, "server", "localhost", later());
    fs::write(q.join("ca.pem"), &pki.pem).unwrap();
    let port = port();
    let listen = format!("[telemetry]\nlisten = \"127.0.0.1:{port}\"");
    world.configure(|config| config.replace("[telemetry]", &listen));
    world.start_agent();
    await_that("the warning", || world.agent_log().contains("expires soon"));
    world.start_receiver();
    world.append("sent all the same\n");
    world.await_archived(1);
    let log = world.agent_log();
    assert!(count(&log, "expires soon") == 1 && log.contains("client.pem") && log.contains("target"), "{log}");
    assert!(!world.receiver_log().contains("expires soon"), "{}", world.receiver_log());
    let metrics = metrics(port).unwrap();
    let gauge = format!("client.pem\"}} {}", soon.unix_timestamp());
    let is_there = metrics.lines().any(|line| {
        line.starts_with("sealtail_tls_certificate_expiry_timestamp_seconds{target=\"") && line.ends_with(&gauge)
    });
    assert!(is_there, "{gauge}\n{metrics}");
    assert!(metrics.contains("ca.pem\"}"), "{metrics}");
    assert_eq!(world.stop_agent(), Some(0));
}
