//! What a running agent has given up.

use crate::targets::verify;
use crate::world::{World, await_that, text};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

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
    for (more, seccomp, privileges) in
        [("", "2", "1"), ("[hardening]\nseccomp = false\nlandlock = false\n\n", "0", "0")]
    {
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
        assert_eq!(world.stop_agent(), Some(0));
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
