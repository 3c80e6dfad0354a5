//! What can be wrong with a spool, what that means, and how it is mended.

use serde::Serialize;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Of what kind.
    pub harm: Harm,
    /// Where.
    pub path: PathBuf,
    /// What was found.
    pub what: String,
}

/// Kinds of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// The ledger is missing beside spooled lines, or is none.
    Ledger,
    /// The end of a stream's newest file, as a crash leaves it.
    TornEnd,
    /// Bytes that are no whole frame, where a crash can't have left them.
    BadFrame,
    /// Whole frames of other lines than belong there.
    BadLines,
    /// A file between two others, or before the first, is not there.
    MissingLines,
    /// A batch that may have been sent is not there whole.
    LostBatch,
    /// A stream's folder that the ledger doesn't name.
    UnknownStream,
}

impl Damage {
    pub(super) fn new(harm: Harm, path: PathBuf, what: String) -> Self {
        Self { harm, path, what }
    }
}

impl Harm {
    /// Whether lines are at stake. What a crash leaves is not: each start of the agent mends it, and reads the rest again.
    pub fn is_loss(self) -> bool {
        self != Harm::TornEnd
    }

    /// What it means for the lines.
    pub fn consequence(self) -> &'static str {
        match self {
            Harm::Ledger => "an agent does not start on it: how far sources and targets got is not known",
            Harm::TornEnd => "none: its whole lines are kept, and what was torn is read again from its source",
            Harm::BadFrame | Harm::BadLines => {
                "these lines and the rest of their stream can't be sent; the next stream's genesis shows that they are missing"
            }
            Harm::MissingLines => {
                "they are lost here; what follows them in their stream can't be sent, since no store takes a stream with a hole"
            }
            Harm::LostBatch => "it can't be sent again; a store that has it goes on behind it",
            Harm::UnknownStream => "an agent neither sends it nor counts it against max_size",
        }
    }

    /// What to do.
    pub fn mend(self) -> &'static str {
        match self {
            Harm::Ledger => "restore ledger.json, or let --repair make one from the streams and the receipts",
            Harm::TornEnd => "nothing: each start of the agent does it",
            Harm::BadFrame | Harm::BadLines | Harm::UnknownStream => {
                "--repair moves it to quarantine/damaged; `sealtail cat` and `sealtail verify` read there what is good"
            }
            Harm::MissingLines => {
                "restore the file into its place and check again, or let --repair move the rest aside"
            }
            Harm::LostBatch => "--repair lets the target go on with what is here",
        }
    }
}
