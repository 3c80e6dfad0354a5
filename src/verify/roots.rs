//! A stream's tree as the lines build it, held against checkpoints and receipts.

use super::claim::Claim;
use super::finding::{Found, Word};
use super::opening::Start;
use super::parse::CheckpointBody;
use super::tags::{Place, Tag};
use crate::chain::checkpoint::Checkpoint;
use crate::chain::key::Bytes32;
use crate::chain::tree::Edge;
use crate::record::Seq;
use std::collections::VecDeque;

/// Roots after the latest segments, for the receipts that heartbeats name: 2.6 MB, and more than a day of segments.
const RECENT_MAX: usize = 65_536;

/// The tree so far.
#[derive(Debug)]
pub(super) struct Roots {
    /// `None` after lines that are not there, until a checkpoint brings the edge.
    edge: Option<Edge>,
    /// The tree has lines in it that other findings call changed, so that no root will fit.
    damaged: bool,
    /// Sizes and roots after each segment.
    recent: VecDeque<(u64, Bytes32)>,
    /// Receipts that were given to the verifier, the smallest size last.
    claims: Vec<Claim>,
}

/// How a checkpoint is to be judged.
pub(super) struct Judged<'a> {
    /// The stream's genesis, if there is one.
    pub(super) start: Option<&'a Start>,
    /// `<host>/<stream>`.
    pub(super) origin: &'a str,
    pub(super) seq: Seq,
    /// Where the checkpoint's segment stands.
    pub(super) place: &'a Place,
    /// Whether that place is known for certain.
    pub(super) place_known: bool,
    pub(super) tag: Tag,
}

impl Roots {
    /// An empty tree; `claims` are receipts of this stream.
    pub(super) fn new(mut claims: Vec<Claim>) -> Self {
        claims.sort_by_key(|claim| std::cmp::Reverse(claim.size));
        Self { edge: Some(Edge::default()), damaged: false, recent: VecDeque::new(), claims }
    }

    /// Lines are missing here.
    pub(super) fn lose(&mut self) {
        self.edge = None;
    }

    /// A line of the tree was changed.
    pub(super) fn damage(&mut self) {
        self.damaged = true;
    }

    /// The root and whether it can be relied on for comparison.
    pub(super) fn root(&self) -> Option<Bytes32> {
        self.edge.as_ref().filter(|_| !self.damaged).map(Edge::root)
    }

    /// Whether adding `leaves` gives this root.
    pub(super) fn would_give(&self, leaves: impl Iterator<Item = Bytes32>, root: &Bytes32) -> bool {
        self.edge.clone().is_some_and(|mut edge| {
            leaves.for_each(|leaf| edge.push(leaf));
            edge.root() == *root
        })
    }

    /// Adds a line.
    pub(super) fn push(&mut self, leaf: Bytes32, ends_segment: bool, found: &mut Found) {
        let Some(edge) = &mut self.edge else { return };
        edge.push(leaf);
        let (size, damaged) = (edge.size(), self.damaged);
        if ends_segment && !damaged {
            if self.recent.len() == RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back((size, edge.root()));
        }
        // receipts of sizes that went by while lines were missing can't be compared
        while self.claims.last().is_some_and(|claim| claim.size < size) {
            self.claims.pop();
        }
        while let Some(claim) = self.claims.pop_if(|claim| claim.size == size) {
            if !damaged && claim.root != edge.root() {
                found.add(Word::Fork, size - 1, claim.other_root());
            }
        }
    }

    /// What a heartbeat's receipt of this stream says, if it does not fit: `None` where it fits or can't be compared.
    pub(super) fn contradicts(&self, claim: &Claim) -> bool {
        let known = self.recent.binary_search_by_key(&claim.size, |(size, _)| *size);
        known.is_ok_and(|at| self.recent[at].1 != claim.root)
    }

    /// The receipt of the largest size that was not reached.
    pub(super) fn unreached(&mut self, size: u64) -> Option<Claim> {
        self.claims.drain(..).next().filter(|claim| claim.size > size)
    }

    /// Holds a checkpoint against the tree of the lines before it, and goes on from its edge where lines are missing.
    pub(super) fn checkpoint(&mut self, body: &CheckpointBody, judged: &Judged<'_>, found: &mut Found) {
        if body.note.is_empty() {
            return;
        }
        let fault = signed(body, judged).and_then(|note| self.compare(body, &note, judged, found));
        if let Err(fault) = fault {
            // it is a leaf itself, and perhaps no longer the one that it was
            self.damaged = true;
            found.add(Word::BadCheckpoint, judged.seq, fault);
        }
    }

    /// The error is one of the checkpoint itself; a root that other lines do not give is reported here.
    fn compare(
        &mut self,
        body: &CheckpointBody,
        note: &Checkpoint,
        judged: &Judged<'_>,
        found: &mut Found,
    ) -> Result<(), String> {
        let signed = Edge::from_parts(note.size, body.edge.clone()).filter(|edge| edge.root() == note.root);
        let fits = self.edge.as_ref().map(|edge| edge.root() == note.root);
        let explained = self.damaged || judged.tag == Tag::Bad;
        match &signed {
            Some(edge) => {
                self.edge = Some(edge.clone());
                self.damaged = false;
            }
            None if fits == Some(false) => self.edge = None,
            None => {}
        }
        if fits == Some(false) && !explained {
            let lines = format!("lines {} to {}", judged.place.first.min(judged.seq), judged.seq.saturating_sub(1));
            let detail = format!("its root is not that of the lines before it; one of {lines} was changed");
            found.add(Word::BadCheckpoint, judged.seq, detail);
            return Ok(());
        }
        if judged.tag == Tag::Bad {
            // the line was changed, which is reported as that
            return Ok(());
        }
        if signed.is_none() {
            return Err("its edge does not give its root".into());
        }
        if judged.place_known && (body.segment, body.first) != (judged.place.segment, judged.place.first) {
            let (segment, first) = (judged.place.segment, judged.place.first);
            return Err(format!(
                "it says segment {} from line {}, and this is segment {segment} from line {first}",
                body.segment, body.first
            ));
        }
        Ok(())
    }
}

/// The checkpoint that a line carries, signed by the stream's key for this stream and this place.
fn signed(body: &CheckpointBody, judged: &Judged<'_>) -> Result<Checkpoint, String> {
    let note = match judged.start {
        Some(start) if start.sound => Checkpoint::open(&body.note, &start.key),
        // a genesis that was changed may have another key than the stream had; its own finding says so
        Some(_) | None => Checkpoint::parse(&body.note),
    };
    let note = note.map_err(|e| format!("its note: {e}; nothing vouches for lines {} on", body.first))?;
    if note.origin != judged.origin {
        return Err(format!("it is signed for {}", printable(&note.origin)));
    }
    if note.size != judged.seq {
        return Err(format!("it is signed for {} lines, and {} are before it", note.size, judged.seq));
    }
    Ok(note)
}

/// Text from an archive as it may be printed: no control characters, no more than fits a line or two.
pub(super) fn printable(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
