//! Both verifiers, on an archive as it is and damaged in each way that matters: the same exit status, words and places.

use crate::opened::k0;
use crate::world::{Archive, Stream, World, parsed};
use base64::prelude::*;
use sealtail::chain::erasure::Statement;
use sealtail::chain::host_key::HostKey;
use sealtail::chain::key::SegmentKey;
use sealtail::chain::line::RawLine;
use sealtail::record::StreamId;

#[test]
fn both_find_a_sound_archive_intact() {
    let Some(world) = World::get() else { return };
    let (exit, found) = world.verdict("intact", &world.archive, true, &world.path("host.pub"));
    assert_eq!((exit, found.len()), (0, 0), "{found:?}");
    let (exit, found) = world.verdict("intact", &world.archive, false, &world.path("host.pub"));
    assert_eq!((exit, found.into_iter().collect::<Vec<_>>()), (0, vec![("PUBLIC-ONLY".into(), None)]));
}

#[test]
fn both_refuse_another_host_key() {
    let Some(world) = World::get() else { return };
    let folder = tempfile::tempdir().unwrap();
    let other = HostKey::generate_p256().unwrap().save_new(&folder.path().join("other.key")).unwrap();
    let (exit, found) = world.verdict("another host key", &world.archive, true, &other);
    assert_eq!((exit, found.into_iter().collect::<Vec<_>>()), (1, vec![("UNENDORSED".into(), Some(0))]));
}

/// The seq of findings that name no line.
const NONE: usize = usize::MAX;

/// A damage, and a finding that the auditor and the public must get among others (`NONE`: one of no line).
struct Case {
    what: &'static str,
    auditor: (&'static str, usize),
    public: (&'static str, usize),
    damage: Box<dyn Fn(&mut Archive)>,
}

fn case(
    what: &'static str,
    auditor: (&'static str, usize),
    public: (&'static str, usize),
    damage: impl Fn(&mut Archive) + 'static,
) -> Case {
    Case { what, auditor, public, damage: Box::new(damage) }
}

fn replace(line: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(line.clone()).unwrap();
    assert!(text.contains(from), "{text}");
    *line = text.replacen(from, to, 1).into_bytes();
}

/// Changes the line's last base64 or text byte before its end.
fn flip(line: &mut [u8], from_end: usize) {
    let at = line.len() - from_end;
    line[at] = if line[at] == b'A' { b'B' } else { b'A' };
}

fn erase(line: &mut Vec<u8>) {
    let raw = RawLine::parse(line).unwrap();
    let c = BASE64_URL_SAFE_NO_PAD.encode(raw.commitment);
    let head = line.len() - raw.payload.unwrap().len() - 1;
    *line = [&line[..head], format!(r#"null,"c":"{c}"}}"#).as_bytes()].concat();
}

/// The first segment again, its lines tagged with the second segment's keys, as whoever takes the host over could.
fn retag(world: &World, stream: &mut Stream) {
    let genesis = stream.lines()[0].clone();
    let k0 = k0(world, &genesis).try_into().unwrap();
    let id = StreamId(sealtail::record::unhex(&stream.id).unwrap().try_into().unwrap());
    let mut keys = SegmentKey::first(&k0).next().lines();
    let mut leaf = RawLine::parse(&genesis).unwrap().leaf();
    for seq in 1..stream.checkpoints()[0] {
        let line = stream.line(seq);
        let raw = RawLine::parse(line).unwrap();
        let tag = sealtail::chain::tag(&keys.next_line(), id, seq as u64, &leaf, raw.header, &raw.commitment);
        line[6..28].copy_from_slice(BASE64_URL_SAFE_NO_PAD.encode(tag).as_bytes());
        leaf = RawLine::parse(line).unwrap().leaf();
    }
}

#[allow(clippy::too_many_lines, reason = "a table, a row for each kind of damage")]
fn cases(world: &'static World) -> Vec<Case> {
    let first = &world.archive.streams[0];
    let ends = first.checkpoints();
    let (end, len, last) = (ends[0], first.lines().len(), ends[ends.len() - 2] + 1);
    let later = ends[1];
    assert!(end > 12 && last < len - 1);
    // a line of the file, as the source says things of its own in between
    let second = (end + 1..later).find(|at| first.lines()[*at].windows(6).any(|word| word == b"Failed")).unwrap();
    vec![
        case("a message's byte", ("TAMPERED", 5), ("BAD-CHECKPOINT", end), |a| {
            replace(a.streams[0].line(5), "Failed", "failed");
        }),
        case("two messages", ("TAMPERED", second), ("BAD-CHECKPOINT", later), move |a| {
            replace(a.streams[0].line(5), "Failed", "failed");
            replace(a.streams[0].line(second), "Failed", "failed");
        }),
        case("a header's byte", ("TAMPERED", 6), ("BAD-CHECKPOINT", end), |a| {
            replace(a.streams[0].line(6), r#""off":"#, r#""off":1"#);
        }),
        case("a tag", ("TAMPERED", 7), ("BAD-CHECKPOINT", end), |a| flip(&mut a.streams[0].line(7)[..28], 10)),
        case("the genesis", ("TAMPERED", 0), ("UNENDORSED", 0), |a| {
            replace(a.streams[0].line(0), r#""mono":"#, r#""mono":1"#);
        }),
        case("a verdict added", ("TAMPERED", 5), ("BAD-CHECKPOINT", end), |a| {
            let line = a.streams[0].line(5);
            replace(line, r#""verdicts":["#, r#""verdicts":[{"id":"x","decision":"allow"},"#);
            if String::from_utf8_lossy(line).contains("},]") {
                replace(line, "},]", "}]");
            }
        }),
        case("no line", ("MALFORMED", 8), ("MALFORMED", 8), |a| {
            replace(a.streams[0].line(8), r#""src":"#, r#""src": "#);
        }),
        case("a key twice", ("MALFORMED", 8), ("MALFORMED", 8), |a| {
            replace(a.streams[0].line(8), r#""src":"#, r#""src":1,"src":"#);
        }),
        case("a line removed", ("MISSING", 9), ("MISSING", 9), |a| drop(a.streams[0].remove(9))),
        case("lines removed", ("MISSING", 9), ("MISSING", 9), |a| (0..3).for_each(|_| drop(a.streams[0].remove(9)))),
        case("a segment removed", ("MISSING", end + 1), ("MISSING", end + 1), move |a| {
            (end..later).for_each(|_| drop(a.streams[0].remove(end + 1)));
        }),
        case("a checkpoint removed", ("MISSING", end), ("MISSING", end), move |a| drop(a.streams[0].remove(end))),
        case("two lines swapped", ("REORDERED", 10), ("REORDERED", 10), |a| {
            let line = a.streams[0].remove(10);
            a.streams[0].insert(11, line);
        }),
        // told of the close line, whose checkpoint must follow
        case("the last checkpoint removed", ("TRUNCATED", len - 2), ("TRUNCATED", len - 2), move |a| {
            a.streams[0].truncate(len - 1);
        }),
        case("cut within a segment", ("TRUNCATED", last + 1), ("TRUNCATED", last + 1), move |a| {
            a.streams[0].truncate(last + 1)
        }),
        case("the last segment removed", ("ROLLBACK", last), ("ROLLBACK", last), move |a| a.streams[0].truncate(last)),
        case("a stream removed", ("STREAM-MISSING", NONE), ("STREAM-MISSING", NONE), |a| {
            drop(a.streams.remove(1));
        }),
        case("the first stream removed", ("STREAM-MISSING", NONE), ("STREAM-MISSING", NONE), |a| {
            drop(a.streams.remove(0));
        }),
        case("a checkpoint's signature", ("BAD-CHECKPOINT", end), ("BAD-CHECKPOINT", end), move |a| {
            flip(a.streams[0].line(end), 20);
        }),
        case("a checkpoint's place", ("TAMPERED", end), ("BAD-CHECKPOINT", end), move |a| {
            replace(a.streams[0].line(end), r#""first":0"#, r#""first":1"#);
        }),
        case("tags under later keys", ("TAMPERED", 1), ("BAD-CHECKPOINT", end), |a| retag(world, &mut a.streams[0])),
        case("a line twice", ("DUPLICATE-IDENTICAL", 9), ("DUPLICATE-IDENTICAL", 9), |a| {
            let line = a.streams[0].line(9).clone();
            a.streams[0].insert(9, line);
        }),
        case("a file twice", ("DUPLICATE-IDENTICAL", 0), ("DUPLICATE-IDENTICAL", 0), |a| {
            let (_, lines) = a.streams[0].files[0].clone();
            a.streams[0].files.push(("copy.ndjson.zst".into(), lines));
        }),
        case("old lines as new ones", ("REPLAY", 0), ("REPLAY", 0), |a| {
            let (_, lines) = a.streams[0].files[0].clone();
            a.streams[0].files.push(("00000000000000009999.ndjson.zst".into(), lines));
        }),
        case("a line of the same seq in another file", ("FORK", 9), ("FORK", 9), |a| {
            let mut line = a.streams[0].line(9).clone();
            replace(&mut line, "Failed", "failed");
            a.streams[0].files.push(("copy.ndjson.zst".into(), vec![line]));
        }),
        case("a record after close", ("RECORD-AFTER-CLOSE", len), ("RECORD-AFTER-CLOSE", len), move |a| {
            let mut line = a.streams[0].line(9).clone();
            replace(&mut line, r#""seq":9,"#, &format!(r#""seq":{len},"#));
            a.streams[0].files.last_mut().unwrap().1.push(line);
        }),
        case("an erased payload", ("ERASED-UNAUTHORISED", 9), ("ERASED-UNAUTHORISED", 9), |a| {
            erase(a.streams[0].line(9));
        }),
        case("a stream in another's folder", ("WRONG-STREAM", 0), ("WRONG-STREAM", 0), |a| {
            a.streams[1].id = "0123456789abcdef0123456789abcdef".into();
        }),
        case("a file that is none", ("MALFORMED", 0), ("MALFORMED", 0), |a| {
            a.streams[2].files[0].1 = vec![b"nothing".to_vec()];
        }),
    ]
}

#[test]
fn both_find_the_same_in_damaged_archives() {
    let Some(world) = World::get() else { return };
    let mut wrong = Vec::new();
    for case in cases(world) {
        let mut archive = world.archive.clone();
        (case.damage)(&mut archive);
        for (auditor, (word, seq)) in [(true, case.auditor), (false, case.public)] {
            let expected = (word.to_owned(), (seq != NONE).then_some(seq as u64));
            match world.compare(case.what, &archive, auditor, &world.path("host.pub")) {
                Ok((_, found)) if found.contains(&expected) => {}
                Ok(other) => wrong.push(format!("{}, auditor: {auditor}: both say {other:?}", case.what)),
                Err(difference) => wrong.push(difference),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn both_call_a_missing_genesis_unchecked_and_an_open_end_open() {
    let Some(world) = World::get() else { return };
    let mut archive = world.archive.clone();
    archive.streams.truncate(1);
    archive.streams[0].remove(0);
    assert_eq!(world.verdict("no genesis", &archive, true, &world.path("host.pub")).0, 2);
    let mut archive = world.archive.clone();
    let last = archive.streams[2].lines().len() - 3;
    archive.streams[2].truncate(last + 1);
    let (exit, found) = world.verdict("an open end", &archive, true, &world.path("host.pub"));
    assert_eq!(exit, 0, "{found:?}");
    assert_eq!(parsed(archive.streams[2].lines()[last])["h"]["seq"], last as u64);
    assert!(found.contains(&("OPEN".into(), Some(last as u64))), "{found:?}");
}

#[test]
fn both_know_what_was_erased_by_leave() {
    let Some(world) = World::get() else { return };
    let key = HostKey::load(&world.path("erasure.key")).unwrap();
    let mut erased = world.archive.clone();
    // the second stream's log line 9 and the source line after its genesis, in two runs; and one in the first stream, which names no key
    let id = |at: usize| StreamId(sealtail::record::unhex(&world.archive.streams[at].id).unwrap().try_into().unwrap());
    let host = parsed(erased.streams[0].line(0))["h"]["host"].as_str().unwrap().to_owned();
    let said = |stream: usize, lines: &[(u64, u64)], key: &HostKey| {
        let time = "2026-11-26T09:00:00.000000000Z";
        let statement = Statement::sign(&host, id(stream), lines.to_vec(), "a \"reason\", ü", time, key);
        serde_json::to_vec(&statement).unwrap()
    };
    let name = || "x.erasure.json".to_owned();
    let log = (2..12).find(|at| parsed(erased.streams[1].line(*at))["h"]["type"] == "log").unwrap();
    let lines = [(1, 1), (log as u64, log as u64 + 3)];
    assert_eq!(parsed(erased.streams[1].line(1))["h"]["type"], "source");
    erase(erased.streams[1].line(1));
    erase(erased.streams[1].line(log));
    erased.streams[1].beside = vec![(name(), said(1, &lines, &key))];
    let verdict = |what, archive: &Archive| {
        let public = world.verdict(what, archive, false, &world.path("host.pub"));
        let (exit, mut found) = world.verdict(what, archive, true, &world.path("host.pub"));
        assert_eq!(public.0, exit, "{what}");
        found.retain(|(word, _)| word == "REDACTED" || word == "ERASED-UNAUTHORISED");
        (exit, found.into_iter().map(|(word, seq)| format!("{word} {}", seq.unwrap())).collect::<Vec<_>>())
    };
    let redacted = vec!["REDACTED 1".to_owned(), format!("REDACTED {log}")];
    assert_eq!(verdict("by leave", &erased), (0, redacted.clone()));

    let refused: Vec<String> = redacted.iter().map(|text| text.replace("REDACTED", "ERASED-UNAUTHORISED")).collect();
    let other = HostKey::generate_ed25519().unwrap();
    let sound = said(1, &lines, &key);
    let text = String::from_utf8(sound.clone()).unwrap();
    for (what, statement) in [
        ("another key", said(1, &lines, &other)),
        ("another stream", said(2, &lines, &key)),
        ("changed", text.replace("reason", "raison").into_bytes()),
        ("no statement", b"{}".to_vec()),
        ("out of order", said(1, &[lines[1], lines[0]], &key)),
        ("one key more", text.replacen('{', "{\"x\":1,", 1).into_bytes()),
    ] {
        erased.streams[1].beside = vec![(name(), statement)];
        assert_eq!(verdict(what, &erased), (1, refused.clone()), "{what}");
    }
    let mut unnamed = world.archive.clone();
    erase(unnamed.streams[0].line(9));
    unnamed.streams[0].beside = vec![(name(), said(0, &[(9, 9)], &key))];
    assert_eq!(verdict("no key in the genesis", &unnamed), (1, vec!["ERASED-UNAUTHORISED 9".to_owned()]));
}
