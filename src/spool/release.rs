//! What may be deleted, and what optional targets lose by that.
//!
//! An optional target claims what it was not sent, as a required one does, until that is more than its bound: what every required
//! target has and it lacks. Then it is *skipped*: its claim ends, the ledger notes what it lacks, and it begins anew with the next
//! stream, in which a `skip` line for each stream that it lacks, wholly or in part, follows the genesis. Only once the target has
//! these lines the ledger forgets what they say: a target that is skipped again before that never gets them, and is told all of it
//! once more in the next stream. A crash may have them told twice too, never not at all.

use super::ledger::{Lack, Ledger, TargetState, Told};
use super::queue::{BatchLimits, Next, Queue};
use super::{Error, Shared, Spool, State, recovery};
use crate::record::{Seq, StreamId};
use std::io;
use std::time::{Duration, Instant};

/// Lacks of a target that are kept: one that is away for good is skipped again and again.
const LACKS_MAX: usize = 256;

/// What a target was not sent and will not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The target.
    pub target: String,
    /// The stream.
    pub stream: StreamId,
    /// First seq.
    pub from: Seq,
    /// Last seq.
    pub to: Seq,
}

impl Spool {
    /// What the next stream would have to say of targets that were skipped.
    pub fn skipped(&self) -> Vec<Skipped> {
        let mut ledger = self.shared.lock().ledger.clone();
        settle_lacks(&mut ledger);
        untold(&ledger)
    }

    /// The chain says durably, in lines of `stream` up to `last`, that these were skipped. A target that was skipped again
    /// meanwhile, or refused the stream, never gets them.
    pub fn told(&self, skipped: &[Skipped], stream: StreamId, last: Seq) -> Result<(), Error> {
        self.shared.update_ledger(|ledger| {
            let gets_them = |state: &TargetState| state.stream == Some(stream) && state.refused != Some(stream);
            for (target, position) in ledger.targets.iter_mut().filter(|(_, state)| gets_them(state)) {
                let is_told = |lack: &Lack| {
                    skipped.iter().any(|s| s.target == *target && (s.stream, s.from) == (lack.stream, lack.from))
                };
                position.lacks.iter_mut().filter(|lack| is_told(lack)).for_each(|lack| {
                    lack.told = Some(Told { stream, last });
                });
                position.has_lines(stream, position.next);
            }
        })
    }

    /// An optional target goes on with the next stream, and never gets what it lacks before that.
    pub fn skip(&self, target: &str) -> Result<(), Error> {
        self.shared.update(|queue, ledger| {
            if let Some(state) = ledger.targets.get_mut(target) {
                skip(queue, state);
            }
        })?;
        self.shared.delete_released()
    }
}

impl Shared {
    /// Deletes files that every target has, but for those that were skipped.
    pub(super) fn delete_released(&self) -> Result<(), Error> {
        let mut state = self.lock();
        let State { queue, ledger, .. } = &mut *state;
        if self.skip_laggards(queue, ledger) {
            self.write_ledger(ledger)?;
        }
        // who waits for a stream to come needs none of these
        let claimants: Vec<&str> =
            ledger.targets.iter().filter(|(_, state)| state.stream.is_some()).map(|(name, _)| name.as_str()).collect();
        let released = if claimants.is_empty() { Vec::new() } else { queue.release(ledger, &claimants) };
        for file in &released {
            let path = self.file_path(file.stream, file.first);
            match self.fs.remove(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(self.io("delete", path, e)),
                _ => {}
            }
        }
        self.forget_gone(queue, ledger);
        drop(state);
        if !released.is_empty() {
            recovery::make_reserve(self);
            self.notify();
        }
        Ok(())
    }

    /// Streams that have ended and have no files here are no longer the spool's.
    fn forget_gone(&self, queue: &mut Queue, ledger: &mut Ledger) {
        let gone: Vec<StreamId> =
            queue.streams.iter().filter(|s| s.ended && s.files.is_empty()).map(|stream| stream.id).collect();
        for stream in gone {
            drop(std::fs::remove_dir(self.stream_dir(stream)));
            // targets that stand at its end go on with the stream after it
            for target in ledger.targets.values_mut() {
                let limits = BatchLimits { max_size_bytes: 1, max_age: Duration::ZERO };
                let _: Next = queue.next(target, limits, Instant::now());
            }
            let followed = ledger.targets.values().all(|target| target.stream != Some(stream));
            if followed {
                queue.streams.retain(|other| other.id != stream);
                ledger.streams.retain(|other| *other != stream);
            }
        }
    }

    /// Skips each optional target that holds more than it may; returns whether there was one.
    fn skip_laggards(&self, queue: &Queue, ledger: &mut Ledger) -> bool {
        let required: Vec<&str> =
            self.targets.iter().filter(|target| target.max_lag_bytes.is_none()).map(|t| t.name.as_str()).collect();
        let mut skipped = false;
        for target in &self.targets {
            let Some(max_lag_bytes) = target.max_lag_bytes else { continue };
            let held_bytes = queue.held_by(ledger, &target.name, &required);
            if held_bytes <= max_lag_bytes {
                continue;
            }
            let Some(state) = ledger.targets.get_mut(&target.name).filter(|state| state.stream.is_some()) else {
                continue;
            };
            tracing::warn!(target_name = %target.name, held_bytes, max_lag_bytes,
                "an optional target is too far behind: what it lacks of the spool is not kept for it, it goes on with the next stream");
            skip(queue, state);
            skipped = true;
        }
        skipped
    }
}

impl TargetState {
    /// It has the lines of `stream` before `next`, and among them perhaps those that say what it lacks.
    pub(super) fn has_lines(&mut self, stream: StreamId, next: Seq) {
        self.lacks.retain(|lack| lack.told.is_none_or(|told| told.stream != stream || told.last >= next));
    }

    /// It never gets the lines of `stream` that it does not have: what they say of its lacks is to be said again.
    pub(super) fn misses_lines(&mut self, stream: StreamId) {
        let missed = |lack: &&mut Lack| lack.told.is_some_and(|told| told.stream == stream);
        self.lacks.iter_mut().filter(missed).for_each(|lack| lack.told = None);
    }

    /// It never gets the line that says this, so that a later one has to.
    fn lack(&mut self, lack: Lack) {
        if self.lacks.len() >= LACKS_MAX {
            // a stream that it never began leaves nothing in its archive that wants an explanation
            let least = self.lacks.iter().position(|lack| lack.from == 0).unwrap_or(0);
            let Lack { stream, from, .. } = self.lacks.remove(least);
            tracing::warn!(%stream, from, "a target was skipped so often that no skip line will say all that it lacks");
        }
        self.lacks.push(lack);
    }
}

/// Notes what the target lacks, up to the next stream.
fn skip(queue: &Queue, target: &mut TargetState) {
    let Some(at) = target.stream else { return };
    let place = queue.streams.iter().position(|stream| stream.id == at);
    // a stream that is gone was wholly sent
    for stream in queue.streams.iter().skip(place.unwrap_or(0)) {
        let from = if stream.id == at { target.next } else { 0 };
        let to = stream.last().filter(|_| stream.ended);
        if !stream.ended || to.is_some_and(|to| from <= to) {
            target.lack(Lack { stream: stream.id, from, to, told: None });
        }
    }
    target.lacks.iter_mut().for_each(|lack| lack.told = None);
    (target.stream, target.next, target.frozen) = (None, 0, None);
}

/// What no stream that its target gets says yet.
pub(super) fn untold(ledger: &Ledger) -> Vec<Skipped> {
    let mut skipped = Vec::new();
    for (target, state) in &ledger.targets {
        let untold = state.lacks.iter().filter(|lack| lack.told.is_none()).filter_map(|lack| {
            Some(Skipped { target: target.clone(), stream: lack.stream, from: lack.from, to: lack.to? })
        });
        skipped.extend(untold);
    }
    skipped
}

/// The stream before has ended, so that it is known up to where skipped targets lack it.
pub(super) fn settle_lacks(ledger: &mut Ledger) {
    let ends = ledger.snapshot.as_ref().and_then(|last| Some((last.stream, last.size.checked_sub(1)?)));
    for target in ledger.targets.values_mut() {
        for lack in target.lacks.iter_mut().filter(|lack| lack.to.is_none()) {
            lack.to = ends.filter(|(stream, _)| *stream == lack.stream).map(|(_, to)| to);
        }
        // of a stream that it had wholly, or that left no line, it lacks nothing
        target.lacks.retain(|lack| lack.to.is_some_and(|to| lack.from <= to));
    }
}
