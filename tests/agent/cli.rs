//! The command line.

use crate::world::{World, run, text};
use std::fs;

#[test]
fn every_command_explains_itself() {
    for command in [
        "quickstart",
        "init",
        "doctor",
        "run",
        "check",
        "spool",
        "config",
        "receive",
        "verify",
        "cat",
        "keys",
        "policy",
    ] {
        let output = run(&[command, "--help"]);
        assert!(output.status.success(), "{command}");
        assert!(text(&output).contains("Usage: sealtail"), "{command}: {}", text(&output));
    }
}

#[test]
fn check_tells_six_faults_with_their_lines() {
    let world = World::new();
    world.configure(|config| {
        config
            .replace("flush_interval = \"250ms\"", "flush_interval = 250\nfolow = true")
            .replace("dir = \"spool\"", "dir = \"spool\"\nmax_size = \"1KiB\"")
            .replace("url = \"https://", "url = \"http://")
            .replace("log = \"warn\"", "log = \"=loud=\"")
            .replace("log = \"info\"", "log = \"=loud=\"")
            .replace("type = \"file\"", "type = \"fiel\"")
    });
    let text_before = fs::read_to_string(world.config()).unwrap();
    let line_of = |needle: &str| text_before.lines().position(|line| line.contains(needle)).unwrap() + 1;
    let output = run(&["check", "--offline", "--config", &world.config()]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    for needle in ["folow", "flush_interval", "1KiB", "http://", "=loud=", "fiel"] {
        let place = format!("sealtail.toml:{}:", line_of(needle));
        assert!(said.contains(&place), "{needle}: no {place} in\n{said}");
    }
}

#[test]
fn check_asks_the_targets_unless_told_not_to() {
    let mut world = World::new();
    let offline = run(&["check", "--offline", "--config", &world.config()]);
    assert!(offline.status.success(), "{}", text(&offline));
    let down = run(&["check", "--config", &world.config()]);
    assert_eq!(down.status.code(), Some(1));
    assert!(text(&down).contains("target \"archive\""), "{}", text(&down));
    world.start_receiver();
    let up = run(&["check", "--config", &world.config()]);
    assert!(up.status.success(), "{}", text(&up));
}

#[test]
fn an_empty_or_missing_archive_is_unchecked() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    let output = run(&["verify", empty]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let missing = run(&["verify", &format!("{empty}/nothing")]);
    assert_eq!(missing.status.code(), Some(2), "{}", text(&missing));
}
