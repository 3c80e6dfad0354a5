//! Several targets at once: each has its own position and speed, and none delays another.

use crate::proxy::Proxy;
use crate::rides_out_outage::incompressible;
use crate::world::{World, await_that, run, sealtail, text};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Child;

/// Adds a `[[target]]` of a folder.
pub(crate) fn add_folder(world: &World, name: &str, required: bool) {
    let dir = world.text_path(name);
    add_target(world, name, &format!("type = \"file\"\ndir = \"{dir}\"\nrequired = {required}"));
}

fn add_target(world: &World, name: &str, keys: &str) {
    let table = format!("\n[[target]]\nname = \"{name}\"\n{keys}\n");
    world.configure(|config| config.replacen("\n[telemetry]", &format!("{table}\n[telemetry]"), 1));
}

/// Adds a `[[target]]` of a receiver.
pub(crate) fn add_receiver(world: &World, name: &str, port: u16) {
    let tls = "tls = { ca = \"ca.pem\", cert = \"client.pem\", key = \"client.key\" }";
    add_target(world, name, &format!("type = \"https\"\nurl = \"https://localhost:{port}\"\n{tls}"));
}

/// A receiver beside the world's own, killed when dropped.
struct Receiver(Child);

impl Receiver {
    /// Its archive is `q/NAME`.
    fn start(world: &World, name: &str, port: u16) -> Receiver {
        let keys = "tls = { ca = \"ca.pem\", cert = \"server.pem\", key = \"server.key\" }";
        let table = format!(
            "[receive]\nlisten = \"127.0.0.1:{port}\"\ndir = \"{name}\"\nreceipt_key = \"{name}.key\"\n{keys}\n"
        );
        let config = world.path(&format!("q/{name}.toml"));
        fs::write(&config, table).unwrap();
        let receiver = Receiver(sealtail(&["receive", "--config", config.to_str().unwrap()]).spawn().unwrap());
        await_that("the receiver listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        receiver
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// `verify` of an archive, as the auditor.
pub(crate) fn verify(world: &World, archive: &str) -> std::process::Output {
    let (identity, key) = (world.text_path("q/auditor.key"), world.text_path("q/host.pub"));
    run(&["verify", &world.text_path(archive), "--identity", &identity, "--host-key", &key])
}

/// The same, where the auditor says whose archive it is, long after.
pub(crate) fn verify_as(world: &World, archive: &str, target: &str) -> std::process::Output {
    let (identity, key) = (world.text_path("q/auditor.key"), world.text_path("q/host.pub"));
    let whose = ["--target", target, "--as-of", "2100-01-01T00:00:00Z"];
    run(&[&["verify", &world.text_path(archive), "--identity", &identity, "--host-key", &key][..], &whose].concat())
}

/// Log lines in the archive below a folder.
pub(crate) fn archived(dir: &Path) -> usize {
    let Ok(listed) = std::process::Command::new(env!("CARGO_BIN_EXE_sealtail")).arg("cat").arg(dir).output() else {
        return 0;
    };
    listed.stdout.iter().filter(|byte| **byte == b'\n').count()
}

#[test]
fn a_folder_holds_the_same_as_the_receiver_and_verifies() {
    let mut world = World::new();
    fs::create_dir(world.path("worm")).unwrap();
    add_folder(&world, "worm", true);
    world.start_receiver();
    world.append((0..5_000).map(|number| format!("line {number}\n")).collect::<String>());
    let ran = world.run_once();
    assert!(ran.status.success(), "{}", text(&ran));
    world.verify().assert_intact(&[]);
    let verified = verify(&world, "worm");
    assert!(verified.status.success(), "{}", text(&verified));
    assert_eq!((archived(&world.path("worm")), archived(&world.path("q/archive"))), (5_000, 5_000));
}

#[test]
fn a_dead_target_delays_no_other_and_gets_everything_once_it_lives() {
    let mut world = World::new();
    fs::create_dir(world.path("worm")).unwrap();
    add_folder(&world, "worm", true);
    // no receiver yet, and a folder that is not mounted
    add_folder(&world, "missing", true);
    world.start_agent();
    world.append((0..3_000).map(|number| format!("line {number}\n")).collect::<String>());
    await_that("the folder has everything while the others are dead", || archived(&world.path("worm")) == 3_000);
    fs::create_dir(world.path("missing")).unwrap();
    await_that("the mounted folder has everything too", || archived(&world.path("missing")) == 3_000);
    world.start_receiver();
    world.await_archived(3_000);
    world.stop_agent();
    world.verify().assert_intact(&[]);
    assert_eq!((archived(&world.path("worm")), archived(&world.path("missing"))), (3_000, 3_000));
}

#[test]
fn of_four_targets_a_dead_and_a_slow_one_hold_up_neither_of_the_others() {
    const LINES: usize = 20_000;
    let mut world = World::new();
    fs::create_dir(world.path("worm")).unwrap();
    add_folder(&world, "worm", true);
    let (slow, late) = (free_port(), free_port());
    let line = Proxy::start(slow);
    add_receiver(&world, "slow", line.port);
    add_receiver(&world, "late", late);
    world.start_receiver();
    let _slow = Receiver::start(&world, "slow", slow);
    line.grant(256 << 10);
    world.start_agent();
    let expected = incompressible(LINES);
    world.append(expected.join("\n") + "\n");
    world.await_archived(LINES);
    await_that("the folder has everything", || archived(&world.path("worm")) == LINES);
    assert!(archived(&world.path("q/slow")) < LINES, "the slow one is as fast as the others");
    assert!(!world.path("q/late").exists());
    let _late = Receiver::start(&world, "late", late);
    await_that("the late one has everything, though the slow one has not", || archived(&world.path("q/late")) == LINES);
    assert!(archived(&world.path("q/slow")) < LINES);
    await_that("the slow one has everything", || {
        line.grant(64 << 10);
        archived(&world.path("q/slow")) == LINES
    });
    // the end of the stream too
    line.grant(64 << 20);
    assert_eq!(world.stop_agent(), Some(0));
    for archive in ["q/archive", "worm", "q/slow", "q/late"] {
        let printed = run(&["cat", &world.text_path(archive)]);
        assert!(String::from_utf8(printed.stdout).unwrap().lines().eq(&expected), "{archive}");
        let verified = verify(&world, archive);
        assert!(verified.status.success() && text(&verified).contains("intact"), "{archive}: {}", text(&verified));
    }
}

// as webhooks have it: https://host/services/T00/SECRET
#[test]
fn a_secret_in_the_path_of_a_url_is_shown_nowhere() {
    const SECRET: &str = "xoxb-0123456789";
    let mut world = World::new();
    world.start_receiver();
    let (metrics, receiver) = (free_port(), world.receiver_port());
    let tls = "tls = { ca = \"ca.pem\", cert = \"client.pem\", key = \"client.key\" }\nrequired = false";
    let dead = free_port();
    // of each kind one that answers, and one that is not there
    for (server, port) in [("there", receiver), ("dead", dead)] {
        for (kind, keys) in [("https", ""), ("generic", "protocol = \"generic\""), ("otlp", "protocol = \"http\"")] {
            let r#type = if kind == "otlp" { "otlp" } else { "https" };
            let url = format!("https://localhost:{port}/services/T00/{SECRET}");
            let keys = format!("type = \"{type}\"\nurl = \"{url}\"\n{keys}\n{tls}");
            add_target(&world, &format!("{kind}-{server}"), &keys);
        }
    }
    world.configure(|config| {
        let hook = format!("http://127.0.0.1:{dead}/services/T00/{SECRET}");
        let alert = format!(
            "[[alert]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{hook}\"\nsecret = \"{SECRET}\"\nmin_severity = \"low\"\n\n"
        );
        let telemetry = format!("{alert}[telemetry]\nlisten = \"127.0.0.1:{metrics}\"");
        config.replace("[telemetry]", &telemetry).replace("log = \"info\"", "log = \"debug\"")
    });
    let config = world.config();
    let mut said = Vec::new();
    for args in [&["check"][..], &["check", "--offline"], &["doctor"], &["doctor", "--json"]] {
        said.push(text(&run(&[args, &["--config", &config]].concat())));
    }
    world.start_agent();
    world.append("one line\n");
    world.await_archived(1);
    let status = |more: &[&str]| text(&run(&[&["status", "--config", &config], more].concat()));
    await_that("each target failed", || {
        let status: serde_json::Value = serde_json::from_str(&status(&["--json"])).unwrap_or_default();
        let failed = |target: &serde_json::Value| target["failures"].as_u64() > Some(0);
        status["targets"].as_array().is_some_and(|all| all.iter().filter(|target| failed(target)).count() == 6)
    });
    said.extend([status(&["--json"]), status(&[]), crate::tells::get(metrics, "/metrics").unwrap()]);
    assert!(said.iter().any(|text| text.contains(&format!("https://localhost:{dead}"))), "places are shown");
    world.stop_agent();
    said.push(world.agent_log());
    // what is no URL of a target is quoted as far
    for (old, new) in [(format!("https://localhost:{dead}/"), "ftp://localhost/"), ("http://127".into(), "http://10")] {
        world.configure(|config| config.replace(&old, new));
        said.push(text(&run(&["check", "--offline", "--config", &config])));
    }
    for text in said {
        assert!(!text.contains(SECRET), "{text}");
    }
}

// what is delivered is deleted from the spool
#[test]
fn a_target_in_the_spool_or_in_anothers_folder_is_refused() {
    let spool = |world: &World| world.path("q/spool");
    let link = |world: &World| {
        std::os::unix::fs::symlink(world.path("q/spool"), world.path("link")).unwrap();
        world.path("link/below")
    };
    let other = |world: &World| world.path("worm/below");
    let places: [fn(&World) -> std::path::PathBuf; 3] = [spool, link, other];
    for place in places {
        let world = World::new();
        fs::create_dir_all(world.path("worm/below")).unwrap();
        fs::create_dir_all(world.path("q/spool/below")).unwrap();
        add_folder(&world, "worm", true);
        let dir = place(&world);
        let second = format!("\n[[target]]\nname = \"second\"\ntype = \"file\"\ndir = {dir:?}\n\n[telemetry]");
        world.configure(|config| config.replacen("\n[telemetry]", &second, 1));
        for command in ["check", "run"] {
            let args = if command == "run" { vec!["--once"] } else { vec!["--offline"] };
            let config = world.config();
            let refused = run(&[&[command, "--config", &config], &args[..]].concat());
            assert!(!refused.status.success(), "{command} {}", dir.display());
            assert!(text(&refused).contains("give the target a folder of its own"), "{}", text(&refused));
        }
    }
}
