//! Lines that are not where, or not as often as, they should be.

use super::archive::split_origin;
use super::finding::Word;
use super::lines::Fault;
use super::order::{self, Damage, Ordered};
use super::parse::Parsed;
use super::repeat::Repeat;
use super::roots::printable;
use super::stream::Fold;
use super::tags::{Place, Tag};
use super::unit::{ParsedUnit, Unit};
use crate::chain::checkpoint::Checkpoint;
use crate::record::Seq;

/// A file with more lines than this that are none is given up.
const MALFORMED_MAX: u32 = 1000;

impl Fold<'_> {
    /// Reports lines of a unit that can't be read, or stand in another order than theirs.
    pub(super) fn report_disorder(&mut self, parsed: &ParsedUnit, ordered: &Ordered) {
        let file = parsed.unit.file;
        let path = self.files.files[file].path.display().to_string();
        for (seq, damage) in &ordered.damaged {
            self.holes.explain(*seq);
            self.place_known = false;
            match damage {
                Damage::Malformed(what) => self.malformed(file, *seq, what),
                Damage::Misnumbered(says) => {
                    let detail = format!("line {seq} was changed: it says that it is line {says}");
                    self.found.add(Word::Tampered, *seq, detail);
                }
            }
        }
        for (first, last) in runs(ordered.moved.iter().copied()) {
            let detail = format!("{path}: lines {first} to {last} do not stand where they belong");
            self.found.add(Word::Reordered, first, detail);
        }
        for index in &ordered.beyond {
            let seq = order::seq(parsed, *index);
            let detail = format!("{path}: line {seq} stands in a segment that ends before it");
            self.found.add(Word::Forged, seq, detail);
        }
    }

    fn malformed(&mut self, file: usize, seq: Seq, what: &str) {
        let known = if self.malformed.0 == file { self.malformed.1 } else { 0 };
        self.malformed = (file, known + 1);
        let path = self.files.files[file].path.display();
        match known {
            0..MALFORMED_MAX => self.found.add(Word::Malformed, seq, format!("{path}: {}", printable(what))),
            MALFORMED_MAX => {
                let detail = format!("{path}: {MALFORMED_MAX} of its lines are none; the rest of it is not read");
                self.found.add(Word::Malformed, seq, detail);
                self.give_up = Some(file);
            }
            _ => {}
        }
    }

    /// Of lines with one seq in one unit, keeps the one whose tag fits. True if another one than before is kept.
    pub(super) fn settle_repeats(&mut self, parsed: &ParsedUnit, ordered: &mut Ordered) -> bool {
        let mut exchanged = false;
        for (at, other) in std::mem::take(&mut ordered.repeats) {
            let line = |index: usize| parsed.lines[index].as_ref().ok();
            let (Some(kept), Some(repeat)) = (line(ordered.lines[at]), line(other)) else { continue };
            if kept.leaf == repeat.leaf {
                self.repeats.identical(parsed.unit.file, repeat.seq, &mut self.found);
                if repeat.erased && !kept.erased {
                    self.erased_line(repeat);
                }
                continue;
            }
            let before = at.checked_sub(1).and_then(|before| line(ordered.lines[before]));
            let last = before.map(|before| (before.seq, before.leaf)).or(self.place.last);
            let place = Place { last, ..self.place.clone() };
            let stream = self.stream();
            let check = |line: &Parsed| place.check(&parsed.unit.bytes, &[line], stream)[0] == Tag::Good;
            let (kept_fits, repeat_fits) = (check(kept), check(repeat));
            match (kept_fits, repeat_fits) {
                (true, false) | (false, true) => {
                    let detail = format!("a second line {} stands beside the true one; its tag does not fit", kept.seq);
                    self.found.add(Word::Forged, kept.seq, detail);
                    if repeat_fits {
                        ordered.lines[at] = other;
                        exchanged = true;
                    }
                }
                _ => {
                    self.found.add(Word::Fork, kept.seq, format!("line {} stands twice, with other bytes", kept.seq));
                    self.roots.damage();
                }
            }
        }
        exchanged
    }

    /// Lines of a seq that was passed already.
    pub(super) fn late(&mut self, parsed: &ParsedUnit, lines: &[&Parsed]) {
        let file = parsed.unit.file;
        let path = self.files.files[file].path.display().to_string();
        let (mut forks, mut strays) = (Vec::new(), Vec::new());
        for line in lines {
            match self.repeats.compare(line.seq, &line.leaf) {
                Repeat::Identical { first_erased } => {
                    self.repeats.identical(file, line.seq, &mut self.found);
                    if line.erased && !first_erased {
                        self.erased_line(line);
                    }
                }
                Repeat::Different => forks.push(line.seq),
                Repeat::New => {
                    self.holes.fill(line.seq);
                    strays.push(line.seq);
                }
            }
        }
        for (first, last) in runs(forks.into_iter()) {
            let detail = format!("{path}: lines {first} to {last} again, with other bytes than before");
            self.found.add(Word::Fork, first, detail);
        }
        for (first, last) in runs(strays.into_iter()) {
            let detail = format!("{path}: lines {first} to {last} stand after later ones");
            self.found.add(Word::Reordered, first, detail);
        }
    }

    /// Whether the lines are those of another stream, as their checkpoint says and no tag or root denies.
    pub(super) fn foreign(&mut self, parsed: &ParsedUnit, lines: &[&Parsed], tags: &[Tag]) -> bool {
        let Some((last, before)) = lines.split_last() else { return false };
        let Some(body) = last.checkpoint() else { return false };
        let Ok(note) = Checkpoint::parse(&body.note) else { return false };
        let leaves = || before.iter().map(|line| line.leaf);
        if note.origin == self.origin
            || split_origin(&note.origin).is_none()
            || tags.contains(&Tag::Good)
            || self.roots.would_give(leaves(), &note.root)
            || self.start.as_ref().is_some_and(|start| Checkpoint::open(&body.note, &start.key).is_ok())
            || (last.seq < self.next && matches!(self.repeats.compare(last.seq, &last.leaf), Repeat::Identical { .. }))
        {
            return false;
        }
        let path = self.files.files[parsed.unit.file].path.display();
        let first = lines.first().map_or(last.seq, |line| line.seq);
        let origin = printable(&note.origin);
        let detail = format!("{path}: lines {first} to {} are of {origin}, not of {}", last.seq, self.origin);
        self.found.add(Word::WrongStream, first, detail);
        true
    }

    /// The end of a file, as it should be or not.
    pub(super) fn file_end(&mut self, unit: Unit) {
        let Some(end) = unit.end else { return };
        self.repeats.flush(&mut self.found);
        let Some(fault) = end else { return };
        let last_file = unit.file + 1 == self.files.files.len();
        // a stream that is still being written ends like this
        if last_file && matches!(fault, Fault::Torn { flushed: true, .. }) {
            return;
        }
        let path = self.files.files[unit.file].path.display();
        if matches!(fault, Fault::Io(_) | Fault::Special) {
            self.found.unchecked(format!("{path} {fault}"));
        } else {
            let word = match fault {
                Fault::Torn { .. } | Fault::NoNewline | Fault::Empty => Word::Truncated,
                _ => Word::Malformed,
            };
            let seq = self.next;
            self.found.add(word, seq, format!("{path} {fault}; line {seq} should follow"));
        }
        self.cut_at = Some(self.next);
    }
}

/// Runs of consecutive numbers: first and last of each.
fn runs(numbers: impl Iterator<Item = Seq>) -> Vec<(Seq, Seq)> {
    let mut runs: Vec<(Seq, Seq)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}
