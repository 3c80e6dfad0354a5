//! The journald rows of what goes wrong in other shippers, a test for each.

use crate::daemon::{Daemon, available};
use crate::{Reader, numbered};
use std::fs;
use std::os::unix::fs::FileExt;

/// rsyslog#5477, otel-contrib#39061.
#[test]
fn first_entry_after_a_journal_rotation_is_not_lost_and_rotated_files_are_not_missed() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    let mut reader = Reader::new(daemon.config());
    reader.start();
    for round in 0..10 {
        daemon.say(numbered(round..round + 1));
        daemon.sync();
        daemon.rotate();
    }
    daemon.say(numbered(10..11));
    reader.await_that("everything", |reader| reader.messages().len() == 11);
    reader.stop();
    // and while nobody reads
    for round in 11..21 {
        daemon.say(numbered(round..round + 1));
        daemon.rotate();
    }
    daemon.sync();
    reader.once();
    assert_eq!(reader.messages(), numbered(0..21));
    assert_eq!(reader.missed(), []);
}

/// fluent-bit#7019, beats#23627, #32782: -74 EBADMSG.
#[test]
fn a_corrupt_journal_file_does_not_cost_the_rest() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    for round in 0..3 {
        daemon.say(numbered(round * 100..(round + 1) * 100));
        daemon.rotate();
    }
    daemon.say(numbered(300..310));
    daemon.sync();
    let second = &daemon.files()[1];
    fs::OpenOptions::new().write(true).open(second).unwrap().write_all_at(&[0xff; 4096], 0).unwrap();
    let mut reader = Reader::new(daemon.config());
    reader.once();
    assert_eq!(reader.messages(), [numbered(0..100), numbered(200..310)].concat());
    let told: u64 = reader.missed().into_iter().map(Option::unwrap).sum();
    assert!((100..110).contains(&told), "{:?}", reader.missed());
}

/// syslog-ng#1570.
#[test]
fn a_cursor_in_the_future_does_not_silence_the_source() {
    if !available() {
        return;
    }
    let mut daemon = Daemon::start("");
    daemon.say(numbered(0..10));
    daemon.sync();
    let mut reader = Reader::new(daemon.config());
    reader.once();
    // another journal with low numbers, in the place of one that was read far
    daemon.kill();
    for file in daemon.files() {
        fs::remove_file(file).unwrap();
    }
    daemon.run();
    daemon.say(numbered(10..13));
    daemon.sync();
    reader.once();
    assert_eq!(reader.messages(), numbered(0..13));
    assert_eq!(reader.vanished(), 1);
}

/// systemd#29016.
#[test]
fn a_duplicate_entry_across_files_is_chained_once() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    daemon.say(numbered(0..100));
    daemon.sync();
    daemon.rotate();
    daemon.say(numbered(100..110));
    daemon.sync();
    // the same entries in a file with another id
    let copy = daemon.folder().join("system@copy.journal");
    let mut bytes = fs::read(&daemon.files()[0]).unwrap();
    bytes[24..40].fill(7);
    fs::write(&copy, bytes).unwrap();
    let mut reader = Reader::new(daemon.config());
    reader.once();
    reader.once();
    assert_eq!(reader.messages(), numbered(0..110));
    assert_eq!(reader.missed(), []);
}

/// vector#13050.
#[test]
fn one_refusal_downstream_does_not_stop_the_source_for_ever() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    let mut reader = Reader::new(daemon.config());
    daemon.say(numbered(0..3000));
    daemon.sync();
    // the agent is gone in the middle of it: the next one goes on
    reader.start();
    reader.await_lines(10);
    drop(reader.running.take());
    reader.start();
    reader.await_lines(3000);
    daemon.say(["last".to_owned()]);
    reader.await_that("the last", |reader| reader.messages().last().is_some_and(|message| message == "last"));
    reader.stop();
    assert_eq!(reader.messages().len(), 3001);
    reader.assert_in_order();
}

/// rsyslog's imjournal discards above 20,000 entries in 600 s by default.
#[test]
fn nothing_is_silently_discarded_above_a_rate() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    let mut reader = Reader::new(daemon.config());
    reader.start();
    daemon.say(numbered(0..25_000));
    reader.await_lines(25_000);
    reader.stop();
    assert_eq!(reader.messages(), numbered(0..25_000));
    assert_eq!(reader.missed(), []);
}
