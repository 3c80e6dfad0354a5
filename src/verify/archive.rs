//! Which files hold which stream's lines.
//!
//! Folders say it (`<host>/<stream>/`), as far as they lie in the path that was asked for; above it, names are a hint only. Files
//! that no folder places are placed by what is in them. Order comes from the lines, never from names.

use super::lines::Lines;
use crate::chain::checkpoint::Checkpoint;
use crate::chain::header::{CheckpointPayload, Header};
use crate::chain::line::RawLine;
use crate::chain::stamp::parse_rfc3339;
use crate::record::is_name;
use crate::record::{Seq, StreamId};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const EXTENSION: &str = ".ndjson.zst";
/// Folders below a path that is asked for; an archive has two levels.
const DEPTH_MAX: usize = 16;
/// A segment's lines: in so many a genesis or a checkpoint must turn up, if a file has any.
const PEEK_LINES: usize = 4096;

/// What the given paths hold.
#[derive(Debug, Default)]
pub struct Archive {
    /// Ordered by host, then by the time that their first lines claim.
    pub streams: Vec<StreamFiles>,
    /// What could not be read, and why.
    pub faults: Vec<String>,
}

/// The files of one stream.
#[derive(Debug)]
pub struct StreamFiles {
    /// Whose stream, as far as its place says.
    pub host: String,
    /// Which stream, as far as its place says.
    pub stream: StreamId,
    /// Whether the path that was asked for names the host too.
    pub host_claimed: bool,
    /// Whether it names the stream.
    pub stream_claimed: bool,
    /// In the order of their lines.
    pub files: Vec<ArchiveFile>,
}

/// A file of an archive.
#[derive(Debug)]
pub struct ArchiveFile {
    /// Where it is.
    pub path: PathBuf,
    /// How large it is.
    pub size_bytes: u64,
    /// The seq of its first line, as far as that can be told.
    pub first: Option<Seq>,
    /// The time of its first sound line.
    pub first_time_ns: Option<i128>,
}

impl Archive {
    /// Looks through files and folders.
    pub fn discover(paths: &[PathBuf]) -> Self {
        let mut walk = Walk::default();
        for path in paths {
            walk.root(path);
        }
        let Walk { candidates, mut faults, .. } = walk;
        let mut streams: BTreeMap<(String, StreamId), StreamFiles> = BTreeMap::new();
        let looked: Vec<_> = candidates.into_par_iter().map(|c| (Head::read(&c), c)).collect();
        for (head, candidate) in looked {
            let Some((host, stream)) = candidate.place.clone().or(head.says) else {
                let path = candidate.path.display();
                faults.push(format!(
                    "{path}: no telling whose lines these are; keep files in their folders, <host>/<stream>/, and \
                     give the folder{}",
                    head.fault.map(|f| format!(" (the file {f})")).unwrap_or_default()
                ));
                continue;
            };
            let entry = streams.entry((host.clone(), stream)).or_insert_with(|| StreamFiles {
                host,
                stream,
                host_claimed: false,
                stream_claimed: false,
                files: Vec::new(),
            });
            entry.host_claimed |= candidate.host_claimed;
            entry.stream_claimed |= candidate.stream_claimed;
            let Candidate { path, size_bytes, .. } = candidate;
            entry.files.push(ArchiveFile { path, size_bytes, first: head.first, first_time_ns: head.time_ns });
        }
        let mut streams: Vec<_> = streams.into_values().collect();
        for stream in &mut streams {
            stream
                .files
                .sort_by_cached_key(|file| (file.first.or(file.named()).unwrap_or(Seq::MAX), file.path.clone()));
        }
        streams.sort_by_cached_key(|s| (s.host.clone(), s.files.first().and_then(|f| f.first_time_ns), s.stream));
        Self { streams, faults }
    }
}

impl ArchiveFile {
    /// The seq that its name says. Order does not come from it, unless the file holds no sound line that could tell: then it
    /// says where to look for what is lost.
    pub(super) fn named(&self) -> Option<Seq> {
        let digits = self.path.file_name()?.to_str()?.strip_suffix(EXTENSION)?;
        (digits.len() == 20).then(|| digits.parse().ok())?
    }
}

/// A file that may be one of an archive.
struct Candidate {
    path: PathBuf,
    size_bytes: u64,
    place: Option<(String, StreamId)>,
    host_claimed: bool,
    stream_claimed: bool,
}

#[derive(Default)]
struct Walk {
    /// Device and inode of what was seen: links in a circle end, and a file by two names is one file.
    seen: HashSet<(u64, u64)>,
    candidates: Vec<Candidate>,
    faults: Vec<String>,
}

impl Walk {
    fn root(&mut self, path: &Path) {
        let known = (self.candidates.len(), self.faults.len());
        match path.canonicalize() {
            Ok(real) => self.visit(&real, 0, true),
            Err(error) => self.faults.push(format!("{}: cannot be read: {error}", path.display())),
        }
        if known == (self.candidates.len(), self.faults.len()) {
            self.faults.push(format!("{}: holds no file of an archive (*{EXTENSION})", path.display()));
        }
    }

    /// `depth` counts from the path that was asked for.
    fn visit(&mut self, path: &Path, depth: usize, asked: bool) {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return self.faults.push(format!("{}: cannot be read: {error}", path.display())),
        };
        let wanted = asked || path.as_os_str().as_encoded_bytes().ends_with(EXTENSION.as_bytes());
        if !metadata.is_dir() && !wanted || !self.seen.insert((metadata.dev(), metadata.ino())) {
            return;
        }
        if !metadata.is_dir() {
            let place = place(path);
            let (stream_claimed, host_claimed) = (place.is_some() && depth >= 1, place.is_some() && depth >= 2);
            let (path, size_bytes) = (path.to_owned(), metadata.len());
            return self.candidates.push(Candidate { path, size_bytes, place, host_claimed, stream_claimed });
        }
        if depth == DEPTH_MAX {
            return self.faults.push(format!("{}: too many folders in folders", path.display()));
        }
        let entries =
            fs::read_dir(path).and_then(|dir| dir.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>());
        match entries {
            Ok(mut entries) => {
                entries.sort();
                entries.iter().for_each(|entry| self.visit(entry, depth + 1, false));
            }
            Err(error) => self.faults.push(format!("{}: cannot be read: {error}", path.display())),
        }
    }
}

/// Host and stream by the two folders above a file.
fn place(path: &Path) -> Option<(String, StreamId)> {
    let folder = path.parent()?;
    let stream = folder.file_name()?.to_str()?.parse().ok()?;
    let host = folder.parent()?.file_name()?.to_str()?;
    is_name(host).then(|| (host.to_owned(), stream))
}

/// What a look at a file's beginning tells.
#[derive(Default)]
struct Head {
    first: Option<Seq>,
    time_ns: Option<i128>,
    /// Host and stream as a genesis or a checkpoint has them; looked for only where folders don't tell.
    says: Option<(String, StreamId)>,
    fault: Option<String>,
}

impl Head {
    fn read(candidate: &Candidate) -> Self {
        let mut head = Self::default();
        let mut lines = match Lines::open(&candidate.path) {
            Ok(lines) => lines,
            Err(fault) => return Self { fault: Some(fault.to_string()), ..head },
        };
        // where the first line claims another place than the two after it do, it is the first that is wrong
        let mut starts: Vec<Seq> = Vec::with_capacity(3);
        for number in 0..PEEK_LINES as u64 {
            match lines.next_line() {
                Some(Ok(line)) => head.look(line, number, &mut starts),
                Some(Err(fault)) => head.fault = Some(fault.to_string()),
                None => break,
            }
            if starts.len() == 3 && (candidate.place.is_some() || head.says.is_some()) {
                break;
            }
        }
        head.first = match starts[..] {
            [a, b, c] if b == c && a != b => Some(b),
            _ => starts.first().copied(),
        };
        head
    }

    fn look(&mut self, line: &[u8], number: u64, starts: &mut Vec<Seq>) {
        let Ok(raw) = RawLine::parse(line) else { return };
        let Ok((common, header)) = Header::parse(raw.header) else { return };
        if starts.len() < 3 {
            starts.push(common.seq.saturating_sub(number));
            self.time_ns = self.time_ns.or_else(|| parse_rfc3339(&common.time));
        }
        if self.says.is_none() {
            self.says = match header {
                Header::Genesis(genesis) if is_name(&genesis.host) => Some((genesis.host.clone(), genesis.stream)),
                Header::Checkpoint(_) => raw.payload.and_then(checkpoint_origin),
                _ => None,
            };
        }
    }
}

fn checkpoint_origin(payload: &[u8]) -> Option<(String, StreamId)> {
    let payload: CheckpointPayload<'_> = serde_json::from_slice(payload).ok()?;
    split_origin(&Checkpoint::parse(&payload.note).ok()?.origin)
}

/// Host and stream of a checkpoint's origin.
pub(super) fn split_origin(origin: &str) -> Option<(String, StreamId)> {
    let (host, stream) = origin.split_once('/')?;
    is_name(host).then_some(())?;
    Some((host.to_owned(), stream.parse().ok()?))
}
