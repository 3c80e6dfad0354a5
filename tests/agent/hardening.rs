//! What a running agent has given up.

use crate::targets::{add_receiver, verify};
use crate::tells::{metrics, port};
use crate::world::{World, await_that, run, sealtail, text};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// What `/proc/PID/status` says under this key, of all threads.
fn of_all_threads(pid: u32, key: &str) -> BTreeSet<String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let statuses = threads.filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("status")).ok());
    let value = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim_start_matches(':').trim().to_owned()
    };
    statuses.map(value).collect()
}

#[test]
fn every_thread_is_confined_unless_that_is_switched_off() {
    const OFF: &str = "[hardening]\nseccomp = false\nlandlock = false\ndrop_capabilities = false\n\n";
    for (more, seccomp, privileges) in [("", "2", "1"), (OFF, "0", "0")] {
        let mut world = World::new();
        if !more.is_empty() {
            world.configure(|config| config.replace("[telemetry]\n", &format!("{more}[telemetry]\n")));
        }
        world.append("a line\n");
        world.start_receiver();
        world.start_agent();
        // threads of all stages and of the network are there
        world.await_archived(1);
        let pid = world.agent_pid();
        assert_eq!(of_all_threads(pid, "Seccomp"), [seccomp.to_owned()].into());
        assert_eq!(of_all_threads(pid, "NoNewPrivs"), [privileges.to_owned()].into());
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"] {
            let own = of_all_threads(std::process::id(), set);
            let kept = [if ["CapInh", "CapAmb"].contains(&set) { NONE } else { DAC_READ_SEARCH }.to_owned()].into();
            let is_root = rustix::process::geteuid().is_root();
            assert_eq!(of_all_threads(pid, set), if more.is_empty() && is_root { kept } else { own }, "{set}");
        }
        let own: BTreeMap<String, bool> = guards(&world).into_iter().collect();
        // to connect is free unless it says to where
        let expected = |name: &str| (more.is_empty() && name != "landlock_connect") || name == "undumpable";
        assert!(own.len() == 6 && own.iter().all(|(name, is_in_force)| *is_in_force == expected(name)), "{own:?}");
        assert_eq!(world.stop_agent(), Some(0));
    }
}

#[test]
fn a_receiver_keeps_no_right_of_root_and_writes_nothing_but_its_archive_and_reloads() {
    let mut world = World::new();
    // a receiver of its own, which serves metrics
    let told = port();
    let config = fs::read_to_string(world.config()).unwrap();
    let receive = &config[config.find("[receive]").unwrap()..];
    let own = format!(
        "{receive}\n[hardening]\nread = [\"/usr\"]\n\n[telemetry]\nlog = \"info\"\nlisten = \"127.0.0.1:{told}\"\n"
    );
    fs::write(world.path("q/receive.toml"), own).unwrap();
    fs::create_dir(world.path("elsewhere")).unwrap();
    fs::create_dir(world.path("q/archive")).unwrap();
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    symlink(world.path("elsewhere"), world.path("q/archive").join(&host)).unwrap();
    let mut receiver =
        Running(start(&world, &["receive", "--config", &world.text_path("q/receive.toml")], "receiver.log"));
    await_that("it tells", || metrics(told).is_some());
    let pid = receiver.0.id();
    assert_eq!(of_all_threads(pid, "Seccomp"), ["2".to_owned()].into());
    if rustix::process::geteuid().is_root() {
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"] {
            assert_eq!(of_all_threads(pid, set), [NONE.to_owned()].into(), "{set}");
        }
    }
    let page = metrics(told).unwrap();
    assert_eq!(
        page.lines().filter(|line| line.starts_with("sealtail_hardening{") && line.ends_with(" 1")).count(),
        6,
        "{page}"
    );
    world.append("a line\n");
    world.start_agent();
    await_that("it can't write there", || world.receiver_log().contains("ermission denied"));
    assert!(fs::read_dir(world.path("elsewhere")).unwrap().next().is_none());
    fs::remove_file(world.path("q/archive").join(host)).unwrap();
    world.await_archived(1);
    // another file in the place of the old one
    fs::copy(world.path("q/server.pem"), world.path("q/new.pem")).unwrap();
    fs::rename(world.path("q/new.pem"), world.path("q/server.pem")).unwrap();
    let id = rustix::process::Pid::from_child(&receiver.0);
    rustix::process::kill_process(id, Signal::HUP).unwrap();
    await_that("the certificate is read again", || world.receiver_log().contains("took up changed certificates"));
    world.append("another line\n");
    world.await_archived(2);
    assert_eq!(world.stop_agent(), Some(0));
    rustix::process::kill_process(id, Signal::TERM).unwrap();
    assert_eq!(receiver.0.wait().unwrap().code(), Some(0));
    world.verify().assert_intact(&[]);
}

#[test]
fn a_port_below_1024_is_listened_on_with_the_one_right_that_this_takes() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("SKIPPED: only root may");
    }
    let mut world = World::new();
    // of an address that nobody else uses
    world.configure(|config| config.replace("[telemetry]\n", "[telemetry]\nlisten = \"127.98.7.6:98\"\n"));
    world.start_agent();
    await_that("it listens", || std::net::TcpStream::connect("127.98.7.6:98").is_ok());
    assert_eq!(of_all_threads(world.agent_pid(), "CapEff"), ["0000000000000404".to_owned()].into());
    assert_eq!(world.stop_agent(), Some(0));
}

#[test]
fn a_spool_of_another_user_is_not_written_to_by_root_and_the_log_says_how_to_mend_it() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("SKIPPED: only root may give folders away");
    }
    let mut world = World::new();
    fs::create_dir(world.path("q/spool")).unwrap();
    fs::set_permissions(world.path("q/spool"), fs::Permissions::from_mode(0o700)).unwrap();
    chown(world.path("q/spool"), Some(65534), None).unwrap();
    world.append("a line\n");
    world.start_receiver();
    world.start_agent();
    let mend = "it belongs to another user, and root's right to write it all the same was given up ([hardening] drop_capabilities)";
    world.await_said(mend, 1);
    world.await_said("cannot lock the spool", 1);
    // as it says
    chown(world.path("q/spool"), Some(0), None).unwrap();
    world.await_archived(1);
    assert_eq!(world.stop_agent(), Some(0));
}

#[test]
fn nobody_of_the_same_user_looks_into_an_agent_or_its_core() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("SKIPPED: only root can be somebody else");
    }
    let world = World::new();
    // where nobody but root may go, the program can't be called from
    let program = world.path("sealtail");
    fs::copy(env!("CARGO_BIN_EXE_sealtail"), &program).unwrap();
    give_away(&world.path(""));
    let as_nobody = |program: &str, args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", program]).args(args);
        command.current_dir(world.path(""));
        command
    };
    let agent = format!("ulimit -c unlimited; exec {} run --config {}", program.display(), world.config());
    let log = fs::File::create(world.path("agent.log")).unwrap();
    let mut agent = Running(as_nobody("sh", &["-c", &agent]).stderr(log).spawn().unwrap());
    await_that("it runs", || world.agent_log().contains("a stream begins"));
    let mut other = Running(as_nobody("sh", &["-c", "ulimit -c unlimited; exec sleep 1000"]).spawn().unwrap());
    let reads = |pid: u32, file: &str| -> Output {
        as_nobody("head", &["-c1", &format!("/proc/{pid}/{file}")]).output().unwrap()
    };
    await_that("the other is one of the user's own", || reads(other.0.id(), "environ").status.success());
    for file in ["environ", "maps", "mem", "auxv"] {
        let read = reads(agent.0.id(), file);
        assert!(!read.status.success() && text(&read).contains("ermission denied"), "{file}: {}", text(&read));
    }
    // what it says of itself it still finds out
    let status =
        as_nobody(program.to_str().unwrap(), &["status", "--json", "--config", &world.config()]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let known = |key: &str| status["process"][key].as_f64() > Some(0.0);
    assert!(["resident_bytes", "open_fds", "max_fds"].into_iter().all(known), "{status}");
    let all = status["guards"].as_array().unwrap();
    assert!(all.iter().all(|guard| guard["is_in_force"] == (guard["name"] != "landlock_connect")), "{status}");
    for (child, is_dumped) in [(&mut other, true), (&mut agent, false)] {
        let id = rustix::process::Pid::from_child(&child.0);
        rustix::process::kill_process(id, Signal::ABORT).unwrap();
        let ended = child.0.wait().unwrap();
        assert_eq!(ended.signal(), Some(Signal::ABORT.as_raw()));
        match ended.core_dumped() {
            dumped if dumped == is_dumped => {}
            true => panic!("it left a core"),
            false => return eprintln!("SKIPPED: this machine keeps no cores"),
        }
    }
}

#[test]
fn where_ports_are_named_a_target_at_another_needs_a_restart() {
    let mut world = World::new();
    let port = port();
    world.start_receiver();
    world.start_agent();
    world.await_said("a stream begins", 1);
    assert_eq!(world.stop_agent(), Some(0));
    let named = |config: &str, port: u16| {
        config.replace("[telemetry]\n", &format!("[hardening]\nconnect = [\"{port}\"]\n\n[telemetry]\n"))
    };
    let before = fs::read_to_string(world.config()).unwrap();
    world.configure(|config| named(config, 9));
    world.start_agent();
    world.await_said("a stream begins", 2);
    add_receiver(&world, "other", port);
    world.configure(|config| config.replace("name = \"other\"\n", "name = \"other\"\nrequired = false\n"));
    let after = fs::read_to_string(world.config()).unwrap().replace("[\"9\"]", &format!("[\"{port}\"]"));
    world.signal_agent(Signal::HUP);
    world.await_said("configuration refused: the one before counts on", 1);
    assert!(world.agent_log().contains(&format!("TCP port {port} is not within reach")), "{}", world.agent_log());
    assert_eq!(world.stop_agent(), Some(0));
    // with it named from the beginning
    fs::write(world.config(), named(&before, port)).unwrap();
    world.start_agent();
    world.await_said("a stream begins", 3);
    fs::write(world.config(), after).unwrap();
    world.signal_agent(Signal::HUP);
    world.await_said("another configuration is taken up", 1);
    world.append("a line\n");
    world.await_archived(1);
    assert_eq!(world.stop_agent(), Some(0));
}

/// As `/proc/PID/status` has them.
const NONE: &str = "0000000000000000";
const DAC_READ_SEARCH: &str = "0000000000000004";

/// A process, killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(world: &World, args: &[&str], log: &str) -> Child {
    let log = fs::File::create(world.path(log)).unwrap();
    sealtail(args).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// What the agent says of itself.
fn guards(world: &World) -> Vec<(String, bool)> {
    let status = run(&["status", "--json", "--config", &world.config()]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let of = |guard: &serde_json::Value| (guard["name"].as_str().unwrap().to_owned(), guard["is_in_force"] == true);
    status["guards"].as_array().unwrap().iter().map(of).collect()
}

/// All below it belongs to nobody then.
fn give_away(path: &Path) {
    chown(path, Some(65534), Some(65534)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give_away(&entry.unwrap().path()));
    }
}

#[test]
fn a_link_in_the_place_of_a_targets_folder_leads_to_nothing_that_can_be_written() {
    for is_confined in [true, false] {
        let mut world = World::new();
        let hardening = format!("[hardening]\nlandlock = {is_confined}\nrequire = true\n\n");
        let target =
            format!("[[target]]\nname = \"folder\"\ntype = \"file\"\ndir = \"{}\"\n\n", world.text_path("folder"));
        world.configure(|config| config.replace("[telemetry]\n", &format!("{target}{hardening}[telemetry]\n")));
        fs::create_dir(world.path("folder")).unwrap();
        fs::create_dir(world.path("elsewhere")).unwrap();
        world.start_receiver();
        world.start_agent();
        world.await_said("a stream begins", 1);
        fs::rename(world.path("folder"), world.path("moved")).unwrap();
        symlink(world.path("elsewhere"), world.path("folder")).unwrap();
        world.append("a line\n");
        let is_written = || fs::read_dir(world.path("elsewhere")).unwrap().next().is_some();
        match is_confined {
            true => await_that("it can't write there", || world.agent_log().contains("ermission denied")),
            false => await_that("it writes there", is_written),
        }
        assert_eq!(is_written(), !is_confined);
        fs::remove_file(world.path("folder")).unwrap();
        fs::rename(world.path("moved"), world.path("folder")).unwrap();
        world.await_archived(1);
        assert_eq!(world.stop_agent(), Some(0));
        if is_confined {
            let folder = verify(&world, "folder");
            assert!(folder.status.success(), "{}", text(&folder));
        }
    }
}

#[test]
fn a_configuration_with_files_that_were_given_up_needs_a_restart() {
    let mut world = World::new();
    let only = "[hardening]\nread = [\"/usr\"]\nrequire = true\n\n";
    world.configure(|config| config.replace("[telemetry]\n", &format!("{only}[telemetry]\n")));
    world.start_receiver();
    world.start_agent();
    world.await_said("a stream begins", 1);
    fs::create_dir(world.path("other")).unwrap();
    fs::write(world.path("other/app.log"), "another line\n").unwrap();
    let other = format!(
        "[[source]]\ntype = \"file\"\nname = \"other\"\ninclude = [\"{}\"]\n\n",
        world.text_path("other/*.log")
    );
    world.configure(|config| config.replace("[policy]\n", &format!("{other}[policy]\n")));
    world.signal_agent(Signal::HUP);
    world.await_said("configuration refused: the one before counts on", 1);
    assert!(world.agent_log().contains("other is not within reach"), "{}", world.agent_log());
    assert_eq!(world.stop_agent(), Some(0));
    world.start_agent();
    world.await_archived(1);
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&[]);
}

#[test]
fn the_right_to_start_programs_can_not_be_had_while_the_agent_runs() {
    let mut world = World::new();
    world.start_receiver();
    world.start_agent();
    world.await_said("a stream begins", 1);
    let alert = "[[alert]]\nname = \"page\"\ntype = \"command\"\nargv = [\"/bin/true\"]\nmin_severity = \"high\"\n\n";
    world.configure(|config| config.replace("[telemetry]\n", &format!("{alert}[telemetry]\n")));
    world.signal_agent(Signal::HUP);
    world.await_said("configuration refused: the one before counts on", 1);
    assert!(
        world.agent_log().contains("type \\\"command\\\" can't change while the agent runs"),
        "{}",
        world.agent_log()
    );
    assert_eq!(world.stop_agent(), Some(0));
}
