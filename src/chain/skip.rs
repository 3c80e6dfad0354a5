//! The `skip` line.

use super::stamp::Stamp;
use super::{Chain, header, json};
use crate::record::{Seq, StreamId};
use std::borrow::Cow;

impl Chain {
    /// Appends a `skip` line: `target` was not sent the lines `from` to `to` of `stream`.
    pub fn skip(&mut self, out: &mut Vec<u8>, at: &Stamp, target: &str, stream: StreamId, [from, to]: [Seq; 2]) -> Seq {
        let header = json(&header::Skip {
            seq: self.next,
            kind: Cow::Borrowed("skip"),
            time: Cow::Borrowed(&at.time),
            mono: at.mono_ns,
            target: target.to_owned(),
            stream,
            from,
            to,
        });
        self.append(out, |h| h.extend_from_slice(&header), |p| p.extend_from_slice(b"{}"))
    }
}
