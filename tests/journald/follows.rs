//! While journald writes, rotates and vacuums.

use crate::daemon::{Daemon, available};
use crate::{Reader, numbered};
use sealtail::source::Since;

#[test]
fn entries_come_as_they_are_written() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    let mut reader = Reader::new(daemon.config());
    reader.start();
    for n in 0..5 {
        daemon.say(numbered(n..n + 1));
        reader.await_that("the entry", |reader| reader.messages().len() == n + 1);
    }
    reader.stop();
    assert_eq!(reader.messages(), numbered(0..5));
}

#[test]
fn rotation_and_vacuum_under_load_lose_nothing() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("SystemMaxFileSize=512K");
    let mut reader = Reader::new(daemon.config());
    reader.start();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..20 {
                daemon.say(numbered(round * 500..(round + 1) * 500));
                if round % 3 == 0 {
                    daemon.rotate();
                }
            }
            daemon.sync();
        });
        reader.await_that("everything", |reader| {
            let last = reader.lines.last().is_some_and(|line| memchr::memmem::find(&line.text, b"\"line 9999\"").is_some());
            last && reader.lines.len() >= 10_000
        });
        writer.join().unwrap();
    });
    reader.stop();
    assert_eq!(reader.messages(), numbered(0..10_000));
    assert_eq!(reader.missed(), []);
    reader.assert_in_order();
}

#[test]
fn a_blocked_output_keeps_what_is_vacuumed_meanwhile() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    let mut reader = Reader::new(daemon.config());
    daemon.say(numbered(0..2000));
    daemon.sync();
    reader.start();
    // the channel is full now; nobody takes anything
    for round in 2..5 {
        daemon.say(numbered(round * 1000..(round + 1) * 1000));
        daemon.rotate();
        // the source has looked, which the poll promises within a second
        std::thread::sleep(std::time::Duration::from_millis(1200));
    }
    daemon.journalctl(&["--vacuum-files=1"]);
    let archived = daemon.files().iter().filter(|path| path.to_str().unwrap().contains('@')).count();
    assert!(archived <= 1, "{:?}", daemon.files());
    reader.await_that("everything", |reader| {
        reader.lines.iter().any(|line| memchr::memmem::find(&line.text, b"\"line 4999\"").is_some())
    });
    reader.stop();
    assert_eq!(reader.messages(), numbered(0..5000));
    assert_eq!(reader.missed(), []);
}

#[test]
fn since_now_begins_at_the_end_and_loses_nothing_after_it() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    daemon.say(numbered(0..100));
    daemon.sync();
    let mut reader = Reader::new(daemon.config());
    reader.config.since = Since::Now;
    reader.once();
    assert_eq!(reader.messages(), [] as [String; 0]);
    daemon.say(numbered(100..200));
    daemon.rotate();
    daemon.say(numbered(200..300));
    daemon.sync();
    reader.once();
    assert_eq!(reader.messages(), numbered(100..300));
    assert_eq!(reader.missed(), []);
}

#[test]
fn a_killed_journald_goes_on_in_a_new_file() {
    if !available() {
        return;
    }
    let mut daemon = Daemon::start("");
    let mut reader = Reader::new(daemon.config());
    reader.start();
    for round in 0..3 {
        daemon.say(numbered(round * 100..(round + 1) * 100));
        daemon.sync();
        daemon.kill();
        daemon.run();
    }
    daemon.say(numbered(300..400));
    reader.await_that("everything", |reader| {
        reader.lines.iter().any(|line| memchr::memmem::find(&line.text, b"\"line 399\"").is_some())
    });
    reader.stop();
    assert_eq!(reader.messages(), numbered(0..400));
    assert_eq!(reader.missed(), []);
    assert!(daemon.files().iter().any(|path| path.to_str().unwrap().ends_with('~')), "{:?}", daemon.files());
}
