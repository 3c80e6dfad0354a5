//! A command is told by its arguments and its standard input, and never by a shell.

use super::world;
use crate::world::{World, await_that, run, text};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A script, and an alert that runs it with these arguments.
fn scripted(folder: &Path, script: &str, arguments: &str, more: &str) -> String {
    let path = folder.join("page");
    fs::write(&path, format!("#!/bin/sh\ncd {}\n{script}\n", folder.display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let path = path.display();
    format!(
        "[[alert]]\nname = \"page\"\ntype = \"command\"\nargv = [\"{path}\"{arguments}]\ndecision = \"deny\"\n{more}\n"
    )
}

/// What a file says once it is there.
fn awaited(path: &Path) -> String {
    await_that("the script was run", || path.exists());
    fs::read_to_string(path).unwrap()
}

/// Whether a process ended; an init that reaps nothing leaves it a zombie.
fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

/// No child, dead or alive.
fn has_no_child(world: &World) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", world.agent_pid())).unwrap();
    let mut children = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default());
    children.all(|children| children.trim().is_empty())
}

#[test]
fn a_command_gets_names_as_arguments_and_the_alert_on_its_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let script = "cat > stdin; env > env; printf '%s\\n' \"$#\" \"$@\" > new; mv new arguments";
    let arguments =
        ", \"{id}\", \"--level={severity}/{decision}\", \"{stream}\", \"{seq}\", \"a b; $(touch x) {count} {} {\"";
    let mut world = world(&scripted(folder.path(), script, arguments, ""));
    world.start_receiver();
    world.start_agent();
    world.append("FORCED; touch y $(touch z) `touch w`\n");
    let arguments = awaited(&folder.path().join("arguments"));
    let told: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("stdin")).unwrap()).unwrap();
    assert_eq!(told["message"], "FORCED; touch y $(touch z) `touch w`");
    let expected = format!(
        "5\ndoor-forced\n--level=high/deny\n{}\n{}\na b; $(touch x) 1 {{}} {{\n",
        told["stream"].as_str().unwrap(),
        told["seq"]
    );
    assert_eq!(arguments, expected);
    // nothing of the agent's surroundings but a path; PWD, SHLVL and _ are the shell's own
    let env = fs::read_to_string(folder.path().join("env")).unwrap();
    let names: Vec<&str> = env.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| ["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(name)), "{env}");
    assert!(env.contains("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"), "{env}");
    await_that("no zombie stays", || has_no_child(&world));
    assert_eq!(world.stop_agent(), Some(0));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "only what the script made");
}

#[test]
fn an_exit_code_is_a_failure_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let script = "[ -e twice ] && { cat > new; mv new told; exit 0; }\n[ -e once ] && touch twice\ntouch once\nexit 7";
    let mut world = world(&scripted(folder.path(), script, "", ""));
    world.start_agent();
    world.append("FORCED\n");
    assert!(awaited(&folder.path().join("told")).contains("door-forced"));
    assert!(world.agent_log().contains("exit status: 7"), "{}", world.agent_log());
}

#[test]
fn a_command_that_does_not_end_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "[ -e pid ] && { cat > new; mv new told; exit 0; }\nsleep 3600 & echo $! > pid.new; mv pid.new pid; wait";
    let mut world = world(&scripted(folder.path(), script, "", "timeout = \"1s\""));
    world.start_agent();
    world.append("FORCED\n");
    let pid = awaited(&folder.path().join("pid"));
    awaited(&folder.path().join("told"));
    await_that("the script's child ends too", || is_gone(&pid));
    await_that("no zombie stays", || has_no_child(&world));
    assert!(world.agent_log().contains("still running after"), "{}", world.agent_log());
}

#[test]
fn an_agent_that_stops_leaves_no_command_behind_and_tells_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "[ -e pid ] && { cat > new; mv new told; exit 0; }\nsleep 3600 & echo $! > pid.new; mv pid.new pid; wait";
    let mut world = world(&scripted(folder.path(), script, "", "timeout = \"60s\""));
    world.start_receiver();
    world.start_agent();
    world.append("FORCED\n");
    let pid = awaited(&folder.path().join("pid"));
    assert_eq!(world.stop_agent(), Some(0));
    assert!(world.agent_log().contains("before all alerts are delivered"), "{}", world.agent_log());
    await_that("the script's child ends too", || is_gone(&pid));
    world.start_agent();
    assert!(awaited(&folder.path().join("told")).contains("door-forced"));
}

#[test]
fn check_tells_all_that_is_wrong_with_alert_targets_at_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plain"), "").unwrap();
    let (gone, plain) = (folder.path().join("gone"), folder.path().join("plain"));
    let command = |name: &str, path: &Path| {
        format!(
            "[[alert]]\nname = \"{name}\"\ntype = \"command\"\nargv = [\"{}\"]\ndecision = \"deny\"\n",
            path.display()
        )
    };
    let https = "[[alert]]\nname = \"c\"\ntype = \"webhook\"\nurl = \"https://hooks.internal\"\nsecret = \"hush\"\nmin_severity = \"low\"\ntls = { ca = \"no.pem\" }\n";
    let world = world(&(command("a", &gone) + &command("b", &plain) + https));
    let output = run(&["check", "--offline", "--config", &world.config()]);
    let said = text(&output);
    assert!(!output.status.success());
    for expected in
        ["alert \"a\": ", "gone: No such file", "alert \"b\": ", "chmod +x", "alert \"c\": ", "no.pem: No such"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("hush"), "{said}");
    // and `run` starts with none of it
    assert!(!world.run_once().status.success());
}
