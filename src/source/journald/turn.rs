//! One entry after the other, over all sequences.

use super::entry::{self, Head};
use super::file::JournalFile;
use super::folders::group;
use super::held::Range;
use super::{FILL_BYTES, Journald, LARGE_BYTES, TELL_EVERY, TELL_PAUSE};
use crate::record::{End, Item, JournalTime, LineItem, SourceEvent};
use std::time::Instant;

impl Journald {
    /// Reads the next entry. `false` when there is none.
    pub(super) fn turn(&mut self) -> bool {
        let Some((index, head)) = self.oldest() else { return self.at_end() };
        let sequence = &self.sequences[index];
        let jumped = head.seqnum > sequence.last + 1;
        if jumped && !self.account_for(index, &head) {
            // there was more to see
            return true;
        }
        if self.is_copy(index, &head) {
            self.pass(index, &head);
            return true;
        }
        let sequence = &mut self.sequences[index];
        if !sequence.later_than.is_empty() {
            if is_past(&sequence.later_than, &head.time) {
                // in the boot of the cursor it was chained for certain; by the clock it only seems so
                let certain = sequence.later_than.iter().any(|at| at.boot == head.time.boot);
                sequence.passed_over += u64::from(!certain);
                self.pass(index, &head);
                return true;
            }
            sequence.later_than.clear();
            let lost = std::mem::take(&mut sequence.passed_over);
            if lost > 0 {
                let (key, dir) = (sequence.key, sequence.dir.display().to_string());
                tracing::warn!(
                    source = self.config.name,
                    dir,
                    entries = lost,
                    "by their time these entries were read before their journal was replaced; they are left out"
                );
                self.push(key, SourceEvent::Missed { lost: Some(lost) });
            }
        }
        self.note_boot(index, &head);
        self.chain(index, &head);
        self.pass(index, &head);
        true
    }

    /// The sequence whose next entry is the oldest. Of an entry and its copy on the disk the copy is the younger.
    fn oldest(&mut self) -> Option<(usize, Head)> {
        let next = |(index, sequence): (usize, &mut super::Sequence)| {
            sequence.peek().map(|head| (head.time.realtime_us, !sequence.runtime, index, head))
        };
        let all = self.sequences.iter_mut().enumerate().filter_map(next);
        all.min_by_key(|(time, on_disk, index, _)| (*time, *on_disk, *index)).map(|(_, _, index, head)| (index, head))
    }

    /// Nothing is left of what was seen: sees what is new, and lets go of what is done.
    fn at_end(&mut self) -> bool {
        if self.written {
            self.written = false;
            if self.refresh() {
                return true;
            }
        }
        let retired = self.retire();
        self.give_up_awaiting();
        if Instant::now() >= self.tell_at {
            self.tell_at = Instant::now() + TELL_PAUSE;
            for index in 0..self.sequences.len() {
                if self.sequences[index].untold > 0 && self.owes_telling(index) {
                    self.tell(index);
                }
            }
        }
        retired
    }

    /// Whether the last chained line does not say where reading stands: entries were left out after it, or the sequence may
    /// be copied and deleted, so that its time must be known.
    fn owes_telling(&self, index: usize) -> bool {
        self.sequences[index].runtime || self.config.priority.is_some() || !self.config.units.is_empty()
    }

    pub(super) fn refresh(&mut self) -> bool {
        self.sequences.iter_mut().fold(false, |grew, sequence| sequence.refresh() | grew)
    }

    /// Tells what is missing before an entry. `false` when the entry may not be the next any more.
    fn account_for(&mut self, index: usize, head: &Head) -> bool {
        let (key, dir, last) = {
            let sequence = &self.sequences[index];
            (sequence.key, sequence.dir.clone(), sequence.last)
        };
        let hole = (last + 1, head.seqnum - 1);
        let mut missing = self.held.entry(dir.clone()).or_default().missing(hole);
        if missing.is_empty() {
            return true;
        }
        if self.sure_before != Some((key, head.seqnum)) {
            // the entries may stand in what was written, or rotated, since the last look
            self.sure_before = Some((key, head.seqnum));
            self.look_well();
            self.refresh();
            return false;
        }
        let sequence = self.sequences[index].id;
        let others =
            self.files.values().filter(|file| file.path.parent() == Some(&dir) && file.sequence != Some(sequence));
        for file in others {
            if let Ok(file) = JournalFile::open(&file.path) {
                missing = without(file, missing);
            }
        }
        let lost: u64 = missing.iter().map(|(from, to)| to - from + 1).sum();
        self.held.entry(dir.clone()).or_default().add(hole);
        if lost > 0 {
            tracing::warn!(
                source = self.config.name,
                dir = %dir.display(),
                entries = lost,
                before = head.seqnum,
                "entries are missing: vacuumed before they were read, damaged, or never written"
            );
            self.push(key, SourceEvent::Missed { lost: Some(lost) });
        }
        true
    }

    /// Whether it is the copy on the disk of an entry that was read below /run.
    fn is_copy(&self, index: usize, head: &Head) -> bool {
        let sequence = &self.sequences[index];
        let original = |other: &super::Sequence| {
            other.runtime && group(&other.dir) == group(&sequence.dir) && other.has_read(head)
        };
        !sequence.runtime && (self.sequences.iter().any(original) || self.copied.iter().any(original))
    }

    /// The entry is done with.
    fn pass(&mut self, index: usize, head: &Head) {
        let sequence = &mut self.sequences[index];
        sequence.pass(head);
        let untold = sequence.untold;
        if let Some(held) = self.held.get_mut(&sequence.dir) {
            held.add((head.seqnum, head.seqnum));
        }
        if untold >= TELL_EVERY {
            self.tell(index);
        }
        if !self.awaited.is_empty() {
            self.came(index, head.time.boot);
        }
    }

    /// Tells the chain where reading stands.
    pub(super) fn tell(&mut self, index: usize) {
        self.sequences[index].untold = 0;
        let (key, cursor) = (self.sequences[index].key, self.sequences[index].cursor());
        self.push(key, SourceEvent::Identified { cursor });
    }

    /// Before the first entry of a boot the chain is told the boot, so that the cursor's is always that of the last entry.
    fn note_boot(&mut self, index: usize, head: &Head) {
        let sequence = &mut self.sequences[index];
        if sequence.at.boot != head.time.boot {
            sequence.at = head.time;
            sequence.last = head.seqnum - 1;
            self.tell(index);
        }
    }

    /// Makes a line of the entry, if it is wanted.
    fn chain(&mut self, index: usize, head: &Head) {
        let sequence = &mut self.sequences[index];
        let (key, id) = (sequence.key, sequence.id);
        let Some(file) = sequence.current() else { return };
        let content = file.content(head);
        if let Some(damage) = file.tell_damage() {
            let path = file.path.display().to_string();
            tracing::warn!(
                source = self.config.name,
                path,
                at = damage.at,
                what = damage.what,
                "a journal file is damaged; what is sound in it is read"
            );
        }
        if content.damaged {
            // the whole entry, or something of it
            let lost = content.fields.is_empty().then_some(1);
            self.push(key, SourceEvent::Missed { lost });
        }
        if content.fields.is_empty() || !self.filter.takes(&content.fields) {
            return;
        }
        let start = self.batch.bytes.len();
        entry::render(head, id, &content.fields, &mut self.batch.bytes);
        if self.batch.bytes.len() - start <= self.config.max_line_bytes {
            let span = start..self.batch.bytes.len();
            self.batch.items.push(Item::Line(LineItem { source: key, span, offset: head.seqnum, end: End::Newline }));
            return;
        }
        let line = self.batch.bytes.split_off(start);
        let mut parts = line.chunks(self.config.max_line_bytes).peekable();
        while let Some(part) = parts.next() {
            let (offset, end) = match parts.peek() {
                Some(_) => (head.seqnum - 1, End::Part),
                None => (head.seqnum, End::Newline),
            };
            let start = self.batch.bytes.len();
            self.batch.bytes.extend_from_slice(part);
            let span = start..self.batch.bytes.len();
            self.batch.items.push(Item::Line(LineItem { source: key, span, offset, end }));
            if self.batch.bytes.len() >= LARGE_BYTES.max(FILL_BYTES) {
                self.full.push_back(std::mem::take(&mut self.batch));
            }
        }
    }
}

/// Whether it is not later than one of these: by the boot's own clock where it is the same boot, else by the calendar.
fn is_past(cursors: &[JournalTime], time: &JournalTime) -> bool {
    cursors.iter().any(|at| match at.boot == time.boot {
        true => time.monotonic_us <= at.monotonic_us,
        false => time.realtime_us <= at.realtime_us,
    })
}

/// What of the numbers the file does not hold.
fn without(mut file: JournalFile, missing: Vec<Range>) -> Vec<Range> {
    let mut left = Vec::new();
    for (from, to) in missing {
        file.rewind();
        let mut next = from;
        while let Some(head) = file.next_after(next - 1).filter(|head| head.seqnum <= to) {
            if head.seqnum > next {
                left.push((next, head.seqnum - 1));
            }
            next = head.seqnum + 1;
        }
        if next <= to {
            left.push((next, to));
        }
    }
    left
}
