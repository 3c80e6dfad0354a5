//! kill -9 of either side at random moments: each line exactly once.

use crate::world::{World, text};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// A small generator, so that a failing run can be repeated from its seed.
pub(crate) struct Random(u64);

impl Random {
    /// From `SEALTAIL_SEED`, or a new seed; says which.
    pub(crate) fn seeded() -> (Self, u64) {
        let seed = std::env::var("SEALTAIL_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) << 20 | 0x5eed);
        println!("SEALTAIL_SEED={seed}");
        (Self(seed), seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// Writes numbered lines in small pieces, renaming as logrotate does, until all are written.
fn write_lines(log: &Path, lines: usize, pause: Duration) {
    const PIECE: usize = 100;
    const ROTATE_EVERY: usize = 20_000;
    let mut file = OpenOptions::new().append(true).create(true).open(log).unwrap();
    for first in (0..lines).step_by(PIECE) {
        if first > 0 && first % ROTATE_EVERY == 0 {
            for age in (1..20).rev() {
                let (from, to) = (numbered(log, age), numbered(log, age + 1));
                if from.exists() {
                    fs::rename(from, to).unwrap();
                }
            }
            fs::rename(log, numbered(log, 1)).unwrap();
            file = OpenOptions::new().append(true).create(true).open(log).unwrap();
        }
        let piece: String = (first..first + PIECE).map(|n| format!("line {n:07}\n")).collect();
        file.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(pause);
    }
}

fn numbered(log: &Path, age: usize) -> std::path::PathBuf {
    log.with_extension(format!("log.{age}"))
}

#[test]
fn fifty_kills_of_agent_and_receiver_lose_nothing_and_repeat_nothing() {
    kill_and_count(200_000, 50);
}

pub(crate) fn kill_and_count(lines: usize, kills: usize) {
    let (mut random, seed) = Random::seeded();
    let mut world = World::new();
    world.configure(|config| {
        config
            .replace("max_age = \"250ms\"", "max_age = \"20ms\"")
            .replace("flush_interval = \"250ms\"", "flush_interval = \"50ms\"")
    });
    let log = world.log();
    world.start_receiver();
    world.start_agent();
    // a file that was rotated before the agent ever saw it is nobody's to read
    world.append("begin\n");
    crate::world::await_that("the agent has begun", || world.messages() == ["begin"]);
    // slow enough to go on through all the kills: the chaos is in the moments, not in the speed
    let writer = std::thread::spawn(move || write_lines(&log, lines, Duration::from_millis(8)));
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(20 + random.below(400)));
        match random.below(3) {
            0 => {
                world.kill_receiver();
                world.start_receiver();
            }
            1 => {
                world.kill_agent();
                world.start_agent();
            }
            _ => {
                world.kill_agent();
                world.kill_receiver();
                world.start_receiver();
                world.start_agent();
            }
        }
    }
    writer.join().unwrap();
    world.kill_agent();
    let last = world.run_once();
    assert!(last.status.success(), "seed {seed}: {}", text(&last));

    let mut messages = world.messages();
    assert_eq!(messages.remove(0), "begin");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    messages.iter().for_each(|message| *counts.entry(message).or_default() += 1);
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).take(5).collect();
    assert!(twice.is_empty(), "seed {seed}: chained twice: {twice:?}");
    let missing: Vec<_> =
        (0..lines).map(|n| format!("line {n:07}")).filter(|line| !counts.contains_key(line.as_str())).take(5).collect();
    assert!(
        missing.is_empty() && messages.len() == lines,
        "seed {seed}: {} lines, missing: {missing:?}",
        messages.len()
    );
    let report = world.verify();
    report.assert_intact(&["UNCLEAN-END", "OPEN"]);
    assert!(report.words().contains_key("UNCLEAN-END"), "seed {seed}: the kills left no trace: {report:#?}");
}

#[test]
fn a_torn_spool_file_is_cut_back_to_its_last_whole_line() {
    let mut world = World::new();
    // no receiver: everything stays in the spool
    world.append((0..500).map(|n| format!("line {n}\n")).collect::<String>());
    world.start_agent();
    crate::world::await_that("lines are spooled", || spool_bytes(&world) > 4000);
    world.kill_agent();
    let file = spool_files(&world).pop().unwrap();
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 7]).unwrap();
    world.start_receiver();
    let output = world.run_once();
    assert!(output.status.success(), "{}", text(&output));
    let expected: Vec<String> = (0..500).map(|n| format!("line {n}")).collect();
    assert_eq!(world.messages(), expected);
    world.verify().assert_intact(&["UNCLEAN-END"]);
}

#[test]
fn a_second_agent_is_kept_out() {
    let mut world = World::new();
    world.start_agent();
    crate::world::await_that("the first agent runs", || world.agent_log().contains("a stream begins"));
    let second = world.run_once();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second).contains("in use by another sealtail"), "{}", text(&second));
}

#[test]
fn a_damaged_ledger_is_named_and_nothing_is_changed() {
    let mut world = World::new();
    world.append("one\n");
    world.start_receiver();
    assert!(world.run_once().status.success());
    let ledger = world.path("q/spool/ledger.json");
    fs::write(&ledger, vec![0u8; 300]).unwrap();
    let output = world.run_once();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("ledger.json is damaged"), "{}", text(&output));
    assert_eq!(fs::read(&ledger).unwrap(), vec![0u8; 300]);
}

fn spool_files(world: &World) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![world.path("q/spool")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "zst") => files.push(path),
                false => {}
            }
        }
    }
    files.sort();
    files
}

fn spool_bytes(world: &World) -> u64 {
    spool_files(world).iter().map(|file| fs::metadata(file).map_or(0, |meta| meta.len())).sum()
}
