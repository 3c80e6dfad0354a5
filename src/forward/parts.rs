//! A batch of which parts are there: what was sent is found among what was forged.
//!
//! A label says of the whole batch which digest it has, and nothing of its part: where two parts of a batch contradict one another,
//! only the batch that one of them makes tells which is true. So every part is kept until parts that follow one another have the
//! digest together; how much is tried for that is bounded.

use super::message::Label;
use crate::chain::header::Hash;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// So many times what there is of a batch may be hashed to find it.
const TRIES: u64 = 16;
/// What a part takes at least: of memory beside its bytes, and of the work to try it.
const PART_COST: u64 = 512;

/// A part's place among those that begin where it does.
type At = (u64, usize);

/// Parts of one batch.
pub(super) struct Parts {
    label: Label,
    /// By where they begin; each begins where another ends, or at 0.
    parts: BTreeMap<u64, Vec<Part>>,
    /// The first that ends there.
    ends: HashMap<u64, At>,
    cost: u64,
    tried: u64,
}

struct Part {
    place: String,
    bytes: Vec<u8>,
}

impl Part {
    fn range(&self, begin: u64) -> Range<u64> {
        begin..begin + self.bytes.len() as u64
    }

    fn cost(&self) -> u64 {
        PART_COST + self.bytes.len() as u64
    }
}

/// A batch, and the messages that would have made it another.
pub(super) struct Whole {
    pub bytes: Vec<u8>,
    /// The place of each, and which bytes it claimed to have.
    pub forged: Vec<(String, Range<u64>)>,
}

impl Parts {
    pub(super) fn new(label: Label) -> Parts {
        Parts { label, parts: BTreeMap::new(), ends: HashMap::new(), cost: 0, tried: 0 }
    }

    pub(super) fn label(&self) -> &Label {
        &self.label
    }

    /// What it takes of memory.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    /// Whether a part that begins there goes on with what is here.
    pub(super) fn goes_on_at(&self, begin: u64) -> bool {
        begin == 0 || self.ends.contains_key(&begin)
    }

    /// Takes a part that [goes on](Self::goes_on_at) here. The batch, once its parts are among those that are here.
    pub(super) fn add(&mut self, place: &str, begin: u64, bytes: &[u8]) -> Option<Whole> {
        let there = self.parts.entry(begin).or_default();
        // one that came twice adds nothing
        if there.iter().any(|part| part.bytes == bytes) {
            return None;
        }
        let at = (begin, there.len());
        let part = Part { place: place.to_owned(), bytes: bytes.to_vec() };
        self.cost += part.cost();
        self.ends.entry(part.range(begin).end).or_insert(at);
        there.push(part);
        if !self.is_complete() {
            return None;
        }
        let path = self.fitting(at)?;
        let bytes = self.joined(&path);
        let is_forged =
            |begin: u64, part: &Part| bytes.get(begin as usize..part.range(begin).end as usize) != Some(&part.bytes);
        let parts = self.parts.iter().flat_map(|(begin, parts)| parts.iter().map(|part| (*begin, part)));
        let forged = parts.filter(|(begin, part)| is_forged(*begin, part));
        let forged = forged.map(|(begin, part)| (part.place.clone(), part.range(begin))).collect();
        Some(Whole { bytes, forged })
    }

    /// Whether there are parts from the first byte to the last.
    fn is_complete(&self) -> bool {
        self.ends.contains_key(&self.label.total)
    }

    /// Parts that have the batch's digest together, and `new` is one of them: without it all was tried before.
    fn fitting(&mut self, new: At) -> Option<Vec<At>> {
        let budget = TRIES * self.cost;
        // each step knows the one before it
        let mut steps: Vec<(At, Option<usize>)> = Vec::new();
        let mut open = vec![(0, Sha256::new(), None)];
        while let Some((begin, hash, last)) = open.pop() {
            // what comes after was tried
            steps.truncate(last.map_or(0, |last| last + 1));
            if begin == self.label.total {
                if Hash(hash.finalize().into()) == self.label.digest {
                    return Some(path(&steps, last));
                }
                continue;
            }
            // what came first is tried first
            let there = self.parts.get(&begin).map(Vec::as_slice).unwrap_or_default();
            for (index, part) in there.iter().enumerate().rev() {
                let end = part.range(begin).end;
                let passes_by = begin <= new.0 && new.0 < end && (begin, index) != new;
                if passes_by || end > self.label.total {
                    continue;
                }
                self.tried += part.cost();
                if self.tried > budget {
                    return None;
                }
                steps.push(((begin, index), last));
                open.push((end, hash.clone().chain_update(&part.bytes), Some(steps.len() - 1)));
            }
        }
        None
    }

    fn joined(&self, path: &[At]) -> Vec<u8> {
        let parts = path.iter().filter_map(|(begin, index)| self.parts.get(begin)?.get(*index));
        parts.map(|part| part.bytes.as_slice()).collect::<Vec<_>>().concat()
    }

    /// Nothing more is expected: the bytes of the parts that came first, though they have another digest, and the place of the
    /// last; or what is missing.
    pub(super) fn as_they_are(&self) -> Result<(&str, Vec<u8>), String> {
        let (name, total) = (self.label.name(), self.label.total);
        let (mut path, mut end) = (Vec::new(), total);
        while let Some(at) = self.ends.get(&end) {
            path.push(*at);
            end = at.0;
        }
        path.reverse();
        let last = path.last().and_then(|(begin, index)| self.parts.get(begin)?.get(*index));
        last.map(|last| (last.place.as_str(), self.joined(&path))).ok_or_else(|| {
            let has = self.ends.keys().max().copied().unwrap_or_default();
            format!("{name}: {has} of {total} bytes are there: left out; its last part may be on its way, or is gone")
        })
    }
}

/// The steps up to `last`, from the first on.
fn path(steps: &[(At, Option<usize>)], mut last: Option<usize>) -> Vec<At> {
    let mut path = Vec::new();
    while let Some((at, before)) = last.and_then(|last| steps.get(last)) {
        path.push(*at);
        last = *before;
    }
    path.reverse();
    path
}
