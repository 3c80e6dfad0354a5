//! What a verifier says, in the words and weights of the format.

use crate::record::{Seq, StreamId};
use serde::Serialize;
use std::fmt;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Worth knowing.
    Info,
    /// Something is not as it should be, and it is not evidence of a hand in the log.
    Warning,
    /// The archive is not intact.
    Alarm,
}

macro_rules! words {
    ($($variant:ident $text:literal $weight:ident $meaning:literal,)*) => {
        /// What was found.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Word {
            $(#[doc = $meaning] $variant,)*
        }

        impl Word {
            /// Every word of this version.
            pub const ALL: &'static [Word] = &[$(Word::$variant,)*];

            /// The word as it is printed.
            pub fn as_str(self) -> &'static str {
                match self { $(Word::$variant => $text,)* }
            }

            /// How much it matters.
            pub fn weight(self) -> Weight {
                match self { $(Word::$variant => Weight::$weight,)* }
            }

            /// What it means, in a line.
            pub fn meaning(self) -> &'static str {
                match self { $(Word::$variant => $meaning,)* }
            }
        }
    };
}

words! {
    Tampered "TAMPERED" Alarm "a line was changed after it was chained: its tag does not fit",
    Missing "MISSING" Alarm "lines between present lines are gone",
    Reordered "REORDERED" Alarm "lines stand in another order than the one they were chained in",
    Forged "FORGED" Alarm "a line stands where none can be",
    Fork "FORK" Alarm "the same place in a stream has two contents",
    Truncated "TRUNCATED" Alarm "the end of a segment is missing that something else covers",
    Rollback "ROLLBACK" Alarm "last segments are missing that a receipt or the next stream knows",
    Silence "SILENCE" Alarm "no heartbeat for 180 seconds, or a stream that just stopped",
    StreamMissing "STREAM-MISSING" Alarm "a stream is gone that the next one, a receipt or a list names",
    Unlinked "UNLINKED" Alarm "a second first stream of one host",
    WrongStream "WRONG-STREAM" Alarm "lines of another host or stream",
    Replay "REPLAY" Alarm "old lines again under a new file name",
    Unendorsed "UNENDORSED" Alarm "no trusted host key vouches for the stream",
    SealMismatch "SEAL-MISMATCH" Alarm "the sealed key is damaged or belongs to another stream",
    KeyCommitMismatch "KEY-COMMIT-MISMATCH" Alarm "the sealed key is not the one that the genesis commits to",
    Malformed "MALFORMED" Alarm "not a line of the format, or a file that cannot be decoded",
    RecordAfterClose "RECORD-AFTER-CLOSE" Alarm "lines after the end of the stream",
    LossDeclared "LOSS-DECLARED" Alarm "the agent dropped lines, as when_full = \"drop\" allows",
    ErasedUnauthorised "ERASED-UNAUTHORISED" Alarm "a payload was erased without leave",
    BadCheckpoint "BAD-CHECKPOINT" Alarm "a checkpoint's signature, size or root does not fit",
    StoreMutated "STORE-MUTATED" Alarm "the store holds another version of a file, or a mark that it was deleted",
    Skipped "SKIPPED" Warning "lines that one target was not sent, as the chain itself says; of another's archive (--target) they are missing",
    UncleanEnd "UNCLEAN-END" Warning "the stream was cut off (crash, kill -9); the next confirms where",
    SourceGap "SOURCE-GAP" Warning "a source was truncated or removed before all of it was read",
    ClockStep "CLOCK-STEP" Warning "the host's clock was set back",
    Open "OPEN" Info "the stream is still being written",
    DuplicateIdentical "DUPLICATE-IDENTICAL" Info "the same lines twice, byte for byte",
    Redacted "REDACTED" Info "a payload was erased, by leave of a key that the genesis names",
    PublicOnly "PUBLIC-ONLY" Info "no identity given: tags were not checked, which is weaker",
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Word {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One thing that was found. Serialised, it is a line of `verify --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    #[serde(rename = "finding")]
    pub word: Word,
    /// How much it matters.
    pub weight: Weight,
    /// In whose lines.
    pub host: Option<String>,
    /// In which stream.
    pub stream: Option<StreamId>,
    /// At which line; of several, the first.
    pub seq: Option<Seq>,
    /// What exactly, and where.
    pub detail: String,
}

/// The findings of one stream, until they are handed on.
#[derive(Debug)]
pub(super) struct Found {
    /// Whose stream.
    pub(super) host: String,
    /// Which.
    pub(super) stream: StreamId,
    /// In the order they were found.
    pub(super) findings: Vec<Finding>,
    /// What could not be checked, and how to mend it.
    pub(super) unchecked: Vec<String>,
}

impl Found {
    pub(super) fn new(host: &str, stream: StreamId) -> Self {
        Self { host: host.to_owned(), stream, findings: Vec::new(), unchecked: Vec::new() }
    }

    pub(super) fn add(&mut self, word: Word, seq: Seq, detail: impl Into<String>) {
        self.findings.push(Finding {
            word,
            weight: word.weight(),
            host: Some(self.host.clone()),
            stream: Some(self.stream),
            seq: Some(seq),
            detail: detail.into(),
        });
    }

    pub(super) fn unchecked(&mut self, reason: impl fmt::Display) {
        self.unchecked.push(format!("{}/{}: {reason}", self.host, self.stream));
    }
}
