//! How streams end, what they say of time and loss, and what is missing at their end.

use crate::world::{Archive, World, after};
use sealtail::chain::stamp::Stamp;
use sealtail::record::SourceEvent;
use sealtail::verify::Options;
use sealtail::verify::Word::*;
use std::time::{Duration, SystemTime};

#[test]
fn an_unclean_end_that_the_successor_confirms_is_a_warning() {
    let world = World::new();
    // once at a checkpoint, once with lines that none covers
    for tail in [0, 2] {
        let mut first = world.begin(None);
        first.logs(3).segment().logs(tail);
        let (first, tip) = first.finish();
        let second = world.begin(Some(after(tip, false)));
        let mut archive = Archive { streams: vec![first, second.close().0] };
        let report = archive.check(&world.auditor());
        report.is(&[(UncleanEnd, tip.size - 1)]);
        assert!(report.findings[0].detail.starts_with(&format!("after={}", tip.size - 1)));
        archive.check(&world.public()).is(&[(UncleanEnd, tip.size - 1)]);
        // and less than that is not
        archive.streams[0].files.last_mut().unwrap().lines().pop();
        archive.check(&world.auditor()).is(&[(Truncated, tip.size - 1)]);
        archive.check(&world.public()).is(&[(Truncated, tip.size - 1)]);
    }
}

#[test]
fn a_changed_tail_is_seen_by_the_public_through_the_successor() {
    let world = World::new();
    let mut first = world.begin(None);
    first.logs(3).segment().logs(2);
    let (first, tip) = first.finish();
    let mut archive = Archive { streams: vec![first, world.begin(Some(after(tip, false))).close().0] };
    let line = archive.streams[0].line(5);
    let end = line.len();
    line[end - 4] ^= 1;
    archive.check(&world.public()).is(&[(Fork, 6)]);
    archive.check(&world.auditor()).is(&[(Tampered, 5), (UncleanEnd, 6)]);
}

#[test]
fn missing_ends_are_told_apart() {
    let world = World::new();
    let archive = world.archive();
    let have = archive.streams[0].len();
    let mut cut = archive.clone();
    cut.streams[0].files.pop();
    cut.check(&world.auditor()).is(&[(Rollback, 11)]);
    let mut cut = archive.clone();
    cut.streams[0].files[2].lines().truncate(2);
    cut.check(&world.auditor()).is(&[(Truncated, 13)]);
    // the close line without its checkpoint
    let mut cut = archive;
    cut.streams[0].files[2].lines().pop();
    cut.streams.truncate(1);
    cut.check(&world.auditor()).is(&[(Truncated, have - 2)]);
}

#[test]
fn lines_behind_the_end_that_the_successor_knows_are_forged() {
    let world = World::new();
    let mut first = world.begin(None);
    first.logs(3).segment();
    let tip = first.chain.tip();
    let second = world.begin(Some(after(tip, false)));
    first.logs(2);
    let archive = Archive { streams: vec![first.finish().0, second.close().0] };
    archive.check(&world.auditor()).is(&[(Forged, tip.size)]);
}

#[test]
fn a_stream_without_a_word_is_open_and_then_silent() {
    let world = World::new();
    let archive = world.archive();
    let last = archive.streams[1].len() - 1;
    let at = |seconds| Options { as_of: SystemTime::now() + Duration::from_secs(seconds), ..world.auditor() };
    archive.check(&at(100)).is(&[]).has(Open);
    archive.check(&at(200)).is(&[(Silence, last)]);
}

#[test]
fn silence_inside_a_stream_is_an_alarm() {
    let world = World::new();
    let mut writer = world.begin(None);
    writer.logs(1);
    writer.skew_ns = 170_000_000_000;
    writer.logs(1).heartbeat(Vec::new());
    writer.skew_ns = 340_000_000_000;
    writer.logs(1).segment();
    Archive { streams: vec![writer.finish().0] }.check(&world.auditor()).is(&[]);
    let mut writer = world.begin(None);
    writer.heartbeat(Vec::new()).logs(1);
    writer.skew_ns = 190_000_000_000;
    writer.logs(3).heartbeat(Vec::new()).segment();
    Archive { streams: vec![writer.finish().0] }.check(&world.auditor()).is(&[(Silence, 1)]);
}

#[test]
fn a_clock_set_back_is_a_warning() {
    let world = World::new();
    let mut writer = world.begin(None);
    let now = writer.stamp();
    // stamped two seconds before the line that it follows: no clock was set
    let stale = Stamp { mono_ns: now.mono_ns + 3_000_000_000, time: "2019-12-31T23:59:58.000000000Z".into() };
    let before = Stamp { mono_ns: now.mono_ns + 5_000_000_000, time: "2020-01-01T00:00:00.000000000Z".into() };
    let earlier = Stamp { time: "2020-01-01T00:00:00.000000000Z".into(), ..now.clone() };
    writer.log_at(&now, b"before").log_at(&earlier, b"after").log_at(&before, b"x").log_at(&stale, b"y").segment();
    Archive { streams: vec![writer.finish().0] }.check(&world.auditor()).is(&[(ClockStep, 2)]);
}

#[test]
fn lost_source_bytes_are_a_warning() {
    let world = World::new();
    let mut writer = world.begin(None);
    writer.source(SourceEvent::Truncated { lost: None }).source(SourceEvent::Vanished { lost: Some(7) });
    // all of it had been read
    writer.source(SourceEvent::Truncated { lost: Some(0) }).source(SourceEvent::Ended).segment();
    let report = Archive { streams: vec![writer.finish().0] }.check(&world.auditor());
    report.is(&[(SourceGap, 1), (SourceGap, 2)]);
}
