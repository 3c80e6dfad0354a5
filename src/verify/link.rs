//! Across the streams of an archive: which follows which, and what one, a receipt or the inventory says of another.

use super::Options;
use super::claim::Claim;
use super::clock::SILENCE_NS;
use super::excuse::Excuses;
use super::finding::{Found, Word};
use super::opening::Start;
use super::stream::StreamEnd;
use crate::chain::header::Prev;
use crate::chain::stamp::rfc3339;
use crate::record::{Seq, StreamId};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, UNIX_EPOCH};

/// A host and one of its streams.
pub(super) type Name = (String, StreamId);

/// Judges the streams together.
pub(super) struct Links<'a> {
    ends: &'a [StreamEnd],
    by_name: HashMap<(&'a str, StreamId), usize>,
    /// For each stream the one that names it as the stream before.
    successors: HashMap<usize, usize>,
    /// Streams of which it is told that they are not there.
    named: HashSet<Name>,
    excuses: Excuses<'a>,
    options: &'a Options,
    emit: &'a mut dyn FnMut(&mut Found),
}

impl<'a> Links<'a> {
    /// `ends` must be ordered by host and time.
    pub(super) fn new(ends: &'a [StreamEnd], options: &'a Options, emit: &'a mut dyn FnMut(&mut Found)) -> Self {
        let mut by_name = HashMap::new();
        for (index, end) in ends.iter().enumerate() {
            by_name.entry((end.host.as_str(), end.stream)).or_insert(index);
        }
        let excuses = Excuses::new(ends, &options.targets);
        Self { ends, by_name, successors: HashMap::new(), named: HashSet::new(), excuses, options, emit }
    }

    /// Everything that more than one stream is needed for. `claimed` are receipts of streams that are not there.
    pub(super) fn judge(mut self, claimed: &[(Name, Claim)]) {
        self.chain();
        self.begun();
        for (name, claim) in claimed {
            if self.named.insert(name.clone()) {
                self.stream_missing(name, &format!("{} names it", claim.source));
            }
        }
        for name in &self.options.inventory {
            if !self.by_name.contains_key(&(name.0.as_str(), name.1)) && self.named.insert(name.clone()) {
                self.stream_missing(name, "the inventory names it");
            }
        }
        for index in 0..self.ends.len() {
            self.end(index);
        }
    }

    /// Follows `prev` from stream to stream.
    fn chain(&mut self) {
        let mut hosts_begun: HashSet<&str> = HashSet::new();
        for (index, end) in self.ends.iter().enumerate() {
            let Some(start) = end.start.as_ref().filter(|start| start.counts) else { continue };
            let Some(prev) = start.prev else {
                if !hosts_begun.insert(&end.host) {
                    let detail = "it says that it is the first of its host, and an earlier one says so too";
                    self.report(end, Word::Unlinked, 0, detail);
                }
                continue;
            };
            match self.by_name.get(&(end.host.as_str(), prev.stream)) {
                None => self.before_missing(index, start, &prev),
                Some(before) if self.successors.contains_key(before) => {
                    let detail = format!("two streams say that they follow {}", prev.stream);
                    self.report(end, Word::Fork, 0, detail);
                }
                Some(before) => {
                    self.successors.insert(*before, index);
                }
            }
        }
        // a stream that nobody vouches for accuses no other, but it shows that the one before it came to an end
        for (index, end) in self.ends.iter().enumerate() {
            let prev = end.start.as_ref().filter(|start| !start.counts).and_then(|start| start.prev);
            if let Some(before) = prev.and_then(|prev| self.by_name.get(&(end.host.as_str(), prev.stream))) {
                self.successors.entry(*before).or_insert(index);
            }
        }
    }

    /// The stream that `prev` names is not there.
    fn before_missing(&mut self, index: usize, start: &Start, prev: &Prev) {
        let end = &self.ends[index];
        if let Some(skip) = self.excuses.skip(&end.host, prev.stream, [0, 0]) {
            let detail = format!("the stream before it is not here: {}", self.excuses.describe(skip));
            return self.skipped(end, 0, detail, &[&skip.target]);
        }
        let mut earlier = self.ends[..index].iter().filter(|earlier| earlier.host == end.host && earlier.counts());
        let begins_here = earlier.all(|earlier| self.follows(earlier, end.stream));
        let targets = self.excuses.beginning(&end.host, start, prev.stream);
        if begins_here && !targets.is_empty() {
            let targets: Vec<_> = targets.into_iter().map(super::roots::printable).collect();
            let targets: Vec<_> = targets.iter().map(String::as_str).collect();
            let before = format!("stream {} before it is not here", prev.stream);
            let detail = match self.excuses.is_told() {
                true => format!("{before}: target {} begins with this one", targets.join(", ")),
                false => format!(
                    "{before}, and the targets {} begin with this one; if this is the archive of another target, that \
                     stream was deleted",
                    targets.join(", ")
                ),
            };
            return self.skipped(end, 0, detail, &targets);
        }
        let mut why = format!("stream {} follows it, and it had {} lines", end.stream, prev.size);
        if !start.targets.is_empty() {
            let targets: Vec<_> = start.targets.iter().map(|target| super::roots::printable(target)).collect();
            let targets = targets.join(", ");
            why += &match begins_here {
                false => format!("; that {targets} begin with that one excuses no archive with streams before it"),
                true => format!("; that {targets} begin with that one excuses no other target's archive"),
            };
        }
        let name = (end.host.clone(), prev.stream);
        self.named.insert(name.clone());
        self.stream_missing(&name, &why);
    }

    /// Whether `prev` leads from one stream back to another, however their times stand: the clock may have been set back between.
    fn follows(&self, end: &StreamEnd, stream: StreamId) -> bool {
        let mut at = Some(end);
        for _ in self.ends {
            let Some(prev) = at.and_then(|end| end.start.as_ref()?.prev) else { return false };
            if prev.stream == stream {
                return true;
            }
            at = self.by_name.get(&(end.host.as_str(), prev.stream)).map(|index| &self.ends[*index]);
        }
        false
    }

    /// A target that lacks a stream from a later line on has the lines before; where none is there nobody else may name that stream.
    fn begun(&mut self) {
        let ends = self.ends.iter().filter(|end| end.counts());
        for (end, skip) in ends.flat_map(|end| end.skips.iter().map(move |skip| (end, skip))) {
            let (is_here, name) =
                (self.by_name.contains_key(&(end.host.as_str(), skip.stream)), (end.host.clone(), skip.stream));
            let counts = skip.from > 0 && self.excuses.may_be_of(&end.host, &skip.target);
            if is_here || !counts || !self.named.insert(name) {
                continue;
            }
            let mut found = Found::new(&end.host, skip.stream);
            let target = &skip.target;
            let detail = format!(
                "no line of this stream is here; a skip line says that target {target} had lines 0 to {} of it",
                skip.from - 1
            );
            match self.excuses.is_told() {
                true => found.add(Word::StreamMissing, 0, detail),
                false => found.unchecked(format!(
                    "{detail}. Whose archive this is can't be told from it; if it is that target's, they were deleted: give --target {target}"
                )),
            }
            found.findings.iter_mut().for_each(|finding| finding.seq = None);
            (self.emit)(&mut found);
        }
    }

    /// How a stream ends, and whether somebody knows of more.
    fn end(&mut self, index: usize) {
        let end = &self.ends[index];
        if end.end_reported || end.size == 0 || end.start.is_none() {
            return;
        }
        let successor = self.successors.get(&index).map(|s| &self.ends[*s]);
        let prev = successor.and_then(|s| {
            let start = s.start.as_ref().filter(|start| start.counts)?;
            start.prev.map(|prev| (prev, s.stream))
        });
        let in_heartbeats = self.ends.iter().filter(|e| e.host == end.host).flat_map(|e| &e.claims);
        let in_heartbeats = in_heartbeats.filter(|(stream, _)| *stream == end.stream).map(|(_, claim)| claim.clone());
        let mut claims: Vec<Claim> = in_heartbeats.chain(end.unreached.clone()).collect();
        claims.extend(prev.map(|(prev, by)| Claim::of_successor(prev.size, prev.root.0, by)));
        if let Some(most) = claims.iter().max_by_key(|claim| claim.size).filter(|claim| claim.size > end.size) {
            return self.cut(end, most);
        }
        let differs = |claim: &&Claim| claim.size == end.size && end.root.is_some_and(|root| root != claim.root);
        if let Some(other) = claims.iter().find(differs) {
            return self.report(end, Word::Fork, end.size - 1, other.other_root());
        }
        let Some((prev, by)) = prev else {
            if successor.is_none() {
                self.end_unknown(end);
            }
            return;
        };
        if prev.size < end.size {
            let detail =
                format!("lines from {} on stand after the end that the next stream, {by}, knows of", prev.size);
            self.report(end, Word::Forged, prev.size, detail);
        } else if end.root.is_some() && end.leaf != Some(prev.leaf.0) {
            self.report(end, Word::Fork, end.size - 1, format!("the next stream, {by}, knows another last line"));
        } else if !end.closed && !prev.clean {
            let detail = format!("after={}: no close line; the next stream, {by}, confirms this end", end.size - 1);
            self.report(end, Word::UncleanEnd, end.size - 1, detail);
        }
    }

    /// Lines at the end are missing.
    fn cut(&mut self, end: &StreamEnd, claim: &Claim) {
        if let Some(skip) = self.excuses.skip(&end.host, end.stream, [end.size, claim.size - 1]) {
            let detail = format!("{}: {}", claim.more_lines(end.size), self.excuses.describe(skip));
            return self.skipped(end, end.size, detail, &[&skip.target]);
        }
        let word = if end.at_segment_end { Word::Rollback } else { Word::Truncated };
        self.report(end, word, end.size, claim.more_lines(end.size));
    }

    /// Nobody but perhaps a `skip` line knows how far the stream went.
    fn end_unknown(&mut self, end: &StreamEnd) {
        if let Some(skip) = self.excuses.nearest(&end.host, end.stream, end.size) {
            let said = self.excuses.describe(skip);
            if skip.from <= end.size {
                return self.skipped(end, end.size, format!("it goes on to line {}: {said}", skip.to), &[&skip.target]);
            }
            return self.lost(end, skip.from - 1, &said);
        }
        match self.excuses.of_another(&end.host, end.stream, end.size) {
            Some(skip) => {
                let said = "a skip line of target";
                self.lost(end, skip.to, &format!("{said} {} names them, and this is not its archive", skip.target));
            }
            None if !end.closed => self.silence(end),
            None => {}
        }
    }

    /// The stream went on to line `to` at least, and nothing excuses that it is not here.
    fn lost(&mut self, end: &StreamEnd, to: Seq, why: &str) {
        let word = if end.at_segment_end { Word::Rollback } else { Word::Truncated };
        self.report(end, word, end.size, format!("lines {} to {to} are missing: {why}", end.size));
    }

    fn silence(&mut self, end: &StreamEnd) {
        let Some(last_ns) = end.last_time_ns else { return };
        let last = end.size - 1;
        if super::unix_ns(self.options.as_of) - last_ns <= i128::from(SILENCE_NS) {
            self.report(end, Word::Open, last, format!("no close line yet; the last line is {last}"));
            return;
        }
        let since = UNIX_EPOCH + Duration::from_nanos(u64::try_from(last_ns).unwrap_or(0));
        let until = rfc3339(self.options.as_of);
        let detail = format!("{}..{until}: no close line, and nothing after line {last}", rfc3339(since));
        self.report(end, Word::Silence, last, detail);
    }

    fn stream_missing(&mut self, (host, stream): &Name, why: &str) {
        let mut found = Found::new(host, *stream);
        match self.excuses.skip(host, *stream, [0, 0]) {
            Some(skip) => {
                let detail = format!("no line of this stream is here; {why}; {}", self.excuses.describe(skip));
                self.excuse(&mut found, 0, detail, &[&skip.target]);
            }
            None => found.add(Word::StreamMissing, 0, format!("no line of this stream is here; {why}")),
        }
        found.findings.iter_mut().for_each(|finding| finding.seq = None);
        (self.emit)(&mut found);
    }

    fn skipped(&mut self, end: &StreamEnd, seq: Seq, detail: String, targets: &[&str]) {
        let mut found = Found::new(&end.host, end.stream);
        self.excuse(&mut found, seq, detail, targets);
        (self.emit)(&mut found);
    }

    /// Something is missing that need not be in the archive of one of `targets`.
    fn excuse(&self, found: &mut Found, seq: Seq, detail: String, targets: &[&str]) {
        if !self.excuses.is_told() {
            let names = targets.join(" or ");
            found.unchecked(format!(
                "{detail}. Whose archive this is can't be told from it; if it is that of target {names}, give --target {}",
                targets.first().unwrap_or(&"NAME")
            ));
        }
        found.add(Word::Skipped, seq, detail);
    }

    fn report(&mut self, end: &StreamEnd, word: Word, seq: Seq, detail: impl Into<String>) {
        let mut found = Found::new(&end.host, end.stream);
        found.add(word, seq, detail);
        (self.emit)(&mut found);
    }
}
