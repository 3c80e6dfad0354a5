//! The journald source against real systemd-journald, journalctl and systemd-journal-remote.
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod daemon;
mod damaged;
mod field_bugs;
mod filters;
mod follows;
mod imported;
mod long;
mod reads;
mod resumes;

use crossbeam_channel::{Receiver, bounded};
use sealtail::record::{Batch, End, Item, SourceEvent, SourceKey};
use sealtail::source::{Config, JournaldConfig, Keys, Source, Stop, Stopper};
use sealtail::spool::Cursors;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A bound for failures only.
const FAILED: Duration = Duration::from_secs(30);

/// A source, and what an agent would keep of what it hands on.
struct Reader {
    config: JournaldConfig,
    keys: Arc<Keys>,
    cursors: Cursors,
    lines: Vec<Line>,
    events: Vec<SourceEvent>,
    running: Option<(Stopper, Receiver<Batch>, JoinHandle<()>)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Line {
    key: SourceKey,
    offset: u64,
    text: Vec<u8>,
    end: End,
}

impl Reader {
    fn of(directory: &Path) -> Reader {
        Reader::new(JournaldConfig { directories: vec![directory.to_owned()], ..JournaldConfig::named("j") })
    }

    fn new(config: JournaldConfig) -> Reader {
        let keys = Arc::default();
        Reader { config, keys, cursors: Cursors::default(), lines: Vec::new(), events: Vec::new(), running: None }
    }

    fn source(&mut self) -> Source {
        // a process numbers its sources anew
        self.keys = Arc::default();
        self.cursors.begin_stream();
        let known = self.cursors.known("j");
        Source::new(&Config::Journald(self.config.clone()), known, Arc::clone(&self.keys), &[]).unwrap()
    }

    /// Reads all that is there, as after a restart.
    fn once(&mut self) -> &mut Self {
        let source = self.source();
        let (output, batches) = bounded(1);
        let thread = std::thread::spawn(move || source.run(true, &output, &Stop::never()).unwrap());
        let deadline = Instant::now() + FAILED;
        while let Ok(batch) = batches.recv_deadline(deadline) {
            self.take(&batch, usize::MAX);
        }
        assert!(Instant::now() < deadline, "it never ended");
        thread.join().unwrap();
        self
    }

    /// Reads all, of which only so many items become durable.
    fn once_and_crash(&mut self, mut durable: usize) {
        let source = self.source();
        let (output, batches) = bounded(1);
        let thread = std::thread::spawn(move || source.run(true, &output, &Stop::never()).unwrap());
        for batch in batches {
            durable -= self.take(&batch, durable);
        }
        thread.join().unwrap();
    }

    fn start(&mut self) {
        let source = self.source();
        let (output, batches) = bounded(4);
        let (stopper, stop) = Stop::pair();
        let thread = std::thread::spawn(move || source.run(false, &output, &stop).unwrap());
        self.running = Some((stopper, batches, thread));
    }

    fn stop(&mut self) {
        let (stopper, batches, thread) = self.running.take().unwrap();
        stopper.stop();
        for batch in batches {
            self.take(&batch, usize::MAX);
        }
        thread.join().unwrap();
    }

    /// Takes batches until the condition holds.
    fn await_that(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + FAILED;
        while !condition(self) {
            let batch = self.running.as_ref().unwrap().1.recv_deadline(deadline);
            let batch = batch.unwrap_or_else(|error| panic!("never came: {what}: {error}; {:?}", self.events));
            self.take(&batch, usize::MAX);
        }
    }

    fn await_lines(&mut self, count: usize) {
        self.await_that("lines", |reader| reader.lines.len() >= count);
    }

    fn take(&mut self, batch: &Batch, durable: usize) -> usize {
        for item in batch.items.iter().take(durable) {
            match item {
                Item::Line(line) => {
                    self.cursors.read_to(line.source, line.offset);
                    let (key, offset, end) = (line.source, line.offset, line.end);
                    self.lines.push(Line { key, offset, text: batch.text(line).to_vec(), end });
                }
                Item::Source(key, event) => {
                    self.cursors.apply(*key, event, "2026-11-26T00:00:00.000000000Z");
                    self.events.push(event.clone());
                }
            }
        }
        durable.min(batch.items.len())
    }

    /// The entries, their parts put together.
    fn entries(&self) -> Vec<Value> {
        let mut entries = Vec::new();
        let mut parts: Vec<u8> = Vec::new();
        for line in &self.lines {
            parts.extend(&line.text);
            if line.end != End::Part {
                entries.push(serde_json::from_slice(&std::mem::take(&mut parts)).unwrap());
            }
        }
        entries
    }

    /// Messages of entries that came from a test, not from journald itself.
    fn messages(&self) -> Vec<String> {
        let entries = self.entries();
        let ours = entries.iter().filter(|entry| entry["_TRANSPORT"] != "driver");
        ours.map(|entry| entry["MESSAGE"].as_str().unwrap_or("(no text)").to_owned()).collect()
    }

    /// What `Missed` told, in order.
    fn missed(&self) -> Vec<Option<u64>> {
        let lost = |event: &SourceEvent| match event {
            SourceEvent::Missed { lost } => Some(*lost),
            _ => None,
        };
        self.events.iter().filter_map(lost).collect()
    }

    fn vanished(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, SourceEvent::Vanished { .. })).count()
    }

    /// Each entry once, in its sequence's order.
    fn assert_in_order(&self) {
        let mut last = std::collections::BTreeMap::new();
        for entry in self.entries() {
            let number: u64 = entry["__SEQNUM"].as_str().unwrap().parse().unwrap();
            let before = last.insert(entry["__SEQNUM_ID"].as_str().unwrap().to_owned(), number);
            assert!(before.is_none_or(|before| before < number), "{before:?} {number}");
        }
    }
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("line {n}")).collect()
}
