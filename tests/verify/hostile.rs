//! Files that are no archive, or one made to hurt: bounded memory, no panic, and the rest is still read.

use crate::world::{World, check, compress};
use sealtail::verify::Outcome;
use sealtail::verify::Word::*;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A sound archive in a folder, and the folder of its first stream.
fn written(world: &World) -> (tempfile::TempDir, PathBuf) {
    let archive = world.archive();
    let dir = tempfile::tempdir().unwrap();
    archive.write(dir.path());
    let folder = dir.path().join(&archive.streams[0].host).join(archive.streams[0].id.to_string());
    (dir, folder)
}

fn file(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.ndjson.zst"))
}

#[test]
fn nothing_is_never_intact() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("none"), PathBuf::from("/dev/null")] {
        let report = check(&path, &world.auditor());
        assert_eq!(report.summary.result, Outcome::Unchecked, "{report:#?}");
        assert!(!report.summary.unchecked.is_empty());
    }
    fs::write(dir.path().join("empty.ndjson.zst"), b"").unwrap();
    assert_eq!(check(dir.path(), &world.auditor()).summary.result, Outcome::Unchecked);
}

#[test]
fn a_missing_genesis_leaves_a_stream_unchecked() {
    let world = World::new();
    let (dir, folder) = written(&world);
    fs::remove_file(file(&folder, 0)).unwrap();
    let report = check(dir.path(), &world.auditor());
    assert_eq!(report.summary.result, Outcome::Unchecked, "{report:#?}");
    assert!(report.summary.unchecked[0].contains("genesis"));
}

#[test]
fn a_torn_or_damaged_file_is_told_and_the_next_is_read() {
    let world = World::new();
    let (dir, folder) = written(&world);
    let path = file(&folder, 6);
    let whole = fs::read(&path).unwrap();
    for (bytes, word) in [
        (whole[..whole.len() - 3].to_vec(), Truncated),
        (whole[..10].to_vec(), Truncated),
        (Vec::new(), Truncated),
        (b"not zstd at all".to_vec(), Malformed),
        ([&whole[..], b"rest"].concat(), Malformed),
    ] {
        fs::write(&path, &bytes).unwrap();
        let report = check(dir.path(), &world.auditor());
        assert_eq!(report.found().len(), 1, "{report:#?}");
        report.has(word);
        assert!(report.findings.iter().any(|f| f.detail.contains("00000000000000000006.ndjson.zst")), "{report:#?}");
    }
}

#[test]
fn a_torn_last_file_is_told_unless_it_is_still_being_written() {
    let world = World::new();
    let (_dir, folder) = written(&world);
    let lines = zstd::decode_all(fs::File::open(file(&folder, 11)).unwrap()).unwrap();
    let other = tempfile::tempdir().unwrap();
    let host = other.path().join("web-1").join(folder.file_name().unwrap());
    fs::create_dir_all(&host).unwrap();
    fs::copy(file(&folder, 0), file(&host, 0)).unwrap();
    fs::copy(file(&folder, 6), file(&host, 6)).unwrap();
    let two = lines.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(1).unwrap().0 + 1;
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(&lines[..two]).unwrap();
    encoder.flush().unwrap();
    let flushed = encoder.get_ref().clone();
    fs::write(file(&host, 11), &flushed).unwrap();
    let report = check(other.path(), &world.auditor());
    report.is(&[]).has(Open);
    assert_eq!(report.summary.lines, 13);
    fs::write(file(&host, 11), &flushed[..flushed.len() - 2]).unwrap();
    check(other.path(), &world.auditor()).is(&[(Truncated, 11)]);
}

#[test]
fn every_changed_compressed_byte_is_told_or_changes_nothing() {
    let world = World::new();
    let (dir, folder) = written(&world);
    let path = file(&folder, 6);
    let whole = fs::read(&path).unwrap();
    let lines = zstd::decode_all(whole.as_slice()).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).unwrap();
        let report = check(dir.path(), &world.auditor());
        let same = zstd::decode_all(bytes.as_slice()).is_ok_and(|decoded| decoded == lines);
        let expected = if same { Outcome::Intact } else { Outcome::Findings };
        assert_eq!(report.summary.result, expected, "byte {at}: {report:#?}");
    }
}

#[test]
fn bombs_are_bounded() {
    let world = World::new();
    let (dir, folder) = written(&world);
    let path = file(&folder, 6);
    // one endless line; endless empty lines; deep JSON; a frame that wants 128 MiB at once
    let zeros = zstd::encode_all(std::io::repeat(0).take_bytes(64 << 20).as_slice(), 1).unwrap();
    let newlines = zstd::encode_all(vec![b'\n'; 8 << 20].as_slice(), 1).unwrap();
    let deep =
        compress(&[[b"{\"t\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"h\":{\"seq\":".to_vec(), vec![b'['; 500_000]].concat()]);
    let mut wide = zstd::Encoder::new(Vec::new(), 1).unwrap();
    wide.window_log(27).unwrap();
    wide.write_all(&[b'x'; 1000]).unwrap();
    let wide = wide.finish().unwrap();
    for bytes in [zeros, newlines, deep, wide] {
        fs::write(&path, bytes).unwrap();
        let report = check(dir.path(), &world.auditor());
        assert_eq!(report.summary.result, Outcome::Findings);
        report.has(Malformed);
        assert!(report.findings.len() < 1200, "{}", report.findings.len());
    }
}

trait Take {
    fn take_bytes(self, count: usize) -> Vec<u8>;
}

impl Take for std::io::Repeat {
    fn take_bytes(self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(self, count as u64), &mut bytes).unwrap();
        bytes
    }
}

#[test]
fn odd_names_and_links_do_no_harm() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::new();
    let (dir, folder) = written(&world);
    std::os::unix::fs::symlink(dir.path(), folder.join("loop")).unwrap();
    std::os::unix::fs::symlink("self.ndjson.zst", folder.join("self.ndjson.zst")).unwrap();
    fs::create_dir(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe"))).unwrap();
    fs::write(folder.join("notes.txt"), b"not an archive").unwrap();
    let report = check(dir.path(), &world.auditor());
    // the link to itself can't be read, which is said
    assert_eq!((report.found(), report.summary.unchecked.len()), (vec![], 1), "{report:#?}");
    fs::remove_file(folder.join("self.ndjson.zst")).unwrap();
    check(dir.path(), &world.auditor()).is(&[]);
    fs::copy(file(&folder, 6), folder.join(std::ffi::OsStr::from_bytes(b"\xff.ndjson.zst"))).unwrap();
    check(dir.path(), &world.auditor()).is(&[]).has(DuplicateIdentical);
}

#[test]
fn garbage_of_any_kind_does_not_panic() {
    let world = World::new();
    let (dir, folder) = written(&world);
    let lines = zstd::decode_all(fs::File::open(file(&folder, 6)).unwrap()).unwrap();
    let text = String::from_utf8(lines).unwrap();
    for (from, to) in [
        (r#""seq":6"#, r#""seq":18446744073709551615"#),
        (r#""segment":1"#, r#""segment":18446744073709551615"#),
        (r#""first":6"#, r#""first":18446744073709551615"#),
        (r#""seq":10"#, r#""seq":18446744073709551614"#),
        (r#""mono":"#, r#""mono":9"#),
    ] {
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1);
        fs::write(file(&folder, 6), zstd::encode_all(changed.as_bytes(), 1).unwrap()).unwrap();
        let report = check(dir.path(), &world.auditor());
        assert_eq!(report.summary.result, Outcome::Findings, "{from}: {report:#?}");
        assert_eq!(check(dir.path(), &world.public()).summary.result, Outcome::Findings, "{from}");
    }
}
