//! What a target refuses for good is kept, told, and ends the stream; the agent goes on.

use crate::world::{World, await_that};
use std::fs;
use std::path::PathBuf;

/// The newest stream's first file in the spool.
fn first_spooled(world: &World) -> PathBuf {
    let host = fs::read_dir(world.path("q/spool")).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir()).unwrap();
    let stream = fs::read_dir(host).unwrap().next().unwrap().unwrap().path();
    stream.join("00000000000000000000.ndjson.zst")
}

#[test]
fn other_bytes_under_a_name_are_a_fork() {
    let mut world = World::new();
    world.append("one\n");
    world.start_agent();
    await_that("a batch is tried", || world.agent_log().contains("cannot deliver"));
    // somebody stored the same lines in other bytes
    let spooled = first_spooled(&world);
    let first_frame = fs::read(&spooled).unwrap();
    let size = zstd::zstd_safe::find_frame_compressed_size(&first_frame).unwrap();
    let lines = zstd::decode_all(&first_frame[..size]).unwrap();
    let stored = world.path("q/archive").join(spooled.strip_prefix(world.path("q/spool")).unwrap());
    fs::create_dir_all(stored.parent().unwrap()).unwrap();
    fs::write(&stored, zstd::encode_all(&lines[..], 19).unwrap()).unwrap();
    let before = fs::read(&stored).unwrap();

    world.start_receiver();
    await_that("the alarm", || world.agent_log().contains("ALARM"));
    assert!(world.agent_log().contains("FORK"), "{}", world.agent_log());
    world.append("two\n");
    await_that("a new stream takes what comes after", || world.messages().contains(&"two".to_owned()));
    assert_eq!(world.stop_agent(), Some(0));
    assert_eq!(fs::read(&stored).unwrap(), before, "nothing is written over");
    let kept = world.path("q/spool/quarantine/archive");
    assert!(kept.exists(), "the refused bytes are kept");
    let report = world.verify();
    assert_eq!(report.exit, 1, "what is missing from the archive is an alarm: {report:?}");
}
