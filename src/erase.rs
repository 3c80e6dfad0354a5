//! Erasure: payloads of lines leave an archive, and a signed statement stays that says who took them out and why.
//!
//! The statement is durable before the first payload goes, and each file is replaced whole, so that a crash leaves what a
//! second call takes up: a line is there, or erased with its statement beside it. Commitments stay, so the chain does.

use crate::chain::erasure::{self, REASON_MAX, STATEMENT_MAX, Statement};
use crate::chain::genesis::Opened;
use crate::chain::header::Common;
use crate::chain::host_key::HostKey;
use crate::chain::line::RawLine;
use crate::chain::stamp::rfc3339;
use crate::durable::{self, FileSystem, Lock};
use crate::record::{Seq, StreamId};
use crate::spool::segment;
use crate::verify::archive::{Archive, StreamFiles};
use crate::verify::erasure::statements;
use crate::verify::lines::Lines;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bound of an archive's file; batches are smaller.
const FILE_MAX_BYTES: u64 = 1024 * 1024 * 1024;
const STATEMENT_MODE: u32 = 0o640;

/// What is to be erased.
#[derive(Debug)]
pub struct Order<'a> {
    /// The archive, or a folder in it.
    pub archive: &'a Path,
    /// In which stream.
    pub stream: StreamId,
    /// The first and the last of each run of lines.
    pub lines: Vec<(Seq, Seq)>,
    /// Why.
    pub reason: &'a str,
    /// Who says so.
    pub key: &'a HostKey,
}

/// What was done.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    /// Lines that lost their payload now.
    pub erased: u64,
    /// Lines that had lost it before.
    pub already: u64,
    /// The statement that was written; none where an earlier one says it already.
    pub statement: Option<PathBuf>,
}

/// Why nothing, or not all, was erased.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The order.
    #[error("{0}")]
    Order(String),
    /// A file of the archive.
    #[error("{path}: {what}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong, and how to mend it.
        what: String,
    },
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| Error::File { path: path.to_owned(), what: error.to_string() }
}

/// Erases payloads.
pub fn erase(fs: &dyn FileSystem, order: &Order<'_>) -> Result<Done, Error> {
    let asked = in_order(&order.lines);
    if order.reason.trim().is_empty() || order.reason.len() > REASON_MAX {
        return Err(Error::Order(format!("the reason has 1 to {REASON_MAX} bytes; it is kept with the archive")));
    }
    let Archive { streams, faults } = Archive::discover(&[order.archive.to_owned()]);
    if !faults.is_empty() {
        return Err(Error::Order(faults.join("\n")));
    }
    let Some(files) = streams.into_iter().find(|files| files.stream == order.stream) else {
        let path = order.archive.display();
        return Err(Error::Order(format!("{path}: holds no stream {}; `sealtail verify` lists them", order.stream)));
    };
    let folder = files.files.first().and_then(|file| file.path.parent()).unwrap_or(order.archive).to_owned();
    let _lock = lock(&folder)?;
    let host = permitted(&files, order)?;
    let (named, already) = look(&files, &asked)?;
    let known = statements(&files, &host, order.stream);
    let by_us = known.sound.iter().filter(|(_, key)| *key == order.key.public());
    let covered: Vec<(Seq, Seq)> = by_us.flat_map(|(statement, _)| statement.lines.iter().copied()).collect();
    let is_said = named.iter().all(|seq| covered.iter().any(|(first, last)| (first..=last).contains(&seq)));
    durable::remove_leftovers(fs, &folder).map_err(at(&folder))?;
    let statement = if is_said { None } else { Some(state(fs, &folder, &host, order, asked.clone())?) };
    let mut erased = 0;
    for file in &files.files {
        erased += rewrite(fs, &file.path, &asked)?;
    }
    Ok(Done { erased, already, statement })
}

/// Sorted, and runs that touch put together.
fn in_order(lines: &[(Seq, Seq)]) -> Vec<(Seq, Seq)> {
    let mut sorted = lines.to_vec();
    sorted.sort_unstable();
    let mut runs: Vec<(Seq, Seq)> = Vec::new();
    for (first, last) in sorted {
        match runs.last_mut() {
            Some(run) if first <= run.1.saturating_add(1) => run.1 = run.1.max(last),
            _ => runs.push((first, last)),
        }
    }
    runs
}

fn is_asked(asked: &[(Seq, Seq)], seq: Seq) -> bool {
    asked.iter().any(|(first, last)| (*first..=*last).contains(&seq))
}

/// Keeps a receiver out while files are replaced; the archive is two folders above those of its streams.
fn lock(folder: &Path) -> Result<Lock, Error> {
    let archive = folder.parent().and_then(Path::parent).unwrap_or(folder);
    if archive.join("ledger.json").exists() {
        let what =
            "this is a spool, whose bytes are promised to targets; erase in the archive, once it is there".to_owned();
        return Err(Error::File { path: archive.to_owned(), what });
    }
    let held = || Error::File {
        path: archive.to_owned(),
        what: "a receiver or another erasure is at work here; stop it, or erase in a copy".to_owned(),
    };
    Lock::acquire(archive).map_err(at(archive))?.ok_or_else(held)
}

/// The host, if the stream's genesis lets this key erase.
fn permitted(files: &StreamFiles, order: &Order<'_>) -> Result<String, Error> {
    let path = files.files.first().map(|file| file.path.clone()).unwrap_or_default();
    let fault = |what: &str| Error::File { path: path.clone(), what: what.to_owned() };
    let mut lines = Lines::open(&path).map_err(|error| fault(&error.to_string()))?;
    let line = match lines.next_line() {
        Some(Ok(line)) => line,
        Some(Err(error)) => return Err(fault(&error.to_string())),
        None => return Err(fault("holds no line")),
    };
    let raw = RawLine::parse(line).map_err(|error| fault(&error.to_string()))?;
    let opened = Opened::parse(&raw).map_err(|error| {
        fault(&format!("{error}; without its first line nobody knows who may erase in this stream"))
    })?;
    if opened.endorser.is_none() {
        return Err(fault("the genesis was changed after it was endorsed, so it permits nothing"));
    }
    let key = order.key.public();
    match opened.header.erasure.iter().any(|name| erasure::key_named(name) == Some(key)) {
        true => Ok(opened.header.host),
        false => Err(fault(
            "this stream does not name that key: who may erase is fixed when a stream begins, by [erasure] keys of its agent",
        )),
    }
}

/// The lines that are asked for, all of which must be there and may be erased; and how many are already.
fn look(files: &StreamFiles, asked: &[(Seq, Seq)]) -> Result<(BTreeSet<Seq>, u64), Error> {
    let (mut named, mut already) = (BTreeSet::new(), 0);
    for file in &files.files {
        let fault = |what: String| Error::File { path: file.path.clone(), what };
        let mut lines = Lines::open(&file.path).map_err(|error| fault(error.to_string()))?;
        while let Some(line) = lines.next_line() {
            let line = line.map_err(|error| fault(error.to_string()))?;
            let Ok(raw) = RawLine::parse(line) else { return Err(fault("holds what is no line".into())) };
            let Ok(common) = serde_json::from_slice::<Common<'_>>(raw.header) else { continue };
            if !is_asked(asked, common.seq) {
                continue;
            }
            if !matches!(&*common.kind, "log" | "source") {
                let what =
                    format!("line {} is of type {}; only log and source lines can be erased", common.seq, common.kind);
                return Err(fault(what));
            }
            already += u64::from(raw.payload.is_none());
            named.insert(common.seq);
        }
    }
    let missing =
        asked.iter().find(|(first, last)| named.range(first..=last).count() as u128 != u128::from(last - first) + 1);
    match missing {
        Some((first, last)) => Err(Error::Order(format!("not all of the lines {first} to {last} are there"))),
        None => Ok((named, already)),
    }
}

/// Writes the statement.
fn state(
    fs: &dyn FileSystem,
    folder: &Path,
    host: &str,
    order: &Order<'_>,
    lines: Vec<(Seq, Seq)>,
) -> Result<PathBuf, Error> {
    let first = lines.first().map_or(0, |(first, _)| *first);
    let time = rfc3339(SystemTime::now());
    let statement = Statement::sign(host, order.stream, lines, order.reason, &time, order.key);
    let mut bytes = serde_json::to_vec(&statement).map_err(|error| Error::Order(error.to_string()))?;
    bytes.push(b'\n');
    if bytes.len() > STATEMENT_MAX {
        return Err(Error::Order("too many runs of lines for one statement; erase them in several calls".into()));
    }
    let path = folder.join(Statement::file_name(&bytes, first));
    durable::write_new(fs, &path, &bytes, STATEMENT_MODE).map_err(at(&path))?;
    Ok(path)
}

/// Replaces a file by one without the payloads; how many these were.
fn rewrite(fs: &dyn FileSystem, path: &Path, asked: &[(Seq, Seq)]) -> Result<u64, Error> {
    let fault = |what: &str| Error::File { path: path.to_owned(), what: what.to_owned() };
    let metadata = std::fs::metadata(path).map_err(at(path))?;
    if metadata.len() > FILE_MAX_BYTES {
        return Err(fault("larger than 1 GiB, so no batch of an archive"));
    }
    let bytes = std::fs::read(path).map_err(at(path))?;
    let (mut new, mut erased) = (Vec::with_capacity(bytes.len()), 0);
    for frame in segment::frames(&bytes) {
        if !frame.whole {
            return Err(fault("ends inside a segment, or is no zstd file; erase what is stored whole"));
        }
        let mut lines = Vec::with_capacity(frame.lines.len());
        let before = erased;
        for line in frame.lines.split_inclusive(|byte| *byte == b'\n') {
            match RawLine::parse(line.strip_suffix(b"\n").unwrap_or(line)) {
                Ok(raw) if raw.payload.is_some() && seq(&raw).is_some_and(|seq| is_asked(asked, seq)) => {
                    raw.erased_into(&mut lines);
                    erased += 1;
                }
                _ => lines.extend_from_slice(line),
            }
        }
        if erased == before {
            new.extend_from_slice(&bytes[frame.offset..frame.offset + frame.len]);
        } else {
            new.extend_from_slice(&segment::encode(&lines).map_err(at(path))?);
        }
    }
    if erased > 0 {
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(fault("belongs to another user, who could not read it afterwards; erase as the owner"));
        }
        durable::replace(fs, path, &new, metadata.permissions().mode() & 0o777).map_err(at(path))?;
    }
    Ok(erased)
}

fn seq(raw: &RawLine<'_>) -> Option<Seq> {
    serde_json::from_slice::<Common<'_>>(raw.header).ok().map(|common| common.seq)
}
