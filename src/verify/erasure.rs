//! What was erased, and by whose leave.

use super::archive::StreamFiles;
use super::finding::{Found, Word};
use super::parse::{Body, Parsed};
use super::roots::printable;
use super::stream::Fold;
use crate::chain::erasure::{EXTENSION, STATEMENT_MAX, Statement};
use crate::chain::host_key::HostPublic;
use crate::record::{Seq, StreamId};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

/// Statements of one stream that are looked at.
const STATEMENTS_MAX: usize = 100_000;

/// The statements beside a stream's files.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    /// Signed by the key that stands with them, and of this stream.
    pub(crate) sound: Vec<(Statement, HostPublic)>,
    /// Names of those that are not.
    unsound: Vec<String>,
}

/// Reads the statements beside the files of a stream.
pub(crate) fn statements(files: &StreamFiles, host: &str, stream: StreamId) -> Statements {
    let mut found = Statements::default();
    let folders: BTreeSet<&Path> = files.files.iter().filter_map(|file| file.path.parent()).collect();
    let entries = folders.into_iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().ends_with(EXTENSION.as_bytes())) {
        if found.sound.len() + found.unsound.len() == STATEMENTS_MAX {
            break;
        }
        let mut bytes = Vec::new();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let file = std::fs::File::open(entry.path()).ok().filter(|_| is_file);
        let read = file.and_then(|file| file.take(STATEMENT_MAX as u64 + 1).read_to_end(&mut bytes).ok());
        let fits = read.is_some_and(|len| len <= STATEMENT_MAX);
        let statement = if fits { Statement::read(&bytes) } else { None };
        match statement.filter(|(statement, _)| statement.host == host && statement.stream == stream) {
            Some(statement) => found.sound.push(statement),
            None => found.unsound.push(entry.file_name().to_string_lossy().into_owned()),
        }
    }
    found.unsound.sort();
    found
}

/// Which lines of a stream may be without their payload.
#[derive(Debug)]
pub(super) struct Leave {
    granted: Vec<(Seq, Seq, String)>,
    /// Why there may be no leave.
    else_why: String,
}

impl Leave {
    fn of(fold: &Fold<'_>) -> Self {
        let Some(start) = fold.start.as_ref().filter(|start| start.sound) else {
            return Self { granted: Vec::new(), else_why: "no sound genesis says who may erase".into() };
        };
        let Statements { sound, unsound } = statements(fold.files, &start.host, start.stream);
        let (by_leave, others): (Vec<_>, Vec<_>) = sound.into_iter().partition(|(_, key)| start.erasure.contains(key));
        let granted = |(statement, _): (Statement, _)| {
            let said = format!("{}, {}", statement.time, printable(&statement.reason));
            statement.lines.into_iter().map(move |(first, last)| (first, last, said.clone()))
        };
        let else_why = match (start.erasure.is_empty(), others.is_empty(), unsound.first()) {
            (true, ..) => "its genesis lets nobody erase".to_owned(),
            (_, false, _) => "no statement by a key that its genesis names; one by another key is there".to_owned(),
            (.., Some(name)) => format!("no statement by a key that its genesis names; {} is none", printable(name)),
            (.., None) => "no statement beside the archive".to_owned(),
        };
        Self { granted: by_leave.into_iter().flat_map(granted).collect(), else_why }
    }
}

impl Fold<'_> {
    /// A line without its payload, also if another copy of it has one.
    pub(super) fn erased_line(&mut self, line: &Parsed) {
        let may_be = matches!(line.body, Body::Log | Body::Source { .. });
        let leave = self.leave.take().unwrap_or_else(|| Leave::of(self));
        report(&leave, line.seq, may_be, &mut self.found);
        self.leave = Some(leave);
    }
}

fn report(leave: &Leave, seq: Seq, may_be: bool, found: &mut Found) {
    let granted = leave.granted.iter().find(|(first, last, _)| (*first..=*last).contains(&seq));
    match granted {
        _ if !may_be => found.add(Word::ErasedUnauthorised, seq, "only log and source lines may be erased"),
        Some((.., said)) => found.add(Word::Redacted, seq, format!("the payload was erased by leave: {said}")),
        None => found.add(Word::ErasedUnauthorised, seq, format!("the payload was erased: {}", leave.else_why)),
    }
}
