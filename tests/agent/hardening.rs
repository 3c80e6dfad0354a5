//! What a running agent has given up.

use crate::world::World;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;

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
    for (more, seccomp, privileges) in [("", "2", "1"), ("[hardening]\nseccomp = false\n\n", "0", "0")] {
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
