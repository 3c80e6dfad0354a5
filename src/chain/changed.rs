//! `policy` and `config` lines: from here on other policies speak, or another configuration counts.

use super::header::{Changed, Configured, Hash};
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

    /// Appends a line that says that the configuration file of digest `new` follows that of digest `old`, and what is other in it.
    pub fn config(&mut self, out: &mut Vec<u8>, at: &Stamp, old: Bytes32, new: Bytes32, changed: &[String]) -> Seq {
        let header = json(&Configured {
            seq: self.next,
            kind: Cow::Borrowed("config"),
            time: Cow::Borrowed(&at.time),
            mono: at.mono_ns,
            old: Hash(old),
            new: Hash(new),
            changed: Some(changed.to_vec()),
        });
        self.append(out, |h| h.extend_from_slice(&header), |p| p.extend_from_slice(b"{}"))
    }
}
