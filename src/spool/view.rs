//! What the spool holds, for whoever asks meanwhile.

use super::ledger::TargetState;
use super::queue::{Queue, SegmentRef};
use super::{Shared, Spool};
use crate::chain::receipt::Receipt;
use std::path::PathBuf;
use std::sync::Weak;
use std::time::{Duration, Instant};

/// Looks at a spool without keeping it open.
#[derive(Clone, Debug, Default)]
pub struct Viewer(Weak<Shared>);

/// A spool at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// Its folder.
    pub dir: PathBuf,
    /// Bytes on disk.
    pub bytes: u64,
    /// What the disk has left for this user.
    pub free_bytes: u64,
    /// Reading stops until there is room.
    pub is_full: bool,
    /// The folder can be written to.
    pub is_writable: bool,
    /// Why it failed, if it did.
    pub failed: Option<String>,
    /// Some line of the present stream is durable, so its genesis is.
    pub is_durable: bool,
    /// Each target by its name.
    pub targets: Vec<(String, Position)>,
}

/// Where a target stands.
#[derive(Clone, Debug)]
pub struct Position {
    /// Bytes of durable segments that it does not have.
    pub behind_bytes: u64,
    /// How long the oldest of them waits.
    pub behind: Duration,
    /// Its last receipt.
    pub receipt: Option<Receipt>,
}

impl Spool {
    /// Looks at this spool as long as it is open.
    pub fn viewer(&self) -> Viewer {
        Viewer(std::sync::Arc::downgrade(&self.shared))
    }
}

impl Viewer {
    /// The spool now; `None` if it is not open.
    pub fn view(&self) -> Option<View> {
        let shared = self.0.upgrade()?;
        let is_writable = rustix::fs::access(&shared.dir, rustix::fs::Access::WRITE_OK).is_ok();
        let (free_bytes, dir) = (shared.free_bytes(), shared.dir.clone());
        let is_durable = shared.durable.borrow().is_some_and(|durable| durable.next > 0);
        let state = shared.lock();
        let position = |target: &TargetState| {
            let missing = || missing(&state.queue, target);
            let oldest = missing().next().map_or(Duration::ZERO, |segment| Instant::now() - segment.since);
            let behind_bytes = missing().map(|segment| segment.len).sum();
            Position { behind_bytes, behind: oldest, receipt: target.receipt.clone() }
        };
        let targets = state.ledger.targets.iter().map(|(name, target)| (name.clone(), position(target))).collect();
        let (bytes, is_full, failed) = (state.queue.bytes(), state.full, state.failed.clone());
        Some(View { dir, bytes, free_bytes, is_full, is_writable, failed, is_durable, targets })
    }
}

/// The segments that a target does not have, in order; none of one that begins with the next stream.
fn missing<'a>(queue: &'a Queue, target: &TargetState) -> impl Iterator<Item = &'a SegmentRef> {
    let (at, next) = (target.stream, target.next);
    // a stream that is gone was wholly sent
    let is_there = queue.streams.iter().any(|stream| Some(stream.id) == at);
    let mut streams = queue.streams.iter().skip_while(move |stream| is_there && Some(stream.id) != at);
    let present = if is_there { streams.next() } else { None };
    let rest = present.into_iter().flat_map(|stream| &stream.files).flat_map(|file| &file.segments);
    let rest = rest.filter(move |segment| segment.last >= next);
    let later = streams.filter(move |_| at.is_some()).flat_map(|stream| &stream.files).flat_map(|file| &file.segments);
    rest.chain(later)
}
