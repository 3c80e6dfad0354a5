//! What a stream's files hold, cut into units of work: a segment each, as a rule.
//!
//! Where a unit ends is only a matter of speed and memory; nothing is believed because of it.

use super::archive::ArchiveFile;
use super::lines::{Fault, Lines};
use super::parse::{Parsed, glance_seq, looks_like_checkpoint};
use crate::chain::SEGMENT_LINES;
use crate::record::Seq;
use std::ops::Range;

/// A unit ends here at the latest.
const UNIT_BYTES: usize = 4 << 20;
/// Units are handed out in batches of about this many bytes, two of which are in memory at a time.
const BATCH_BYTES: usize = 16 << 20;
const BATCH_UNITS: usize = 64;

/// A run of lines as they stand in one file.
pub(super) struct Unit {
    /// Which of the stream's files.
    pub(super) file: usize,
    pub(super) bytes: Vec<u8>,
    spans: Vec<Range<usize>>,
    /// What the line after this unit says of its seq.
    pub(super) follow: Option<Seq>,
    /// The file ends here: as it should, or with a fault.
    pub(super) end: Option<Option<Fault>>,
}

/// A unit whose lines were taken apart.
pub(super) struct ParsedUnit {
    pub(super) unit: Unit,
    /// Each line in the order of the file, or what is wrong with it.
    pub(super) lines: Vec<Result<Parsed, String>>,
}

impl Unit {
    /// Takes every line apart.
    pub(super) fn parse(mut self) -> ParsedUnit {
        let spans = std::mem::take(&mut self.spans);
        let lines = spans.into_iter().map(|span| Parsed::new(&self.bytes, span)).collect();
        ParsedUnit { unit: self, lines }
    }
}

/// Reads the units of a stream, file after file.
pub(super) struct UnitReader<'a> {
    files: &'a [ArchiveFile],
    /// The file that is being read, or will be next.
    at: usize,
    open: Option<Lines>,
    /// The next line of the open file, read ahead, or the file's end.
    ahead: Option<Result<Vec<u8>, Option<Fault>>>,
    counted: u64,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<'a> UnitReader<'a> {
    /// Reads from the file with this index on; `progress` is told how many more bytes were read.
    pub(super) fn new(files: &'a [ArchiveFile], from: usize, progress: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self { files, at: from, open: None, ahead: None, counted: 0, progress }
    }

    /// Gives up a file, if it is still being read.
    pub(super) fn abandon(&mut self, file: usize) {
        if self.at == file {
            self.next_file();
        }
    }

    /// The next units; none at the end of the stream.
    pub(super) fn batch(&mut self) -> Vec<Unit> {
        let mut units = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES && units.len() < BATCH_UNITS {
            let Some(unit) = self.unit() else { break };
            bytes += unit.bytes.len();
            units.push(unit);
        }
        units
    }

    fn unit(&mut self) -> Option<Unit> {
        self.files.get(self.at)?;
        let mut unit = Unit { file: self.at, bytes: Vec::new(), spans: Vec::new(), follow: None, end: None };
        loop {
            match self.ahead.take().unwrap_or_else(|| self.read()) {
                Ok(line) => {
                    let start = unit.bytes.len();
                    unit.bytes.extend_from_slice(&line);
                    unit.spans.push(start..unit.bytes.len());
                    let full = unit.bytes.len() >= UNIT_BYTES || unit.spans.len() as u64 >= SEGMENT_LINES;
                    if full || looks_like_checkpoint(&line) {
                        break;
                    }
                }
                Err(fault) => {
                    unit.end = Some(fault);
                    break;
                }
            }
        }
        if unit.end.is_none() {
            match self.read() {
                Ok(line) => {
                    unit.follow = glance_seq(&line);
                    self.ahead = Some(Ok(line));
                }
                Err(fault) => unit.end = Some(fault),
            }
        }
        self.count();
        if unit.end.is_some() {
            self.next_file();
            unit.follow = self.files.get(self.at).and_then(|file| file.first);
        }
        Some(unit)
    }

    /// The next line of the present file, or its end.
    fn read(&mut self) -> Result<Vec<u8>, Option<Fault>> {
        if self.open.is_none() {
            self.open = Some(Lines::open(&self.files[self.at].path).map_err(Some)?);
        }
        match self.open.as_mut().and_then(Lines::next_line) {
            Some(Ok(line)) => Ok(line.to_vec()),
            Some(Err(fault)) => Err(Some(fault)),
            None => Err(None),
        }
    }

    fn next_file(&mut self) {
        self.count();
        let file = &self.files[self.at];
        (self.progress)(file.size_bytes.saturating_sub(self.counted));
        self.counted = 0;
        self.open = None;
        self.ahead = None;
        self.at += 1;
    }

    fn count(&mut self) {
        let taken = self.open.as_ref().map_or(self.counted, Lines::taken);
        (self.progress)(taken - self.counted);
        self.counted = taken;
    }
}
