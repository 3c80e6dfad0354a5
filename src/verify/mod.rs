//! Verification: lines and receipts in, findings out. It reads, and writes nothing.
//!
//! # How it goes
//! - `archive` looks which files hold which stream's lines; `lines` reads a file within bounds, `frame` knows a cut frame.
//! - `unit` cuts a stream into runs of lines, a segment each as a rule; `parse` takes their lines apart side by side and
//!   `tags` checks their tags side by side, since a segment's keys follow from K0 and its number.
//! - `stream` folds the units one after the other: gaps, order (`order`, `disorder`, `repeat`, `holes`), the tree (`roots`), clocks
//!   (`clock`), what lines say (`meaning`), and finds its place again after damage (`resync`). `opening` reads line 0, `erasure` the statements beside
//!   the files.
//! - `link` judges streams together: which follows which, receipts, the inventory; `excuse` what the archive may lack.
//!
//! Memory: two batches of 16 MiB of lines, 2.6 MB of roots for the stream at hand, and a few hundred bytes for each file and
//! stream. Nothing else grows with the archive.
//!
//! Damage is reported once, where it is: FORMAT.md section 10 has the rules.

pub mod archive;
mod claim;
mod clock;
mod disorder;
pub(crate) mod erasure;
mod excuse;
mod finding;
mod frame;
mod holes;
pub mod lines;
mod link;
mod meaning;
mod opening;
mod order;
mod parse;
mod repeat;
mod resync;
mod roots;
mod stream;
mod tags;
mod unit;

pub use finding::{Finding, Weight, Word};

use crate::chain::receipt::Receipt;
use crate::chain::trust::Trust;
use crate::record::StreamId;
use archive::Archive;
use claim::Claim;
use finding::Found;
use link::{Links, Name};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use stream::verify_stream;

/// What to verify with.
#[derive(Clone)]
pub struct Options {
    /// The auditor's; without any, tags are not checked.
    pub identities: Vec<age::x25519::Identity>,
    /// Whose endorsement counts.
    pub trust: Option<Trust>,
    /// Receipts that somebody kept.
    pub receipts: Vec<Receipt>,
    /// Who signs receipts; without it their signatures are not checked.
    pub receipt_key: Option<ed25519_dalek::VerifyingKey>,
    /// Streams that must be there.
    pub inventory: Vec<(String, StreamId)>,
    /// The target whose archive this is, by each name that it had, so that what only this one was not sent may be missing.
    pub targets: Vec<String>,
    /// Lines before this (nanoseconds since 1970) need not be checked.
    pub since_ns: Option<i128>,
    /// When it is now.
    pub as_of: SystemTime,
    /// What is known of the store that the archives were fetched from.
    pub store: StoreReport,
}

/// What a store itself tells of the archives in it.
#[derive(Clone, Debug, Default)]
pub struct StoreReport {
    /// What happened to files there.
    pub findings: Vec<Finding>,
    /// What could not be fetched.
    pub unchecked: Vec<String>,
    /// How files are kept there.
    pub notes: Vec<String>,
}

/// How it came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// No alarm.
    Intact,
    /// An alarm at least.
    Findings,
    /// No alarm, but not everything could be checked.
    Unchecked,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Outcome::Intact => "intact",
            Outcome::Findings => "findings",
            Outcome::Unchecked => "unchecked",
        })
    }
}

/// The end of a verification.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How it came out.
    pub result: Outcome,
    /// Lines that were read.
    pub lines: u64,
    /// Log lines among them.
    pub log_lines: u64,
    /// Streams.
    pub streams: u64,
    /// Segments with a checkpoint.
    pub segments: u64,
    /// Lines whose tag was checked.
    pub tags: u64,
    /// What could not be checked, and how to mend it.
    pub unchecked: Vec<String>,
    /// What else a reader of the result must know.
    pub notes: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            identities: Vec::new(),
            trust: None,
            receipts: Vec::new(),
            receipt_key: None,
            inventory: Vec::new(),
            targets: Vec::new(),
            since_ns: None,
            as_of: SystemTime::now(),
            store: StoreReport::default(),
        }
    }
}

/// Reasons that are kept; an archive of many broken streams has one for each.
const UNCHECKED_MAX: usize = 1000;

/// Verifies the archives at `paths`. `progress` is told how many of how many bytes were read, `on_finding` what is found.
pub fn verify(
    paths: &[PathBuf],
    options: &Options,
    progress: &(dyn Fn(u64, u64) + Sync),
    on_finding: &mut dyn FnMut(Finding),
) -> Summary {
    let Archive { streams, faults } = {
        let mut archive = Archive::discover(paths);
        archive.faults.extend_from_slice(&options.store.unchecked);
        archive.faults.truncate(UNCHECKED_MAX);
        archive
    };
    let total = streams.iter().flat_map(|s| &s.files).map(|f| f.size_bytes).sum();
    let done = AtomicU64::new(0);
    let advance = |bytes: u64| progress(done.fetch_add(bytes, Ordering::Relaxed) + bytes, total);

    let mut tally = Tally { alarms: 0, unchecked: faults, on_finding };
    if options.identities.is_empty() && !streams.is_empty() {
        tally.finding(public_only());
    }
    options.store.findings.iter().for_each(|finding| tally.finding(finding.clone()));
    let (mut claims, notes) = claims(options);
    let mut ends = Vec::with_capacity(streams.len());
    for files in &streams {
        let claims = claims.remove(&(files.host.clone(), files.stream)).unwrap_or_default();
        ends.push(verify_stream(files, options, claims, &advance, &mut |found| tally.take(found)));
    }
    ends.sort_by(|a, b| {
        let time = |end: &stream::StreamEnd| end.start.as_ref().map(|start| start.time_ns);
        a.host.cmp(&b.host).then_with(|| time(a).cmp(&time(b))).then_with(|| a.stream.cmp(&b.stream))
    });
    let mut unmet: Vec<(Name, Claim)> =
        claims.into_iter().flat_map(|(n, c)| c.into_iter().next().map(|c| (n, c))).collect();
    unmet.sort_by(|a, b| a.0.cmp(&b.0));
    Links::new(&ends, options, &mut |found| tally.take(found)).judge(&unmet);

    let sum = |count: fn(&stream::Counts) -> u64| ends.iter().map(|end| count(&end.counts)).sum();
    let lines = sum(|c| c.lines);
    let result = match (tally.alarms, lines, tally.unchecked.is_empty()) {
        (1.., ..) => Outcome::Findings,
        (0, 1.., true) => Outcome::Intact,
        _ => Outcome::Unchecked,
    };
    Summary {
        result,
        lines,
        log_lines: sum(|c| c.log_lines),
        streams: ends.len() as u64,
        segments: sum(|c| c.segments),
        tags: sum(|c| c.tags),
        unchecked: tally.unchecked,
        notes,
    }
}

/// Nanoseconds since 1970.
pub fn unix_ns(at: SystemTime) -> i128 {
    let since = |d: std::time::Duration| i128::try_from(d.as_nanos()).unwrap_or(i128::MAX);
    match at.duration_since(UNIX_EPOCH) {
        Ok(after) => since(after),
        Err(before) => -since(before.duration()),
    }
}

struct Tally<'a> {
    alarms: u64,
    unchecked: Vec<String>,
    on_finding: &'a mut dyn FnMut(Finding),
}

impl Tally<'_> {
    fn finding(&mut self, finding: Finding) {
        self.alarms += u64::from(finding.weight == Weight::Alarm);
        (self.on_finding)(finding);
    }

    fn take(&mut self, found: &mut Found) {
        found.findings.drain(..).for_each(|finding| self.finding(finding));
        let room = UNCHECKED_MAX.saturating_sub(self.unchecked.len());
        self.unchecked.extend(found.unchecked.drain(..).take(room));
    }
}

fn public_only() -> Finding {
    let word = Word::PublicOnly;
    let detail = "no identity was given (--identity): tags were not checked, only endorsements, checkpoints and links. \
                  Lines after a stream's last checkpoint are vouched for by nothing but the next stream";
    Finding { word, weight: word.weight(), host: None, stream: None, seq: None, detail: detail.into() }
}

/// How to say whom to trust.
fn key_advice() -> &'static str {
    "give the host's public key with --host-key, or a trust file with --trust"
}

/// The receipts that count, by stream, and what is to be said of the others.
fn claims(options: &Options) -> (HashMap<Name, Vec<Claim>>, Vec<String>) {
    let mut claims: HashMap<Name, Vec<Claim>> = HashMap::new();
    let mut refused = 0u64;
    for receipt in &options.receipts {
        if options.receipt_key.is_some_and(|key| !receipt.verify(&key)) {
            refused += 1;
            continue;
        }
        let source = format!("the receipt of {}", roots::printable(&receipt.stored_at));
        let claim = Claim::of_receipt(receipt, &source);
        claims.entry((receipt.host.clone(), receipt.stream)).or_default().push(claim);
    }
    let mut notes = options.store.notes.clone();
    if refused > 0 {
        notes.push(format!("{refused} receipts are not signed by the given receipt key and were left out"));
    }
    if options.receipt_key.is_none() && !options.receipts.is_empty() {
        notes.push("the signatures of the receipts were not checked; give --receipt-key".into());
    }
    (claims, notes)
}
