//! `policy` lines: from here on other policies speak.

use super::header::{Changed, Hash};
use super::key::Bytes32;
use super::stamp::Stamp;
use super::{Chain, json};
use crate::record::Seq;
use std::borrow::Cow;

impl Chain {
    /// Appends a line that says that the policies of digest `new` follow those of digest `old`.
    pub fn policy(&mut self, out: &mut Vec<u8>, at: &Stamp, old: Bytes32, new: Bytes32) -> Seq {
        let header = json(&Changed {
            seq: self.next,
            kind: Cow::Borrowed("policy"),
            time: Cow::Borrowed(&at.time),
            mono: at.mono_ns,
            old: Hash(old),
            new: Hash(new),
        });
        self.append(out, |h| h.extend_from_slice(&header), |p| p.extend_from_slice(b"{}"))
    }
}
