//! Lines that were there before: the same again, or others in their place?
//!
//! Lines already checked are not kept; they are read again, in step with the lines that repeat them.

use super::archive::ArchiveFile;
use super::finding::{Found, Word};
use super::lines::Lines;
use super::parse::glance_seq;
use crate::chain::key::Bytes32;
use crate::chain::line::RawLine;
use crate::record::Seq;

/// Starting again from the beginning of a file is work; a hostile archive could ask for it at every line.
const RESTARTS_MAX: u32 = 4096;

/// Compares repeated lines with the first that had their seq.
pub(super) struct Repeats<'a> {
    files: &'a [ArchiveFile],
    /// Where lines were first met: the first seq that each file brought, ascending, and the file.
    brought: Vec<(Seq, usize)>,
    reader: Option<Reader>,
    restarts: u32,
    /// Identical lines met one after the other: file, first and last seq.
    run: Option<(usize, Seq, Seq)>,
}

/// What a repeated line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    Identical {
        /// The first one has no payload any more.
        first_erased: bool,
    },
    Different,
    /// No line with its seq was there before.
    New,
}

struct Reader {
    file: usize,
    lines: Lines,
    /// The line it stands at.
    at: Option<Line>,
}

#[derive(Clone, Copy)]
struct Line {
    seq: Seq,
    leaf: Bytes32,
    erased: bool,
}

impl<'a> Repeats<'a> {
    pub(super) fn new(files: &'a [ArchiveFile]) -> Self {
        Self { files, brought: Vec::new(), reader: None, restarts: 0, run: None }
    }

    /// Notes that the file brought lines from `seq` on that were not there before.
    pub(super) fn bring(&mut self, file: usize, seq: Seq) {
        if self.brought.last().is_none_or(|(_, last)| *last != file) {
            self.brought.push((seq, file));
        }
    }

    /// What the line `seq` with this leaf is, compared with the first that was there.
    pub(super) fn compare(&mut self, seq: Seq, leaf: &Bytes32) -> Repeat {
        match self.first(seq) {
            Some(first) if first.leaf == *leaf => Repeat::Identical { first_erased: first.erased },
            Some(_) => Repeat::Different,
            None => Repeat::New,
        }
    }

    fn first(&mut self, seq: Seq) -> Option<Line> {
        let place = self.brought.partition_point(|(first, _)| *first <= seq).checked_sub(1)?;
        let file = self.brought[place].1;
        let in_step = self.reader.as_ref().is_some_and(|r| r.file == file && r.at.is_some_and(|at| at.seq <= seq));
        if !in_step {
            if self.restarts == RESTARTS_MAX {
                return None;
            }
            self.restarts += 1;
            let lines = Lines::open(&self.files[file].path).ok()?;
            self.reader = Some(Reader { file, lines, at: None });
        }
        let reader = self.reader.as_mut()?;
        loop {
            match reader.at {
                Some(at) if at.seq == seq => return Some(at),
                Some(at) if at.seq > seq => return None,
                _ => {}
            }
            let line = reader.lines.next_line()?.ok()?;
            // a line that can't be read has no leaf, and was reported when it was first met
            if let (Some(seq), Ok(raw)) = (glance_seq(line), RawLine::parse(line)) {
                reader.at = Some(Line { seq, leaf: raw.leaf(), erased: raw.payload.is_none() });
            }
        }
    }

    /// Notes an identical line; lines in a row are one finding.
    pub(super) fn identical(&mut self, file: usize, seq: Seq, found: &mut Found) {
        match &mut self.run {
            Some((in_file, _, last)) if *in_file == file && last.checked_add(1) == Some(seq) => *last = seq,
            _ => {
                self.flush(found);
                self.run = Some((file, seq, seq));
            }
        }
    }

    /// Reports the lines of the last row.
    pub(super) fn flush(&mut self, found: &mut Found) {
        let Some((file, first, last)) = self.run.take() else { return };
        let named = self.files[file].named();
        let at = self.files[file].path.display();
        // old lines under their own name are a copy; under the name of later ones they stand in for these
        match named.filter(|named| Some(*named) != self.files[file].first) {
            Some(named) => found.add(
                Word::Replay,
                first,
                format!("{at}: named as if it began at line {named}, and holds lines {first} to {last} again"),
            ),
            None => found.add(Word::DuplicateIdentical, first, format!("{at}: lines {first} to {last} again")),
        }
    }
}
