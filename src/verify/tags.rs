//! Tags: checked segment by segment, side by side; and which line is to blame where one does not fit.

use super::parse::Parsed;
use crate::chain::key::{Bytes32, SegmentKey};
use crate::chain::{SEGMENT_LINES, tag};
use crate::record::{Seq, StreamId};
use std::collections::VecDeque;
use subtle::ConstantTimeEq;

/// What a line's tag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// Header, payload and the line before are as they were chained.
    Good,
    /// Any of them is not.
    Bad,
    /// It can't be checked: no key, or the line before is not there.
    Unknown,
    /// No segment has so many lines.
    Beyond,
}

/// Where in its stream a run of lines stands, as far as keys go.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The segment's number.
    pub(super) segment: u64,
    /// Its first line.
    pub(super) first: Seq,
    /// Its key; `None` without an identity.
    pub(super) key: Option<SegmentKey>,
    /// The line before the run.
    pub(super) last: Option<(Seq, Bytes32)>,
}

impl Place {
    /// Whether the tags that were checked at `other` hold here.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.segment == other.segment && self.first == other.first && self.last == other.last
    }

    /// The place after a run that ended with this line.
    pub(super) fn after(&self, last: &Parsed) -> Self {
        let mut place = self.clone();
        place.last = Some((last.seq, last.leaf));
        if last.checkpoint().is_some() {
            place = place.next_segment(last.seq.saturating_add(1));
        }
        place
    }

    /// The next segment, beginning at `first`.
    pub(super) fn next_segment(&self, first: Seq) -> Self {
        Self {
            segment: self.segment.saturating_add(1),
            first,
            key: self.key.as_ref().map(SegmentKey::next),
            last: self.last,
        }
    }

    /// Checks the tags of lines in ascending order; `buffer` holds their bytes.
    pub(super) fn check(&self, buffer: &[u8], lines: &[&Parsed], stream: StreamId) -> Vec<Tag> {
        let Some(key) = &self.key else { return vec![Tag::Unknown; lines.len()] };
        let mut keys = key.lines();
        let mut at = 0;
        let mut before = self.last;
        lines
            .iter()
            .map(|line| {
                let leaf_before = match (line.seq, before) {
                    (0, _) => Some([0; 32]),
                    (seq, Some((last, leaf))) if last.checked_add(1) == Some(seq) => Some(leaf),
                    _ => None,
                };
                before = Some((line.seq, line.leaf));
                let Some(index) = line.seq.checked_sub(self.first) else { return Tag::Unknown };
                if index >= SEGMENT_LINES {
                    return Tag::Beyond;
                }
                let Some(leaf_before) = leaf_before else { return Tag::Unknown };
                while at < index {
                    keys.next_line();
                    at += 1;
                }
                at += 1;
                let key = keys.next_line();
                let header = &buffer[line.header.clone()];
                let right = tag(&key, stream, line.seq, &leaf_before, header, &line.commitment);
                if bool::from(right.ct_eq(&line.tag)) { Tag::Good } else { Tag::Bad }
            })
            .collect()
    }
}

/// Finds the changed lines. A changed line breaks its own tag and the next one's; which line it was follows from the two
/// after it.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// Lines that are not judged yet, at most three.
    waiting: VecDeque<(Seq, Tag)>,
    /// The last line that was changed, or of which that can't be excluded.
    changed: Option<Seq>,
}

impl Judge {
    /// Takes the next line; gives the seq of an earlier one that was changed.
    pub(super) fn push(&mut self, seq: Seq, tag: Tag) -> Option<Seq> {
        self.waiting.push_back((seq, tag));
        if self.waiting.len() < 3 { None } else { self.decide() }
    }

    /// Judges the lines that are left.
    pub(super) fn finish(&mut self) -> Vec<Seq> {
        (0..self.waiting.len()).filter_map(|_| self.decide()).collect()
    }

    fn decide(&mut self) -> Option<Seq> {
        let (seq, tag) = self.waiting.pop_front()?;
        let after = |n: u64| {
            let found = self.waiting.iter().find(|(s, _)| Some(*s) == seq.checked_add(n));
            found.map(|(_, tag)| *tag)
        };
        let changed = match (tag, after(1), after(2)) {
            (Tag::Good, ..) | (_, Some(Tag::Good), _) => false,
            // the next line is as it was chained, so it is this one that does not fit it
            (_, Some(Tag::Bad), Some(Tag::Good)) => true,
            (Tag::Bad, Some(Tag::Bad), _) => true,
            // the last of a run: broken by the line before it, if that one was changed
            (Tag::Bad, ..) => self.changed.is_none_or(|before| before.checked_add(1) != Some(seq)),
            _ => false,
        };
        if changed {
            self.changed = Some(seq);
        }
        changed.then_some(seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(tags: &str) -> Vec<Seq> {
        let mut judge = Judge::default();
        let mut found = Vec::new();
        for (seq, letter) in tags.bytes().enumerate() {
            let tag = match letter {
                b'g' => Tag::Good,
                b'b' => Tag::Bad,
                b'?' => Tag::Unknown,
                _ => continue,
            };
            found.extend(judge.push(seq as Seq, tag));
        }
        found.extend(judge.finish());
        found
    }

    #[test]
    fn the_changed_line_is_blamed_and_its_neighbours_are_not() {
        for (tags, changed) in [
            ("ggggg", vec![]),
            ("ggbbgg", vec![2]),
            ("bbggg", vec![0]),
            ("gggbb", vec![3]),
            ("ggggb", vec![4]),
            ("ggbbbg", vec![2, 3]),
            ("bbbbb", vec![0, 1, 2, 3]),
            // line 2 is missing, nothing else is wrong
            ("gg.?ggg", vec![]),
            // line 2 is missing and line 3 changed
            ("gg.?bgg", vec![3]),
            ("bbgbbg", vec![0, 3]),
        ] {
            assert_eq!(judge(tags), changed, "{tags}");
        }
    }
}
