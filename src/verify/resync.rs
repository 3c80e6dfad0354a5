//! Finding a run's place again after lines that are missing or damaged: which segment's keys are these lines'?
//!
//! A segment's checkpoint says its number and first line; that is believed only if a tag then fits.

use super::parse::Parsed;
use super::stream::Fold;
use super::tags::{Place, Tag};
use crate::chain::SEGMENT_LINES;
use crate::record::Seq;

/// Keys that are derived for it in one stream, at most: a few seconds of work.
pub(super) const STEPS_MAX: u64 = 1 << 22;
/// Segments that are tried where no checkpoint tells.
const SEARCH_SEGMENTS: u64 = 64;

impl Fold<'_> {
    /// Corrects the place of these lines if it is not where it was thought; gives their tags at the right one.
    pub(super) fn resync(&mut self, buffer: &[u8], lines: &[&Parsed], tags: Vec<Tag>) -> Vec<Tag> {
        let Some(last) = lines.last() else { return tags };
        let claim = last.checkpoint().map(|body| (body.segment, body.first));
        let elsewhere = claim.filter(|claim| *claim != (self.place.segment, self.place.first));
        if self.place.key.is_none() {
            // nothing but the checkpoint's own word to go by
            if let Some((segment, first)) = elsewhere.filter(|_| !self.place_known) {
                (self.place.segment, self.place.first) = (segment, first);
            }
            return tags;
        }
        let good = tags.contains(&Tag::Good);
        if let Some((segment, first)) = elsewhere
            && let Some(place) = self.walk(segment, first, last.seq)
        {
            let there = place.check(buffer, lines, self.stream());
            // a lone line after a hole has no tag that can be checked
            let nothing_to_check = !self.place_known && !good && there.iter().all(|tag| *tag == Tag::Unknown);
            if there.contains(&Tag::Good) || nothing_to_check {
                return self.adopt(place, lines, tags, there);
            }
        }
        let misfit = tags.iter().any(|tag| matches!(tag, Tag::Bad | Tag::Beyond));
        if !good
            && misfit
            && !self.place_known
            && let Some(place) = self.search(buffer, lines)
        {
            let there = place.check(buffer, lines, self.stream());
            return self.adopt(place, lines, tags, there);
        }
        tags
    }

    /// Lines before the new place's first keep the tags that they had.
    fn adopt(&mut self, place: Place, lines: &[&Parsed], here: Vec<Tag>, there: Vec<Tag>) -> Vec<Tag> {
        let first = place.first;
        self.place = place;
        self.place_known = true;
        let each = lines.iter().zip(here.into_iter().zip(there));
        each.map(|(line, (here, there))| if line.seq < first { here } else { there }).collect()
    }

    /// The place that a checkpoint at `seq` claims, if it can be.
    fn walk(&mut self, segment: u64, first: Seq, seq: Seq) -> Option<Place> {
        // a segment has a line at least, so that there are no more segments than lines before
        let steps = segment.checked_sub(self.place.segment).filter(|_| segment <= first && first <= seq)?;
        self.steps_left = self.steps_left.checked_sub(steps)?;
        let mut place = self.place.clone();
        for _ in 0..steps {
            place = place.next_segment(first);
        }
        place.first = first;
        Some(place)
    }

    /// Tries the next segments for a line whose tag can be checked.
    fn search(&mut self, buffer: &[u8], lines: &[&Parsed]) -> Option<Place> {
        let pairs = lines.windows(2).find(|pair| pair[0].seq.checked_add(1) == Some(pair[1].seq));
        let (before, line) = match (pairs, self.place.last) {
            (Some(pair), _) => ((pair[0].seq, pair[0].leaf), pair[1]),
            (None, Some(last)) => (last, *lines.first()?),
            (None, None) => return None,
        };
        let mut place = self.place.clone();
        for _ in 0..SEARCH_SEGMENTS {
            place = place.next_segment(line.seq);
            let mut keys = place.key.as_ref()?.lines();
            for index in 0..SEGMENT_LINES.min(line.seq + 1) {
                self.steps_left = self.steps_left.checked_sub(1)?;
                let header = &buffer[line.header.clone()];
                let key = keys.next_line();
                let tag = crate::chain::tag(&key, self.stream(), line.seq, &before.1, header, &line.commitment);
                if tag == line.tag && before.0.checked_add(1) == Some(line.seq) {
                    return Some(Place { first: line.seq - index, ..place });
                }
            }
        }
        None
    }
}
