//! Across the streams of an archive: which follows which, and what one, a receipt or the inventory says of another.

use super::Options;
use super::claim::Claim;
use super::clock::SILENCE_NS;
use super::finding::{Finding, Found, Word};
use super::opening::Start;
use super::parse::SkipBody;
use super::stream::StreamEnd;
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
    options: &'a Options,
    emit: &'a mut dyn FnMut(Finding),
}

impl<'a> Links<'a> {
    /// `ends` must be ordered by host and time.
    pub(super) fn new(ends: &'a [StreamEnd], options: &'a Options, emit: &'a mut dyn FnMut(Finding)) -> Self {
        let mut by_name = HashMap::new();
        for (index, end) in ends.iter().enumerate() {
            by_name.entry((end.host.as_str(), end.stream)).or_insert(index);
        }
        Self { ends, by_name, successors: HashMap::new(), options, emit }
    }

    /// Everything that more than one stream is needed for. `claimed` are receipts of streams that are not there.
    pub(super) fn judge(mut self, claimed: &[(Name, Claim)]) {
        self.chain();
        let mut named = HashSet::new();
        for (name, claim) in claimed {
            if named.insert(name.clone()) {
                self.stream_missing(name, &format!("{} names it", claim.source));
            }
        }
        for name in &self.options.inventory {
            if !self.by_name.contains_key(&(name.0.as_str(), name.1)) && named.insert(name.clone()) {
                self.stream_missing(name, "the inventory names it");
            }
        }
        for index in 0..self.ends.len() {
            self.holes(index);
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
                None if self.skip_of(&end.host, prev.stream, 0).is_some() => {
                    let skip = self.skip_of(&end.host, prev.stream, 0).map_or_else(String::new, describe);
                    self.report(end, Word::Skipped, 0, format!("the stream before it is not here: {skip}"));
                }
                None if self.had_beginning(&end.host, start, prev.stream) => {
                    let why =
                        format!("skip lines of stream {} say that its targets had the beginning of it", end.stream);
                    self.stream_missing(&(end.host.clone(), prev.stream), &why);
                }
                None if !start.targets.is_empty() => {
                    let targets: Vec<_> = start.targets.iter().map(|t| super::roots::printable(t)).collect();
                    let detail = format!(
                        "stream {} before it is not here, and the targets {} begin with this one; if this is the \
                         archive of another target, that stream was deleted",
                        prev.stream,
                        targets.join(", ")
                    );
                    self.report(end, Word::Skipped, 0, detail);
                }
                None => self.stream_missing(
                    &(end.host.clone(), prev.stream),
                    &format!("stream {} follows it, and it had {} lines", end.stream, prev.size),
                ),
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

    fn holes(&mut self, index: usize) {
        let end = &self.ends[index];
        for hole in &end.holes {
            match self.skipped(end, hole.from, hole.to) {
                Some(skip) => {
                    self.report(end, Word::Skipped, hole.from, format!("{}: {}", hole.describe(), describe(skip)))
                }
                None => self.report(end, Word::Missing, hole.from, hole.describe()),
            }
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
        if let Some(skip) = self.skipped(end, end.size, claim.size - 1) {
            let detail = format!("{}: {}", claim.more_lines(end.size), describe(skip));
            return self.report(end, Word::Skipped, end.size, detail);
        }
        let word = if end.at_segment_end { Word::Rollback } else { Word::Truncated };
        self.report(end, word, end.size, claim.more_lines(end.size));
    }

    /// Nobody but perhaps a `skip` line knows how far the stream went.
    fn end_unknown(&mut self, end: &StreamEnd) {
        // of several the one that this archive's target got the most of, as far as it can be that
        let skips = self.skips_of(&end.host, end.stream).filter(|skip| skip.to >= end.size);
        match skips.max_by_key(|skip| (skip.from <= end.size, std::cmp::Reverse(skip.from.abs_diff(end.size)))) {
            Some(skip) if skip.from <= end.size => {
                self.report(
                    end,
                    Word::Skipped,
                    end.size,
                    format!("it goes on to line {}: {}", skip.to, describe(skip)),
                );
            }
            Some(skip) => {
                let word = if end.at_segment_end { Word::Rollback } else { Word::Truncated };
                let detail = format!("lines {} to {} are missing: {}", end.size, skip.from - 1, describe(skip));
                self.report(end, word, end.size, detail);
            }
            None if !end.closed => self.silence(end),
            None => {}
        }
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

    /// What `skip` lines say of a stream, as far as somebody who may vouches for them.
    fn skips_of(&self, host: &str, stream: StreamId) -> impl Iterator<Item = &'a SkipBody> {
        let counts = move |end: &&StreamEnd| end.host == host && end.start.as_ref().is_some_and(|start| start.counts);
        let ends = self.ends;
        ends.iter().filter(counts).flat_map(|end| &end.skips).filter(move |skip| skip.stream == stream)
    }

    /// The `skip` line that says that all lines from `from` on were not sent.
    fn skip_of(&self, host: &str, stream: StreamId, from: Seq) -> Option<&'a SkipBody> {
        self.skips_of(host, stream).find(|skip| skip.from <= from)
    }

    /// Whether each target that begins with a stream was skipped within the stream before.
    fn had_beginning(&self, host: &str, start: &Start, before: StreamId) -> bool {
        let had = |target: &String| self.skips_of(host, before).any(|skip| skip.target == *target && skip.from > 0);
        !start.targets.is_empty() && start.targets.iter().all(had)
    }

    /// The `skip` line that says that these lines were not sent.
    fn skipped(&self, end: &StreamEnd, from: Seq, to: Seq) -> Option<&'a SkipBody> {
        self.skips_of(&end.host, end.stream).find(|skip| skip.from <= from && to <= skip.to)
    }

    fn stream_missing(&mut self, (host, stream): &Name, why: &str) {
        let mut found = Found::new(host, *stream);
        match self.skip_of(host, *stream, 0) {
            Some(skip) => {
                found.add(Word::Skipped, 0, format!("no line of this stream is here; {why}; {}", describe(skip)))
            }
            None => found.add(Word::StreamMissing, 0, format!("no line of this stream is here; {why}")),
        }
        found.findings.into_iter().for_each(|finding| {
            (self.emit)(Finding { seq: None, ..finding });
        });
    }

    fn report(&mut self, end: &StreamEnd, word: Word, seq: Seq, detail: impl Into<String>) {
        let mut found = Found::new(&end.host, end.stream);
        found.add(word, seq, detail);
        found.findings.into_iter().for_each(|finding| (self.emit)(finding));
    }
}

/// What a `skip` line says, and what it can't say.
fn describe(skip: &SkipBody) -> String {
    format!(
        "a skip line says that target {} was not sent lines {} to {} of stream {}; if this is the archive of another target, \
         they were deleted",
        skip.target, skip.from, skip.to, skip.stream
    )
}
