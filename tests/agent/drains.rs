//! SIGTERM: a time limit for the targets, and a stream that is closed in either case.

use crate::world::{World, await_that, stream_lines};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// The lines of the one stream that is spooled.
fn spooled(world: &World) -> Vec<Value> {
    let hosts = fs::read_dir(world.path("q/spool")).into_iter().flatten().flatten().map(|entry| entry.path());
    let own = ["quarantine", "receipts", "alerts"];
    let hosts = hosts.filter(|path| path.is_dir() && !own.iter().any(|name| path.ends_with(name)));
    let streams: Vec<PathBuf> = hosts
        .flat_map(|host| fs::read_dir(host).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>())
        .collect();
    streams.first().map(|stream| stream_lines(stream)).unwrap_or_default()
}

fn is_closed(world: &World) -> bool {
    let lines = spooled(world);
    lines.len() > 1 && lines[lines.len() - 2]["h"]["type"] == "close"
}

#[test]
fn a_target_that_is_down_holds_up_a_stop_no_longer_than_the_limit() {
    let mut world = World::new();
    world.configure(|config| config.replace("dir = \"spool\"", "dir = \"spool\"\ndrain_timeout = \"300ms\""));
    let expected: Vec<String> = (0..1000).map(|n| format!("line {n}")).collect();
    world.append(expected.join("\n") + "\n");
    world.start_agent();
    await_that("the agent says that it cannot deliver", || world.agent_log().contains("cannot deliver"));
    assert_eq!(world.stop_agent(), Some(0));
    assert!(world.agent_log().contains("stopping before the targets have everything"), "{}", world.agent_log());
    assert!(is_closed(&world), "{:?}", spooled(&world).last());
    world.start_receiver();
    assert!(world.run_once().status.success());
    assert_eq!(world.messages(), expected);
    world.verify().assert_intact(&[]);
}

#[test]
fn a_second_signal_ends_the_wait_at_once_and_nothing_is_lost() {
    let mut world = World::new();
    world.configure(|config| config.replace("dir = \"spool\"", "dir = \"spool\"\ndrain_timeout = \"1h\""));
    world.append("one\ntwo\n");
    world.start_agent();
    await_that("the agent says that it cannot deliver", || world.agent_log().contains("cannot deliver"));
    world.signal_agent(Signal::TERM);
    await_that("the stream is closed", || is_closed(&world));
    world.signal_agent(Signal::INT);
    assert_eq!(world.await_agent_end(), Some(130));
    world.start_receiver();
    assert!(world.run_once().status.success());
    assert_eq!(world.messages(), ["one", "two"]);
    world.verify().assert_intact(&[]);
}
