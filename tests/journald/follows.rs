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
            let last =
                reader.lines.last().is_some_and(|line| memchr::memmem::find(&line.text, b"\"line 9999\"").is_some());
            last && reader.lines.len() >= 10_000
        });
        writer.join().unwrap();
    });
    reader.stop();
    assert_eq!(reader.messages(), numbered(0..10_000));
    assert_eq!(reader.missed(), []);
    reader.assert_in_order();
}

/// journald punches the bytes out of a file that it vacuums, whoever has it open, so that what a blocked output kept from being
/// read is lost. Then the count must be right.
#[test]
fn what_is_vacuumed_while_the_output_is_blocked_is_told_with_its_count() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    let mut reader = Reader::new(daemon.config());
    daemon.say(numbered(0..2000));
    daemon.sync();
    reader.start();
    // the channel is full soon; nobody takes anything
    for round in 2..5 {
        daemon.say(numbered(round * 1000..(round + 1) * 1000));
        daemon.rotate();
    }
    daemon.journalctl(&["--vacuum-files=1"]);
    daemon.say(["last".to_owned()]);
    reader.await_that("everything", |reader| reader.messages().last().is_some_and(|message| message == "last"));
    reader.stop();
    // in one piece or several: under load 121 were seen, their sum exact; journald may empty a file while it is read
    let lost: u64 = reader.missed().into_iter().map(Option::unwrap_or_default).sum();
    assert!(lost > 1000, "{:?}", reader.events);
    let last = reader.lines.last().unwrap().offset;
    assert_eq!(reader.entries().len() as u64 + lost, last, "every number is a line or told as missing");
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
