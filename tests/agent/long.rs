//! Minutes, not seconds: run by `tests/run --long`.

use crate::random;
use crate::rotates_certificates;
use crate::soak;
use crate::survives_crash;
use crate::world::{World, await_that};
use std::time::Duration;

#[test]
fn three_hundred_kills() {
    survives_crash::kill_and_count(1_000_000, 300);
}

#[test]
fn a_minute_of_certificates_that_rotate_every_second() {
    // what is waited for is the clock itself
    rotates_certificates::rotate_under_load(60, || std::thread::sleep(Duration::from_secs(1)));
}

#[test]
fn twenty_thousand_sequences_of_rotation_and_restarts() {
    random::play(200);
}

#[test]
fn an_agent_that_runs_long_holds_no_more_than_before() {
    soak::soak(400);
}

#[test]
fn a_stream_lives_by_its_heartbeats_and_gives_way_to_the_next_by_age() {
    let mut world = World::new();
    world.configure(|config| {
        config.replace("flush_interval = \"250ms\"", "flush_interval = \"250ms\"\nmax_stream_age = \"3m\"")
    });
    world.start_receiver();
    world.append("first\n");
    world.start_agent();
    await_that("the first line", || world.messages() == ["first"]);
    // what is waited for is the clock itself
    std::thread::sleep(Duration::from_secs(200));
    world.append("last\n");
    await_that("the last line", || world.messages() == ["first", "last"]);
    assert_eq!(world.stop_agent(), Some(0));
    let archive = world.archive();
    let count = |kind: &str| archive.iter().filter(|line| line["h"]["type"] == kind).count();
    assert_eq!(count("genesis"), 2);
    assert!(count("hb") >= 2, "{}", count("hb"));
    world.verify().assert_intact(&[]);
}
