//! What the line's threads count, a batch at a time, and the latest flagged lines.

use super::label::Labelled;
use crate::chain::key::Bytes32;
use crate::record::{Decision, Item, Severity, SourceEvent, SourceKey, StreamId, Verdict, Verdicts};
use crate::telemetry::status;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Rules that are counted apart, by what they decide; verdicts of further ones are counted together.
const SERIES_MAX: usize = 256;
/// The rule that stands for those.
const OTHERS: &str = "(others)";
/// Latest flagged lines that are kept.
const FLAGGED_MAX: usize = 50;
/// Bytes that are kept of the message of one.
const MESSAGE_MAX: usize = 512;
/// Verdicts, as lines carry them, of which is known what they count for …
const KNOWN_MAX: usize = 1024;
/// … and bytes of one; longer ones are read each time.
const KNOWN_BYTES_MAX: usize = 512;

/// Counted since the agent's start, over all streams; read by whoever asks.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Of the configuration that counts.
    sources: Mutex<Vec<Arc<SourceCounts>>>,
    verdicts: Mutex<Vec<Arc<Series>>>,
    undecided_lines: AtomicU64,
    policy_ns: AtomicU64,
    slowed: AtomicU64,
    lines: AtomicU64,
    segments: AtomicU64,
    streams: AtomicU64,
    present: Mutex<Option<Present>>,
    flagged: Mutex<VecDeque<Flagged>>,
}

#[derive(Debug, Default)]
struct SourceCounts {
    name: String,
    lines: AtomicU64,
    bytes: AtomicU64,
}

/// The verdicts of one rule.
#[derive(Debug)]
struct Series {
    rule: String,
    decision: Decision,
    severity: Option<Severity>,
    count: AtomicU64,
}

/// The stream that is being written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present {
    pub stream: StreamId,
    pub since: SystemTime,
    pub policy: Bytes32,
}

/// A flagged line, by its chained text.
#[derive(Debug)]
struct Flagged {
    time: String,
    source: Option<Arc<SourceCounts>>,
    verdicts: Vec<u8>,
    message: Vec<u8>,
}

/// The scribe's side.
pub(super) struct Tally {
    counts: Arc<Counts>,
    /// The sources that are read.
    sources: HashMap<SourceKey, Arc<SourceCounts>>,
    /// Few are all there are as a rule, and a comparison is cheaper than a hash.
    known: BTreeMap<Vec<u8>, Arc<Meaning>>,
    /// Lines with verdicts of the batch at hand that are too early to be among its latest.
    too_early: usize,
}

/// What the verdicts on a line count for.
#[derive(Debug)]
struct Meaning {
    series: Vec<Arc<Series>>,
    is_undecided: bool,
    is_flagged: bool,
}

impl Counts {
    /// Sources of these names are read from now on: those that were read before count on, and others are forgotten.
    pub(super) fn keep<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let mut sources = lock(&self.sources);
        let kept = |name: &str| sources.iter().find(|source| source.name == name).cloned();
        let new = |name: &str| Arc::new(SourceCounts { name: name.to_owned(), ..SourceCounts::default() });
        let now = names.map(|name| kept(name).unwrap_or_else(|| new(name))).collect();
        *sources = now;
    }

    /// Policies looked at lines for so long.
    pub(super) fn looked(&self, time: Duration) {
        self.policy_ns.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// A batch of lines passed while more memory was in use than is allowed.
    pub(super) fn slowed(&self) {
        self.slowed.fetch_add(1, Relaxed);
    }

    /// How many did.
    pub(super) fn slowed_batches(&self) -> u64 {
        self.slowed.load(Relaxed)
    }

    /// A segment of so many lines was sealed.
    pub(super) fn sealed(&self, lines: u64) {
        self.lines.fetch_add(lines, Relaxed);
        self.segments.fetch_add(1, Relaxed);
    }

    /// A stream begins.
    pub(super) fn begun(&self, present: Present) {
        self.streams.fetch_add(1, Relaxed);
        *lock(&self.present) = Some(present);
    }

    /// Other policies are in force.
    pub(super) fn swapped(&self, policy: Bytes32) {
        if let Some(present) = lock(&self.present).as_mut() {
            present.policy = policy;
        }
    }
}

impl Counts {
    /// Lines and bytes of the source of this name.
    pub(super) fn source(&self, name: &str) -> (u64, u64) {
        let counts = self.find(name);
        counts.map_or((0, 0), |counts| (counts.lines.load(Relaxed), counts.bytes.load(Relaxed)))
    }

    fn find(&self, name: &str) -> Option<Arc<SourceCounts>> {
        lock(&self.sources).iter().find(|source| source.name == name).cloned()
    }

    /// The verdicts: what is undecided, then the worst rule first, then the most frequent.
    pub(super) fn verdicts(&self) -> Vec<status::Verdicts> {
        let of = |series: &Arc<Series>| status::Verdicts {
            rule: series.rule.clone(),
            decision: series.decision,
            severity: series.severity,
            count: series.count.load(Relaxed),
        };
        let mut verdicts: Vec<_> = lock(&self.verdicts).iter().map(of).collect();
        let first = |of: &status::Verdicts| (of.decision == Decision::Undecided, of.severity, of.count);
        verdicts.sort_by(|a, b| first(b).cmp(&first(a)).then_with(|| a.rule.cmp(&b.rule)));
        verdicts
    }

    /// Lines of which some policy could not decide.
    pub(super) fn undecided_lines(&self) -> u64 {
        self.undecided_lines.load(Relaxed)
    }

    /// How long policies looked at lines.
    pub(super) fn policy_s(&self) -> f64 {
        Duration::from_nanos(self.policy_ns.load(Relaxed)).as_secs_f64()
    }

    /// Lines and segments that were sealed, streams that were begun.
    pub(super) fn chained(&self) -> (u64, u64, u64) {
        (self.lines.load(Relaxed), self.segments.load(Relaxed), self.streams.load(Relaxed))
    }

    /// The stream that is being written.
    pub(super) fn present(&self) -> Option<Present> {
        *lock(&self.present)
    }

    /// The latest flagged lines, the last of them first.
    pub(super) fn flagged(&self) -> Vec<status::Flagged> {
        let of = |line: &Flagged| status::Flagged {
            time: line.time.clone(),
            source: line.source.as_ref().map_or_else(String::new, |source| source.name.clone()),
            verdicts: serde_json::from_slice(&line.verdicts).unwrap_or_default(),
            message: String::from_utf8_lossy(&line.message).into_owned(),
        };
        lock(&self.flagged).iter().rev().map(of).collect()
    }

    /// The series of a verdict; beyond the bound, the one that stands for the rest.
    fn series(&self, verdict: &Verdict) -> Arc<Series> {
        let mut all = lock(&self.verdicts);
        let find = |all: &[Arc<Series>], rule: &str, decision: Decision, severity: Option<Severity>| {
            let is_it = |s: &&Arc<Series>| s.rule == rule && s.decision == decision && s.severity == severity;
            all.iter().find(is_it).cloned()
        };
        let Verdict { id, decision, severity, .. } = verdict;
        if let Some(known) = find(&all, id, *decision, *severity) {
            return known;
        }
        let rule = if all.len() < SERIES_MAX { id.as_str() } else { OTHERS };
        if let Some(known) = find(&all, rule, *decision, *severity) {
            return known;
        }
        let (rule, count) = (rule.to_owned(), AtomicU64::new(0));
        let series = Arc::new(Series { rule, decision: *decision, severity: *severity, count });
        all.push(Arc::clone(&series));
        series
    }
}

impl Tally {
    pub(super) fn new(counts: Arc<Counts>) -> Self {
        Self { counts, sources: HashMap::new(), known: BTreeMap::new(), too_early: 0 }
    }

    /// Where it counts.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// This batch is about to be chained.
    pub(super) fn begin(&mut self, labelled: &Labelled) {
        let with = labelled.verdicts.iter().filter(|verdicts| !verdicts.json.is_empty()).count();
        self.too_early = with.saturating_sub(FLAGGED_MAX);
        for item in &labelled.batch.items {
            if let Item::Source(key, SourceEvent::Opened { name, .. }) = item
                && let Some(counts) = self.counts.find(name)
            {
                self.sources.insert(*key, counts);
            }
        }
    }

    /// A line of it was chained at `time`, as `message`; kept if it is flagged and among the latest.
    pub(super) fn line(&mut self, time: &str, source: SourceKey, verdicts: &Verdicts, message: &[u8]) {
        if verdicts.json.is_empty() {
            return;
        }
        if self.too_early > 0 {
            self.too_early -= 1;
            return;
        }
        if !self.meaning(&verdicts.json).is_flagged {
            return;
        }
        let (time, source) = (time.to_owned(), self.sources.get(&source).cloned());
        let (verdicts, message) = (verdicts.json.clone(), message[..message.len().min(MESSAGE_MAX)].to_owned());
        let mut flagged = lock(&self.counts.flagged);
        if flagged.len() == FLAGGED_MAX {
            flagged.pop_front();
        }
        flagged.push_back(Flagged { time, source, verdicts, message });
    }

    /// The batch is chained.
    pub(super) fn end(&mut self, labelled: &Labelled) {
        let mut verdicts = labelled.verdicts.iter();
        let (mut source, mut lines, mut bytes) = (None, 0, 0);
        for item in &labelled.batch.items {
            let Item::Line(line) = item else { continue };
            if source != Some(line.source) {
                self.read(source, lines, bytes);
                (source, lines, bytes) = (Some(line.source), 0, 0);
            }
            lines += 1;
            bytes += line.span.len() as u64;
            if let Some(of_line) = verdicts.next().filter(|verdicts| !verdicts.json.is_empty()) {
                let meaning = self.meaning(&of_line.json);
                meaning.series.iter().for_each(|series| _ = series.count.fetch_add(1, Relaxed));
                if meaning.is_undecided {
                    self.counts.undecided_lines.fetch_add(1, Relaxed);
                }
            }
        }
        self.read(source, lines, bytes);
        for item in &labelled.batch.items {
            if let Item::Source(key, SourceEvent::Ended | SourceEvent::Vanished { .. }) = item {
                self.sources.remove(key);
            }
        }
    }

    fn read(&self, source: Option<SourceKey>, lines: u64, bytes: u64) {
        if let Some(counts) = source.and_then(|source| self.sources.get(&source)) {
            counts.lines.fetch_add(lines, Relaxed);
            counts.bytes.fetch_add(bytes, Relaxed);
        }
    }

    fn meaning(&mut self, json: &[u8]) -> Arc<Meaning> {
        if let Some(known) = self.known.get(json) {
            return Arc::clone(known);
        }
        let verdicts: Vec<Verdict> = serde_json::from_slice(json).unwrap_or_default();
        let meaning = Arc::new(Meaning {
            series: verdicts.iter().map(|verdict| self.counts.series(verdict)).collect(),
            is_undecided: verdicts.iter().any(|verdict| verdict.decision == Decision::Undecided),
            is_flagged: verdicts.iter().any(|verdict| verdict.decision != Decision::Allow),
        });
        if json.len() <= KNOWN_BYTES_MAX {
            if self.known.len() == KNOWN_MAX {
                self.known.clear();
            }
            self.known.insert(json.to_owned(), Arc::clone(&meaning));
        }
        meaning
    }
}

/// No code panics while it holds one of these.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
