//! What the spool holds, in memory: streams, their files, and the durable segments in them.

use super::ledger::{Frozen, Ledger, TargetState};
use crate::record::{Seq, StreamId};
use std::collections::VecDeque;
use std::time::Instant;

/// A durable segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentRef {
    pub first: Seq,
    pub last: Seq,
    /// Where its frame begins in its file, and its length.
    pub offset: u64,
    pub len: u64,
    /// When it became durable, or was found.
    pub since: Instant,
}

/// A file of a stream.
#[derive(Debug)]
pub(crate) struct SpoolFile {
    pub first: Seq,
    pub len: u64,
    pub segments: VecDeque<SegmentRef>,
    /// Nothing more is written to it.
    pub rolled: bool,
}

impl SpoolFile {
    pub(super) fn last(&self) -> Option<Seq> {
        self.segments.back().map(|segment| segment.last)
    }
}

/// A stream that has files here.
#[derive(Debug)]
pub(crate) struct SpooledStream {
    pub id: StreamId,
    pub files: VecDeque<SpoolFile>,
    /// It has all its segments.
    pub ended: bool,
}

impl SpooledStream {
    /// The last seq of what is here.
    pub(crate) fn last(&self) -> Option<Seq> {
        self.files.back()?.last()
    }
}

/// A file that is to be deleted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Released {
    pub stream: StreamId,
    pub first: Seq,
}

/// All of it, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub streams: VecDeque<SpooledStream>,
}

/// When a batch is ready.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// It has this many bytes …
    pub max_size_bytes: u64,
    /// … or its first segment has waited this long, or it must go now (`Duration::ZERO`).
    pub max_age: std::time::Duration,
}

/// What a target should do now.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send this.
    Batch(Frozen),
    /// Something is there, but may wait for more until then.
    Wait(Instant),
    /// Nothing is there.
    Empty,
}

impl Queue {
    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.streams.iter().flat_map(|stream| &stream.files).map(|file| file.len).sum()
    }

    pub(crate) fn stream_mut(&mut self, id: StreamId) -> Option<&mut SpooledStream> {
        self.streams.iter_mut().find(|stream| stream.id == id)
    }

    /// Moves a target past streams that it has wholly; returns what stands next for it.
    pub(crate) fn next(&self, target: &mut TargetState, limits: BatchLimits, now: Instant) -> Next {
        loop {
            let Some(id) = target.stream else { return Next::Empty };
            let position = self.streams.iter().position(|stream| stream.id == id);
            let stream = position.map(|at| &self.streams[at]);
            let file =
                stream.and_then(|s| s.files.iter().find(|file| file.last().is_some_and(|last| last >= target.next)));
            if let Some(file) = file {
                return batch(id, file, target.next, limits, now);
            }
            // a stream that is gone from the spool was wholly sent: files are deleted in order, and only then
            let after = position.map_or(0, |at| at + 1);
            match self.streams.get(after) {
                Some(following) if stream.is_none_or(|s| s.ended) => {
                    (target.stream, target.next, target.joined) = (Some(following.id), 0, false);
                }
                _ => return Next::Empty,
            }
        }
    }

    /// Files that every claimant has and that recovery does not need: removed here, to be deleted by the caller.
    pub(crate) fn release(&mut self, ledger: &Ledger, claimants: &[&str]) -> Vec<Released> {
        let counts = self.releasable(ledger, claimants);
        let mut released = Vec::new();
        for (stream, count) in self.streams.iter_mut().zip(counts) {
            let files = stream.files.drain(..count);
            released.extend(files.map(|file| Released { stream: stream.id, first: file.first }));
        }
        released
    }

    /// Bytes that could be deleted if it were not for the target `name`: the others are `required`.
    pub(crate) fn held_by(&self, ledger: &Ledger, name: &str, required: &[&str]) -> u64 {
        let all = [required, &[name]].concat();
        let bytes =
            |(stream, count): (&SpooledStream, usize)| stream.files.iter().take(count).map(|f| f.len).sum::<u64>();
        let released = |claimants: &[&str]| -> u64 {
            self.streams.iter().zip(self.releasable(ledger, claimants)).map(bytes).sum()
        };
        released(required).saturating_sub(released(&all))
    }

    /// How many of each stream's files, the oldest ones, every claimant has and recovery does not need.
    fn releasable(&self, ledger: &Ledger, claimants: &[&str]) -> Vec<usize> {
        let place = |id: StreamId| self.streams.iter().position(|stream| stream.id == id);
        let counted = self.streams.iter().enumerate().map(|(at, stream)| {
            // up to which seq of this stream all claimants and the snapshot have got
            let past = |id: Option<StreamId>, next: Seq| match id.and_then(place) {
                Some(other) if other == at => next,
                Some(other) if other > at => Seq::MAX,
                _ => 0,
            };
            let sent = claimants.iter().map(|name| match ledger.targets.get(*name) {
                Some(state) => past(state.stream, state.next),
                None => 0,
            });
            let known = ledger.snapshot.as_ref().map_or(0, |snapshot| past(Some(snapshot.stream), snapshot.size));
            let bound = sent.fold(known, Seq::min);
            let is_past = |file: &&SpoolFile| file.rolled && file.last().is_none_or(|last| last < bound);
            stream.files.iter().take_while(is_past).count()
        });
        counted.collect()
    }
}

/// Whole segments of one file from `next` on, up to the limit of size.
fn batch(stream: StreamId, file: &SpoolFile, next: Seq, limits: BatchLimits, now: Instant) -> Next {
    let mut segments = file.segments.iter().skip_while(|segment| segment.last < next);
    let Some(first) = segments.next() else { return Next::Empty };
    let mut frozen =
        Frozen { stream, seq: [first.first, first.last], file: file.first, offset: first.offset, len: first.len };
    let mut full = file.rolled || frozen.len >= limits.max_size_bytes;
    for segment in segments {
        if frozen.len + segment.len > limits.max_size_bytes {
            full = true;
            break;
        }
        frozen.seq[1] = segment.last;
        frozen.len += segment.len;
    }
    let due = first.since + limits.max_age;
    if full || due <= now { Next::Batch(frozen) } else { Next::Wait(due) }
}
