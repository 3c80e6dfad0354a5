//! One test for each attack on lines and files of a stream: the right word, at the right line, and nothing else.

use crate::world::{Archive, File, World};
use sealtail::verify::Outcome;
use sealtail::verify::Word::*;

/// World, its archive, and line 7 (a log line) of its first stream.
fn sound() -> (World, Archive) {
    let world = World::new();
    let archive = world.archive();
    (world, archive)
}

fn replace(line: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(line.clone()).unwrap();
    assert!(text.contains(from), "{text}");
    *line = text.replacen(from, to, 1).into_bytes();
}

#[test]
fn a_sound_archive_is_intact() {
    let (world, archive) = sound();
    let report = archive.check(&world.auditor());
    report.is(&[]);
    assert_eq!(report.words(), [Open]);
    let summary = &report.summary;
    assert_eq!((summary.lines, summary.log_lines, summary.streams, summary.segments), (24, 13, 2, 5));
    assert_eq!(summary.tags, 24);
    let report = archive.check(&world.public());
    report.is(&[]);
    assert_eq!(report.words(), [PublicOnly, Open]);
    assert_eq!(report.summary.tags, 0);
    let one_file = Archive { streams: archive.streams.into_iter().map(|s| s.in_one_file()).collect() };
    one_file.check(&world.auditor()).is(&[]);
}

#[test]
fn a_changed_line_is_tampered() {
    let (world, archive) = sound();
    for seq in [2, 3, 7, 11] {
        let mut changed = archive.clone();
        replace(changed.streams[0].line(seq), "login", "logon");
        changed.check(&world.auditor()).is(&[(Tampered, seq)]);
        // the public sees that something before the checkpoint was changed
        let report = changed.check(&world.public());
        assert_eq!(report.found().len(), 1, "{report:#?}");
        report.has(BadCheckpoint);
    }
}

#[test]
fn two_changed_lines_are_two_findings() {
    let (world, mut archive) = sound();
    for seq in [2, 3, 7] {
        replace(archive.streams[0].line(seq), "login", "logon");
    }
    archive.check(&world.auditor()).is(&[(Tampered, 2), (Tampered, 3), (Tampered, 7)]);
}

#[test]
fn a_changed_header_or_tag_is_tampered() {
    let (world, archive) = sound();
    let mut header = archive.clone();
    replace(header.streams[0].line(3), r#""off":"#, r#""off":1"#);
    header.check(&world.auditor()).is(&[(Tampered, 3)]);
    let mut tag = archive.clone();
    let byte = &mut tag.streams[0].line(3)[8];
    *byte = if *byte == b'A' { b'B' } else { b'A' };
    tag.check(&world.auditor()).is(&[(Tampered, 3)]);
    let mut seq = archive;
    replace(seq.streams[0].line(3), r#""seq":3"#, r#""seq":9"#);
    seq.check(&world.auditor()).is(&[(Tampered, 3)]);
    seq.check(&world.public()).is(&[(Tampered, 3)]);
}

#[test]
fn deleted_lines_are_missing() {
    let (world, archive) = sound();
    for seq in [1, 3, 4, 7] {
        let mut cut = archive.clone();
        cut.streams[0].remove(seq);
        cut.check(&world.auditor()).is(&[(Missing, seq)]);
        cut.check(&world.public()).is(&[(Missing, seq)]);
    }
    let mut cut = archive.clone();
    (0..3).for_each(|_| drop(cut.streams[0].remove(3)));
    let report = cut.check(&world.auditor());
    report.is(&[(Missing, 3)]);
    assert!(report.findings[0].detail.contains("lines 3 to 5"), "{report:#?}");
    // a whole segment, in a file of its own
    let mut cut = archive;
    cut.streams[0].files.remove(1);
    cut.check(&world.auditor()).is(&[(Missing, 6)]);
    cut.check(&world.public()).is(&[(Missing, 6)]);
}

#[test]
fn a_deleted_checkpoint_is_missing_and_the_rest_still_checked() {
    let (world, archive) = sound();
    let mut cut = archive.clone();
    cut.streams[0].remove(5);
    cut.check(&world.auditor()).is(&[(Missing, 5)]);
    // line 5 is gone, so that line 7 is now the sixth
    replace(cut.streams[0].line(6), "login", "logon");
    cut.check(&world.auditor()).is(&[(Tampered, 7), (Missing, 5)]);
    let mut open = world.begin(None);
    open.logs(3).segment().logs(4);
    let mut cut = Archive { streams: vec![open.finish().0] };
    cut.streams[0].remove(4);
    // no later checkpoint says where the next segment begins
    cut.check(&world.auditor()).is(&[(Missing, 4)]);
}

#[test]
fn swapped_lines_are_reordered() {
    let (world, archive) = sound();
    for (a, b) in [(2, 3), (2, 4)] {
        let mut swapped = archive.clone();
        swapped.streams[0].files[0].lines().swap(a, b);
        let report = swapped.check(&world.auditor());
        assert!(report.found().iter().all(|(word, _)| *word == Reordered) && !report.found().is_empty(), "{report:#?}");
    }
    let mut swapped = archive.clone();
    swapped.streams[0].files[0].lines().swap(2, 3);
    swapped.check(&world.auditor()).is(&[(Reordered, 2)]);
    // whole segments in one file
    let mut swapped = archive;
    swapped.streams[0] = swapped.streams[0].clone().in_one_file();
    swapped.streams[0].files[0].frames.swap(1, 2);
    let report = swapped.check(&world.auditor());
    report.has(Reordered);
    assert_eq!(report.summary.result, Outcome::Findings);
}

#[test]
fn an_inserted_line_is_forged() {
    let (world, archive) = sound();
    let mut inserted = archive.clone();
    let mut copy = inserted.streams[0].line(3).clone();
    replace(&mut copy, "login", "logon");
    inserted.streams[0].files[0].lines().insert(3, copy.clone());
    inserted.check(&world.auditor()).is(&[(Forged, 3)]);
    // the public can't say which is the true one
    inserted.check(&world.public()).is(&[(Fork, 3)]);
    let mut inserted = archive.clone();
    inserted.streams[0].files[0].lines().insert(4, copy.clone());
    inserted.check(&world.auditor()).is(&[(Forged, 3)]);
    let mut inserted = archive;
    replace(&mut copy, r#""seq":3"#, r#""seq":77"#);
    inserted.streams[0].files[0].lines().insert(4, copy);
    inserted.check(&world.auditor()).is(&[(Forged, 77)]);
}

#[test]
fn the_same_lines_twice_are_information() {
    let (world, archive) = sound();
    let mut twice = archive.clone();
    let mut copy = twice.streams[0].files[1].clone();
    copy.name = "copy.ndjson.zst".into();
    twice.streams[0].files.push(copy);
    let report = twice.check(&world.auditor());
    report.is(&[]).has(DuplicateIdentical);
    assert_eq!(report.summary.lines, 24);
    // in one file, and a line twice
    let mut twice = archive.clone();
    let frame = twice.streams[0].files[0].frames[0].clone();
    twice.streams[0].files[0].frames.push(frame);
    let line = twice.streams[0].line(3).clone();
    twice.streams[0].files[0].frames[0].insert(4, line);
    twice.check(&world.auditor()).is(&[]).has(DuplicateIdentical);
    // a copy of the archive beside it
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    archive.write(one.path());
    archive.write(two.path());
    let paths = [one.path().to_owned(), two.path().to_owned()];
    crate::world::check_all(&paths, &world.auditor()).is(&[]).has(DuplicateIdentical);
}

#[test]
fn another_line_of_the_same_seq_is_a_fork() {
    let (world, mut archive) = sound();
    let mut copy = archive.streams[0].files[1].clone();
    copy.name = "copy.ndjson.zst".into();
    replace(&mut copy.lines()[1], "login", "logon");
    archive.streams[0].files.push(copy);
    archive.check(&world.auditor()).is(&[(Fork, 7)]);
    archive.check(&world.public()).is(&[(Fork, 7)]);
}

#[test]
fn old_lines_under_a_new_name_are_a_replay() {
    let (world, mut archive) = sound();
    let mut copy = archive.streams[0].files[0].clone();
    copy.name = File::new(6, Vec::new()).name;
    archive.streams[0].files[1] = copy;
    archive.check(&world.auditor()).is(&[(Replay, 0), (Missing, 6)]);
}

#[test]
fn lines_of_another_stream_are_told() {
    let (world, archive) = sound();
    // a file in the wrong folder
    let mut moved = archive.clone();
    let mut file = moved.streams[1].files[1].clone();
    file.name = "moved.ndjson.zst".into();
    moved.streams[0].files.push(file);
    for options in [world.auditor(), world.public()] {
        let report = moved.check(&options);
        assert_eq!(report.found().len(), 1, "{report:#?}");
        report.has(WrongStream);
    }
    // in the place of a file that was taken away
    let mut moved = archive.clone();
    moved.streams[0].files[1] = moved.streams[1].files[1].clone();
    moved.check(&world.auditor()).has(WrongStream);
    // a whole stream under another host's or stream's name
    let mut moved = archive.clone();
    moved.streams[0].host = "db-1".into();
    moved.check(&world.auditor()).has(WrongStream);
    let mut moved = archive;
    moved.streams[1].folder = "0123456789abcdef0123456789abcdef".into();
    moved.check(&world.auditor()).is(&[(WrongStream, 0)]);
}

#[test]
fn what_is_no_line_of_the_format_is_malformed() {
    let (world, archive) = sound();
    for line in ["", "x", "{}", r#"{"h":{},"p":{}}"#, "\u{7f}\u{1b}[2J"] {
        let mut bad = archive.clone();
        *bad.streams[0].line(3) = line.as_bytes().to_vec();
        bad.check(&world.auditor()).is(&[(Malformed, 3)]);
        bad.check(&world.public()).is(&[(Malformed, 3)]);
        let mut extra = archive.clone();
        extra.streams[0].files[0].lines().insert(3, line.as_bytes().to_vec());
        extra.check(&world.auditor()).is(&[(Malformed, 3)]);
    }
    for (seq, from, to) in [
        (0, r#""v":1"#, r#""v":0"#),
        (3, r#","verdicts":[]"#, ""),
        (3, r#","verdicts":[]"#, r#","verdicts":[],"x":1"#),
        (3, r#"{"seq":3,"type":"log""#, r#"{"type":"log","seq":3"#),
        (3, r#""salt":"#, r#""pepper":"#),
        (3, r#""type":"log""#, r#""type":"lag""#),
        (5, r#""note":"#, r#""nota":"#),
    ] {
        let mut bad = archive.clone();
        replace(bad.streams[0].line(seq), from, to);
        let report = bad.check(&world.auditor());
        assert_eq!(report.found()[0], (Malformed, Some(seq)), "{report:#?}");
    }
}

#[test]
fn lines_after_the_end_are_told() {
    let (world, archive) = sound();
    let mut longer = archive.clone();
    let end = longer.streams[0].len();
    let mut line = longer.streams[0].line(3).clone();
    replace(&mut line, r#""seq":3"#, &format!(r#""seq":{end}"#));
    longer.streams[0].files[2].lines().push(line);
    longer.check(&world.auditor()).is(&[(RecordAfterClose, end)]);
    longer.check(&world.public()).is(&[(RecordAfterClose, end)]);
}

#[test]
fn an_erased_payload_is_an_alarm() {
    let (world, mut archive) = sound();
    let line = archive.streams[0].line(3);
    let text = String::from_utf8(line.clone()).unwrap();
    let (head, payload) = text.split_once(r#","p":"#).unwrap();
    let commitment = sealtail::chain::line::commit(&payload.as_bytes()[..payload.len() - 1]);
    let commitment = sealtail::chain::header::Hash(commitment);
    *line = format!(r#"{head},"p":null,"c":"{commitment}"}}"#).into_bytes();
    archive.check(&world.auditor()).is(&[(ErasedUnauthorised, 3)]);
    archive.check(&world.public()).is(&[(ErasedUnauthorised, 3)]);
}

#[test]
fn a_changed_checkpoint_is_told() {
    let (world, archive) = sound();
    let mut bad = archive.clone();
    replace(bad.streams[0].line(5), r#"\n5\n"#, r#"\n4\n"#);
    bad.check(&world.public()).is(&[(BadCheckpoint, 5)]);
    bad.check(&world.auditor()).has(BadCheckpoint).has(Tampered);
    let mut bad = archive;
    replace(bad.streams[0].line(5), r#""first":0"#, r#""first":1"#);
    bad.check(&world.auditor()).is(&[(Tampered, 5)]);
    bad.check(&world.public()).has(BadCheckpoint);
}

#[test]
fn lines_tagged_with_a_later_key_are_tampered() {
    use sealtail::chain::key::SegmentKey;
    use sealtail::chain::{genesis::Opened, line::RawLine, tag};
    let (world, mut archive) = sound();
    // whoever takes the host over in segment 1 rewrites segment 0 with the key found there
    let genesis = archive.streams[0].line(0).clone();
    let raw = RawLine::parse(&genesis).unwrap();
    let sealed = Opened::parse(&raw).unwrap().unseal(std::slice::from_ref(&world.identity)).unwrap();
    let mut keys = SegmentKey::first(&sealed.k0).next().lines();
    let mut before = raw.leaf();
    keys.next_line();
    for seq in 1..5 {
        let stream = archive.streams[0].id;
        let line = archive.streams[0].line(seq);
        let raw = RawLine::parse(line).unwrap();
        let forged = tag(&keys.next_line(), stream, seq, &before, raw.header, &raw.commitment);
        let text = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, forged);
        line[6..28].copy_from_slice(text.as_bytes());
        before = RawLine::parse(line).unwrap().leaf();
    }
    let report = archive.check(&world.auditor());
    assert_eq!(report.found()[..2], [(Tampered, Some(1)), (Tampered, Some(2))], "{report:#?}");
}
