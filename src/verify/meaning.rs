//! What lines say that an auditor must know.

use super::claim::Claim;
use super::finding::Word;
use super::parse::{Body, Parsed, SkipBody};
use super::roots::printable;
use super::stream::Fold;
use crate::chain::header::{NamedReceipt, SourceEventKind};
use crate::record::Seq;

/// `skip` lines of a stream that are kept in mind.
const SKIPS_MAX: usize = 10_000;
/// Other streams that receipts in heartbeats may name.
const CLAIMS_MAX: usize = 64;

impl Fold<'_> {
    /// Takes what a line says.
    pub(super) fn meaning(&mut self, line: &Parsed) {
        let seq = line.seq;
        if line.erased {
            self.erased_line(line);
        }
        if (seq == 0) != matches!(line.body, Body::Genesis) {
            let detail = if seq == 0 { "the first line is no genesis" } else { "a genesis inside a stream" };
            self.found.add(Word::Malformed, seq, detail);
        }
        match &line.body {
            Body::Genesis | Body::Log | Body::Checkpoint(_) | Body::Other => {}
            Body::Source { event, lost } => self.source(seq, *event, *lost),
            Body::Heartbeat(receipts) => receipts.iter().for_each(|named| self.receipt(seq, named)),
            Body::Gap { count, reason } => {
                let detail = format!("n={count}: log lines were dropped ({})", printable(reason));
                self.found.add(Word::LossDeclared, seq, detail);
            }
            Body::Skip(skip) => {
                if self.skips.len() < SKIPS_MAX {
                    self.skips.push(SkipBody { target: printable(&skip.target), ..**skip });
                }
            }
            Body::Close => self.closed_at = Some(seq),
        }
    }

    fn source(&mut self, seq: Seq, event: SourceEventKind, lost: Option<u64>) {
        let what = match event {
            SourceEventKind::Truncated => "a source was truncated",
            SourceEventKind::Missed => "a source went on after something",
            SourceEventKind::Vanished => "a source was removed",
            SourceEventKind::Opened | SourceEventKind::Identified | SourceEventKind::Ended => return,
        };
        let detail = match lost {
            // all of it had been read
            Some(0) => return,
            Some(n) => format!("{what}; {n} of it (bytes of a file, entries of a journal) could not be read"),
            None => format!("{what}; how much of it could not be read is not known"),
        };
        self.found.add(Word::SourceGap, seq, detail);
    }

    fn receipt(&mut self, seq: Seq, named: &NamedReceipt) {
        let receipt = &named.receipt;
        if self.start.as_ref().is_none_or(|start| start.host != receipt.host) {
            return;
        }
        let claim = Claim::of_receipt(receipt, &format!("the receipt of {} in line {seq}", printable(&named.target)));
        if receipt.stream != self.stream() {
            match self.claims.iter().position(|(stream, _)| *stream == receipt.stream) {
                Some(known) if self.claims[known].1.size < claim.size => self.claims[known].1 = claim,
                None if self.claims.len() < CLAIMS_MAX => self.claims.push((receipt.stream, claim)),
                _ => {}
            }
            return;
        }
        let contradicts = claim.size > seq || self.roots.contradicts(&claim);
        // the same receipt stands in every heartbeat until there is a newer one
        if contradicts && self.contradicted.replace(claim.size) != Some(claim.size) {
            self.found.add(Word::Fork, claim.size.saturating_sub(1).min(seq), claim.other_root());
        }
    }
}
