//! `sealtail doctor`: each trouble is made, and found with its mend.

use crate::world::{World, await_that, run, sealtail, text};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

/// What it found, offline.
fn findings(world: &World, more: &[&str]) -> (i32, Vec<Value>) {
    read(&run(&[&["doctor", "--json", "--config", &world.config(), "--offline"], more].concat()))
}

fn read(output: &Output) -> (i32, Vec<Value>) {
    let lines = String::from_utf8(output.stdout.clone()).unwrap();
    let found: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!found.is_empty(), "{}", text(output));
    (output.status.code().unwrap(), found)
}

/// The one finding that says this; it must be of this state, and what is not well must have a mend.
fn expect<'f>(found: &'f [Value], check: &str, state: &str, says: &str) -> &'f Value {
    let about = |one: &&Value| one["check"] == check && one["what"].as_str().unwrap().contains(says);
    let one = found.iter().find(about).unwrap_or_else(|| panic!("no {check} about {says:?}: {found:#?}"));
    assert_eq!(one["state"], state, "{one:#}");
    assert!(matches!(state, "ok" | "skip") || one["mend"].is_string(), "{one:#}");
    one
}

/// A world in which nothing is wrong but what the test makes.
fn well() -> World {
    let world = World::new();
    // the quickstart's folder is in /tmp, and may be on a file system of any kind
    assert!(findings(&world, &[]).1.iter().all(|one| one["state"] != "fail"), "{:#?}", findings(&world, &[]));
    world
}

#[test]
fn limits_of_the_kernel() {
    let world = well();
    let proc = world.path("proc/sys/fs");
    fs::create_dir_all(proc.join("inotify")).unwrap();
    fs::write(proc.join("inotify/max_user_watches"), "8\n").unwrap();
    fs::write(proc.join("inotify/max_user_instances"), "1\n").unwrap();
    fs::write(proc.join("file-nr"), "99\t0\t100\n").unwrap();
    let (exit, found) = findings(&world, &["--proc", &world.text_path("proc")]);
    assert_eq!(exit, 1);
    expect(&found, "inotify", "warn", "max_user_watches");
    expect(&found, "inotify", "warn", "max_user_instances");
    expect(&found, "descriptors", "warn", "99 of 100");
    expect(&found, "kernel", "warn", "seccomp");
}

#[test]
fn limits_of_the_process() {
    let world = well();
    let command = format!("ulimit -n 128 && exec \"$0\" doctor --json --offline --config {}", world.config());
    let output = Command::new("sh").args(["-c", &command, env!("CARGO_BIN_EXE_sealtail")]).output().unwrap();
    expect(&read(&output).1, "descriptors", "warn", "128 files open");
}

#[test]
fn a_clock_that_is_wrong_and_certificates_that_end() {
    if Command::new("faketime").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI must have faketime");
        eprintln!("SKIPPED: faketime");
        return;
    }
    let world = well();
    let at = |time: &str| {
        let mut command = Command::new("faketime");
        command.args(["-f", time, env!("CARGO_BIN_EXE_sealtail"), "doctor", "--json", "--offline", "--config"]);
        read(&command.arg(world.config()).output().unwrap())
    };
    let (exit, found) = at("@2001-02-03 04:05:06");
    assert_eq!(exit, 2);
    expect(&found, "clock", "fail", "can't be");
    expect(&found, "config", "fail", "not valid now");
    // the quickstart's are good for 825 days
    let (exit, found) = at("+820d");
    assert_eq!(exit, 1, "{found:#?}");
    expect(&found, "certificates", "warn", "client.pem is good for");
    let (exit, found) = at("-2d");
    assert_eq!(exit, 2);
    expect(&found, "clock", "fail", "was written");
}

#[test]
fn a_disk_that_is_small_or_does_not_stay() {
    let world = well();
    world.configure(|config| config.replace("dir = \"spool\"", "dir = \"spool\"\nmax_size = \"1024TiB\""));
    expect(&findings(&world, &[]).1, "disk", "warn", "are free for the spool");
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let spool = format!("dir = \"{}\"", memory.path().join("spool").display());
    world.configure(|config| config.replace("dir = \"spool\"\nmax_size = \"1024TiB\"", &spool));
    expect(&findings(&world, &[]).1, "disk", "warn", "tmpfs");
}

#[test]
fn what_everybody_may_write_or_read() {
    let world = well();
    let mode = |name: &str, mode| fs::set_permissions(world.path(name), fs::Permissions::from_mode(mode)).unwrap();
    mode("q/sealtail.toml", 0o646);
    mode("q/policies/linux/ssh.rego", 0o666);
    mode("q/client.key", 0o644);
    let (exit, found) = findings(&world, &[]);
    assert_eq!(exit, 2);
    let mend = &expect(&found, "config", "fail", "sealtail.toml")["mend"];
    assert_eq!(mend, &format!("run: chmod o-w {}", world.config()));
    // what stands in a file that others can write is not believed
    mode("q/sealtail.toml", 0o644);
    let (exit, found) = findings(&world, &[]);
    assert_eq!(exit, 2);
    let mend = &expect(&found, "config", "fail", "ssh.rego")["mend"];
    assert_eq!(mend, &format!("run: chmod o-w {}", world.text_path("q/policies/linux/ssh.rego")));
    expect(&found, "config", "fail", "client.key");
    mode("q/policies/linux/ssh.rego", 0o644);
    mode("q/client.key", 0o600);
    expect(&findings(&world, &[]).1, "config", "ok", "is good");
}

#[test]
fn sources_that_are_closed_or_empty() {
    let world = well();
    let log = world.text_path("logs/app.log");
    world.configure(|config| config.replace(&log, &world.text_path("logs/none-*.log")));
    expect(&findings(&world, &[]).1, "sources", "warn", "no file matches");
    world.configure(|config| config.replace("none-*", "*"));
    expect(&findings(&world, &[]).1, "sources", "ok", "1 files in 1 folders");
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: another user takes root");
        return;
    }
    // everybody may read all but the log
    for name in ["", "q", "logs"] {
        fs::set_permissions(world.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&log, fs::Permissions::from_mode(0o600)).unwrap();
    // nobody may not enter the folder that the command was built in
    let command = world.path("sealtail");
    fs::copy(env!("CARGO_BIN_EXE_sealtail"), &command).unwrap();
    let output = Command::new(command)
        .args(["doctor", "--json", "--offline", "--config", &world.config()])
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap();
    let (exit, found) = read(&output);
    assert_eq!(exit, 2);
    expect(&found, "sources", "fail", "Permission denied");
    expect(&found, "config", "fail", "host.key");
}

#[test]
fn targets_that_do_not_answer_or_have_no_address() {
    let mut world = well();
    let online = |world: &World| read(&run(&["doctor", "--json", "--config", &world.config()]));
    let (exit, found) = online(&world);
    assert_eq!(exit, 2);
    expect(&found, "target", "fail", "\"archive\"");
    world.start_receiver();
    let (_, found) = online(&world);
    expect(&found, "target", "ok", "would take this host's lines");
    expect(&found, "dns", "ok", "localhost is");
    world.configure(|config| config.replace("https://localhost:", "https://nothing.invalid:"));
    expect(&online(&world).1, "dns", "fail", "nothing.invalid");
}

#[test]
fn a_spool_in_use_and_a_spool_that_is_damaged() {
    let mut world = well();
    world.append("one\n");
    world.start_receiver();
    world.start_agent();
    world.await_archived(1);
    let held = format!("process {} has it", world.agent_pid());
    expect(&findings(&world, &[]).1, "spool", "ok", &held);
    await_that("the receipt is in the ledger", || {
        findings(&world, &[]).1.iter().any(|one| one["what"].as_str().unwrap().contains("stored its last batch"))
    });
    assert_eq!(world.stop_agent(), Some(0));
    expect(&findings(&world, &[]).1, "spool", "ok", "no agent has it");
    fs::write(world.path("q/spool/ledger.json"), "{").unwrap();
    let (exit, found) = findings(&world, &[]);
    assert_eq!(exit, 2);
    assert!(expect(&found, "spool", "fail", "damaged")["mend"].as_str().unwrap().contains("spool check"));
}

#[test]
fn a_configuration_at_fault_is_told_and_the_host_is_looked_at_all_the_same() {
    let world = World::new();
    world.configure(|config| config.replace("dir = \"spool\"", "dir = \"spool\"\nmax_size = 5"));
    let output = sealtail(&["doctor", "--config", &world.config()]).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("[spool] max_size") && said.contains("mend: write \"5B\", in quotes"), "{said}");
    assert!(said.contains("inotify") && said.contains("clock"), "{said}");
}
