//! Rotation by logrotate itself, while a writer never rests: each line exactly once.
//!
//! Between the copy and the truncation of `copytruncate` lines are lost for everyone; of those the chain has to say so,
//! and whatever stands in a file or a copy at the end has to stand in the archive.

use crate::told::{Reader, Told, What};
use crate::world::{World, await_that, text};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Lines between two rotations, at least.
const LINES: usize = 400;

/// The names of rotations are dates; with the seconds, lest two be one.
pub(crate) const DATED: &str = "dateext\ndateformat -%Y%m%d-%s\n";

/// What happens to the agent between two rotations.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Agent {
    Runs,
    /// By SIGTERM, and started again later.
    Stops,
    /// By kill -9.
    Dies,
}

#[test]
fn create() {
    rotate("create\n", Agent::Runs);
}

#[test]
fn create_while_stopped() {
    rotate("create\n", Agent::Stops);
}

#[test]
fn create_while_killed() {
    rotate("create\n", Agent::Dies);
}

#[test]
fn create_with_dates() {
    rotate(&format!("create\n{DATED}"), Agent::Runs);
}

#[test]
fn create_with_dates_while_stopped() {
    rotate(&format!("create\n{DATED}"), Agent::Stops);
}

/// Rotates under a writer and under the agent, with two rotations while it is away.
pub(crate) fn rotate(how: &str, agent: Agent) {
    let Some(logrotate) = Logrotate::new(&format!("rotate 100\n{how}")) else { return };
    let mut scene = Scene::new(logrotate);
    (0..3).for_each(|_| scene.rotate());
    if agent != Agent::Runs {
        match agent {
            Agent::Dies => scene.world.kill_agent(),
            _ => drop(scene.world.stop_agent()),
        }
        (0..2).for_each(|_| scene.rotate());
        scene.world.start_agent();
    }
    (0..3).for_each(|_| scene.rotate());
    scene.end(agent);
}

pub(crate) struct Scene {
    world: World,
    logrotate: Logrotate,
    writer: Option<Writer>,
    /// Lines that were written when it rotated last.
    rotated_at: usize,
    reader: Reader,
}

impl Scene {
    /// A receiver, an agent that has begun, and a writer.
    pub(crate) fn new(logrotate: Logrotate) -> Scene {
        let mut world = World::new();
        world.start_receiver();
        world.start_agent();
        world.append("line 0000000\n");
        await_that("the agent has begun", || world.messages() == ["line 0000000"]);
        let conf = format!(
            "{} {{\n{}postrotate\ntouch {reopen}; n=0; while [ -e {reopen} ] && [ $n -lt 3000 ]; do sleep 0.01; n=$((n+1)); done\nendscript\n}}\n",
            world.log().display(),
            logrotate.how,
            reopen = world.text_path("reopen"),
        );
        fs::write(world.path("logrotate.conf"), conf).unwrap();
        let writer = Some(Writer::start(&world));
        Scene { world, logrotate, writer, rotated_at: 0, reader: Reader::default() }
    }

    fn written(&self) -> usize {
        self.writer.as_ref().unwrap().written.load(Ordering::SeqCst)
    }

    pub(crate) fn rotate(&mut self) {
        await_that("lines to rotate", || self.written() >= self.rotated_at + LINES);
        if self.logrotate.how.contains("dateext") {
            // logrotate asks a clock that lags behind by a tick of the kernel
            let second =
                || (SystemTime::now() - Duration::from_millis(20)).duration_since(UNIX_EPOCH).unwrap().as_secs();
            let now = second() + 1;
            await_that("a second with no rotation yet", || second() > now);
        }
        let mut command = Command::new(self.logrotate.command);
        command.arg("-s").arg(self.world.path("state")).arg("-f").arg(self.world.path("logrotate.conf"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        self.rotated_at = self.written();
    }

    pub(crate) fn await_archived(&mut self) {
        let lines = self.rotated_at;
        let Scene { reader, world, .. } = self;
        await_that("what was written before", || lines_of(&reader.read(world)).len() >= lines);
    }

    /// Ends writer and agent, and checks each line.
    pub(crate) fn end(mut self, agent: Agent) {
        let written = self.writer.take().unwrap().end();
        self.world.stop_agent();
        let last = self.world.run_once();
        assert!(last.status.success(), "{}", text(&last));
        let told = self.reader.read(&self.world);
        let copies = self.logrotate.how.contains("copytruncate");
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        // a copy may end within a line
        let lines = lines_of(&told).into_iter().filter(|(text, eof)| !copies || !eof || text.len() == LINE_BYTES - 1);
        lines.for_each(|(text, _)| *counts.entry(text).or_default() += 1);
        let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
        let all: BTreeSet<String> = (0..written).map(|number| format!("line {number:07}")).collect();
        let lacks = |line: &&String| !counts.contains_key(line.as_str());
        let expected = if copies { on_disk(&self.world.path("logs")) } else { all.clone() };
        let missing: Vec<&String> = expected.iter().filter(lacks).collect();
        let lost = all.iter().filter(lacks).count();
        let invented: Vec<_> = counts.keys().filter(|line| !all.contains(**line)).collect();
        assert!(
            twice.is_empty() && missing.is_empty() && invented.is_empty(),
            "{} twice: {:?}\n{} missing: {}\n{} never written: {:?}\n{}",
            twice.len(),
            &twice[..twice.len().min(3)],
            missing.len(),
            ranges(&missing),
            invented.len(),
            &invented[..invented.len().min(3)],
            story(&told)
        );
        let report = self.world.verify();
        // after a kill nothing proves the last lines before the offset, so that a compressed rest is read, and a gap said
        let unproven = agent == Agent::Dies && self.logrotate.how.contains("compress");
        let allowed: &[&str] = if copies || unproven { &["UNCLEAN-END", "SOURCE-GAP"] } else { &["UNCLEAN-END"] };
        report.assert_intact(if agent == Agent::Dies || copies { allowed } else { &[] });
        assert!(lost == 0 || report.words().contains_key("SOURCE-GAP"), "{lost} lines are lost, and it isn't said");
    }
}

/// Bytes of each line, with its newline.
const LINE_BYTES: usize = "line 0000000\n".len();

struct Writer {
    written: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(world: &World) -> Writer {
        let (written, stop) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicBool::new(false)));
        let (log, reopen) = (world.log(), world.path("reopen"));
        let (counter, stopped) = (Arc::clone(&written), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut file = open(&log);
            while !stopped.load(Ordering::SeqCst) {
                if reopen.exists() {
                    file = open(&log);
                    fs::remove_file(&reopen).unwrap();
                }
                let first = counter.load(Ordering::SeqCst);
                let piece: String = (first..first + 20).map(|number| format!("line {number:07}\n")).collect();
                file.write_all(piece.as_bytes()).unwrap();
                counter.store(first + 20, Ordering::SeqCst);
                // a pace, so that rotations and not lines are what there is much of
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Writer { written, stop, thread }
    }

    /// How many lines there are in the end.
    fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        self.written.load(Ordering::SeqCst)
    }
}

fn open(log: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(log).unwrap()
}

fn lines_of(told: &[Told]) -> Vec<(&str, bool)> {
    let line = |told: &'_ Told| matches!(told.what, What::Line { .. });
    let lines = told.iter().filter(|told| line(told));
    lines
        .filter_map(|told| match &told.what {
            What::Line { text, eof } => Some((text.as_str(), *eof)),
            What::Event(_) => None,
        })
        .collect()
}

/// Every whole line in the log, its rotations and its copies.
fn on_disk(logs: &Path) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for entry in fs::read_dir(logs).unwrap() {
        let path = entry.unwrap().path();
        let unpack = if path.extension().is_some_and(|extension| extension == "gz") { "zcat" } else { "cat" };
        let text = String::from_utf8(Command::new(unpack).arg(&path).output().unwrap().stdout).unwrap();
        let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        lines.extend(whole.map(str::to_owned));
    }
    lines
}

/// Missing lines as ranges.
fn ranges(missing: &[&String]) -> String {
    let numbers: Vec<usize> = missing.iter().map(|line| line[5..].parse().unwrap()).collect();
    let runs = numbers.chunk_by(|one, next| *next == one + 1);
    runs.take(10).map(|run| format!("{}..={} ", run[0], run[run.len() - 1])).collect()
}

/// The chain in short: events and runs of lines.
fn story(told: &[Told]) -> String {
    let name = |told: &Told| told.path.file_name().unwrap().to_string_lossy().into_owned();
    let mut story = String::new();
    for run in told.chunk_by(|one, next| one.path == next.path && is_line(one) && is_line(next)) {
        let (first, last) = (&run[0], &run[run.len() - 1]);
        story += &match (&first.what, &last.what) {
            (What::Line { text: first_text, .. }, What::Line { text, .. }) => {
                format!("  {} {first_text} … {text}\n", name(first))
            }
            _ => format!("  {} {:?}\n", name(first), first.what),
        };
    }
    story
}

fn is_line(told: &Told) -> bool {
    matches!(told.what, What::Line { .. })
}

pub(crate) struct Logrotate {
    command: &'static str,
    how: String,
}

impl Logrotate {
    /// None, said loudly, where it isn't installed; CI must have it.
    pub(crate) fn new(how: &str) -> Option<Logrotate> {
        let places = ["/usr/sbin/logrotate", "/usr/bin/logrotate", "/sbin/logrotate"];
        let command = places.into_iter().find(|place| PathBuf::from(place).exists());
        if command.is_none() {
            assert!(std::env::var_os("CI").is_none(), "CI must have logrotate");
            eprintln!("SKIPPED: no logrotate; apt-get install logrotate");
        }
        Some(Logrotate { command: command?, how: how.to_owned() })
    }
}
