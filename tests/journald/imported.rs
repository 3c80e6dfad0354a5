//! Journal files as systemd-journal-remote makes them: any boots and times, regular and compact.

use crate::Reader;
use crate::daemon::available;
use sealtail::record::SourceEvent;
use std::fmt::Write;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub(crate) const MACHINE: &str = "3d1219c7c4c5404aaa1f6d2a48adfda4";
const FIRST_BOOT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1";
const SECOND_BOOT: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2";

/// Makes a journal file with one entry for each number, a millisecond apart.
pub(crate) fn make(path: &Path, boot: &str, numbers: Range<u64>, compact: bool) {
    let mut export = String::new();
    let day = if boot == FIRST_BOOT { 0 } else { 86_400_000_000u64 };
    for n in numbers {
        let (real, mono) = (1_700_000_000_000_000 + day + n * 1000, n * 1000);
        write!(export, "__REALTIME_TIMESTAMP={real}\n__MONOTONIC_TIMESTAMP={mono}\n_BOOT_ID={boot}\n_HOSTNAME=h\nMESSAGE=line {n}\nPRIORITY=6\n\n").unwrap();
    }
    let source = path.with_extension("export");
    fs::write(&source, export).unwrap();
    let _ = fs::remove_file(path);
    let made = Command::new("/lib/systemd/systemd-journal-remote")
        .env("SYSTEMD_JOURNAL_COMPACT", if compact { "1" } else { "0" })
        .args(["--split-mode=none", "-o", path.to_str().unwrap(), source.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    fs::remove_file(source).unwrap();
}

/// A journal of the disk and one of memory.
struct Host {
    disk: TempDir,
    run: TempDir,
}

impl Host {
    fn new() -> Host {
        let (disk, run) = (TempDir::new().unwrap(), TempDir::new_in("/run").unwrap());
        for folder in [&disk, &run] {
            fs::create_dir(folder.path().join(MACHINE)).unwrap();
        }
        Host { disk, run }
    }

    fn on_disk(&self, name: &str) -> PathBuf {
        self.disk.path().join(MACHINE).join(name)
    }

    fn below_run(&self, name: &str) -> PathBuf {
        self.run.path().join(MACHINE).join(name)
    }

    fn reader(&self) -> Reader {
        let mut reader = Reader::of(self.disk.path());
        reader.config.directories.push(self.run.path().to_owned());
        reader
    }
}

fn lines(numbers: Range<u64>) -> Vec<String> {
    numbers.map(|n| format!("line {n}")).collect()
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Offset, type and size of every object.
pub(crate) fn objects(bytes: &[u8]) -> Vec<(usize, u8, usize)> {
    let (mut at, tail) = (le64(bytes, 88) as usize, le64(bytes, 136) as usize);
    let mut objects = Vec::new();
    while at <= tail {
        let size = le64(bytes, at + 8) as usize;
        objects.push((at, bytes[at], size));
        at += size.next_multiple_of(8);
    }
    objects
}

/// Makes a file one of another's sequence, its numbers higher by `by`.
fn continues(path: &Path, other: &Path, by: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[72..88].copy_from_slice(&fs::read(other).unwrap()[72..88]);
    let entries = objects(&bytes).into_iter().filter(|(_, kind, _)| *kind == 3).map(|(at, ..)| at + 16);
    for at in entries.chain([160, 168]).collect::<Vec<_>>() {
        let number = le64(&bytes, at) + by;
        bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn regular_and_compact_files_hold_the_same() {
    if !available() {
        return;
    }
    for compact in [false, true] {
        let folder = TempDir::new().unwrap();
        make(&folder.path().join("a.journal"), FIRST_BOOT, 1..5001, compact);
        let mut reader = Reader::of(folder.path());
        // begun from anywhere, so that the arrays are searched too
        for durable in [1, 10, 1000, 2000] {
            reader.once_and_crash(durable);
        }
        reader.once();
        assert_eq!(reader.messages(), lines(1..5001), "compact: {compact}");
        assert_eq!(reader.missed(), []);
    }
}

#[test]
fn what_was_chained_from_run_is_not_chained_again_from_the_disk() {
    if !available() {
        return;
    }
    let host = Host::new();
    make(&host.below_run("system.journal"), FIRST_BOOT, 1..101, true);
    let mut reader = host.reader();
    reader.once();
    // both are there for a moment
    make(&host.on_disk("system.journal"), FIRST_BOOT, 1..151, true);
    reader.once();
    assert_eq!(reader.messages(), lines(1..151));
    fs::remove_file(host.below_run("system.journal")).unwrap();
    reader.once();
    assert_eq!(reader.messages(), lines(1..151));
    assert_eq!((reader.missed(), reader.vanished()), (vec![], 0));
    // and the sequence below /run is done with
    reader.events.clear();
    reader.once();
    assert!(reader.events.len() == 1, "{:?}", reader.events);
}

#[test]
fn what_was_not_read_below_run_is_read_from_its_copy() {
    if !available() {
        return;
    }
    let host = Host::new();
    make(&host.below_run("system.journal"), FIRST_BOOT, 1..61, true);
    let mut reader = host.reader();
    reader.once();
    fs::remove_file(host.below_run("system.journal")).unwrap();
    make(&host.on_disk("system.journal"), FIRST_BOOT, 1..151, true);
    reader.once();
    assert_eq!(reader.messages(), lines(1..151));
    assert_eq!((reader.missed(), reader.vanished()), (vec![], 0));
}

#[test]
fn a_journal_below_run_that_went_with_its_boot_is_told() {
    if !available() {
        return;
    }
    let host = Host::new();
    make(&host.below_run("system.journal"), FIRST_BOOT, 1..61, true);
    let mut reader = host.reader();
    reader.once();
    make(&host.below_run("system.journal"), SECOND_BOOT, 1..11, true);
    reader.once();
    assert_eq!(reader.messages(), [lines(1..61), lines(1..11)].concat());
    assert_eq!((reader.missed(), reader.vanished()), (vec![], 1));
}

#[test]
fn numbers_that_are_given_again_after_a_power_cut_are_read() {
    if !available() {
        return;
    }
    let host = Host::new();
    let system = host.on_disk("system.journal");
    make(&system, FIRST_BOOT, 1..101, true);
    let sequence = fs::read(&system).unwrap();
    let mut reader = host.reader();
    reader.once();
    // the disk had 60 of them; journald counts on from there
    let cut = host.on_disk("system@0006612134fc01e0-0123456789abcdef.journal~");
    make(&system, FIRST_BOOT, 1..61, true);
    let mut bytes = fs::read(&system).unwrap();
    bytes[72..88].copy_from_slice(&sequence[72..88]);
    fs::write(&cut, bytes).unwrap();
    make(&system, SECOND_BOOT, 1..31, true);
    continues(&system, &cut, 60);
    reader.once();
    assert_eq!(reader.messages(), [lines(1..101), lines(1..31)].concat());
    reader.once();
    assert_eq!(reader.messages().len(), 130);
    assert_eq!((reader.missed(), reader.vanished()), (vec![], 0));
}

#[test]
fn a_hole_that_another_sequence_of_the_folder_fills_is_none() {
    if !available() {
        return;
    }
    // as systemd before 254 numbers the system's and a user's files
    let host = Host::new();
    let (first, user, second) =
        (host.on_disk("system@a.journal"), host.on_disk("user-1.journal"), host.on_disk("system.journal"));
    make(&first, FIRST_BOOT, 1..11, true);
    make(&user, FIRST_BOOT, 11..19, true);
    let own = fs::read(&user).unwrap();
    continues(&user, &first, 10);
    let mut bytes = fs::read(&user).unwrap();
    bytes[72..88].copy_from_slice(&own[72..88]);
    fs::write(&user, bytes).unwrap();
    // 19 and 20 are nowhere
    make(&second, FIRST_BOOT, 21..31, true);
    continues(&second, &first, 20);
    let mut reader = host.reader();
    reader.once();
    assert_eq!(reader.messages(), [lines(1..19), lines(21..31)].concat());
    assert_eq!(reader.missed(), [Some(2)]);
    // begun in between, when what fills the hole was read before the restart
    let mut reader = host.reader();
    reader.once_and_crash(22);
    reader.once();
    assert_eq!(reader.messages(), [lines(1..19), lines(21..31)].concat());
    assert_eq!(reader.missed(), [Some(2)]);
}

#[test]
fn a_copy_of_a_file_is_left_out() {
    if !available() {
        return;
    }
    let host = Host::new();
    let system = host.on_disk("system.journal");
    make(&system, FIRST_BOOT, 1..11, true);
    fs::copy(&system, host.on_disk("backup.journal")).unwrap();
    let mut reader = host.reader();
    reader.once();
    assert_eq!(reader.messages(), lines(1..11));
    assert!(matches!(reader.events[..], [SourceEvent::Opened { .. }, ..]), "{:?}", reader.events);
}
