//! Sources through their public interface: no line that a file held is lost, none is handed on twice.
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod copies;
mod field;
mod finds;
mod follows;
mod heirs;
mod lines;
mod matrix;
mod random;
mod regression;
mod resumes;
mod rotates;

use crossbeam_channel::{Receiver, bounded};
use sealtail::record::{Batch, Cursor, End, Ended, Item, Known, SourceEvent, SourceKey};
use sealtail::source::{Config, FileConfig, Keys, LabelConfig, Source, StartAt, Stop, Stopper, TextConfig};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// A bound for failures only: nothing waits for it when all is well.
const FAILED: Duration = Duration::from_secs(20);

/// A folder, a source over it, and what an agent would keep of what it hands on.
struct World {
    dir: TempDir,
    config: FileConfig,
    own: Vec<PathBuf>,
    keys: Arc<Keys>,
    /// Durable cursors, by key.
    cursors: BTreeMap<SourceKey, Cursor>,
    /// Durable too: files that were read to their end, the last of them first.
    ended: Vec<Ended>,
    lines: Vec<Line>,
    events: Vec<(SourceKey, SourceEvent)>,
    running: Option<Running>,
}

#[derive(Clone, Debug, PartialEq)]
struct Line {
    key: SourceKey,
    text: Vec<u8>,
    end: End,
}

struct Running {
    stopper: Stopper,
    batches: Receiver<Batch>,
    thread: JoinHandle<()>,
}

impl World {
    /// A source over the patterns, which are relative to a new folder.
    fn new(include: &[&str]) -> World {
        let dir = TempDir::new().unwrap();
        let include = include.iter().map(|glob| dir.path().join(glob).to_str().unwrap().to_owned()).collect();
        let config = FileConfig {
            name: "app".into(),
            include,
            exclude: Vec::new(),
            start_at: StartAt::Beginning,
            max_line_bytes: 256 * 1024,
            text: TextConfig::default(),
            labels: LabelConfig::default(),
            compressed: false,
        };
        World {
            dir,
            config,
            own: Vec::new(),
            keys: Arc::default(),
            cursors: BTreeMap::new(),
            ended: Vec::new(),
            lines: Vec::new(),
            events: Vec::new(),
            running: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.writer(name).write_all(bytes.as_ref()).unwrap();
    }

    /// A file held open by its writer.
    fn writer(&self, name: &str) -> File {
        OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap()
    }

    /// Awaits that the file system's clock goes on.
    fn await_tick(&self) {
        let stamp = || {
            fs::write(self.path("tick.tmp"), "").unwrap();
            fs::metadata(self.path("tick.tmp")).unwrap().modified().unwrap()
        };
        let first = stamp();
        while stamp() == first {
            std::thread::yield_now();
        }
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn source(&self) -> Source {
        let known = Known { open: self.cursors.values().cloned().collect(), ended: self.ended.clone() };
        Source::new(&Config::File(self.config.clone()), known, Arc::clone(&self.keys), &self.own).unwrap()
    }

    /// Starts the source with room for `room` batches in its output.
    fn start_with(&mut self, room: usize) {
        let source = self.source();
        let (output, batches) = bounded(room);
        let (stopper, stop) = Stop::pair();
        let thread = std::thread::spawn(move || source.run(false, &output, &stop).unwrap());
        self.running = Some(Running { stopper, batches, thread });
    }

    fn start(&mut self) {
        self.start_with(4);
    }

    /// Stops the source and takes what it had handed on.
    fn stop(&mut self) {
        let running = self.running.take().unwrap();
        running.stopper.stop();
        running.thread.join().unwrap();
        for batch in running.batches {
            self.take(batch);
        }
    }

    /// Stops the source; what was handed on and not taken never became durable.
    fn crash(&mut self) {
        let running = self.running.take().unwrap();
        running.stopper.stop();
        running.thread.join().unwrap();
    }

    /// Reads everything that is there.
    fn once(&mut self) {
        let source = self.source();
        let (output, batches) = bounded(1);
        let thread = std::thread::spawn(move || source.run(true, &output, &Stop::never()).unwrap());
        let deadline = Instant::now() + FAILED;
        while let Ok(batch) = batches.recv_deadline(deadline) {
            self.take(batch);
        }
        assert!(Instant::now() < deadline, "`once` does not end: {:#?}", self.events);
        thread.join().unwrap();
    }

    /// Takes batches until `done`.
    fn until(&mut self, what: &str, done: impl Fn(&World) -> bool) {
        let deadline = Instant::now() + FAILED;
        while !done(self) {
            let batches = self.running.as_ref().expect("the source runs").batches.clone();
            match batches.recv_deadline(deadline) {
                Ok(batch) => self.take(batch),
                Err(error) => {
                    let last: Vec<String> = self.texts().into_iter().rev().take(20).collect();
                    panic!("{what}: {error}; the last lines (backwards) {last:?}\n{:#?}", self.events)
                }
            }
        }
    }

    /// Takes batches until as many lines as expected came; they must be these, in any order.
    fn expect(&mut self, expected: &[&str]) {
        self.until(&format!("{} lines", expected.len()), |world| world.lines.len() >= expected.len());
        self.check(expected);
    }

    /// Takes batches until an event of this kind came.
    fn event(&mut self, what: &str, is: impl Fn(&SourceEvent) -> bool) {
        self.until(what, |world| world.events.iter().any(|(_, event)| is(event)));
    }

    /// The lines so far are these, in any order.
    fn check(&self, expected: &[&str]) {
        let mut surplus: BTreeMap<String, i64> = BTreeMap::new();
        self.texts().into_iter().for_each(|text| *surplus.entry(text).or_default() += 1);
        expected.iter().for_each(|text| *surplus.entry(text.to_string()).or_default() -= 1);
        let wrong: Vec<(String, i64)> = surplus.into_iter().filter(|(_, times)| *times != 0).take(20).collect();
        assert!(wrong.is_empty(), "too often or (negative) not come: {wrong:?}\n{:#?}", self.events);
    }

    /// Stops, reads what is left, and makes sure that every line came exactly once.
    fn finish(&mut self, expected: &[&str]) {
        if self.running.is_some() {
            self.stop();
        }
        self.once();
        self.check(expected);
    }

    fn texts(&self) -> Vec<String> {
        self.lines.iter().map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect()
    }

    fn count(&self, is: impl Fn(&SourceEvent) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| is(event)).count()
    }

    /// What an agent does with a batch, and the rules that a source has to keep.
    fn take(&mut self, batch: Batch) {
        for item in &batch.items {
            match item {
                Item::Line(line) => {
                    let cursor = self.cursors.get_mut(&line.source).expect("Opened comes first, nothing after Ended");
                    assert!(line.offset > cursor.offset(), "offsets grow: {line:?} after {cursor:?}");
                    cursor.set_offset(line.offset);
                    let text = batch.text(line).to_vec();
                    self.lines.push(Line { key: line.source, text, end: line.end });
                }
                Item::Source(key, event) => {
                    self.note(*key, event);
                    self.events.push((*key, event.clone()));
                }
            }
        }
    }

    fn note(&mut self, key: SourceKey, event: &SourceEvent) {
        match event {
            SourceEvent::Opened { cursor, .. } => {
                // what is resumed or given up has a new key from here on
                let resumed = |old: &Cursor| matches!((old, cursor), (Cursor::File { id: a, .. }, Cursor::File { id: b, .. }) if a == b);
                self.cursors.retain(|_, old| !resumed(old));
                assert!(self.cursors.insert(key, cursor.clone()).is_none(), "a key is used once");
            }
            SourceEvent::Identified { cursor } => {
                let old = self.cursors.insert(key, cursor.clone()).expect("Opened comes first");
                assert_eq!(old.offset(), cursor.offset(), "Identified moves nothing");
            }
            SourceEvent::Truncated { .. } => self.cursors.get_mut(&key).expect("Opened comes first").set_offset(0),
            SourceEvent::Missed { .. } => {}
            SourceEvent::Vanished { .. } | SourceEvent::Ended => {
                let cursor = self.cursors.remove(&key).expect("Opened comes first, and it ends once");
                if *event == SourceEvent::Ended {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                    self.ended.insert(0, Ended { cursor, at_ns: now.as_nanos().cast_signed() });
                }
            }
        }
    }
}

fn is_opened(event: &SourceEvent) -> bool {
    matches!(event, SourceEvent::Opened { .. })
}

fn is_ended(event: &SourceEvent) -> bool {
    matches!(event, SourceEvent::Ended)
}

fn is_truncated(event: &SourceEvent) -> bool {
    matches!(event, SourceEvent::Truncated { .. })
}

fn is_vanished(event: &SourceEvent) -> bool {
    matches!(event, SourceEvent::Vanished { .. })
}
