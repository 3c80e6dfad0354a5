//! Writes lines: into a frame, the frame into a file, the file to the disk.
//!
//! Two threads: the owner of the [`Writer`] compresses and writes, the sync thread calls `fdatasync` for whatever was
//! written since its last call (group commit), so that reading and chaining go on meanwhile. A segment is shown to the
//! forwarders only after the `fdatasync` that covers it: the COMMIT POINT.

use super::ledger::Snapshot;
use super::queue::{SegmentRef, SpoolFile, SpooledStream};
use super::release::{Skipped, settle_lacks, untold};
use super::{Durable, Error, Shared, Spool, segment};
use crate::durable::{self, Append};
use crate::record::{Seq, StreamId};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation, OutBuffer};

/// How long to wait before a full disk is tried again.
const DISK_FULL_RETRY: Duration = Duration::from_millis(200);

/// What a writer that found the disk full leaves free.
const LEFT_TO_THE_LEDGER: u64 = 128 * 1024;

/// The writing end of one stream.
pub struct Writer {
    spool: Spool,
    stream: StreamId,
    file: Box<dyn Append>,
    file_first: Seq,
    /// Bytes in the file.
    written: u64,
    /// Where the open frame begins in the file.
    frame_at: u64,
    frame: Encoder<'static>,
    /// Compressed bytes that are not in the file yet.
    pending: Vec<u8>,
    sync: Sender<Request>,
    syncing: Option<std::thread::JoinHandle<()>>,
}

/// A stream that began. Its first lines say who begins with it, and what of them lacks lines of others: neither changed in between,
/// as a target may be skipped at any time.
pub struct Begun {
    /// Where its lines go.
    pub writer: Writer,
    /// Targets that begin or rejoin with it.
    pub joining: Vec<String>,
    /// What its lines have to say of targets that were skipped.
    pub skipped: Vec<Skipped>,
}

enum Request {
    /// Lines were written, up to this one; perhaps they complete a segment.
    Written { last: Seq, segment: Option<SegmentRef> },
    /// Answer when all before is durable.
    Barrier(Sender<()>),
    /// From now on this file.
    File(Box<dyn Append>),
}

impl Writer {
    /// Begins a stream: from now on the ledger knows it, and the targets that wait for a new stream begin with it.
    pub(super) fn begin(spool: &Spool, stream: StreamId) -> Result<Begun, Error> {
        let shared = &spool.shared;
        let (mut joining, mut skipped) = (Vec::new(), Vec::new());
        shared.update(|queue, ledger| {
            // in one step, so that no target looks for a stream that the queue doesn't know
            queue.streams.push_back(SpooledStream { id: stream, files: VecDeque::new(), ended: false });
            ledger.streams.push(stream);
            settle_lacks(ledger);
            skipped = untold(ledger);
            for (name, state) in ledger.targets.iter_mut().filter(|(_, state)| state.stream.is_none()) {
                (state.stream, state.next) = (Some(stream), 0);
                joining.push(name.clone());
            }
        })?;
        durable::create_dir_all(&*shared.fs, &shared.stream_dir(stream), 0o700)
            .map_err(|e| shared.io("make the folder", shared.stream_dir(stream), e))?;
        let (file, second) = create_file(shared, stream, 0)?;
        shared.durable.send_replace(Some(Durable { stream, next: 0 }));
        let (sync, requests) = crossbeam_channel::bounded(1024);
        let thread = SyncThread { shared: Arc::clone(shared), stream, file: second };
        let syncing = std::thread::Builder::new().name("sealtail-sync".into()).spawn(move || thread.run(&requests));
        let syncing = syncing.map_err(|e| shared.io("start a thread for", shared.dir.clone(), e))?;
        let writer = Self {
            spool: spool.clone(),
            stream,
            file,
            file_first: 0,
            written: 0,
            frame_at: 0,
            frame: new_frame().map_err(|e| shared.io("compress for", shared.dir.clone(), e))?,
            pending: Vec::with_capacity(256 * 1024),
            sync,
            syncing: Some(syncing),
        };
        Ok(Begun { writer, joining, skipped })
    }

    /// Adds whole lines to the open segment; they stay in memory until [`commit`](Self::commit) or [`seal`](Self::seal).
    pub fn append(&mut self, lines: &[u8]) -> Result<(), Error> {
        let mut input = InBuffer::around(lines);
        while input.pos() < lines.len() {
            self.step(|frame, out| frame.run(&mut input, out).map(|_| ()))?;
        }
        Ok(())
    }

    /// Writes what was added, whose last line is `last`, and has it made durable soon; does not wait for that.
    pub fn commit(&mut self, last: Seq, stop: &dyn Fn() -> bool) -> Result<(), Error> {
        self.drain_frame(|frame, out| frame.flush(out))?;
        self.write_pending(stop)?;
        self.request(Request::Written { last, segment: None })
    }

    /// Ends the segment: its frame is complete and, once durable, goes to the forwarders.
    pub fn seal(&mut self, first: Seq, last: Seq, stop: &dyn Fn() -> bool) -> Result<(), Error> {
        self.drain_frame(|frame, out| frame.finish(out, true))?;
        self.write_pending(stop)?;
        let len = self.written - self.frame_at;
        let segment = SegmentRef { first, last, offset: self.frame_at, len, since: Instant::now() };
        self.request(Request::Written { last, segment: Some(segment) })?;
        self.frame_at = self.written;
        self.frame.reinit().map_err(|e| self.io("compress for", e))
    }

    /// Whether the file is long enough to be rolled; only between segments. On a disk that fills up files get shorter, since
    /// what is sent is given back by the file.
    pub fn roll_is_due(&self) -> bool {
        let shared = &self.spool.shared;
        self.frame_at == self.written && self.written >= shared.roll_bytes.min(shared.free_bytes() / 4)
    }

    /// Goes on in a new file that begins with `next`. Everything before is durable and in the snapshot when this returns, so
    /// that the old file can be deleted once it is sent.
    pub fn roll(&mut self, next: Seq, snapshot: Snapshot) -> Result<(), Error> {
        self.wait_durable()?;
        let shared = Arc::clone(&self.spool.shared);
        let (file, second) = create_file(&shared, self.stream, next)?;
        self.request(Request::File(second))?;
        (self.file, self.file_first, self.written, self.frame_at) = (file, next, 0, 0);
        shared.store_snapshot(snapshot, self.stream, false)
    }

    /// Ends the stream after its last seal.
    pub fn finish(mut self, snapshot: Snapshot) -> Result<(), Error> {
        self.wait_durable()?;
        self.spool.shared.store_snapshot(snapshot, self.stream, true)
    }

    /// Waits until everything written is durable.
    pub fn wait_durable(&mut self) -> Result<(), Error> {
        const LOOK: Duration = Duration::from_millis(100);
        let (done, wait) = crossbeam_channel::bounded(1);
        self.request(Request::Barrier(done))?;
        // a sync thread that failed at this very moment may leave the barrier unanswered in the channel
        loop {
            match wait.recv_timeout(LOOK) {
                Ok(()) => return self.spool.shared.failure(),
                Err(RecvTimeoutError::Timeout) => self.spool.shared.failure()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.spool.shared.failure().err().unwrap_or(Error::Stopped));
                }
            }
        }
    }

    fn step(
        &mut self,
        run: impl FnOnce(&mut Encoder<'static>, &mut OutBuffer<'_, [u8]>) -> io::Result<()>,
    ) -> Result<(), Error> {
        const ROOM: usize = 64 * 1024;
        let start = self.pending.len();
        self.pending.resize(start + ROOM, 0);
        let mut out = OutBuffer::around(&mut self.pending[start..]);
        let result = run(&mut self.frame, &mut out);
        let written = out.pos();
        self.pending.truncate(start + written);
        result.map_err(|e| self.io("compress for", e))
    }

    fn drain_frame(
        &mut self,
        mut run: impl FnMut(&mut Encoder<'static>, &mut OutBuffer<'_, [u8]>) -> io::Result<usize>,
    ) -> Result<(), Error> {
        let mut left = 1;
        while left > 0 {
            self.step(|frame, out| {
                left = run(frame, out)?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// A full disk is waited for: nothing is dropped, and reading stops meanwhile. Any other error ends the stream.
    fn write_pending(&mut self, stop: &dyn Fn() -> bool) -> Result<(), Error> {
        let mut warned = false;
        while let Err(error) = self.file.write_all(&self.pending) {
            if !matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                return Err(self.io("write to", error));
            }
            // a part of the bytes may be there
            self.file.truncate(self.written).map_err(|e| self.io("cut a half-written group off", e))?;
            if stop() {
                return Err(Error::DiskFull { dir: self.spool.shared.dir.clone() });
            }
            if !warned {
                tracing::error!(dir = %self.spool.shared.dir.display(), "the disk of the spool is full: reading stops until there is room");
                warned = true;
            }
            // the last of the room is left to the ledger, without which nothing can be given back
            loop {
                self.spool.shared.failure()?;
                std::thread::sleep(DISK_FULL_RETRY);
                if stop() || self.spool.shared.free_bytes() >= LEFT_TO_THE_LEDGER + self.pending.len() as u64 {
                    break;
                }
            }
        }
        if warned {
            tracing::info!("the disk of the spool has room again");
        }
        self.written += self.pending.len() as u64;
        self.pending.clear();
        self.spool.shared.grown(self.stream, self.file_first, self.written);
        Ok(())
    }

    fn request(&self, request: Request) -> Result<(), Error> {
        self.spool.shared.failure()?;
        let gone = |_| self.spool.shared.failure().err().unwrap_or(Error::Stopped);
        self.sync.send(request).map_err(gone)
    }

    fn io(&self, what: &'static str, error: io::Error) -> Error {
        self.spool.shared.io(what, self.spool.shared.file_path(self.stream, self.file_first), error)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // closing the channel ends the sync thread after what was asked of it
        let (closed, _) = crossbeam_channel::bounded(0);
        self.sync = closed;
        if let Some(thread) = self.syncing.take() {
            drop(thread.join());
        }
    }
}

fn new_frame() -> io::Result<Encoder<'static>> {
    let mut frame = Encoder::new(segment::LEVEL)?;
    frame.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(frame)
}

/// A file to append to, and the same file to sync.
type Handles = (Box<dyn Append>, Box<dyn Append>);

/// The file, and a second handle to it for the sync thread. Its name is durable when this returns.
fn create_file(shared: &Shared, stream: StreamId, first: Seq) -> Result<Handles, Error> {
    let path = shared.file_path(stream, first);
    let open = || {
        let file = shared.fs.create_new(&path, 0o600)?;
        shared.fs.sync_dir(&shared.stream_dir(stream))?;
        Ok((file, shared.fs.open_append(&path)?))
    };
    let files = open().map_err(|e| shared.io("make", path.clone(), e))?;
    let file = SpoolFile { first, len: 0, segments: VecDeque::new(), rolled: false };
    let mut state = shared.lock();
    let stream = state.queue.stream_mut(stream).ok_or(Error::Stopped)?;
    if let Some(last) = stream.files.back_mut() {
        last.rolled = true;
    }
    stream.files.push_back(file);
    Ok(files)
}

struct SyncThread {
    shared: Arc<Shared>,
    stream: StreamId,
    file: Box<dyn Append>,
}

impl SyncThread {
    fn run(mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let (mut sealed, mut written, mut after) = (Vec::new(), None, None);
            self.shared.pulse.work();
            // one fdatasync for all that waits
            for request in std::iter::once(first).chain(requests.try_iter()) {
                match request {
                    Request::Written { last, segment } => {
                        written = Some(last);
                        sealed.extend(segment);
                    }
                    other => {
                        after = Some(other);
                        break;
                    }
                }
            }
            let synced = self.file.sync_data();
            self.shared.pulse.rest();
            if let Err(error) = synced {
                let path = self.shared.stream_dir(self.stream);
                return self.shared.fail(&self.shared.io("make durable (fdatasync) a file in", path, error));
            }
            // what benches/latency listens to
            tracing::trace!(last = written, "durable");
            if let Some(last) = written {
                self.shared.durable.send_replace(Some(Durable { stream: self.stream, next: last + 1 }));
            }
            if !sealed.is_empty() {
                self.shared.publish(self.stream, &sealed);
            }
            match after {
                Some(Request::Barrier(done)) => {
                    let _: Result<(), _> = done.send(());
                }
                Some(Request::File(file)) => self.file = file,
                _ => {}
            }
        }
    }
}

/// A spool file's path.
pub(super) fn file_name(first: Seq) -> PathBuf {
    format!("{first:020}.ndjson.zst").into()
}
