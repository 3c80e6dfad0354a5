//! What an archive may lack: what an optional target was not sent, as `skip` lines say, and what was before a target began. That
//! excuses the archive of this target and no other, and who keeps another one's could delete just these lines. So it counts
//! for the target that the auditor names; where none is named it is said, and left unchecked.

use super::opening::Start;
use super::parse::SkipBody;
use super::stream::StreamEnd;
use crate::record::{Seq, StreamId};
use std::collections::{HashMap, HashSet};

/// The skips of all streams, as far as somebody who may vouches for them.
pub(super) struct Excuses<'a> {
    skips: HashMap<(&'a str, StreamId), Vec<&'a SkipBody>>,
    /// Hosts and targets of whom this is not the archive: it has lines that they can't have.
    others: HashSet<(&'a str, &'a str)>,
    /// Whose archive this is, by each name that it had; none where nobody says it.
    targets: &'a [String],
}

impl<'a> Excuses<'a> {
    pub(super) fn new(ends: &'a [StreamEnd], targets: &'a [String]) -> Self {
        let mut skips: HashMap<_, Vec<_>> = HashMap::new();
        for end in ends.iter().filter(|end| end.counts()) {
            for skip in &end.skips {
                skips.entry((end.host.as_str(), skip.stream)).or_default().push(skip);
            }
        }
        let sizes: HashMap<_, _> = ends.iter().map(|end| ((end.host.as_str(), end.stream), end.size)).collect();
        let mut others = HashSet::new();
        for end in ends {
            // with a stream that names targets one of them may have rejoined, by a name that it no longer has
            let start = end.start.as_ref().filter(|start| start.counts && start.targets.is_empty());
            let Some(prev) = start.and_then(|start| start.prev) else { continue };
            let before = (end.host.as_str(), prev.stream);
            let of = |name: &(&'a str, StreamId)| skips.get(name).into_iter().flatten();
            for skip in of(&(before.0, end.stream)).filter(|skip| skip.from == 0) {
                // lines are sent in order: of this one it has none before it has all of the one before
                let have = sizes.get(&before).copied().unwrap_or(0);
                if of(&before).any(|lacked| lacked.target == skip.target && lacked.to >= have) {
                    others.insert((before.0, skip.target.as_str()));
                }
            }
        }
        Self { skips, others, targets }
    }

    /// Whether it is known whose archive this is.
    pub(super) fn is_told(&self) -> bool {
        !self.targets.is_empty()
    }

    /// The `skip` line that excuses that these lines are missing; of a stream of which none is there, its first.
    pub(super) fn skip(&self, host: &str, stream: StreamId, [from, to]: [Seq; 2]) -> Option<&'a SkipBody> {
        let mut skips = self.counting(host, stream);
        skips.find(|skip| skip.from <= from && to <= skip.to)
    }

    /// Of the `skip` lines that excuse a stream's end from `size` on, or a later part of it, the one that this archive's target
    /// got the most of, as far as it can be that.
    pub(super) fn nearest(&self, host: &str, stream: StreamId, size: u64) -> Option<&'a SkipBody> {
        let later = self.counting(host, stream).filter(|skip| skip.to >= size);
        later.max_by_key(|skip| (skip.from <= size, std::cmp::Reverse(skip.from.abs_diff(size))))
    }

    /// A `skip` line that knows of lines from `size` on, though it excuses another target's archive.
    pub(super) fn of_another(&self, host: &str, stream: StreamId, size: u64) -> Option<&'a SkipBody> {
        self.of(host, stream).filter(|skip| skip.to >= size).max_by_key(|skip| skip.to)
    }

    /// The targets of which one may be this archive's, where that begins with the stream of `start`: the one before they never had.
    pub(super) fn beginning<'s>(&self, host: &str, start: &'s Start, before: StreamId) -> Vec<&'s str> {
        let had = |target: &str| self.of(host, before).any(|skip| skip.target == target && skip.from > 0);
        let targets = start.targets.iter().map(String::as_str);
        targets.filter(|target| self.may_be_of(host, target) && !had(target)).collect()
    }

    /// For people: what a `skip` line says, and what it can't say.
    pub(super) fn describe(&self, skip: &SkipBody) -> String {
        let SkipBody { target, stream, from, to } = skip;
        let said =
            format!("a skip line says that target {target} was not sent lines {from} to {to} of stream {stream}");
        match self.is_told() {
            true => said,
            false => said + "; if this is the archive of another target, they were deleted",
        }
    }

    fn of<'s>(&'s self, host: &'s str, stream: StreamId) -> impl Iterator<Item = &'a SkipBody> + use<'s, 'a> {
        self.skips.get(&(host, stream)).into_iter().flatten().copied()
    }

    fn counting<'s>(&'s self, host: &'s str, stream: StreamId) -> impl Iterator<Item = &'a SkipBody> + use<'s, 'a> {
        self.of(host, stream).filter(move |skip| self.may_be_of(host, &skip.target))
    }

    /// Whether this may be the archive of that target.
    pub(super) fn may_be_of(&self, host: &str, target: &str) -> bool {
        let is_told = self.targets.is_empty() || self.targets.iter().any(|told| told == target);
        is_told && !self.others.contains(&(host, target))
    }
}
