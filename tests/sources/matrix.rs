//! The rotation matrix: {keep, delete} x {rename and create, copytruncate} x {sequential, timestamped names} x {running,
//! stopped, output blocked} x {slow, fast writer, one that still writes to the old file}.
//!
//! What no reader can promise is not asked for: a file is deleted once it was seen (opened), and read if the source is
//! stopped then. By `copytruncate` a line may be lost that stands in no copy, and then an event says so.

use super::*;
use std::collections::BTreeSet;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Old {
    Keep,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    RenameAndCreate,
    Copytruncate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Names {
    Sequential,
    Timestamped,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Reading {
    Running,
    Stopped,
    Blocked,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Writing {
    Slow,
    Fast,
    /// Still writes to the old file after the rotation; with copytruncate at its old position, which leaves a hole.
    Stale,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    old: Old,
    way: Way,
    names: Names,
    reading: Reading,
    writing: Writing,
}

/// Rotations in each case.
const ROTATIONS: usize = 4;
/// More than a batch, the output and a turn hold.
const FAST: usize = 30_000;

#[test]
fn running() {
    play_all(Reading::Running);
}

#[test]
fn stopped() {
    play_all(Reading::Stopped);
}

#[test]
fn output_blocked() {
    play_all(Reading::Blocked);
}

/// Every case of one column; all that fail are named.
fn play_all(reading: Reading) {
    let mut failed = Vec::new();
    let mut played = 0;
    for old in [Old::Keep, Old::Delete] {
        for way in [Way::RenameAndCreate, Way::Copytruncate] {
            for names in [Names::Sequential, Names::Timestamped] {
                for writing in [Writing::Slow, Writing::Fast, Writing::Stale] {
                    let case = Case { old, way, names, reading, writing };
                    played += 1;
                    if catch_unwind(AssertUnwindSafe(|| play(case))).is_err() {
                        eprintln!("^^^ {case:?}\n");
                        failed.push(case);
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} of {played} cases failed: {failed:#?}", failed.len());
}

struct Scene {
    case: Case,
    world: World,
    /// Lines that were written to files, in order.
    written: Vec<String>,
    /// Lines that may be lost: they were not read when they were cut off, and stand in no copy.
    at_risk: BTreeSet<String>,
    /// Rotations there are, for their names.
    rotations: usize,
}

fn play(case: Case) {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "begin\n");
    world.start_with(if case.reading == Reading::Blocked { 0 } else { 4 });
    world.expect(&["begin"]);
    let mut scene = Scene { case, world, written: vec!["begin".into()], at_risk: BTreeSet::new(), rotations: 0 };
    if case.reading == Reading::Stopped {
        scene.world.stop();
    }
    for _ in 0..ROTATIONS {
        // what is deleted while stopped was read before
        let reads_all = case.reading == Reading::Stopped && case.old == Old::Delete && scene.rotations == 0;
        if !reads_all {
            scene.write("a.log");
        }
        let stale = (case.writing == Writing::Stale && !reads_all).then(|| scene.world.writer_at_its_place("a.log"));
        scene.before_rotation();
        scene.rotate();
        stale.into_iter().for_each(|stale| scene.write_stale(stale));
        scene.after_rotation();
    }
    scene.write("a.log");
    scene.check();
}

impl Scene {
    fn write(&mut self, name: &str) {
        let count = if self.case.writing == Writing::Fast { FAST } else { 1 };
        let from = self.written.len();
        let lines: Vec<String> = (from..from + count).map(|number| format!("line {number}")).collect();
        self.world.append(name, lines.join("\n") + "\n");
        self.written.extend(lines);
    }

    fn write_stale(&mut self, mut stale: File) {
        let line = format!("stale {}", self.written.len());
        stale.write_all(format!("{line}\n").as_bytes()).unwrap();
        self.written.push(line);
    }

    /// What was written is read, where the source runs and a deletion or truncation is to come.
    fn before_rotation(&mut self) {
        let Case { old, way, reading, .. } = self.case;
        match (reading, way) {
            (Reading::Running, _) if old == Old::Delete || way == Way::Copytruncate => {
                let all = self.written.len();
                self.world.until("everything written", |world| world.lines.len() >= all);
            }
            (Reading::Running, _) => {}
            (Reading::Blocked, Way::RenameAndCreate) if old == Old::Delete => self.await_opened(),
            (_, Way::Copytruncate) if old == Old::Delete => {
                self.at_risk.extend(self.written.iter().cloned());
            }
            _ => {}
        }
    }

    /// The source has the file open, though its output is blocked.
    fn await_opened(&self) {
        let file = fs::metadata(self.world.path("a.log")).unwrap();
        let opened = || {
            let all = fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|fd| fs::metadata(fd.path()).ok());
            let open = all.filter(|open| (open.dev(), open.ino()) == (file.dev(), file.ino())).count();
            // the writer's own descriptor is no sign
            open > usize::from(self.case.writing == Writing::Stale)
        };
        let deadline = Instant::now() + FAILED;
        while !opened() {
            assert!(Instant::now() < deadline, "it is never opened while the output is blocked");
            std::thread::yield_now();
        }
    }

    fn rotate(&mut self) {
        self.rotations += 1;
        let to = match self.case.names {
            Names::Timestamped => format!("a.log-2024010{}", self.rotations),
            Names::Sequential => {
                for age in (1..self.rotations).rev().filter(|age| self.world.path(&format!("a.log.{age}")).exists()) {
                    self.world.rename(&format!("a.log.{age}"), &format!("a.log.{}", age + 1));
                }
                "a.log.1".into()
            }
        };
        if self.case.way == Way::Copytruncate {
            // within one tick of the file system's clock nothing tells what was written first
            self.world.await_tick();
            fs::copy(self.world.path("a.log"), self.world.path(&to)).unwrap();
            File::create(self.world.path("a.log")).unwrap();
        } else {
            self.world.rename("a.log", &to);
        }
    }

    /// Deletes old rotations: at once while they are held open, else only what was read before the stop.
    fn after_rotation(&mut self) {
        if self.case.old == Old::Delete && (self.case.reading != Reading::Stopped || self.rotations == 1) {
            let youngest = match self.case.names {
                Names::Timestamped => format!("a.log-2024010{}", self.rotations),
                Names::Sequential => "a.log.1".into(),
            };
            self.world.remove(&youngest);
        }
    }

    /// Each line came once; what did not was at risk, and its loss is told.
    fn check(mut self) {
        if self.case.reading == Reading::Stopped {
            self.world.start();
        }
        let last = self.written[self.written.len() - 1].clone();
        self.world.until("the last line", |world| world.lines.iter().any(|line| line.text == last.as_bytes()));
        self.world.stop();
        self.world.once();
        // a hole before a line is part of it
        let came: Vec<String> =
            self.world.texts().iter().map(|text| text.trim_start_matches('\0').to_owned()).collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        came.iter().for_each(|line| *counts.entry(line).or_default() += 1);
        let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).take(5).collect();
        let missing: Vec<&String> = self.written.iter().filter(|line| !counts.contains_key(line.as_str())).collect();
        let not_allowed: Vec<_> = missing.iter().filter(|line| !self.at_risk.contains(**line)).collect();
        let not_allowed = (not_allowed.len(), not_allowed.first(), not_allowed.last());
        let told = self.world.count(|event| is_truncated(event) || is_vanished(event)) > 0;
        assert!(
            twice.is_empty() && not_allowed.0 == 0,
            "twice {twice:?}, missing {not_allowed:?}\n{:#?}",
            self.world.events
        );
        assert_eq!(came.len(), self.written.len() - missing.len(), "something else came");
        assert!(missing.is_empty() || told, "missing without a word: {missing:?}");
        let exact = self.case.way == Way::RenameAndCreate;
        assert!(!exact || self.world.count(is_truncated) == 0, "{:#?}", self.world.events);
    }
}

impl World {
    /// A writer that holds the file open and goes on where it is, not at the end.
    fn writer_at_its_place(&self, name: &str) -> File {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(self.path(name)).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        file
    }
}
