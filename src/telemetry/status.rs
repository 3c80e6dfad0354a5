//! What an agent is doing at one moment: the one document behind metrics, health, `status` and `top`.
//!
//! It holds no text of log lines, but in `flagged`, which only `top` gets. Keys may be added, and none taken away.

use crate::record::{Decision, Severity, Verdict};
use serde::{Deserialize, Serialize};

/// The version of [`Status`]'s JSON.
pub const VERSION: u32 = 1;

/// An agent at one moment. Counters count since its start, over all its streams.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`VERSION`].
    pub version: u32,
    /// The version of the program.
    pub program: String,
    /// Its process.
    pub pid: u32,
    /// The host's name, as the chain has it.
    pub host: String,
    /// What it is at.
    pub state: State,
    /// Since when it runs, in seconds since 1970.
    pub started_unix_s: f64,
    /// The moment.
    pub now_unix_s: f64,
    /// What is not as it should be; empty when all is well.
    pub problems: Vec<Problem>,
    /// The chain.
    pub chain: Chain,
    /// `[[source]]`, as configured.
    pub sources: Vec<Source>,
    /// By rule; of rules beyond a bound, one for all.
    pub verdicts: Vec<Verdicts>,
    /// Log lines of which some policy could not decide.
    pub undecided_lines: u64,
    /// Configurations that were read again on SIGHUP and said something else.
    #[serde(default)]
    pub configuration: Reloads,
    /// The policies.
    pub policy: Policy,
    /// The spool.
    pub spool: Spool,
    /// `[[target]]`.
    pub targets: Vec<Target>,
    /// `[[alert]]`.
    pub alerts: Vec<Alert>,
    /// Certificates and revocation lists of the targets.
    pub certificates: Vec<Certificate>,
    /// The threads of the line's path.
    pub threads: Vec<Thread>,
    /// The process, as the kernel counts it.
    pub process: Process,
    /// What it gave up when it started; empty where it doesn't say.
    #[serde(default)]
    pub guards: Vec<Guard>,
    /// The latest lines with a verdict other than allow, as they are chained; only for `top`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flagged: Vec<Flagged>,
}

/// What an agent is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// No stream was begun yet.
    #[default]
    Starting,
    /// Lines are read, chained and sent.
    Running,
    /// The stream was abandoned; another begins soon.
    Recovering,
    /// The sources have ended; what is spooled is sent.
    Draining,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The part, such as `spool` or `target archive`.
    pub part: String,
    /// What is wrong with it.
    pub what: String,
}

/// The chain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    /// The stream that is being written.
    pub stream: Option<String>,
    /// Since when.
    pub stream_since_unix_s: f64,
    /// Its genesis line is durable.
    pub is_durable: bool,
    /// Lines in sealed segments, the chain's own included.
    pub lines: u64,
    /// Segments that were sealed.
    pub segments: u64,
    /// Streams that were begun.
    pub streams: u64,
}

/// A source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its configured name.
    pub name: String,
    /// `file`, `journald` or `stdin`.
    pub kind: String,
    /// Why it failed, if it did; the others go on.
    pub failed: Option<String>,
    /// Its thread runs.
    pub is_open: bool,
    /// Log lines that were chained.
    pub lines: u64,
    /// Their bytes, as the source had them.
    pub bytes: u64,
    /// Files that are followed.
    pub files: u64,
    /// Files that are open.
    pub open_files: u64,
    /// Bytes of files that were not read yet.
    pub behind_bytes: u64,
    /// Journal entries that were not read yet.
    pub behind_entries: u64,
    /// How long the oldest unread line waits.
    pub unread_s: f64,
}

/// The verdicts of one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdicts {
    /// Its id; of an `undecided` its package.
    pub rule: String,
    /// What was decided.
    pub decision: Decision,
    /// How bad it is, if the rule says.
    pub severity: Option<Severity>,
    /// How often.
    pub count: u64,
}

/// What became of what was read again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reloads {
    /// Good ones.
    pub taken_up: u64,
    /// Bad ones, which changed nothing.
    pub refused: u64,
}

/// The policies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// SHA-256 over their files, as the chain names them.
    pub digest: String,
    /// How long lines were looked at.
    pub seconds: f64,
    /// Policies that were read again and taken up.
    pub reloads: u64,
    /// The same, refused.
    pub refused_reloads: u64,
}

/// The spool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spool {
    /// Its folder.
    pub dir: String,
    /// Bytes of lines that it holds.
    pub bytes: u64,
    /// Bytes that it may hold.
    pub max_bytes: u64,
    /// What its disk has left.
    pub free_bytes: u64,
    /// How long the oldest segment waits for a required target.
    pub oldest_s: f64,
    /// Reading stops until a target takes lines.
    pub is_full: bool,
    /// Its folder can be written to.
    pub is_writable: bool,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

/// A target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Its configured name.
    pub name: String,
    /// Where it is.
    pub place: String,
    /// A segment stays spooled until every required target has it.
    pub is_required: bool,
    /// Bytes of spooled segments that it does not have.
    pub behind_bytes: u64,
    /// How long the oldest of them waits.
    pub behind_s: f64,
    /// Batches that it stored.
    pub batches: u64,
    /// Their bytes, compressed.
    pub bytes: u64,
    /// Receipts that it signed.
    pub receipts: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Batches that it refused for good.
    pub refusals: u64,
    /// Attempts that failed since the last that did not.
    pub failures: u64,
    /// When it last stored a batch.
    pub last_stored_unix_s: Option<f64>,
    /// What its last receipt is of.
    pub last_receipt: Option<Receipt>,
    /// The last failed attempt.
    pub last_error: Option<Failure>,
}

/// A receipt, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The stream.
    pub stream: String,
    /// First and last line.
    pub seq: [u64; 2],
    /// When, by the target's clock (RFC 3339).
    pub stored_at: String,
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub unix_s: f64,
    /// Why.
    pub what: String,
}

/// An alert target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its configured name.
    pub name: String,
    /// Verdicts that it is to be told of.
    pub seen: u64,
    /// Notifications, each with an `alert` line in the chain.
    pub raised: u64,
    /// Verdicts told of together with others, beyond one a notification.
    pub grouped: u64,
    /// Notifications that it took.
    pub delivered: u64,
    /// Attempts after the first.
    pub retried: u64,
    /// Notifications that were given up.
    pub failed: u64,
}

/// A certificate or a revocation list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// The target that names it.
    pub target: String,
    /// Its file.
    pub file: String,
    /// It is a revocation list, which is overdue then.
    pub is_crl: bool,
    /// Until when it is good, in seconds since 1970.
    pub until_unix_s: i64,
    /// It should have been renewed.
    pub is_near: bool,
}

/// A thread of the line's path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// Its part: `policy`, `chain` or `sync`.
    pub name: String,
    /// How long it was seen at one and the same step of its work; 0 if it gets on.
    pub stuck_s: f64,
}

/// The process, as the kernel counts it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// CPU time of all its threads.
    pub cpu_s: f64,
    /// Memory that is resident.
    pub resident_bytes: u64,
    /// How much should be at most.
    #[serde(default)]
    pub max_resident_bytes: u64,
    /// Batches of lines that had to wait since more was.
    #[serde(default)]
    pub slowed_batches: u64,
    /// File descriptors that are open.
    pub open_fds: u64,
    /// File descriptors that it may open.
    pub max_fds: u64,
}

/// Something that whoever took the process over could not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// `undumpable`, `capabilities`, `landlock_files`, `landlock_bind`, `landlock_connect` or `seccomp`.
    pub name: String,
    /// It is denied.
    pub is_in_force: bool,
}

/// A line that a policy flagged, as it is chained: what was redacted is not in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flagged {
    /// When it was chained (RFC 3339).
    pub time: String,
    /// The configured name of its source.
    pub source: String,
    /// What the policies say.
    pub verdicts: Vec<Verdict>,
    /// The beginning of its message.
    pub message: String,
}

impl Status {
    /// The document without text of log lines.
    pub fn without_lines(self) -> Self {
        Self { flagged: Vec::new(), ..self }
    }

    /// Verdicts of this severity, but those that are undecided.
    pub fn of_severity(&self, severity: Option<Severity>) -> u64 {
        let of = |verdicts: &&Verdicts| verdicts.severity == severity && verdicts.decision != Decision::Undecided;
        self.verdicts.iter().filter(of).map(|verdicts| verdicts.count).sum()
    }
}
