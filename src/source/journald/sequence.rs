//! One sequence: the entries that share a `seqnum_id` in one directory, over all files that hold some of them.

use super::entry::Head;
use super::file::JournalFile;
use super::format::Id;
use crate::record::{Cursor, JournalTime, SourceKey};
use std::path::PathBuf;

/// Entries of one microsecond that are told apart.
const MOMENT_MAX: usize = 64;

/// A sequence and how far it was read.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) key: SourceKey,
    pub(super) dir: PathBuf,
    pub(super) id: Id,
    /// Below /run: journald may copy it to the disk and delete it.
    pub(super) runtime: bool,
    /// The number of the last entry that was read; one less than the first before that.
    pub(super) last: u64,
    /// The time of an entry near it.
    pub(super) at: JournalTime,
    /// The first moment that was read here, and which entries of the last.
    pub(super) from_us: Option<u64>,
    moment: Vec<u64>,
    /// It takes the place of sequences that are gone: what is not later than these was chained by them, or is past.
    pub(super) later_than: Vec<JournalTime>,
    /// Entries left out by that, of which it can't be known that they were chained.
    pub(super) passed_over: u64,
    /// The last number of files that were vacuumed before they were opened.
    pub(super) lost_to: u64,
    /// Entries since the chain was last told where reading stands.
    pub(super) untold: u32,
    files: Vec<JournalFile>,
    /// Which file is being read, and up to which number it is the only one.
    current: usize,
    until: u64,
}

impl Sequence {
    pub(super) fn new(key: SourceKey, dir: PathBuf, id: Id, last: u64, at: JournalTime) -> Sequence {
        Sequence {
            key,
            runtime: dir.starts_with("/run"),
            dir,
            id,
            last,
            at,
            from_us: None,
            moment: Vec::new(),
            later_than: Vec::new(),
            passed_over: 0,
            lost_to: 0,
            untold: 0,
            files: Vec::new(),
            current: 0,
            until: 0,
        }
    }

    /// Where reading stands.
    pub(super) fn cursor(&self) -> Cursor {
        Cursor::Journal { dir: self.dir.clone(), sequence: self.id, at: self.at, seqnum: self.last }
    }

    pub(super) fn files(&self) -> &[JournalFile] {
        &self.files
    }

    pub(super) fn add(&mut self, file: JournalFile) {
        self.files.push(file);
        self.until = 0;
    }

    pub(super) fn file_mut(&mut self, id: Id) -> Option<&mut JournalFile> {
        self.files.iter_mut().find(|file| file.id() == id)
    }

    /// Sees what was written since. `false` if nothing was.
    pub(super) fn refresh(&mut self) -> bool {
        let grew = self.files.iter_mut().fold(false, |grew, file| file.refresh() | grew);
        if grew {
            self.until = 0;
        }
        grew
    }

    /// The next entry.
    pub(super) fn peek(&mut self) -> Option<Head> {
        let after = self.last;
        if let Some(file) = self.files.get_mut(self.current)
            && let Some(head) = file.next_after(after)
            && head.seqnum < self.until
        {
            return Some(head);
        }
        let next =
            |(index, file): (usize, &mut JournalFile)| file.next_after(after).map(|head| (head.seqnum, index, head));
        let mut all: Vec<_> = self.files.iter_mut().enumerate().filter_map(next).collect();
        all.sort_unstable_by_key(|(seqnum, index, _)| (*seqnum, *index));
        let (_, index, head) = *all.first()?;
        self.current = index;
        // a number that two files hold is read from the first of them
        self.until = all.get(1).map_or(u64::MAX, |(seqnum, ..)| (*seqnum).max(head.seqnum + 1));
        Some(head)
    }

    /// About how many entries are there and were not read.
    pub(super) fn behind(&self) -> u64 {
        let left = |file: &JournalFile| {
            file.tail_seqnum().map_or(0, |tail| tail.saturating_sub(self.last).min(file.header.entries))
        };
        self.files.iter().map(left).sum()
    }

    /// The file that the entry of the last [`Self::peek`] stands in.
    pub(super) fn current(&mut self) -> Option<&mut JournalFile> {
        self.files.get_mut(self.current)
    }

    /// The entry was read.
    pub(super) fn pass(&mut self, head: &Head) {
        if (head.time.boot, head.time.monotonic_us) != (self.at.boot, self.at.monotonic_us) {
            self.moment.clear();
        }
        if self.moment.len() < MOMENT_MAX {
            self.moment.push(head.hash);
        }
        self.from_us.get_or_insert(head.time.monotonic_us);
        self.last = head.seqnum;
        self.at = head.time;
        self.untold += 1;
    }

    /// Whether it holds the entry of which this is a copy, and has read it.
    pub(super) fn has_read(&self, copy: &Head) -> bool {
        let (at, time) = (self.at, copy.time);
        let known = at.boot == time.boot && self.from_us.is_none_or(|from| from <= time.monotonic_us);
        let moment = || self.moment.is_empty() || self.moment.contains(&copy.hash);
        known && (time.monotonic_us < at.monotonic_us || (time.monotonic_us == at.monotonic_us && moment()))
    }

    /// Lets go of files that are read to an end that is one. Returns them.
    pub(super) fn retire(&mut self) -> Vec<JournalFile> {
        let after = self.last;
        let mut retired = Vec::new();
        let mut index = 0;
        while index < self.files.len() {
            let file = &mut self.files[index];
            let ended = file.is_final() || file.is_unlinked();
            // asked in this order, nothing can be written between
            if ended && !file.refresh() && file.next_after(after).is_none() {
                retired.push(self.files.remove(index));
                self.until = 0;
            } else {
                index += 1;
            }
        }
        retired
    }

    /// Whether numbers began again below `last`: after a power cut the disk may hold less than was read before it, and
    /// journald counts on from there. The youngest file then knows nothing of the boot that wrote `last`.
    pub(super) fn began_again(&mut self) -> Option<u64> {
        let (last, boot) = (self.last, self.at.boot);
        let youngest =
            self.files.iter_mut().max_by_key(|file| (file.header.head_seqnum, file.header.head_realtime_us))?;
        let head = youngest.header.head_seqnum;
        if !youngest.header.bounds_hold() || head > last {
            return None;
        }
        let nearest = last.min(youngest.header.tail_seqnum);
        let found = youngest.next_after(nearest - 1);
        youngest.rewind();
        let later = found.filter(|found| found.seqnum == nearest && found.time.boot != boot)?;
        (later.time.realtime_us > self.at.realtime_us).then_some(head)
    }
}
