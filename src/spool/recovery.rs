//! Opening a spool: what a crash left is brought into the state that the running agent would have left.
//!
//! Each step may be repeated after a crash within it: leftovers are removed, a torn end is replaced by its whole lines in one
//! rename, and only then the ledger says what was found.

use super::cursors::Cursors;
use super::ledger::{self, Ledger, Snapshot, TargetState};
use super::quarantine::Quarantine;
use super::queue::{Queue, SegmentRef, SpoolFile, SpooledStream};
use super::segment::{self, Frame};
use super::{Config, Damage, Error, Harm, Phase, Shared, Spool, State, Target, aside, writer};
use crate::chain::header::{Hash, Header, Prev, SourcePayload};
use crate::chain::line::RawLine;
use crate::chain::tree::Edge;
use crate::durable::{self, FileSystem};
use crate::record::{HashKey, Seq, StreamId};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;
use tokio::sync::watch;

/// Room that is given up for the ledger on a full disk.
const RESERVE_BYTES: usize = 256 * 1024;

/// What the last run left.
#[derive(Debug)]
pub struct Recovered {
    /// Where the sources are.
    pub cursors: Cursors,
    /// The stream before, for the next genesis.
    pub prev: Option<Prev>,
    /// What the hashes in cursors are keyed with.
    pub hash_key: HashKey,
    /// What was found damaged, and mended or set aside.
    pub damage: Vec<Damage>,
}

pub(super) fn open(
    config: &Config,
    host: &str,
    targets: &[Target],
    fs: Arc<dyn FileSystem>,
) -> Result<(Spool, Recovered), Error> {
    let dir = config.dir.clone();
    let io = |what, error| Error::Io { what, path: dir.clone(), error };
    durable::create_dir_all(&*fs, &dir, 0o700).map_err(|e| io("make the spool", e))?;
    let lock = lock(&dir)?;
    durable::remove_leftovers(&*fs, &dir).map_err(|e| io("clean the spool", e))?;
    let mut ledger = load_ledger(&dir, host)?;
    follow_config(&mut ledger, targets);
    let shared = Shared { targets: targets.to_vec(), ..shared(config, ledger, fs, lock) };
    make_reserve(&shared);
    let recovered = Recovery::new(&shared).run()?;
    shared.delete_released()?;
    Ok((Spool { shared: Arc::new(shared) }, recovered))
}

/// Keeps every other process out of the spool in `dir`.
pub(super) fn lock(dir: &Path) -> Result<durable::Lock, Error> {
    let lock = durable::Lock::acquire(dir);
    let lock = lock.map_err(|error| Error::Io { what: "lock the spool", path: dir.to_owned(), error })?;
    lock.ok_or_else(|| Error::Locked(dir.to_owned()))
}

/// A spool whose files are not looked at yet.
pub(super) fn shared(config: &Config, ledger: Ledger, fs: Arc<dyn FileSystem>, lock: durable::Lock) -> Shared {
    let quarantine = Quarantine::measure(&config.dir);
    Shared {
        fs,
        dir: config.dir.clone(),
        host: ledger.host.clone(),
        max_bytes: config.max_size_bytes,
        roll_bytes: (config.max_size_bytes / 16).clamp(1 << 20, 8 << 20),
        targets: Vec::new(),
        state: Mutex::new(State { queue: Queue::default(), ledger, quarantine, failed: None, full: false }),
        room: Condvar::new(),
        news: watch::Sender::new(0),
        phase: watch::Sender::new(Phase::Filling),
        durable: watch::Sender::new(None),
        pulse: Arc::default(),
        _lock: lock,
    }
}

/// Brings what is there into the state that the running agent would have left; what was wrong with it.
pub(super) fn recover(shared: &Shared) -> Result<Vec<Damage>, Error> {
    Ok(Recovery::new(shared).run()?.damage)
}

/// Without it the spool still works; it is missed only on a full disk.
pub(super) fn make_reserve(shared: &Shared) {
    let reserve = shared.dir.join("reserve");
    if !reserve.exists() {
        drop(durable::write_new(&*shared.fs, &reserve, &vec![0x55; RESERVE_BYTES], 0o600));
    }
}

fn load_ledger(dir: &Path, host: &str) -> Result<Ledger, Error> {
    let bad = |reason: &str| Error::Ledger { path: dir.join(ledger::FILE), reason: reason.to_owned() };
    let ledger = match Ledger::load(dir)? {
        Some(ledger) => ledger,
        None if dir.join(host).exists() => return Err(bad("it is missing beside spooled lines")),
        None => Ledger::new(host, ledger::new_key(dir)?),
    };
    if ledger.host != host {
        return Err(Error::OtherHost { dir: dir.to_owned(), theirs: ledger.host, ours: host.to_owned() });
    }
    Ok(ledger)
}

/// Targets that the configuration no longer has are forgotten. A new one begins with the next stream; but if one is gone at
/// the same time it takes that one's place, since a target that was only renamed must not lose what it was not sent.
fn follow_config(ledger: &mut Ledger, targets: &[Target]) {
    let known = |name: &String| targets.iter().any(|kept| kept.name == *name);
    let gone: Vec<(String, TargetState)> = ledger
        .targets
        .iter()
        .filter(|(name, _)| !known(name))
        .map(|(name, state)| (name.clone(), state.clone()))
        .collect();
    let place = |state: &TargetState| (ledger.streams.iter().position(|s| Some(*s) == state.stream), state.next);
    let heir = gone.iter().min_by_key(|(_, state)| place(state)).cloned();
    ledger.targets.retain(|name, _| known(name));
    for Target { name, .. } in targets {
        if ledger.targets.contains_key(name) {
            continue;
        }
        let state = heir.as_ref().map(|(_, state)| state.clone()).unwrap_or_default();
        if let Some((old, _)) = &heir {
            tracing::warn!(old = %old, new = %name, "a target is gone and another is new: it goes on where the old one stood");
        }
        ledger.targets.insert(name.clone(), state);
    }
    if heir.is_some() && targets.iter().all(|target| !gone.iter().any(|(old, _)| *old == target.name)) {
        let gone: Vec<&String> = gone.iter().map(|(name, _)| name).collect();
        tracing::warn!(?gone, "targets that are no longer configured are forgotten, with what they were not sent");
    }
}

/// The state that lines read back lead to.
struct Recovery<'a> {
    shared: &'a Shared,
    cursors: Cursors,
    at: Option<Position>,
    /// The stream that is being read is older than the snapshot's: its lines are listed, not applied.
    known: bool,
    damage: Vec<Damage>,
}

/// After the last line read.
struct Position {
    stream: StreamId,
    edge: Edge,
    leaf: [u8; 32],
    close_seen: bool,
    closed: bool,
}

impl<'a> Recovery<'a> {
    fn new(shared: &'a Shared) -> Self {
        let state = shared.lock();
        let snapshot = state.ledger.snapshot.as_ref();
        let cursors = snapshot.map(|s| Cursors::from_snapshot(&s.sources)).unwrap_or_default();
        let at = snapshot.and_then(|snapshot| {
            let (stream, edge, leaf) = (snapshot.stream, snapshot.tree()?, snapshot.leaf.0);
            Some(Position { stream, edge, leaf, close_seen: snapshot.closed, closed: snapshot.closed })
        });
        Self { shared, cursors, at, known: false, damage: Vec::new() }
    }

    fn run(mut self) -> Result<Recovered, Error> {
        let streams = self.shared.lock().ledger.streams.clone();
        let snapshot_at = streams.iter().position(|stream| self.at.as_ref().is_some_and(|at| at.stream == *stream));
        for (place, stream) in streams.into_iter().enumerate() {
            self.known = snapshot_at.is_some_and(|at| place < at);
            let found = self.stream(stream)?;
            self.shared.lock().queue.streams.push_back(found);
        }
        self.forget_stillborn();
        self.thaw_lost();
        // the next process numbers its sources anew
        self.cursors.begin_stream();
        let snapshot = self.at.as_ref().map(|at| Snapshot {
            stream: at.stream,
            size: at.edge.size(),
            leaf: Hash(at.leaf),
            edge: at.edge.roots().iter().copied().map(Hash).collect(),
            closed: at.closed,
            sources: self.cursors.to_snapshot(),
        });
        let prev = snapshot.as_ref().and_then(Snapshot::prev);
        self.shared.update_ledger(|ledger| ledger.snapshot = snapshot)?;
        let hash_key = self.shared.lock().ledger.hash_key;
        Ok(Recovered { cursors: self.cursors, prev, hash_key, damage: self.damage })
    }

    /// A stream that left no line never was: targets that were to begin with it begin with the next, unless there are lines
    /// after it already.
    fn forget_stillborn(&self) {
        let mut state = self.shared.lock();
        let State { queue, ledger, .. } = &mut *state;
        for target in ledger.targets.values_mut().filter(|target| target.next == 0) {
            let at = queue.streams.iter().position(|stream| Some(stream.id) == target.stream);
            if at.is_some_and(|at| queue.streams.range(at..).all(|stream| stream.files.is_empty())) {
                target.stream = None;
                target.lacks.iter_mut().for_each(|lack| lack.told = None);
            }
        }
    }

    /// A batch whose bytes were set aside can't be sent again.
    fn thaw_lost(&mut self) {
        let mut state = self.shared.lock();
        let State { queue, ledger, .. } = &mut *state;
        for (name, target) in &mut ledger.targets {
            let Some(frozen) = target.frozen else { continue };
            let stream = queue.streams.iter().find(|stream| stream.id == frozen.stream);
            let file = stream.and_then(|stream| stream.files.iter().find(|file| file.first == frozen.file));
            if file.is_none_or(|file| frozen.offset + frozen.len > file.len) {
                target.frozen = None;
                let [first, last] = frozen.seq;
                let what = format!("target {name:?} may have been sent lines {first} to {last}, which are not here");
                self.damage.push(Damage::new(Harm::LostBatch, self.shared.file_path(frozen.stream, frozen.file), what));
            }
        }
    }

    fn stream(&mut self, stream: StreamId) -> Result<SpooledStream, Error> {
        let dir = self.shared.stream_dir(stream);
        let mut spooled = SpooledStream { id: stream, files: VecDeque::new(), ended: true };
        if !dir.exists() {
            return Ok(spooled);
        }
        durable::remove_leftovers(&*self.shared.fs, &dir).map_err(|e| self.shared.io("clean", dir.clone(), e))?;
        place_good(&*self.shared.fs, &dir)
            .map_err(|e| self.shared.io("put good parts in their place in", dir.clone(), e))?;
        let names = list(&dir).map_err(|e| self.shared.io("list", dir.clone(), e))?;
        let count = names.len();
        for (at, (first, path)) in names.into_iter().enumerate() {
            let follows = spooled.files.back().and_then(SpoolFile::last).map_or(first, |last| last + 1);
            let found = match follows == first {
                true => self.file(stream, first, &path, at + 1 == count)?,
                false => self.lost(first, &path, Harm::MissingLines, format!("lines {follows} on are not here")),
            };
            match found {
                Found::File(file) => spooled.files.push_back(file),
                Found::Nothing => {}
                Found::Damaged(good) => {
                    spooled.files.extend(self.keep_good(stream, &path, good)?);
                    break;
                }
            }
        }
        Ok(spooled)
    }

    /// Puts what is good of a damaged file in its place. It is durable under another name before the file is set aside: a disk that
    /// is full, or a crash, between the two loses nothing of it.
    fn keep_good(&self, stream: StreamId, path: &Path, good: SpoolFile) -> Result<Option<SpoolFile>, Error> {
        if good.segments.is_empty() {
            return self.set_aside(stream, good.first).map(|()| None);
        }
        let fs = &*self.shared.fs;
        let io = |e| self.shared.io("keep the good part of", path.to_owned(), e);
        let bytes = std::fs::read(path).map_err(|e| self.shared.io("read", path.to_owned(), e))?;
        let dir = self.shared.stream_dir(stream);
        let beside = dir.join(format!("{:020}{GOOD}", good.first));
        durable::replace(fs, &beside, &bytes[..good.len as usize], 0o600).map_err(io)?;
        self.set_aside(stream, good.first)?;
        fs.rename(&beside, path).and_then(|()| fs.sync_dir(&dir)).map_err(io)?;
        Ok(Some(good))
    }

    fn file(&mut self, stream: StreamId, first: Seq, path: &Path, newest: bool) -> Result<Found, Error> {
        let bytes = std::fs::read(path).map_err(|e| self.shared.io("read", path.to_owned(), e))?;
        let mut file = SpoolFile { first, len: 0, segments: VecDeque::new(), rolled: true };
        let mut next = first;
        for frame in segment::frames(&bytes) {
            // only what was being written when the crash came may be torn; whatever a snapshot vouches for was whole
            let may_be_torn = newest && !self.known && !self.snapshot_covers(stream, next + 1);
            if !frame.whole && !may_be_torn {
                let what = format!("byte {} on is no whole frame; lines {next} on can't be read", frame.offset);
                return Ok(self.damaged(file, path, Harm::BadFrame, what));
            }
            let Some(lines) = self.lines(stream, next, &frame.lines) else {
                let what = format!("byte {} on has other lines than {next} and those that follow it", frame.offset);
                return Ok(self.damaged(file, path, Harm::BadLines, what));
            };
            let mut len = frame.len as u64;
            if !frame.whole {
                len = self.mend(path, &bytes[..frame.offset], &frame)?;
            }
            if lines > 0 {
                let segment = SegmentRef {
                    first: next,
                    last: next + lines - 1,
                    offset: frame.offset as u64,
                    len,
                    since: Instant::now(),
                };
                file.segments.push_back(segment);
                next += lines;
            }
            file.len = frame.offset as u64 + len;
        }
        let vouched = self.known || self.snapshot_covers(stream, next);
        if newest && !vouched {
            self.settle(path, file.len)?;
        }
        Ok(if file.segments.is_empty() { Found::Nothing } else { Found::File(file) })
    }

    fn lost(&mut self, first: Seq, path: &Path, harm: Harm, what: String) -> Found {
        self.damaged(SpoolFile { first, len: 0, segments: VecDeque::new(), rolled: true }, path, harm, what)
    }

    fn damaged(&mut self, good: SpoolFile, path: &Path, harm: Harm, what: String) -> Found {
        self.damage.push(Damage::new(harm, path.to_owned(), what));
        Found::Damaged(good)
    }

    /// Whether the ledger's snapshot, which is written after the lines are durable, stands at or past this line.
    fn snapshot_covers(&self, stream: StreamId, next: Seq) -> bool {
        let state = self.shared.lock();
        state.ledger.snapshot.as_ref().is_some_and(|snapshot| snapshot.stream == stream && snapshot.size >= next)
    }

    /// Puts the whole lines of a torn frame in its place; returns the length of what stands there now.
    fn mend(&mut self, path: &Path, before: &[u8], torn: &Frame) -> Result<u64, Error> {
        let what = format!("a torn end of {} bytes from byte {} on", torn.len, torn.offset);
        self.damage.push(Damage::new(Harm::TornEnd, path.to_owned(), what));
        let io = |e| self.shared.io("cut the torn end off", path.to_owned(), e);
        tracing::warn!(path = %path.display(), at = torn.offset, "a crash left a torn end; its whole lines are kept, the rest is read again");
        let frame = if torn.lines.is_empty() { Vec::new() } else { segment::encode(&torn.lines).map_err(io)? };
        let mended = [before, &frame].concat();
        durable::replace(&*self.shared.fs, path, &mended, 0o600).map_err(io)?;
        Ok(frame.len() as u64)
    }

    /// What is there may not be durable yet: the agent may have lost its life before an fdatasync, or the fdatasync failed, after
    /// which the kernel takes unwritten pages for written ones. So lines that no snapshot vouches for are written anew.
    fn settle(&self, path: &Path, len: u64) -> Result<(), Error> {
        let io = |e| self.shared.io("make durable", path.to_owned(), e);
        if len == 0 {
            self.shared.fs.remove(path).map_err(io)?;
            return path.parent().map_or(Ok(()), |dir| self.shared.fs.sync_dir(dir)).map_err(io);
        }
        let bytes = std::fs::read(path).map_err(io)?;
        durable::replace(&*self.shared.fs, path, &bytes, 0o600).map_err(io)
    }

    /// Applies lines from seq `next` on; their number, or `None` when they are not what this stream goes on with.
    fn lines(&mut self, stream: StreamId, next: Seq, lines: &[u8]) -> Option<u64> {
        let mut count = 0;
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let raw = RawLine::parse(line.strip_suffix(b"\n")?).ok()?;
            self.line(stream, next + count, &raw)?;
            count += 1;
        }
        Some(count)
    }

    fn line(&mut self, stream: StreamId, expected: Seq, raw: &RawLine<'_>) -> Option<()> {
        let (common, header) = Header::parse(raw.header).ok()?;
        if common.seq != expected {
            return None;
        }
        if self.known {
            return Some(());
        }
        if self.at.as_ref().is_none_or(|at| at.stream != stream) {
            self.cursors.begin_stream();
            let edge = Edge::default();
            self.at = Some(Position { stream, edge, leaf: [0; 32], close_seen: false, closed: false });
        }
        let at = self.at.as_mut()?;
        if expected < at.edge.size() {
            return Some(()); // the snapshot has it
        }
        at.edge.push(raw.leaf());
        at.leaf = raw.leaf();
        match &header {
            Header::Log(log) => self.cursors.read_to(log.src, log.off),
            Header::Source(source) => {
                let payload: SourcePayload<'_> = serde_json::from_slice(raw.payload?).ok()?;
                self.cursors.apply_line(source, &payload, &common.time).then_some(())?;
            }
            Header::Close(_) => at.close_seen = true,
            Header::Checkpoint(_) => at.closed = at.close_seen,
            _ => {}
        }
        (at.edge.size() == expected + 1).then_some(())
    }

    /// Files of a stream from a damaged one on can't be sent: a receiver takes no stream with a hole. They are kept, and
    /// the successor's genesis bears witness that lines are missing.
    fn set_aside(&self, stream: StreamId, from: Seq) -> Result<(), Error> {
        let shared = self.shared;
        let kept = aside::folder(&shared.dir).join(&shared.host).join(stream.to_string());
        let dir = shared.stream_dir(stream);
        let io = |e| shared.io("set a damaged file aside from", dir.clone(), e);
        tracing::error!(stream = %stream, from, kept = %kept.display(), "the spool is damaged from this line on: what can't be sent is kept aside");
        let damaged = list(&dir).map_err(io)?.into_iter().filter(|(first, _)| *first >= from);
        // the damaged one last: a crash leaves it to be found again, and no file without those before it
        let paths: Vec<PathBuf> = damaged.rev().map(|(_, path)| path).collect();
        aside::put(&*shared.fs, &paths, &kept).map_err(io)?;
        shared.fs.sync_dir(&dir).map_err(io)
    }
}

enum Found {
    File(SpoolFile),
    Nothing,
    /// What is good of it, up to the first bad frame.
    Damaged(SpoolFile),
}

/// What the name of a spool file ends with.
const FILE: &str = ".ndjson.zst";
/// What that of a damaged one's good part ends with, until it stands in its place.
const GOOD: &str = ".ndjson.zst.good";

/// The spool files of a folder by their first seq, with the good parts that stand for one.
pub(super) fn list(dir: &Path) -> io::Result<Vec<(Seq, PathBuf)>> {
    let mut files = listed(dir, FILE)?;
    let good = listed(dir, GOOD)?.into_iter();
    files.extend(good.filter(|(first, _)| !dir.join(writer::file_name(*first)).exists()));
    files.sort();
    Ok(files)
}

/// A crash between the two steps of [`keep_good`](Recovery::keep_good) left a good part beside its place: that is where it
/// belongs, unless the damaged file is still there.
pub(super) fn place_good(fs: &dyn FileSystem, dir: &Path) -> io::Result<()> {
    for (first, good) in listed(dir, GOOD)? {
        let path = dir.join(writer::file_name(first));
        if path.exists() {
            fs.remove(&good)?;
        } else {
            fs.rename(&good, &path)?;
        }
        fs.sync_dir(dir)?;
    }
    Ok(())
}

fn listed(dir: &Path, ending: &str) -> io::Result<Vec<(Seq, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(Ok(first)) = name.strip_suffix(ending).map(str::parse) {
            files.push((first, path));
        }
    }
    Ok(files)
}
