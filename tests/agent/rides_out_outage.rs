//! No receiver, no loss.

use crate::world::{World, await_that};

#[test]
fn a_receiver_that_is_down_the_whole_time_gets_everything_in_order_once() {
    const LINES: usize = 200_000;
    let mut world = World::new();
    world.start_agent();
    let expected: Vec<String> = (0..LINES).map(|n| format!("line {n:06}")).collect();
    for piece in expected.chunks(10_000) {
        world.append(piece.join("\n") + "\n");
    }
    let spooled = world.path("q/spool");
    await_that("the agent says that it cannot deliver", || world.agent_log().contains("cannot deliver"));
    assert!(spooled.join("ledger.json").exists());
    world.start_receiver();
    world.await_archived(LINES);
    assert_eq!(world.stop_agent(), Some(0));
    assert_eq!(world.messages(), expected);
    world.verify().assert_intact(&[]);
}

#[test]
fn a_full_spool_stops_reading_and_goes_on_when_there_is_room() {
    const LINES: usize = 100_000;
    let mut world = World::new();
    world.configure(|config| config.replace("dir = \"spool\"", "dir = \"spool\"\nmax_size = \"8MiB\""));
    world.start_agent();
    let expected = incompressible(LINES);
    world.append(expected.join("\n") + "\n");
    await_that("the spool is full", || world.agent_log().contains("the spool is full"));
    world.start_receiver();
    world.await_archived(LINES);
    assert_eq!(world.stop_agent(), Some(0));
    assert_eq!(world.messages(), expected);
    world.verify().assert_intact(&[]);
}

#[test]
fn stopping_with_a_full_spool_loses_nothing() {
    const LINES: usize = 100_000;
    let mut world = World::new();
    world.configure(|config| config.replace("dir = \"spool\"", "dir = \"spool\"\nmax_size = \"8MiB\""));
    let expected = incompressible(LINES);
    world.append(expected.join("\n") + "\n");
    world.start_agent();
    await_that("the spool is full", || world.agent_log().contains("the spool is full"));
    assert_eq!(world.stop_agent(), Some(0));
    world.start_receiver();
    assert!(world.run_once().status.success());
    assert_eq!(world.messages(), expected);
    world.verify().assert_intact(&[]);
}

/// Lines that fill a spool.
pub(crate) fn incompressible(count: usize) -> Vec<String> {
    let mut state = 1u64;
    let mut word = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        format!("{state:016x}")
    };
    (0..count).map(|n| format!("{n:06} {}{}{}{}{}{}", word(), word(), word(), word(), word(), word())).collect()
}
