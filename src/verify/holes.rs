//! Lines that are not there, until the whole stream was read: they may turn up out of order. Nobody may lack them: a target is
//! sent a stream in order, and nothing of it after what it was skipped over.

use super::finding::{Found, Word};
use crate::record::Seq;
use std::collections::BTreeSet;

/// Holes of a stream that are kept in mind; more are reported at once.
const PENDING_MAX: usize = 1024;
/// Places of damaged lines that are kept in mind.
const EXPLAINED_MAX: usize = 4096;

/// Lines that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hole {
    from: Seq,
    to: Seq,
}

impl Hole {
    /// For people.
    fn describe(self) -> String {
        match self.to - self.from {
            0 => format!("line {} is missing", self.from),
            more => format!("lines {} to {} ({} lines) are missing", self.from, self.to, more + 1),
        }
    }
}

/// The holes of a stream.
#[derive(Debug, Default)]
pub(super) struct Holes {
    pending: Vec<Hole>,
    /// Places where a damaged line stands: they are not empty.
    explained: BTreeSet<Seq>,
}

impl Holes {
    /// Notes that a finding covers the line that should stand here.
    pub(super) fn explain(&mut self, seq: Seq) {
        self.explained.insert(seq);
        if self.explained.len() > EXPLAINED_MAX {
            self.explained.pop_first();
        }
    }

    /// Whether a damaged line stands here.
    pub(super) fn explains(&self, seq: Seq) -> bool {
        self.explained.contains(&seq)
    }

    /// Notes that lines are missing; `covered` says that a finding has told why.
    pub(super) fn add(&mut self, from: Seq, to: Seq, covered: bool, found: &mut Found) {
        let damaged: Vec<Seq> = self.explained.range(from..=to).copied().collect();
        self.explained = self.explained.split_off(&to);
        if covered {
            return;
        }
        let mut from = from;
        for seq in damaged {
            if from < seq {
                self.keep(Hole { from, to: seq - 1 }, found);
            }
            from = seq + 1;
        }
        if from <= to {
            self.keep(Hole { from, to }, found);
        }
    }

    fn keep(&mut self, hole: Hole, found: &mut Found) {
        match self.pending.len() {
            PENDING_MAX.. => found.add(Word::Missing, hole.from, hole.describe()),
            _ => self.pending.push(hole),
        }
    }

    /// A line turned up that was missing.
    pub(super) fn fill(&mut self, seq: Seq) {
        let Some(at) = self.pending.iter().position(|hole| (hole.from..=hole.to).contains(&seq)) else { return };
        let hole = self.pending.remove(at);
        if seq < hole.to {
            self.pending.insert(at, Hole { from: seq + 1, to: hole.to });
        }
        if hole.from < seq {
            self.pending.insert(at, Hole { from: hole.from, to: seq - 1 });
        }
    }

    /// Says what is still missing.
    pub(super) fn finish(&mut self, found: &mut Found) {
        self.pending.drain(..).for_each(|hole| found.add(Word::Missing, hole.from, hole.describe()));
    }
}
