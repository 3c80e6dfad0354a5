//! Damaged files: what is sound is read, before the damage and after it, in that file and the others.

use crate::Reader;
use crate::daemon::available;
use crate::imported::{make, objects};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BOOT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1";
const ENTRIES: u64 = 2000;

/// A folder with one file, which `damage` changes.
fn damaged(compact: bool, damage: impl FnOnce(&mut Vec<u8>)) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.journal");
    make(&path, BOOT, 1..ENTRIES + 1, compact);
    let mut bytes = fs::read(&path).unwrap();
    damage(&mut bytes);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn read(folder: &Path) -> (Vec<u64>, Reader) {
    let mut reader = Reader::of(folder);
    let begun = Instant::now();
    reader.once();
    assert!(begun.elapsed() < Duration::from_secs(20));
    let numbers = reader.messages().iter().filter_map(|message| message.strip_prefix("line ")?.parse().ok()).collect();
    (numbers, reader)
}

fn of_kind(bytes: &[u8], kind: u8) -> Vec<(usize, usize)> {
    objects(bytes).into_iter().filter(|(_, found, _)| *found == kind).map(|(at, _, size)| (at, size)).collect()
}

#[test]
fn a_zeroed_middle_costs_only_what_stood_there() {
    if !available() {
        return;
    }
    for compact in [false, true] {
        let mut zeroed = 0..0;
        let (folder, _) = damaged(compact, |bytes| {
            let entries = of_kind(bytes, 3);
            zeroed = entries[800].0..entries[1000].0;
            bytes[zeroed.clone()].fill(0);
        });
        let (numbers, reader) = read(folder.path());
        let expected: Vec<u64> = (1..=800).chain(1001..=ENTRIES).collect();
        // an entry whose data object was in the zeroed part may be incomplete, and an array may have stood there
        let lost = expected.iter().filter(|n| !numbers.contains(n)).count();
        assert!(lost <= 1, "compact {compact}: {lost} of the sound ones lost");
        let told: u64 = reader.missed().into_iter().flatten().sum();
        assert_eq!(reader.entries().len() as u64 + told, ENTRIES, "{:?}", reader.missed());
    }
}

#[test]
fn a_damaged_entry_array_costs_nothing_since_others_lead_there() {
    if !available() {
        return;
    }
    for compact in [false, true] {
        // the entry arrays of the whole file are the largest
        let sizes = |bytes: &[u8]| {
            let mut arrays = of_kind(bytes, 6);
            arrays.sort_by_key(|(_, size)| *size);
            arrays
        };
        let first = u64::from_le_bytes;
        for which in ["the first", "a later", "zero items"] {
            let (folder, _) = damaged(compact, |bytes| {
                let chain = first(bytes[176..184].try_into().unwrap()) as usize;
                let (large, size) = *sizes(bytes).last().unwrap();
                match which {
                    "the first" => bytes[chain..chain + 24].fill(0xff),
                    "a later" => bytes[large] = 1,
                    _ => bytes[large + 24 + size / 4..large + size / 2].fill(0),
                }
            });
            let (numbers, reader) = read(folder.path());
            let all: Vec<u64> = (1..=ENTRIES).collect();
            assert!(numbers == all, "compact {compact}, {which}: {} read, {:?}", numbers.len(), reader.missed());
        }
    }
}

#[test]
fn a_truncated_tail_keeps_what_is_before_it_and_the_other_files() {
    if !available() {
        return;
    }
    let mut keep = 0;
    let (folder, path) = damaged(true, |bytes| {
        keep = of_kind(bytes, 3)[1500].0;
        bytes.truncate(keep);
    });
    make(&folder.path().join("b.journal"), BOOT, 5000..5100, true);
    let (numbers, reader) = read(folder.path());
    // the large arrays stand near the end, so that what lies before them is found by others
    let before = numbers.iter().filter(|n| **n <= 1500).count();
    assert!(before >= 1400, "{before}");
    assert_eq!(numbers.iter().filter(|n| **n >= 5000).count(), 100);
    drop(reader);
    fs::write(&path, b"").unwrap();
    assert_eq!(read(folder.path()).0.len(), 100);
}

#[test]
fn a_file_that_is_none_or_of_the_future_is_told_and_left() {
    if !available() {
        return;
    }
    for (at, byte) in [(0, b'X'), (12, 0x80)] {
        let (folder, _) = damaged(true, |bytes| bytes[at] = byte);
        make(&folder.path().join("b.journal"), BOOT, 1..11, true);
        let (numbers, reader) = read(folder.path());
        assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
        assert_eq!(reader.missed(), [None]);
    }
}

/// A small generator, so that a failing run can be repeated from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

#[test]
fn random_damage_never_stops_the_reader_nor_costs_what_is_before_it() {
    if !available() {
        return;
    }
    let seed = std::env::var("SEALTAIL_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()) << 20 | 0x5eed);
    println!("SEALTAIL_SEED={seed}");
    let mut random = Random(seed);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.journal");
    for compact in [false, true] {
        make(&path, BOOT, 1..301, compact);
        let sound = fs::read(&path).unwrap();
        let used = objects(&sound).last().map(|(at, _, size)| at + size).unwrap();
        let entries = of_kind(&sound, 3);
        for _ in 0..60 {
            let mut bytes = sound[..used].to_vec();
            let mut first_damage = used as u64;
            match random.below(3) {
                0 => {
                    first_damage = random.below(used as u64);
                    bytes.truncate(first_damage as usize);
                }
                1 => {
                    first_damage = random.below(used as u64 - 300);
                    let len = random.below(300) as usize;
                    bytes[first_damage as usize..first_damage as usize + len].fill(random.below(256) as u8);
                }
                _ => {
                    for _ in 0..=random.below(20) {
                        let at = random.below(used as u64);
                        bytes[at as usize] ^= 1 << random.below(8);
                        first_damage = first_damage.min(at);
                    }
                }
            }
            fs::write(&path, &bytes).unwrap();
            let (_, reader) = read(folder.path());
            reader.assert_in_order();
            let number = |entry: serde_json::Value| entry["__SEQNUM"].as_str().unwrap().parse().unwrap();
            let numbers: Vec<u64> = reader.entries().into_iter().map(number).collect();
            // what the chain of arrays leads to before the damage; hash tables and header may be hit without harm
            let arrays_end = entries.iter().filter(|(at, size)| (at + size) as u64 <= first_damage).count();
            let header_hit = first_damage < 272;
            if !header_hit {
                let read = numbers.iter().filter(|n| **n as usize <= arrays_end).count();
                // an array that begins before the damage and reaches into it hides at most its own entries, which others know
                assert!(read * 10 >= arrays_end * 9, "seed {seed}: {read} of {arrays_end} before {first_damage}");
            }
        }
    }
}
