//! What a spool holds and what is wrong with it: by the code of an agent's start, on a disk that takes no changes.

use super::damage::{Damage, Harm};
use super::ledger::{Ledger, TargetState};
use super::queue::{Queue, SpooledStream};
use super::{Config, Error, Shared, aside, ledger, recovery};
use crate::durable::{Append, FileSystem};
use crate::record::{Seq, StreamId};
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a spool holds.
#[derive(Debug, Serialize)]
pub struct Survey {
    /// Its folder.
    pub dir: PathBuf,
    /// Whose it is; unknown when the ledger can't tell.
    pub host: Option<String>,
    /// Streams that have files here, oldest first.
    pub streams: Vec<Stream>,
    /// How far each target got.
    pub targets: Vec<Target>,
    /// Sources whose place is remembered.
    pub sources: usize,
    /// What targets refused for good, and what was set aside: not sent any more, and never deleted.
    pub quarantine: Vec<Kept>,
    /// What is wrong.
    pub damage: Vec<Damage>,
}

/// A stream.
#[derive(Debug, Serialize)]
pub struct Stream {
    /// Its id.
    #[serde(serialize_with = "as_text")]
    pub id: StreamId,
    /// Its first and last line here; none while nothing of it is durable.
    pub seq: Option<[Seq; 2]>,
    /// Its files.
    pub files: usize,
    /// Its segments.
    pub segments: usize,
    /// Bytes of its files.
    pub bytes: u64,
}

/// A target.
#[derive(Debug, Serialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// The stream that it is in, and the next line for it; none when it begins with the next stream.
    pub next: Option<(String, Seq)>,
    /// Lines here that it has not stored.
    pub lacks_lines: u64,
    /// The bytes of their segments.
    pub lacks_bytes: u64,
    /// A batch that may have been sent and is not acknowledged.
    pub in_flight: Option<[Seq; 2]>,
    /// It refused the stream that it is in.
    pub refused: bool,
    /// When it stored its last batch (RFC 3339), if it gave a receipt.
    pub last_receipt: Option<String>,
}

/// A folder of `quarantine/`.
#[derive(Debug, Serialize)]
pub struct Kept {
    /// A target's name, or `damaged`.
    pub name: String,
    /// Files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

fn as_text<S: serde::Serializer>(id: &StreamId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// When each target stored its last batch (RFC 3339), if it gave a receipt; of a spool that may be in use.
pub fn last_receipts(dir: &Path) -> Result<Vec<(String, Option<String>)>, Error> {
    let targets = Ledger::load(dir)?.map_or_else(Default::default, |ledger| ledger.targets);
    Ok(targets.into_iter().map(|(name, state)| (name, state.receipt.map(|receipt| receipt.stored_at))).collect())
}

/// Surveys the spool in `dir`, which no agent may be using; nothing is changed.
pub fn survey(dir: &Path) -> Result<Survey, Error> {
    let lock = recovery::lock(dir)?;
    let quarantine = quarantine(dir);
    let ledger = match Ledger::load(dir) {
        Ok(Some(ledger)) => ledger,
        Ok(None) => return Ok(without_ledger(dir, quarantine, "it is missing beside spooled lines".to_owned())),
        Err(Error::Ledger { reason, .. }) => return Ok(without_ledger(dir, quarantine, reason)),
        Err(error) => return Err(error),
    };
    let config = Config::at_rest(dir);
    let shared = recovery::shared(&config, ledger, Arc::new(Untouched), lock);
    let unknown = unknown_streams(dir, &shared.lock().ledger);
    let known = shared.lock().ledger.snapshot.as_ref().map(|snapshot| (snapshot.stream, snapshot.size));
    let mut damage = recovery::recover(&shared)?;
    damage.extend(
        unknown
            .into_iter()
            .map(|path| Damage::new(Harm::UnknownStream, path, "the ledger does not name this stream".to_owned())),
    );
    let state = shared.lock();
    let (queue, ledger) = (&state.queue, &state.ledger);
    let missing = |(name, target): (&String, _)| missing_before(&shared, queue, known, name, target);
    let missing: Vec<Damage> = ledger.targets.iter().filter_map(missing).collect();
    // what became of them may be told already
    let is_told =
        |new: &Damage| damage.iter().any(|old| old.harm != Harm::LostBatch && old.path.parent() == new.path.parent());
    damage.extend(missing.into_iter().filter(|new| !is_told(new)).collect::<Vec<_>>());
    Ok(Survey {
        dir: dir.to_owned(),
        host: Some(ledger.host.clone()),
        streams: queue.streams.iter().filter(|stream| !stream.files.is_empty()).map(stream).collect(),
        targets: ledger.targets.iter().map(|(name, state)| target(queue, name, state)).collect(),
        sources: ledger.snapshot.as_ref().map_or(0, |snapshot| snapshot.sources.len()),
        quarantine,
        damage,
    })
}

/// A folder without a ledger is a spool only if it has streams.
fn without_ledger(dir: &Path, quarantine: Vec<Kept>, reason: String) -> Survey {
    let is_there = dir.join(ledger::FILE).exists() || hosts(dir).next().is_some();
    let damage = is_there.then(|| Damage::new(Harm::Ledger, dir.join(ledger::FILE), reason));
    let (streams, targets) = (Vec::new(), Vec::new());
    let damage = damage.into_iter().collect();
    Survey { dir: dir.to_owned(), host: None, streams, targets, sources: 0, quarantine, damage }
}

fn stream(stream: &SpooledStream) -> Stream {
    let ends = stream.files.front().map(|file| file.first).zip(stream.files.back().and_then(|file| file.last()));
    Stream {
        id: stream.id,
        seq: ends.map(|(first, last)| [first, last]),
        files: stream.files.len(),
        segments: stream.files.iter().map(|file| file.segments.len()).sum(),
        bytes: stream.files.iter().map(|file| file.len).sum(),
    }
}

fn target(queue: &Queue, name: &str, state: &TargetState) -> Target {
    // in a stream that is gone from the spool it has everything of it
    let from = queue.streams.iter().position(|stream| Some(stream.id) == state.stream);
    let streams = queue.streams.iter().skip(from.unwrap_or(0)).filter(|_| state.stream.is_some());
    let lacked = streams.flat_map(|stream| {
        let next = if Some(stream.id) == state.stream { state.next } else { 0 };
        let segments = stream.files.iter().flat_map(|file| &file.segments).filter(move |segment| segment.last >= next);
        segments.map(move |segment| (segment.last + 1 - segment.first.max(next), segment.len))
    });
    let (lacks_lines, lacks_bytes) = lacked.fold((0, 0), |(lines, bytes), (more, len)| (lines + more, bytes + len));
    Target {
        name: name.to_owned(),
        next: state.stream.map(|stream| (stream.to_string(), state.next)),
        lacks_lines,
        lacks_bytes,
        in_flight: state.frozen.map(|frozen| frozen.seq),
        refused: state.refused.is_some() && state.refused == state.stream,
        last_receipt: state.receipt.as_ref().map(|receipt| receipt.stored_at.clone()),
    }
}

/// Lines that a target should have next, and that are not here. `known`: how long a stream was when the ledger was written.
fn missing_before(
    shared: &Shared,
    queue: &Queue,
    known: Option<(StreamId, u64)>,
    name: &str,
    state: &TargetState,
) -> Option<Damage> {
    let stream = queue.streams.iter().find(|stream| Some(stream.id) == state.stream)?;
    let path = shared.file_path(stream.id, state.next);
    let what = match stream.files.front() {
        Some(file) if state.next < file.first => format!("and the first here is {}", file.first),
        // a stream that is gone was wholly sent, or set aside, unless the snapshot knows of more
        None if !aside::folder(&shared.dir).join(&shared.host).join(stream.id.to_string()).exists()
            && known.is_some_and(|(id, size)| id == stream.id && state.next < size) =>
        {
            "and nothing of its stream is here".to_owned()
        }
        _ => return None,
    };
    let what = format!("target {name:?} goes on at line {}, {what}", state.next);
    Some(Damage::new(Harm::MissingLines, path, what))
}

/// Folders of streams that the ledger doesn't name, and that hold something.
pub(super) fn unknown_streams(dir: &Path, ledger: &Ledger) -> Vec<PathBuf> {
    let known = |id: &StreamId| ledger.streams.contains(id);
    let folders =
        hosts(dir).flat_map(|(host, folder)| streams(&folder).map(move |(id, path)| (host.clone(), id, path)));
    let unknown = folders.filter(|(host, id, _)| *host != ledger.host || !known(id));
    let holds = |path: &PathBuf| recovery::list(path).is_ok_and(|files| !files.is_empty());
    unknown.map(|(_, _, path)| path).filter(holds).collect()
}

/// The folders of hosts that have streams here.
pub(super) fn hosts(dir: &Path) -> impl Iterator<Item = (String, PathBuf)> + use<> {
    folders(dir).filter(|(name, path)| crate::record::is_name(name) && streams(path).next().is_some())
}

/// The folders of streams in a host's.
pub(super) fn streams(host: &Path) -> impl Iterator<Item = (StreamId, PathBuf)> + use<> {
    folders(host).filter_map(|(name, path)| Some((name.parse().ok()?, path)))
}

fn folders(dir: &Path) -> impl Iterator<Item = (String, PathBuf)> + use<> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some((name, entry.path()))
    })
}

fn quarantine(dir: &Path) -> Vec<Kept> {
    let top = aside::folder(dir);
    let mut kept: Vec<Kept> = folders(top.parent().unwrap_or(dir))
        .map(|(name, path)| {
            let (files, bytes) = size(&path);
            Kept { name, files, bytes }
        })
        .collect();
    kept.sort_by(|a, b| a.name.cmp(&b.name));
    kept
}

/// Files of a folder and those in it, and their bytes.
fn size(dir: &Path) -> (u64, u64) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.fold((0, 0), |(files, bytes), entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => {
            let (more, len) = size(&entry.path());
            (files + more, bytes + len)
        }
        Ok(meta) => (files + 1, bytes + meta.len()),
        Err(_) => (files, bytes),
    })
}

/// A disk that says yes to all and does nothing.
struct Untouched;

impl FileSystem for Untouched {
    fn create_new(&self, _: &Path, _: u32) -> io::Result<Box<dyn Append>> {
        Ok(Box::new(Untouched))
    }
    fn open_append(&self, _: &Path) -> io::Result<Box<dyn Append>> {
        Ok(Box::new(Untouched))
    }
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn rename_new(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn create_dir(&self, _: &Path, _: u32) -> io::Result<()> {
        Ok(())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl Append for Untouched {
    fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }
}
