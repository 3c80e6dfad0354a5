//! The `alert` line.

use super::stamp::Stamp;
use super::{Chain, header, json};
use crate::record::Seq;
use std::borrow::Cow;

impl Chain {
    /// Appends an `alert` line: `target` is told of `line`.
    pub fn alert(&mut self, out: &mut Vec<u8>, at: &Stamp, line: Seq, target: &str) -> Seq {
        let header = json(&header::Alert {
            seq: self.next,
            kind: Cow::Borrowed("alert"),
            time: Cow::Borrowed(&at.time),
            mono: at.mono_ns,
            line,
            alert: target.to_owned(),
        });
        self.append(out, |h| h.extend_from_slice(&header), |p| p.extend_from_slice(b"{}"))
    }
}
