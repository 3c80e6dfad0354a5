//! The spool: the disk between the chain and the targets.
//!
//! # On disk
//! `<dir>/<host>/<stream>/<first seq, 20 digits>.ndjson.zst`, the archive's own layout: each segment one zstd frame, a file
//! up to 8 MiB of them (a sixteenth of a small `max_size`, and a quarter of what is free on the disk, if that is less). The last frame of the newest file may be torn.
//! `<dir>/ledger.json` says which streams there are, how far the targets got, and the state after a line from which on
//! recovery reads ([`ledger`]). `<dir>/quarantine/` keeps what a target refused for good and what was found damaged.
//! `<dir>/receipts/` keeps what targets signed, for the auditor ([`receipts`]).
//! [`survey`] says what is there and what is damaged, by recovery on a disk that takes no changes ([`damage`], [`repair`]).
//! `<dir>/reserve` is room for the ledger on a full disk; `<dir>/.lock` keeps a second agent out.
//!
//! # Invariants
//! 1. A segment is shown to forwarders only after the `fdatasync` that covers it.
//! 2. The ledger names a stream before its first byte exists, and a batch before its first attempt.
//! 3. A file is deleted only after the ledger durably says that every required target has it and that a snapshot covers it.
//! 4. Lines found at start are final. A torn end is cut back to its last whole line, by `durable::replace`.
//! 5. Over `max_size` the writer waits; heartbeats and close lines may use what [`Spool::wait_for_room`] leaves free. What
//!    required targets refused counts.
//! 6. An optional target holds no more than its `max_lag` beyond what every required one has: over that it is skipped, and the
//!    next stream says so ([`release`]).

mod aside;
mod cursors;
mod damage;
mod error;
mod ledger;
mod quarantine;
mod queue;
mod receipts;
mod recovery;
mod release;
mod repair;
pub(crate) mod segment;
mod survey;
mod view;
mod writer;

pub use cursors::{Cursors, KnownSource};
pub use damage::{Damage, Harm};
pub use error::Error;
pub use ledger::{Frozen, Snapshot};
pub use queue::BatchLimits;
pub use recovery::Recovered;
pub use release::Skipped;
pub use repair::{Repair, repair};
pub use survey::{Survey, last_receipts, survey};
pub use view::{Position, View, Viewer};
pub use writer::{Begun, Writer};

use crate::chain::receipt::Receipt;
use crate::durable::{self, FileSystem};
use crate::record::{Seq, StreamId};
use crate::service::Pulse;
use ledger::Ledger;
use quarantine::Quarantine;
use queue::{Next, Queue, SegmentRef};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// `[spool]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Its folder.
    pub dir: PathBuf,
    /// Bytes of lines that it may hold; reading stops there.
    pub max_size_bytes: u64,
    /// After a stop, how long targets may take to store what it holds; the rest is sent at the next start.
    pub drain_timeout: Duration,
}

impl Config {
    /// Of a spool that is looked at, and neither filled nor drained.
    fn at_rest(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), max_size_bytes: u64::MAX, drain_timeout: Duration::ZERO }
    }
}

/// A target as far as the spool is concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// What it may hold of the spool that every required target has; `None`: it is required itself.
    pub max_lag_bytes: Option<u64>,
}

/// The spool; clones share it.
#[derive(Clone)]
pub struct Spool {
    shared: Arc<Shared>,
}

struct Shared {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    host: String,
    max_bytes: u64,
    roll_bytes: u64,
    targets: Vec<Target>,
    state: Mutex<State>,
    room: Condvar,
    news: watch::Sender<u64>,
    phase: watch::Sender<Phase>,
    durable: watch::Sender<Option<Durable>>,
    /// Of the thread that makes lines durable.
    pulse: Arc<Pulse>,
    _lock: durable::Lock,
}

struct State {
    queue: Queue,
    ledger: Ledger,
    quarantine: Quarantine,
    failed: Option<String>,
    /// Over its bound, and said so.
    full: bool,
}

/// How far the present stream is durable; all before it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// The stream that was begun last.
    pub stream: StreamId,
    /// Its lines before this one are durable.
    pub next: Seq,
}

/// What is to be done with batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// They are sent as they fill up.
    Filling,
    /// They are sent at once, what there is.
    Draining,
    /// They are left to whoever opens the spool next.
    Retired,
}

/// What a forwarder does next.
#[derive(Debug)]
pub enum Work {
    /// Send this batch; its bounds are durable.
    Batch(Frozen),
    /// Ask again when the spool has news, or at this time.
    Wait(Option<Instant>),
}

impl Spool {
    /// Opens the spool in `config.dir` for `host`, recovering what a crash left.
    pub fn open(
        config: &Config,
        host: &str,
        targets: &[Target],
        fs: Arc<dyn FileSystem>,
    ) -> Result<(Self, Recovered), Error> {
        recovery::open(config, host, targets, fs)
    }

    /// Begins a stream.
    pub fn begin_stream(&self, stream: StreamId) -> Result<Begun, Error> {
        Writer::begin(self, stream)
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.shared.lock().queue.bytes()
    }

    /// The last receipt of each target.
    pub fn receipts(&self) -> Vec<(String, Receipt)> {
        let state = self.shared.lock();
        let receipts = state.ledger.targets.iter();
        receipts.filter_map(|(name, target)| Some((name.clone(), target.receipt.clone()?))).collect()
    }

    /// Waits, for `limit` at most, until the spool may take more lines: a sixty-fourth of it, at least 1 MiB, stays free for
    /// heartbeats and close lines. Returns whether it may.
    pub fn wait_for_room(&self, limit: Duration) -> Result<bool, Error> {
        let shared = &self.shared;
        let bound = shared.max_bytes - (shared.max_bytes / 64).max(1 << 20);
        let used = |state: &State| state.queue.bytes() + state.quarantine.counted(&shared.targets);
        let mut state = shared.lock();
        if used(&state) < bound {
            return Ok(true);
        }
        // what somebody took out of it gives room
        state.quarantine = Quarantine::measure(&shared.dir);
        if !std::mem::replace(&mut state.full, true) {
            let (bytes, refused) = (state.queue.bytes(), state.quarantine.counted(&shared.targets));
            tracing::warn!(
                bytes,
                refused,
                "the spool is full: reading stops until a target takes lines, or what was refused is taken out of quarantine/"
            );
        }
        let (mut state, _) = shared
            .room
            .wait_timeout_while(state, limit, |state| used(state) >= bound && state.failed.is_none())
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(failed) = &state.failed {
            return Err(Error::Failed(failed.clone()));
        }
        let room = used(&state) < bound;
        if room && std::mem::replace(&mut state.full, false) {
            tracing::info!("the spool has room again");
        }
        Ok(room)
    }

    /// Sees a new number whenever something may have become ready.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.news.subscribe()
    }

    /// Sees how far lines are durable; nothing before the first stream begins.
    pub fn durable(&self) -> watch::Receiver<Option<Durable>> {
        self.shared.durable.subscribe()
    }

    /// Whether the thread that makes lines durable gets on.
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.shared.pulse)
    }

    /// From now on batches are sent without waiting for more.
    pub fn drain(&self) {
        self.shared.phase.send_replace(Phase::Draining);
        self.shared.notify();
    }

    /// From now on nothing more is sent: another spool is opened in the place of this one.
    pub fn retire(&self) {
        self.shared.phase.send_replace(Phase::Retired);
        self.shared.notify();
    }

    /// Sees [`drain`](Self::drain) and [`retire`](Self::retire).
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.shared.phase.subscribe()
    }

    /// Whether every required target has everything.
    pub fn is_drained(&self) -> bool {
        let now = Instant::now();
        let limits = BatchLimits { max_size_bytes: 1, max_age: Duration::ZERO };
        let state = self.shared.lock();
        let mut targets = state.ledger.targets.iter().filter(|(name, _)| self.shared.is_required(name));
        targets.all(|(_, target)| {
            target.frozen.is_none() && matches!(state.queue.next(&mut target.clone(), limits, now), Next::Empty)
        })
    }

    /// What a target should send now. A batch that it returns is durable in the ledger, and is returned again, with the same
    /// bounds, until it is acknowledged.
    pub fn work(&self, target: &str, limits: BatchLimits) -> Result<Work, Error> {
        let shared = &self.shared;
        let mut state = shared.lock();
        let max_age = if *shared.phase.borrow() == Phase::Draining { Duration::ZERO } else { limits.max_age };
        let limits = BatchLimits { max_age, ..limits };
        let State { queue, ledger, .. } = &mut *state;
        let Some(position) = ledger.targets.get_mut(target) else { return Ok(Work::Wait(None)) };
        if let Some(frozen) = position.frozen {
            return Ok(Work::Batch(frozen));
        }
        match queue.next(position, limits, Instant::now()) {
            Next::Empty => Ok(Work::Wait(None)),
            Next::Wait(until) => Ok(Work::Wait(Some(until))),
            Next::Batch(frozen) => {
                position.frozen = Some(frozen);
                shared.write_ledger(&state.ledger)?;
                Ok(Work::Batch(frozen))
            }
        }
    }

    /// The bytes of a batch.
    pub fn read(&self, batch: &Frozen) -> Result<Vec<u8>, Error> {
        let path = self.shared.file_path(batch.stream, batch.file);
        let read = || {
            let mut bytes = vec![0; usize::try_from(batch.len).map_err(io::Error::other)?];
            std::fs::File::open(&path)?.read_exact_at(&mut bytes, batch.offset)?;
            Ok(bytes)
        };
        read().map_err(|e| self.shared.io("read a batch from", path.clone(), e))
    }

    /// Whether `target` refused this stream for good.
    pub fn is_refused(&self, target: &str, stream: StreamId) -> bool {
        self.shared.lock().ledger.targets.get(target).is_some_and(|state| state.refused == Some(stream))
    }

    /// The target has the batch, and perhaps signed that: moves its position, and deletes files that nobody needs any more.
    pub fn acknowledge(&self, target: &str, batch: &Frozen, receipt: Option<Receipt>) -> Result<(), Error> {
        if let Some(receipt) = &receipt {
            receipts::keep(&self.shared, target, receipt);
        }
        self.settle(target, batch, |state| {
            state.receipt = receipt.or(state.receipt.take());
            state.has_lines(batch.stream, state.next);
        })
    }

    /// The refused batch is settled, now that it is kept; the rest of its stream will be kept in the same way.
    pub fn give_up(&self, target: &str, batch: &Frozen) -> Result<(), Error> {
        self.settle(target, batch, |state| {
            state.refused = Some(batch.stream);
            state.misses_lines(batch.stream);
        })
    }

    /// Whether this batch is still what the target should have next: an optional one may have lost it meanwhile.
    pub fn is_frozen(&self, target: &str, batch: &Frozen) -> bool {
        self.shared.lock().ledger.targets.get(target).is_some_and(|state| state.frozen.as_ref() == Some(batch))
    }

    fn settle(&self, target: &str, batch: &Frozen, change: impl FnOnce(&mut ledger::TargetState)) -> Result<(), Error> {
        self.shared.update_ledger(|ledger| {
            if let Some(state) = ledger.targets.get_mut(target).filter(|state| state.frozen.as_ref() == Some(batch)) {
                state.frozen = None;
                (state.stream, state.next) = (Some(batch.stream), batch.seq[1] + 1);
                change(state);
            }
        })?;
        self.shared.delete_released()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // no code panics while it holds the lock; should one, the state is still whole, as each change is one assignment
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn is_required(&self, target: &str) -> bool {
        self.targets.iter().any(|known| known.name == target && known.max_lag_bytes.is_none())
    }

    fn notify(&self) {
        self.news.send_modify(|count| *count += 1);
        self.room.notify_all();
    }

    fn stream_dir(&self, stream: StreamId) -> PathBuf {
        self.dir.join(&self.host).join(stream.to_string())
    }

    fn file_path(&self, stream: StreamId, first: Seq) -> PathBuf {
        self.stream_dir(stream).join(writer::file_name(first))
    }

    fn io(&self, what: &'static str, path: PathBuf, error: io::Error) -> Error {
        Error::Io { what, path, error }
    }

    fn failure(&self) -> Result<(), Error> {
        match &self.lock().failed {
            Some(reason) => Err(Error::Failed(reason.clone())),
            None => Ok(()),
        }
    }

    fn fail(&self, error: &Error) {
        tracing::error!(%error, "the spool failed");
        self.lock().failed = Some(error.to_string());
        self.notify();
    }

    /// The open file has this many bytes now.
    fn grown(&self, stream: StreamId, first: Seq, len: u64) {
        let mut state = self.lock();
        let files = state.queue.stream_mut(stream).map(|stream| &mut stream.files);
        if let Some(file) = files.and_then(|files| files.iter_mut().find(|file| file.first == first)) {
            file.len = len;
        }
    }

    /// These segments, of the stream's newest file, are durable.
    fn publish(&self, stream: StreamId, sealed: &[SegmentRef]) {
        let mut state = self.lock();
        let file = state.queue.stream_mut(stream).and_then(|stream| stream.files.back_mut());
        if let Some(file) = file {
            file.segments.extend(sealed);
        }
        drop(state);
        self.notify();
    }

    fn update_ledger(&self, change: impl FnOnce(&mut Ledger)) -> Result<(), Error> {
        self.update(|_, ledger| change(ledger))
    }

    fn update(&self, change: impl FnOnce(&mut Queue, &mut Ledger)) -> Result<(), Error> {
        let mut state = self.lock();
        let State { queue, ledger, .. } = &mut *state;
        change(queue, ledger);
        self.write_ledger(ledger)
    }

    /// What the disk has left for this user; all there is, if it doesn't tell.
    fn free_bytes(&self) -> u64 {
        rustix::fs::statvfs(&self.dir).map_or(u64::MAX, |fs| fs.f_bavail.saturating_mul(fs.f_frsize))
    }

    /// Under the lock, so that an older ledger never replaces a newer one.
    fn write_ledger(&self, ledger: &Ledger) -> Result<(), Error> {
        let path = self.dir.join("ledger.json");
        let bytes = ledger.to_bytes();
        let write = || durable::replace(&*self.fs, &path, &bytes, 0o600);
        let written = write().or_else(|error| match error.kind() {
            // without room for the ledger nothing could be deleted either: that is what the reserve is for
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                drop(self.fs.remove(&self.dir.join("reserve")));
                write()
            }
            _ => Err(error),
        });
        written.map_err(|e| self.io("write", path.clone(), e))
    }

    fn store_snapshot(&self, snapshot: Snapshot, stream: StreamId, ended: bool) -> Result<(), Error> {
        if ended && let Some(stream) = self.lock().queue.stream_mut(stream) {
            stream.ended = true;
            stream.files.iter_mut().for_each(|file| file.rolled = true);
        }
        self.update_ledger(|ledger| ledger.snapshot = Some(snapshot))?;
        self.notify();
        self.delete_released()
    }
}
