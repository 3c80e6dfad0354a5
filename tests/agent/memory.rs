//! `[resources] memory`: what is in use stays under it whatever the lines and the targets are like, and nothing is lost over it.

use crate::world::{World, await_that, run};
use serde_json::Value;
use std::fs;

/// What the process itself takes of 64 MiB in a release build. A debug build's file is larger, so its pages are counted apart.
const PROGRAM_KIB: u64 = 26 * 1024;

fn limit(world: &World, memory: &str) {
    world.configure(|config| format!("{config}\n[resources]\nmemory = \"{memory}\"\n"));
}

fn status(world: &World) -> Option<Value> {
    serde_json::from_slice(&run(&["status", "--config", &world.config(), "--json"]).stdout).ok()
}

/// Awaits that all is chained and stored.
fn settle(world: &World, lines: usize) {
    await_that("everything is stored", || {
        status(world).is_some_and(|status| {
            let targets = status["targets"].as_array().unwrap();
            status["sources"][0]["lines"] == lines && targets.iter().all(|target| target["behind_bytes"] == 0)
        })
    });
}

/// The most that was resident, as in a release build.
fn most_kib(world: &World) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", world.agent_pid())).unwrap();
    let of = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        value.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    of("VmHWM:") - of("RssFile:") + PROGRAM_KIB
}

fn assert_exact(world: &mut World, lines: usize) {
    assert_eq!(world.stop_agent(), Some(0));
    let report = world.verify();
    report.assert_intact(&[]);
    assert_eq!(report.result["log_lines"], lines);
}

#[test]
fn lines_of_nothing_cost_no_more_than_others() {
    const LINES: usize = 200_000;
    let mut world = World::new();
    fs::write(world.log(), "\n".repeat(LINES)).unwrap();
    world.start_receiver();
    world.start_agent();
    settle(&world, LINES);
    let most = most_kib(&world);
    assert!(most <= 64 * 1024, "{most} KiB");
    assert_exact(&mut world, LINES);
}

/// After an outage each target may have a large batch: together they have an eighth.
#[test]
fn a_backlog_for_many_targets_goes_in_batches_that_fit() {
    const LINES: usize = 3_000;
    const TARGETS: usize = 4;
    let mut world = World::new();
    for target in 1..TARGETS {
        let folder = world.text_path(&format!("copy-{target}"));
        let batch = "batch = { max_size = \"64MiB\" }";
        let table = format!("\n[[target]]\nname = \"copy-{target}\"\ntype = \"file\"\ndir = \"{folder}\"\n{batch}\n");
        world.configure(|config| format!("{config}{table}"));
    }
    // nothing that could be compressed
    let mut random = vec![0; 8_192];
    let mut line = || {
        getrandom::fill(&mut random).unwrap();
        random.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n"
    };
    world.append((0..LINES).map(|_| line()).collect::<String>());
    world.start_agent();
    await_that("everything is in the spool", || {
        status(&world).is_some_and(|status| status["sources"][0]["lines"] == LINES)
    });
    world.start_receiver();
    (1..TARGETS).for_each(|target| fs::create_dir(world.path(&format!("copy-{target}"))).unwrap());
    settle(&world, LINES);
    let most = most_kib(&world);
    assert!(most <= 64 * 1024, "{most} KiB");
    let archived = world.streams().iter().flat_map(|stream| crate::world::stream_files(stream)).count();
    let bytes: u64 = LINES as u64 * 8_192;
    let largest_bytes = (64 << 20) / 8 / TARGETS as u64;
    assert!(archived as u64 >= bytes / largest_bytes, "{archived} batches");
    assert_exact(&mut world, LINES);
}

/// A debug build alone is over it, and a release build nearly so.
#[test]
fn where_the_program_alone_takes_more_lines_are_read_slowly_and_none_is_lost() {
    const LINES: usize = 20_000;
    let mut world = World::new();
    limit(&world, "32MiB");
    fs::write(world.log(), (0..LINES).map(|n| format!("line {n}\n")).collect::<String>()).unwrap();
    world.start_receiver();
    world.start_agent();
    settle(&world, LINES);
    let process = status(&world).unwrap()["process"].clone();
    assert_eq!(process["max_resident_bytes"], 32 << 20);
    if process["resident_bytes"].as_u64() > Some(32 << 20) {
        assert!(process["slowed_batches"].as_u64() > Some(0), "{process}");
        assert_eq!(world.agent_log().matches("lines are read slowly").count(), 1);
    }
    assert_exact(&mut world, LINES);
}
