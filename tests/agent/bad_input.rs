//! Whatever is wrong is told, hurts only itself and loses nothing.

use crate::world::{World, await_that, run, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_folder_and_a_missing_file_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("q");
    let text_dir = dir.to_str().unwrap();
    let output = run(&["quickstart", "--once", "--dir", text_dir, folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("a folder; name files in it"), "{}", text(&output));
    let output = run(&["quickstart", "--once", "--dir", text_dir, "/nowhere/at.all"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("/nowhere/at.all"), "{}", text(&output));
    assert!(!dir.exists());
}

#[test]
fn binary_files_under_the_glob_are_left_out_and_the_others_read() {
    let mut world = World::new();
    let logs = world.text_path("logs");
    world.configure(|config| config.replace("logs/app.log", "logs/*"));
    world.append("text\n");
    fs::write(format!("{logs}/wtmp"), vec![7u8; 4096]).unwrap();
    fs::write(format!("{logs}/system.journal"), b"LPKSHHRH and more").unwrap();
    fs::create_dir(format!("{logs}/folder.log")).unwrap();
    world.start_receiver();
    assert!(world.run_once().status.success());
    assert_eq!(world.messages(), ["text"]);
    world.verify().assert_intact(&[]);
}

#[test]
fn a_line_of_100_megabytes_is_chained_in_parts() {
    let mut world = World::new();
    let line = vec![b'y'; 100 << 20];
    fs::write(world.log(), &line).unwrap();
    world.append("\nafter it\n");
    world.start_receiver();
    let output = world.run_once();
    assert!(output.status.success(), "{}", text(&output));
    let back = run(&["cat", &world.text_path("q/archive")]);
    assert!(back.stdout == fs::read(world.log()).unwrap(), "{} bytes came back", back.stdout.len());
    world.verify().assert_intact(&[]);
}

#[test]
fn a_policy_that_does_not_compile_is_refused_with_its_line() {
    let world = World::new();
    fs::write(
        world.path("q/policies/broken.rego"),
        "package sealtail.broken\n\nverdicts contains {\"id\": } if true\n",
    )
    .unwrap();
    for command in [["check", "--offline", "--config"], ["run", "--once", "--config"]] {
        let mut args = command.to_vec();
        let config = world.config();
        args.push(&config);
        let output = run(&args);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output).contains("broken.rego:3:"), "{}", text(&output));
    }
}

#[test]
fn a_policy_that_fails_on_some_lines_is_undecided_there_and_only_there() {
    let mut world = World::new();
    let policy = r#"package sealtail.loops

verdicts contains {"id": "pairs", "severity": "low"} if {
	contains(input.message, "poison")
	words := split(input.message, "")
	count([1 | words[_]; words[_]; words[_]; words[_]]) > 0
}
"#;
    fs::write(world.path("q/policies/loops.rego"), policy).unwrap();
    world.append("fine\npoison poison poison poison poison poison poison poison poison poison\nsshd[1]: fine again\n");
    world.start_receiver();
    let output = world.run_once();
    assert!(output.status.success(), "{}", text(&output));
    let archive = world.archive();
    let verdicts: Vec<_> =
        archive.iter().filter(|l| l["h"]["type"] == "log").map(|l| l["h"]["verdicts"].clone()).collect();
    assert_eq!(verdicts.len(), 3);
    assert_eq!(verdicts[1][0]["decision"], "undecided", "{verdicts:?}");
    assert_eq!(verdicts[1][0]["id"], "sealtail.loops");
    assert_eq!(verdicts[0].as_array().unwrap().len() + verdicts[2].as_array().unwrap().len(), 0);
    world.verify().assert_intact(&[]);
}

#[test]
fn keys_that_others_may_read_are_refused() {
    let world = World::new();
    for key in ["host.key", "client.key"] {
        let path = world.path("q").join(key);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let output = world.run_once();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output).contains(key) && text(&output).contains("chmod 600"), "{}", text(&output));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn what_others_may_write_is_refused_by_run_and_check() {
    let world = World::new();
    for name in ["sealtail.toml", "policies/linux", "policies/linux/ssh.rego", "."] {
        let path = world.path("q").join(name);
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(before.mode() | 0o002)).unwrap();
        for output in [world.run_once(), run(&["check", "--offline", "--config", &world.config()])] {
            assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output));
            assert!(text(&output).contains("everybody can write here"), "{name}: {}", text(&output));
            assert!(text(&output).contains("run: chmod o-w "), "{name}: {}", text(&output));
        }
        fs::set_permissions(&path, before).unwrap();
    }
    let output = run(&["check", "--offline", "--config", &world.config()]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn an_unreadable_file_is_named_and_the_others_are_read() {
    let mut world = World::new();
    world.configure(|config| config.replace("logs/app.log", "logs/*.log"));
    let secret = world.path("logs/secret.log");
    fs::write(&secret, "hidden\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    world.append("open\n");
    world.start_receiver();
    if is_root() {
        eprintln!("running as root: file permissions don't bind it, so only the reading of the others is tested");
        assert!(world.run_once().status.success());
        assert!(world.messages().contains(&"open".to_owned()));
        return;
    }
    let output = world.run_once();
    assert!(text(&output).contains("secret.log"), "{}", text(&output));
    assert_eq!(world.messages(), ["open"]);
}

/// A small file system of its own, as root; told and passed over elsewhere, but not in CI.
#[test]
fn a_full_disk_blocks_and_recovers() {
    let mut world = World::new();
    let spool = world.path("q/spool");
    fs::create_dir(&spool).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs"]).arg(&spool).status();
    if !mounted.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount a tmpfs");
        eprintln!("SKIPPED: mounting a tmpfs takes root");
        return;
    }
    let unmount = Unmount(spool.clone());
    const LINES: usize = 40_000;
    let expected: Vec<String> = (0..LINES)
        .map(|n| format!("{n:06} {:032x}", (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
        .collect();
    world.append(expected.join("\n") + "\n");
    world.start_agent();
    await_that("the disk is full", || world.agent_log().contains("the disk of the spool is full"));
    world.start_receiver();
    world.await_archived(LINES);
    assert_eq!(world.stop_agent(), Some(0));
    assert_eq!(world.messages(), expected);
    world.verify().assert_intact(&[]);
    drop(world);
    drop(unmount);
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The library that fakes the time; it may be missing, but not in CI.
pub(crate) fn libfaketime() -> Option<&'static str> {
    let library =
        ["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"];
    let found = library.into_iter().find(|path| fs::exists(path).unwrap_or(false));
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI must have libfaketime");
        eprintln!("SKIPPED: libfaketime is not installed");
    }
    found
}

#[test]
fn a_clock_that_is_set_back_is_a_warning() {
    let mut world = World::new();
    let Some(library) = libfaketime() else { return };
    let clock = world.path("clock");
    fs::write(&clock, "+0").unwrap();
    world.start_receiver();
    let config = world.config();
    let mut agent = crate::world::sealtail(&["run", "--config", &config])
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("DONT_FAKE_MONOTONIC", "1")
        .spawn()
        .unwrap();
    world.append("before\n");
    await_that("the first line", || world.messages() == ["before"]);
    fs::write(&clock, "-1h").unwrap();
    world.append("after\n");
    await_that("the second line", || world.messages() == ["before", "after"]);
    let pid = rustix::process::Pid::from_child(&agent);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(agent.wait().unwrap().success());
    let report = world.verify();
    report.assert_intact(&["CLOCK-STEP"]);
    assert!(report.words().contains_key("CLOCK-STEP"), "{report:?}");
}
