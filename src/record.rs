//! The plain data that passes between the stages. No I/O here.
//!
//! A source hands over [`Batch`]es, not lines: one buffer holds the bytes of many lines and each [`Item`] is a slice of
//! it, so that a line's bytes are touched once between `read(2)` and the frame.

mod audit;
mod redaction;
mod secret;

pub use audit::AuditId;
pub use redaction::{HIDDEN_MAX, Hidden, Hide, Redaction, Step, VALUE_MIN_BYTES, settled};
pub use secret::Secret;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A line's place in its stream; the genesis line is 0.
pub type Seq = u64;

/// The name of a stream: 16 random bytes, written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub [u8; 16]);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::str::FromStr for StreamId {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes: Option<Vec<u8>> = unhex(text);
        Ok(Self(bytes.ok_or(())?.try_into().map_err(|_| ())?))
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        text
    })
}

/// The bytes of lower-case hexadecimal digits; `None` for anything else.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    bytes.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Whether `text` can name a host, a source or a target: 1 to 64 bytes of `[A-Za-z0-9._-]`, the first no dot, since a
/// host's name is a folder's name in every archive.
pub fn is_name(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    (1..=64).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(allowed)
}

/// Names a source within one process lifetime: each file, journal or pipe that is read has its own, never used again.
/// Lines refer to it as `src`.
pub type SourceKey = u32;

/// Which file on this machine, whatever its name: what survives a rename and tells a reused inode apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// `st_dev`.
    pub dev: u64,
    /// `st_ino`.
    pub ino: u64,
    /// Time of birth in nanoseconds since 1970 (statx), where the file system tells it.
    pub born_ns: Option<u64>,
}

/// The first bytes of a file, hashed: two files with one inode number, one after the other, differ in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// How many bytes from the start of the file are hashed; at most 1,024.
    pub len: u32,
    /// The first 16 bytes of their SHA-256.
    pub digest: [u8; 16],
}

/// What a file begins with, hashed as far as it was read at some moment: tells the copy of a file that is gone or was
/// truncated. The bytes are cut into blocks of 1 MiB (the last may be shorter); with P_0 = 32 zero bytes and
/// P_i = SHA-256(P_(i-1) || block i) it is the last P.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// How many bytes from the start of the file; over 1 MiB only whole blocks.
    pub len: u64,
    /// The last P.
    pub digest: [u8; 32],
}

/// An entry of a journal, as far as it tells where reading stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalTime {
    /// The boot that wrote it.
    pub boot: [u8; 16],
    /// Microseconds since that boot.
    pub monotonic_us: u64,
    /// Microseconds since 1970.
    pub realtime_us: u64,
}

/// How far a source has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// A followed file. `offset` is that of the first byte that is in no chained line yet.
    File {
        /// Where the file was last seen.
        path: PathBuf,
        /// Which file it is.
        id: FileId,
        /// What it begins with.
        fingerprint: Fingerprint,
        /// What was read, hashed, once there is enough of it.
        prefix: Option<Prefix>,
        /// Bytes of the file that are chained; of a compressed one, of what it unpacks to.
        offset: u64,
    },
    /// One sequence of a systemd journal: the entries that share a `seqnum_id`.
    Journal {
        /// The folder of its files, such as `/var/log/journal/<machine id>`.
        dir: PathBuf,
        /// The `seqnum_id`.
        sequence: [u8; 16],
        /// The time of an entry near `seqnum`, by which reading goes on should the sequence be gone.
        at: JournalTime,
        /// The number of the last entry that is chained.
        seqnum: u64,
    },
    /// A pipe: bytes taken from it so far. It can't be read again.
    Stdin {
        /// Bytes that are chained.
        offset: u64,
    },
}

impl Cursor {
    /// Bytes of the source that are chained; of a journal, the number of its last chained entry.
    pub fn offset(&self) -> u64 {
        match self {
            Cursor::File { offset, .. } | Cursor::Stdin { offset } | Cursor::Journal { seqnum: offset, .. } => *offset,
        }
    }

    /// Moves the cursor to `to`.
    pub fn set_offset(&mut self, to: u64) {
        match self {
            Cursor::File { offset, .. } | Cursor::Stdin { offset } | Cursor::Journal { seqnum: offset, .. } => {
                *offset = to;
            }
        }
    }
}

/// What the hashes in cursors are keyed with, so that nobody who has an archive can try out what a log began with. It stays on
/// the host.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct HashKey(pub [u8; 32]);

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(…)")
    }
}

/// A file that was read to its end and let go of. It may turn up again under another name, or compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How far it was read: to its end.
    pub cursor: Cursor,
    /// When that was chained, in nanoseconds since 1970: what was written later is not of this file.
    pub at_ns: i128,
}

/// What an earlier process, or stream, knew of the files of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Where reading goes on.
    pub open: Vec<Cursor>,
    /// What was read to its end, the last of it first.
    pub ended: Vec<Ended>,
}

/// How a piece of text ended in its source, so that the exact bytes can be put together again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By a newline, which is not part of the message.
    Newline,
    /// By the end of the file, without a newline.
    Eof,
    /// It was longer than `max_line`: the next line of the same source goes on with it.
    Part,
    /// It is text in UTF-16, little endian; the newline that ended it, if one did, is in the message.
    Utf16Le,
    /// The same, big endian.
    Utf16Be,
}

/// What is known of a source besides its lines, such as the pod that writes it; policies see it as `input.labels`.
pub type Labels = Arc<BTreeMap<String, String>>;

/// What the lines of a source look like, as far as policies are to see more of them than text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Each line is looked at: JSON, auditd, syslog or none of them; files where containers log by their path.
    #[default]
    Auto,
    /// Text only.
    Plain,
    /// A JSON object a line.
    Json,
    /// Logs of containers, as containerd and CRI-O write them: time, stream, `P` or `F`, text.
    Cri,
    /// Logs of containers, as Docker's json-file driver writes them.
    Docker,
    /// RFC 5424, RFC 3164, or what rsyslog writes into files.
    Syslog,
    /// Records of auditd.
    Auditd,
}

/// What happened to a source; each becomes a `source` line in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceEvent {
    /// Reading begins (or goes on after a restart) at the cursor.
    Opened {
        /// The configured name of the source.
        name: String,
        /// Where reading begins.
        cursor: Cursor,
        /// What else is known of it.
        labels: Labels,
    },
    /// The file grew and has a longer fingerprint now, or was renamed: the cursor says what it is called and begins with.
    Identified {
        /// The new name and fingerprint; the offset is unchanged.
        cursor: Cursor,
    },
    /// The file became shorter than what was read; reading starts again at 0.
    Truncated {
        /// Bytes that were there and could not be read, if that can be known.
        lost: Option<u64>,
    },
    /// Something that was there could not be read, and reading goes on after it.
    Missed {
        /// How much, if that can be known: bytes of a file, entries of a journal.
        lost: Option<u64>,
    },
    /// The source is gone with something that was not read.
    Vanished {
        /// How much, if that can be known: bytes of a file, entries of a journal.
        lost: Option<u64>,
    },
    /// Read to its end and released: it will not be read again.
    Ended,
}

/// One thing that a source tells, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Something happened to the source.
    Source(SourceKey, SourceEvent),
    /// A line.
    Line(LineItem),
}

/// A line: a slice of its batch's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineItem {
    /// Where it was read.
    pub source: SourceKey,
    /// Its bytes in [`Batch::bytes`], without the newline.
    pub span: Range<usize>,
    /// The source's offset after this line and its newline.
    pub offset: u64,
    /// How it ended.
    pub end: End,
}

/// What one source read at one go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The bytes of all its lines.
    pub bytes: Vec<u8>,
    /// Lines and events, in order.
    pub items: Vec<Item>,
}

impl Batch {
    /// The bytes of a line.
    pub fn text(&self, line: &LineItem) -> &[u8] {
        &self.bytes[line.span.clone()]
    }
}

/// What a rule decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Noted as fine.
    Allow,
    /// Noteworthy; the default.
    Flag,
    /// Forbidden.
    Deny,
    /// The engine's own: the policy failed or ran over its limits.
    Undecided,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Decision {
    /// Its name, as lines have it.
    pub fn name(self) -> &'static str {
        match self {
            Decision::Allow => "allow",
            Decision::Flag => "flag",
            Decision::Deny => "deny",
            Decision::Undecided => "undecided",
        }
    }
}

impl Severity {
    /// All of them, the worst first.
    pub const WORST_FIRST: [Severity; 5] =
        [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];

    /// Its name, as lines have it.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// What a policy says of a line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The rule's id; for `undecided` the package.
    pub id: String,
    /// What was decided.
    pub decision: Decision,
    /// How bad it is; not every rule says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Ids of the controls that the rule answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<String>,
    /// Why, in the rule's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it asks to hide; never part of what is chained.
    #[serde(skip)]
    pub redact: Vec<Hide>,
}

/// The verdicts on one line, as JSON array bytes ready for its header, at most [`VERDICTS_MAX`] bytes.
/// Empty means none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// The rendered array, or nothing.
    pub json: Vec<u8>,
    /// The worst severity among them, for those who watch.
    pub worst: Option<Severity>,
    /// What of the line they hide.
    pub redaction: Option<Redaction>,
}

/// Bound of the rendered verdicts of a line, in bytes; a header holds at most 8 KiB.
pub const VERDICTS_MAX: usize = 6 * 1024;
