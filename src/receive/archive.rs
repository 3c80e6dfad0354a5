//! The stored batches of one stream: `<dir>/<host>/<stream>/<first seq, 20 digits>.ndjson.zst`, each made whole and
//! never changed (see [`crate::durable`]).

use super::check::{advance, checkpoint_edge};
use super::frames::{Frames, Piece};
use super::refusal::Refusal;
use super::tip::{Genesis, StreamName, Tip};
use crate::chain::genesis::Opened;
use crate::chain::header::Header;
use crate::chain::line::RawLine;
use crate::durable::{self, FileSystem, Unnamed};
use crate::record::Seq;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bound of a batch's bytes, however the receiver is configured.
pub(super) const BATCH_MAX: u64 = 64 * 1024 * 1024;

pub(super) const FOLDER_MODE: u32 = 0o750;
pub(super) const FILE_MODE: u32 = 0o640;
/// Bytes of a stored batch that are read at a time.
const PIECE_BYTES: usize = 128 * 1024;
const EXTENSION: &str = ".ndjson.zst";

/// A stream's folder, which need not be there yet.
#[derive(Debug)]
pub(super) struct Archive {
    folder: PathBuf,
}

/// A stored batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// Its first line.
    pub(super) first: Seq,
    /// Its bytes.
    pub(super) size: u64,
}

/// Why the archive could not be read or written: where, and what was wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The disk.
    #[error("{path}: cannot {doing}: {source}")]
    Disk { path: PathBuf, doing: &'static str, source: io::Error },
    /// A stored file is not what was stored.
    #[error("{path}: {why}; check the archive with `sealtail verify` and bring the file back from a copy")]
    Damaged { path: PathBuf, why: String },
}

impl Archive {
    /// That of the stream `name` in `dir`.
    pub(super) fn of(dir: &Path, name: &StreamName) -> Self {
        Self { folder: dir.join(&name.host).join(name.stream.to_string()) }
    }

    /// Stores a batch. Once this returns, it survives a power cut; `AlreadyExists` if there is one of this name.
    pub(super) fn store(&self, fs: &dyn FileSystem, first: Seq, batch: Unnamed) -> Result<(), Error> {
        let path = self.path(first);
        self.make_folders(fs).and_then(|()| batch.name(&path)).map_err(|source| Error::Disk {
            path,
            doing: "store a batch",
            source,
        })
    }

    /// Whether a batch of this name is stored.
    pub(super) fn holds(&self, first: Seq) -> bool {
        self.path(first).exists()
    }

    /// The batches, in the order of their lines.
    pub(super) fn list(&self) -> Result<Vec<Stored>, Error> {
        self.read_folder().map_err(self.fault_of_folder("list"))
    }

    /// SHA-256 of a batch, and when it was stored; `None` if there is no batch of this name.
    pub(super) fn digest(&self, first: Seq) -> Result<Option<([u8; 32], SystemTime)>, Error> {
        let path = self.path(first);
        let digest = || -> io::Result<_> {
            let mut batch = open(&path)?;
            let mut hash = Sha256::new();
            loop {
                let piece = batch.fill_buf()?;
                if piece.is_empty() {
                    return Ok((hash.finalize().into(), batch.get_ref().metadata()?.modified()?));
                }
                hash.update(piece);
                let len = piece.len();
                batch.consume(len);
            }
        };
        match digest() {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Disk { path, doing: "read a stored batch", source }),
        }
    }

    /// When a batch was stored, by its file.
    pub(super) fn stored_at(&self, first: Seq) -> Result<SystemTime, Error> {
        let path = self.path(first);
        let modified = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
        modified.map_err(|source| Error::Disk { path, doing: "examine a stored batch", source })
    }

    /// Where the stream stood after a batch that is not its last.
    pub(super) fn after(&self, first: Seq, genesis: Genesis) -> Result<Tip, Error> {
        self.reading(first, |batch| after_checkpoint(genesis, batch))
    }

    /// Works out where the stream stands from what is stored: its key from the first line, the tree from the last
    /// checkpoint before the last batch, and the rest by reading that batch as if it had just come.
    pub(super) fn recover(&self, fs: &dyn FileSystem, name: &StreamName) -> Result<Tip, Error> {
        let stored = self.list()?;
        let Some((last, before)) = stored.split_last() else { return Ok(Tip::default()) };
        // what the last process stored may not be durable yet: it can have died just before it synced the folders
        self.make_folders(fs).map_err(self.fault_of_folder("make durable"))?;
        let tip = match (before.first(), before.last()) {
            (Some(first), Some(previous)) => {
                let genesis = self.reading(first.first, |batch| read_genesis(name, batch))?;
                self.after(previous.first, genesis)?
            }
            _ => Tip::default(),
        };
        if tip.next() != last.first {
            let why = format!("line {} is expected at the start of this file", tip.next());
            return Err(Error::Damaged { path: self.path(last.first), why });
        }
        // who was trusted when the stream began is settled: it is stored
        self.reading(last.first, |batch| advance(name, None, tip, batch))
    }

    fn reading<T>(&self, first: Seq, read: impl FnOnce(BufReader<File>) -> Result<T, Refusal>) -> Result<T, Error> {
        let path = self.path(first);
        let batch = match open(&path) {
            Ok(batch) => batch,
            Err(source) => return Err(Error::Disk { path, doing: "read a stored batch", source }),
        };
        read(batch).map_err(|refusal| Error::Damaged { path, why: refusal.to_string() })
    }

    /// Makes the stream's and the host's folder, and makes their names and those of the stream's files durable.
    fn make_folders(&self, fs: &dyn FileSystem) -> io::Result<()> {
        if let Some(host) = self.folder.parent() {
            durable::create_dir_all(fs, host, FOLDER_MODE)?;
        }
        durable::create_dir_all(fs, &self.folder, FOLDER_MODE)?;
        fs.sync_dir(&self.folder)
    }

    fn read_folder(&self) -> io::Result<Vec<Stored>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut stored = Vec::new();
        for entry in entries {
            let entry = entry?;
            if let Some(first) = entry.file_name().to_str().and_then(first_of) {
                stored.push(Stored { first, size: entry.metadata()?.len() });
            }
        }
        stored.sort_by_key(|batch| batch.first);
        Ok(stored)
    }

    fn path(&self, first: Seq) -> PathBuf {
        self.folder.join(format!("{first:020}{EXTENSION}"))
    }

    fn fault_of_folder(&self, doing: &'static str) -> impl FnOnce(io::Error) -> Error {
        let path = self.folder.clone();
        move |source| Error::Disk { path, doing, source }
    }
}

fn open(path: &Path) -> io::Result<BufReader<File>> {
    let file = File::open(path)?;
    if file.metadata()?.len() > BATCH_MAX {
        return Err(io::Error::new(ErrorKind::InvalidData, "larger than a batch can be"));
    }
    Ok(BufReader::with_capacity(PIECE_BYTES, file))
}

/// Removes what a crash left unfinished anywhere in the archive `dir`, of which the caller holds the lock; returns how
/// many files these were.
pub(super) fn remove_leftovers(fs: &dyn FileSystem, dir: &Path) -> io::Result<usize> {
    let mut removed = durable::remove_leftovers(fs, dir)?;
    for host in folders_in(dir)? {
        for stream in folders_in(&host)? {
            removed += durable::remove_leftovers(fs, &stream)?;
        }
    }
    Ok(removed)
}

fn folders_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

/// The seq that a stored batch is named with.
fn first_of(name: &str) -> Option<Seq> {
    let digits = name.strip_suffix(EXTENSION)?;
    (digits.len() == 20 && digits.bytes().all(|c| c.is_ascii_digit())).then(|| digits.parse().ok())?
}

fn read_genesis(name: &StreamName, batch: impl BufRead) -> Result<Genesis, Refusal> {
    let mut frames = Frames::new(batch)?;
    let Some(Piece::Line(bytes)) = frames.next()? else {
        return Err(Refusal::malformed("holds no line"));
    };
    let line = RawLine::parse(bytes).map_err(|error| Refusal::malformed(error.to_string()))?;
    let opened = Opened::parse(&line).map_err(|error| Refusal::malformed(error.to_string()))?;
    Genesis::of(name, &opened)
}

/// Where a stream of this genesis stands after a batch whose last line is a checkpoint, by what that checkpoint says.
fn after_checkpoint(genesis: Genesis, batch: impl BufRead) -> Result<Tip, Refusal> {
    let mut frames = Frames::new(batch)?;
    let mut last = Vec::new();
    while let Some(piece) = frames.next()? {
        if let Piece::Line(line) = piece {
            last.clear();
            last.extend_from_slice(line);
        }
    }
    let malformed = |what: String| Refusal::malformed(format!("its last line: {what}"));
    let line = RawLine::parse(&last).map_err(|error| malformed(error.to_string()))?;
    match Header::parse(line.header).map_err(|error| malformed(error.to_string()))? {
        (_, Header::Checkpoint(header)) => {
            let mut edge = checkpoint_edge(&genesis, &line, &header)?;
            edge.push(line.leaf());
            let segment_first = edge.size();
            Ok(Tip { genesis: Some(genesis), edge, segment: header.segment + 1, segment_first, ended: None })
        }
        _ => Err(malformed("is no checkpoint".to_owned())),
    }
}
