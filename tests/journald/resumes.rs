//! Across restarts of the agent.

use crate::daemon::{Daemon, available};
use crate::{Reader, numbered};
use sealtail::record::SourceEvent;

#[test]
fn reading_goes_on_after_the_last_durable_line() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    daemon.say(numbered(0..3000));
    daemon.sync();
    let mut reader = Reader::new(daemon.config());
    for durable in [1, 2, 777, 1500] {
        reader.once_and_crash(durable);
    }
    daemon.rotate();
    daemon.say(numbered(3000..3100));
    daemon.sync();
    reader.once();
    assert_eq!(reader.messages(), numbered(0..3100));
    assert_eq!((reader.missed(), reader.vanished()), (vec![], 0));
    reader.assert_in_order();
}

#[test]
fn what_was_vacuumed_while_stopped_is_told_with_its_count() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    daemon.say(numbered(0..100));
    daemon.sync();
    let mut reader = Reader::new(daemon.config());
    reader.once();
    let last = reader.lines.last().unwrap().offset;
    daemon.say(numbered(100..1100));
    daemon.rotate();
    daemon.say(numbered(1100..1200));
    daemon.sync();
    daemon.journalctl(&["--vacuum-files=1"]);
    let kept = daemon.oracle(&[]);
    reader.once();
    let first = reader.entries().into_iter().find(|entry| entry["MESSAGE"] == "line 1100").unwrap();
    let first: u64 = first["__SEQNUM"].as_str().unwrap().parse().unwrap();
    let lost: u64 = reader.missed().into_iter().map(Option::unwrap).sum();
    // journald itself may have said something between
    let between = reader
        .entries()
        .iter()
        .filter(|e| (last + 1..first).contains(&e["__SEQNUM"].as_str().unwrap().parse().unwrap()))
        .count() as u64;
    assert_eq!(lost, first - last - 1 - between);
    assert!(lost >= 1000, "{lost}");
    assert_eq!(reader.messages(), [numbered(0..100), numbered(1100..1200)].concat());
    assert!(kept.len() < 200);
    // told once
    reader.events.clear();
    reader.once();
    assert_eq!(reader.missed(), []);
}

#[test]
fn what_was_vacuumed_before_the_first_start_is_no_gap() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    daemon.say(numbered(0..100));
    daemon.rotate();
    daemon.say(numbered(100..200));
    daemon.sync();
    daemon.journalctl(&["--vacuum-files=1"]);
    let mut reader = Reader::new(daemon.config());
    reader.once();
    assert_eq!(reader.messages(), numbered(100..200));
    assert_eq!(reader.missed(), []);
}

#[test]
fn a_sequence_that_is_gone_is_told_and_reading_goes_on_by_time() {
    if !available() {
        return;
    }
    let mut daemon = Daemon::start("");
    daemon.say(numbered(0..100));
    daemon.sync();
    let mut reader = Reader::new(daemon.config());
    reader.once();
    daemon.kill();
    for file in daemon.files() {
        std::fs::remove_file(file).unwrap();
    }
    // nothing there: that may be a disk that is not mounted yet
    reader.once();
    assert_eq!(reader.vanished(), 0);
    daemon.run();
    daemon.say(numbered(100..200));
    daemon.sync();
    reader.once();
    assert_eq!(reader.messages(), numbered(0..200));
    assert_eq!((reader.vanished(), reader.missed()), (1, vec![]));
    reader.events.clear();
    reader.once();
    assert_eq!(
        reader.events.iter().filter(|event| !matches!(event, SourceEvent::Opened { .. })).count(),
        0,
        "{:?}",
        reader.events
    );
}
