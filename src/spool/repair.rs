//! Mending a damaged spool: an agent starts on it afterwards, what is intact is sent, and what is not is moved aside, never deleted.
//!
//! All but the ledger and unknown streams is what each start of an agent mends anyway, and is done by the same code. A ledger
//! that is lost is made anew from what the streams and the receipts say. What neither can say is where sources got in streams
//! whose beginning is sent and deleted; those streams are moved aside, and their sources read again.

use super::damage::{Damage, Harm};
use super::ledger::{self, Ledger, TargetState};
use super::segment;
use super::survey::{hosts, streams, unknown_streams};
use super::{Config, Error, Survey, aside, recovery, survey};
use crate::chain::header::Header;
use crate::chain::line::RawLine;
use crate::chain::receipt::Receipt;
use crate::durable::{self, Disk};
use crate::record::{HashKey, Seq, StreamId, unhex};
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a repair did.
#[derive(Debug, Serialize)]
pub struct Repair {
    /// What was damaged.
    pub damage: Vec<Damage>,
    /// What was moved, and where to.
    pub moved: Vec<(PathBuf, PathBuf)>,
    /// What is to be known besides.
    pub notes: Vec<String>,
    /// The file that says all this; none where nothing was to be done.
    pub report: Option<PathBuf>,
}

/// A stream as its files begin.
struct Found {
    id: StreamId,
    path: PathBuf,
    first: Seq,
    /// Of its first line here (RFC 3339).
    time: String,
}

/// Repairs the spool in `dir`, which no agent may be using. `host` and the names of `targets` are asked where the ledger can't tell.
pub fn repair(dir: &Path, host: Option<&str>, targets: &[String]) -> Result<Repair, Error> {
    let Survey { damage, .. } = survey(dir)?;
    let lock = recovery::lock(dir)?;
    let (mut moved, mut notes) = (Vec::new(), Vec::new());
    if damage.iter().any(|damage| damage.harm == Harm::Ledger) {
        renew_ledger(dir, host, targets, &mut moved, &mut notes)?;
    }
    let ledger = Ledger::load(dir)?;
    let mut found = damage;
    if let Some(ledger) = ledger {
        for path in unknown_streams(dir, &ledger) {
            move_stream(dir, &path, &mut moved)?;
        }
        let config = Config::at_rest(dir);
        let before = set_aside(dir);
        let shared = recovery::shared(&config, ledger, Arc::new(Disk), lock);
        let mended = recovery::recover(&shared)?;
        // with a new ledger more may have been found
        found.extend(mended.into_iter().filter(|one| !found.contains(one)).collect::<Vec<_>>());
        let after = set_aside(dir).into_iter().filter(|path| !before.contains(path));
        moved.extend(after.map(|to| (origin(dir, &to), to)));
    }
    write_report(dir, found, moved, notes)
}

/// Written last: it tells what was done.
fn write_report(
    dir: &Path,
    damage: Vec<Damage>,
    moved: Vec<(PathBuf, PathBuf)>,
    notes: Vec<String>,
) -> Result<Repair, Error> {
    if damage.is_empty() && moved.is_empty() {
        return Ok(Repair { damage, moved, notes, report: None });
    }
    let folder = aside::folder(dir);
    let io = |error| Error::Io { what: "write a report into", path: folder.clone(), error };
    durable::create_dir_all(&Disk, &folder, 0o700).map_err(io)?;
    let reports = (1..).map(|number| folder.join(format!("report-{number}.json")));
    for report in reports {
        let (damage, moved, notes) = (damage.clone(), moved.clone(), notes.clone());
        let repair = Repair { damage, moved, notes, report: Some(report.clone()) };
        let mut bytes = serde_json::to_vec_pretty(&repair).map_err(|e| io(e.into()))?;
        bytes.push(b'\n');
        match durable::write_new(&Disk, &report, &bytes, 0o600) {
            Ok(()) => return Ok(repair),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(error)),
        }
    }
    Err(io(io::ErrorKind::AlreadyExists.into()))
}

/// Every file of streams in `quarantine/damaged`.
fn set_aside(dir: &Path) -> Vec<PathBuf> {
    let streams =
        hosts(&aside::folder(dir)).flat_map(|(_, host)| streams(&host).map(|(_, path)| path).collect::<Vec<_>>());
    let files = streams.flat_map(|stream| std::fs::read_dir(stream).into_iter().flatten().flatten());
    files.map(|entry| entry.path()).collect()
}

/// Where a file that was set aside had been.
fn origin(dir: &Path, to: &Path) -> PathBuf {
    to.strip_prefix(aside::folder(dir)).map_or_else(|_| to.to_owned(), |inside| dir.join(inside))
}

fn move_stream(dir: &Path, stream: &Path, moved: &mut Vec<(PathBuf, PathBuf)>) -> Result<(), Error> {
    let io = |error| Error::Io { what: "move aside", path: stream.to_owned(), error };
    let kept = aside::folder(dir).join(stream.strip_prefix(dir).unwrap_or(stream));
    recovery::place_good(&Disk, stream).map_err(io)?;
    let files: Vec<PathBuf> = recovery::list(stream).map_err(io)?.into_iter().map(|(_, path)| path).collect();
    let to = aside::put(&Disk, &files, &kept).map_err(io)?;
    moved.extend(files.into_iter().zip(to));
    // what else is in it stays, and then the folder does too
    drop(std::fs::remove_dir(stream));
    Ok(())
}

/// Makes a ledger from what is there.
fn renew_ledger(
    dir: &Path,
    host: Option<&str>,
    targets: &[String],
    moved: &mut Vec<(PathBuf, PathBuf)>,
    notes: &mut Vec<String>,
) -> Result<(), Error> {
    let path = dir.join(ledger::FILE);
    let io = |error| Error::Io { what: "make anew", path: path.clone(), error };
    let bad = |reason: &str| Error::Ledger { path: path.clone(), reason: reason.to_owned() };
    if targets.is_empty() {
        // they would begin with the next stream, and what is here would be deleted unsent
        return Err(bad("which targets lack these lines stands in the configuration; name it with --config FILE"));
    }
    let named: Vec<String> = hosts(dir).map(|(name, _)| name).collect();
    let host = match (host, &named[..]) {
        (Some(host), _) if named.is_empty() || named.iter().any(|name| name == host) => host,
        (Some(host), _) => {
            let what = format!("the configuration is of host {host:?}, and these streams are of {named:?}");
            return Err(bad(&format!("{what}: put [host] name back")));
        }
        (None, [only]) => only,
        _ => return Err(bad("it can't be told whose spool this is; name the configuration with --config FILE")),
    };
    let old = std::fs::read(&path).unwrap_or_default();
    let hash_key = match salvaged_key(&old) {
        Some(key) => key,
        None => {
            let note = "the key by which files are known again is lost: each file is read from its beginning (or end, as start_at says) again";
            notes.push(note.to_owned());
            ledger::new_key(dir)?
        }
    };
    let mut found: Vec<Found> = streams(&dir.join(host)).filter_map(|(id, path)| begins(id, path)).collect();
    found.sort_by(|a, b| a.time.cmp(&b.time));
    if let Some(Found { id, path, first, .. }) = found.iter().find(|stream| stream.first > 0) {
        // its lines may be nowhere else, and the streams behind it tell their sources to go on after them
        return Err(bad(&format!(
            "stream {id} begins here at line {first}, and how it stood before is lost with the ledger: nothing was changed. Save what it has (sealtail cat {}), then move that folder away and repair again",
            path.display()
        )));
    }
    let mut ledger = Ledger::new(host, hash_key);
    ledger.streams.extend(found.iter().map(|stream| stream.id));
    let states = states(dir, targets, &found, notes);
    ledger.targets = states.collect();
    if !old.is_empty() {
        let to = aside::put(&Disk, std::slice::from_ref(&path), &aside::folder(dir)).map_err(io)?;
        moved.extend(to.into_iter().map(|to| (path.clone(), to)));
    }
    durable::write_new(&Disk, &path, &ledger.to_bytes(), 0o600).map_err(io)
}

/// The key of a ledger that is torn or spoilt elsewhere.
fn salvaged_key(ledger: &[u8]) -> Option<HashKey> {
    const MARK: &[u8] = b"\"hash_key\":\"";
    let at = memchr::memmem::find(ledger, MARK)? + MARK.len();
    let digits = str::from_utf8(ledger.get(at..at + 64)?).ok()?;
    Some(HashKey(unhex(digits)?.try_into().ok()?))
}

/// How a stream begins here; `None` where not even its first line can be read.
fn begins(id: StreamId, path: PathBuf) -> Option<Found> {
    let (first, file) = recovery::list(&path).ok()?.into_iter().next()?;
    let bytes = std::fs::read(file).ok()?;
    let frame = segment::frames(&bytes).next()?;
    let line = frame.lines.split(|byte| *byte == b'\n').next()?;
    let raw = RawLine::parse(line).ok()?;
    let (common, _) = Header::parse(raw.header).ok()?;
    Some(Found { id, path, first, time: common.time.into_owned() })
}

/// Where each target goes on: behind its last receipt, or at the beginning of what is here.
fn states(
    dir: &Path,
    targets: &[String],
    found: &[Found],
    notes: &mut Vec<String>,
) -> impl Iterator<Item = (String, TargetState)> + use<> {
    let mut states = Vec::new();
    for name in targets {
        let receipt = last_receipt(&dir.join("receipts").join(format!("{name}.ndjson")));
        let at = receipt.as_ref().and_then(|receipt| found.iter().find(|stream| stream.id == receipt.stream));
        let (stream, next) = match (&receipt, at) {
            (Some(receipt), Some(_)) => (Some(receipt.stream), receipt.seq[1] + 1),
            _ => (found.first().map(|stream| stream.id), 0),
        };
        if receipt.is_none() {
            notes.push(format!(
                "target {name:?} gave no receipt: it is sent everything that is here; what it has already it may take for a fork, and then it is kept in quarantine"
            ));
        }
        states.push((name.clone(), TargetState { stream, next, receipt, ..TargetState::default() }));
    }
    states.into_iter()
}

fn last_receipt(path: &Path) -> Option<Receipt> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().rev().find_map(|line| serde_json::from_str(line).ok())
}
