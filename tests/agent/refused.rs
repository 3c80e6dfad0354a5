//! What a target refuses for good is kept, told, and ends the stream; the agent goes on.

use crate::world::{World, await_that, run, text};
use std::fs;
use std::path::PathBuf;

/// The newest stream's first file in the spool.
fn first_spooled(world: &World) -> PathBuf {
    let host = fs::read_dir(world.path("q/spool")).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir()).unwrap();
    let stream = fs::read_dir(host).unwrap().next().unwrap().unwrap().path();
    stream.join("00000000000000000000.ndjson.zst")
}

/// Somebody stored the lines of the spool's first segment, but in other bytes; returns where.
pub(crate) fn store_other_bytes(world: &World) -> PathBuf {
    let spooled = first_spooled(world);
    let first_frame = fs::read(&spooled).unwrap();
    let size = zstd::zstd_safe::find_frame_compressed_size(&first_frame).unwrap();
    let lines = zstd::decode_all(&first_frame[..size]).unwrap();
    let stored = world.path("q/archive").join(spooled.strip_prefix(world.path("q/spool")).unwrap());
    fs::create_dir_all(stored.parent().unwrap()).unwrap();
    fs::write(&stored, zstd::encode_all(&lines[..], 19).unwrap()).unwrap();
    stored
}

#[test]
fn other_bytes_under_a_name_are_a_fork() {
    let mut world = World::new();
    world.append("one\n");
    world.start_agent();
    await_that("a batch is tried", || world.agent_log().contains("cannot deliver"));
    let stored = store_other_bytes(&world);
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

#[test]
fn a_kept_receipt_shows_what_was_taken_away() {
    let mut world = World::new();
    world.start_receiver();
    world.append("one\n");
    world.start_agent();
    await_that("the first batch", || world.messages() == ["one"]);
    world.append("two\n");
    await_that("the second batch", || world.messages() == ["one", "two"]);
    let receipts = world.text_path("q/spool/receipts/archive.ndjson");
    let is_later = |line: &str| !line.contains("\"seq\":[0,");
    await_that("a receipt for the second", || {
        fs::read_to_string(&receipts).is_ok_and(|text| text.lines().any(is_later))
    });
    world.kill_agent();
    let stream = world.path("q/archive");
    let host = fs::read_dir(stream).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir()).unwrap();
    let stream = fs::read_dir(host).unwrap().next().unwrap().unwrap().path();
    let mut files: Vec<_> = fs::read_dir(&stream).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let (archive, key) = (world.text_path("q/archive"), world.text_path("q/host.pub"));
    let (receipt_key, identity) = (world.text_path("q/receipt.pub"), world.text_path("q/auditor.key"));
    let args = [
        "verify",
        &archive,
        "--identity",
        &identity,
        "--host-key",
        &key,
        "--receipts",
        &receipts,
        "--receipt-key",
        &receipt_key,
    ];
    assert!(run(&args).status.success(), "{}", text(&run(&args)));
    for file in &files[1..] {
        fs::remove_file(file).unwrap();
    }
    let output = run(&args);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("ROLLBACK"), "{}", text(&output));
}
