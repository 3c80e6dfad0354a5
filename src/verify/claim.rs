//! What somebody outside the stream knows of it: a receipt, or the stream after it.

use crate::chain::key::Bytes32;
use crate::chain::receipt::Receipt;
use crate::record::StreamId;

/// A stream had this many lines and this root.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) size: u64,
    pub(super) root: Bytes32,
    /// Who says so, for people.
    pub(super) source: String,
}

impl Claim {
    pub(super) fn of_receipt(receipt: &Receipt, source: &str) -> Self {
        Self { size: receipt.size, root: receipt.root.0, source: source.to_owned() }
    }

    pub(super) fn of_successor(size: u64, root: Bytes32, successor: StreamId) -> Self {
        Self { size, root, source: format!("the next stream, {successor},") }
    }

    /// For lines that are there, but others than were known.
    pub(super) fn other_root(&self) -> String {
        format!("{} knows other lines than these: its root over the first {} is another", self.source, self.size)
    }

    /// For lines that are not there.
    pub(super) fn more_lines(&self, have: u64) -> String {
        format!("have={have} signed={}: {} knows of {} more lines", self.size, self.source, self.size - have)
    }
}
