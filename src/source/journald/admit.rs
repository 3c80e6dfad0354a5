//! Where a sequence is begun, and what became of the sequences that the process before this one knew.

use super::file::JournalFile;
use super::folders::group;
use super::format::Id;
use super::look::State;
use super::sequence::Sequence;
use super::{Journald, Since};
use crate::record::{Cursor, Labels, SourceEvent, SourceKey, hex, unhex};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// A sequence below /run that is gone with its boot, or was copied to the disk.
#[derive(Debug)]
pub(super) struct Awaited {
    key: SourceKey,
    group: OsString,
    boot: Id,
}

/// A sequence's name in this process.
type Name = (PathBuf, Id);

impl Journald {
    /// Takes up the sequences of files that are new, and says what became of known ones.
    pub(super) fn admit(&mut self) {
        let mut new: BTreeMap<Name, Vec<PathBuf>> = BTreeMap::new();
        for known in self.files.values().filter(|known| known.state == State::Waiting) {
            let (Some(dir), Some(id)) = (known.path.parent(), known.sequence) else { continue };
            if !self.sequences.iter().any(|sequence| sequence.id == id && sequence.dir == dir) {
                new.entry((dir.to_owned(), id)).or_default().push(known.path.clone());
            }
        }
        let replaced = self.resolve(&new);
        for (name, paths) in new {
            self.begin(name, &paths, &replaced);
        }
        let reached: Vec<(usize, Id)> =
            self.sequences.iter().enumerate().map(|(index, s)| (index, s.at.boot)).collect();
        reached.into_iter().for_each(|(index, boot)| self.came(index, boot));
        self.open_waiting();
        if self.looks == 1 {
            for index in 0..self.sequences.len() {
                self.begin_again(index);
            }
        }
    }

    fn begin(&mut self, (dir, id): Name, paths: &[PathBuf], replaced: &[Cursor]) {
        let mut files: Vec<JournalFile> = paths.iter().filter_map(|path| JournalFile::open(path).ok()).collect();
        files.sort_by_key(|file| file.header.head_seqnum);
        let Some(first) = files.iter_mut().find_map(|file| file.next_after(0)) else {
            // nothing in them can be read yet, or ever
            return self.complain(&dir, files);
        };
        let position = self.known.iter().position(|cursor| names(cursor) == Some((&dir, id)));
        let known = position.map(|index| self.known.swap_remove(index));
        let now = self.looks == 1 && !self.restarted && self.config.since == Since::Now;
        let (last, at) = match known {
            Some(Cursor::Journal { seqnum, at, .. }) => (seqnum, at),
            _ if now => {
                let last = files.iter_mut().filter_map(last_of).max_by_key(|head| head.seqnum);
                last.map_or((first.seqnum, first.time), |last| (last.seqnum, last.time))
            }
            _ => (first.seqnum - 1, first.time),
        };
        let mut sequence = Sequence::new(self.keys.next(), dir.clone(), id, last, at);
        if !sequence.runtime {
            let times = replaced.iter().filter_map(|cursor| match cursor {
                Cursor::Journal { dir: gone, at, .. } if *gone == dir => Some(*at),
                _ => None,
            });
            sequence.later_than = times.collect();
        }
        self.held.entry(dir).or_default();
        self.open(sequence.key, sequence.cursor());
        self.sequences.push(sequence);
    }

    fn open(&mut self, key: SourceKey, cursor: Cursor) {
        let opened = SourceEvent::Opened { name: self.config.name.clone(), cursor, labels: Labels::default() };
        self.push(key, opened);
    }

    fn complain(&mut self, dir: &std::path::Path, files: Vec<JournalFile>) {
        for mut file in files {
            if let Some(damage) = file.tell_damage()
                && self.told.insert(file.path.clone())
            {
                let (dir, path) = (dir.display(), file.path.display());
                tracing::warn!(source = self.config.name, %dir, %path, at = damage.at, what = damage.what, "nothing in this journal file can be read");
            }
        }
    }

    /// Says what became of known sequences that are not there. Returns those on the disk that are gone.
    fn resolve(&mut self, new: &BTreeMap<Name, Vec<PathBuf>>) -> Vec<Cursor> {
        let mut replaced = Vec::new();
        for cursor in std::mem::take(&mut self.known) {
            let Cursor::Journal { dir, sequence, at, seqnum } = &cursor else { continue };
            let here = |other: &std::path::Path| group(other) == group(dir);
            let others = new.keys().any(|(dir, _)| here(dir)) || self.sequences.iter().any(|other| here(&other.dir));
            let runtime = dir.starts_with("/run");
            let over = runtime && this_boot().is_some_and(|boot| boot != at.boot);
            let comes = new.contains_key(&(dir.clone(), *sequence));
            if comes || !(others || over) {
                // without any journal there the disk may not be mounted yet
                if !comes && self.told.insert(dir.clone()) {
                    tracing::warn!(source = self.config.name, dir = %dir.display(), "a journal that was read before is not there; waiting for it");
                }
                self.known.push(cursor);
                continue;
            }
            let key = self.keys.next();
            self.open(key, cursor.clone());
            if runtime {
                self.copied.push(Sequence::new(key, dir.clone(), *sequence, *seqnum, *at));
                self.awaited.push(Awaited { key, group: group(dir).to_owned(), boot: at.boot });
            } else {
                tracing::warn!(
                    source = self.config.name,
                    dir = %dir.display(),
                    sequence = hex(sequence),
                    last = seqnum,
                    "the journal that was read before is gone; going on by time in what is there"
                );
                self.push(key, SourceEvent::Vanished { lost: None });
                replaced.push(cursor);
            }
        }
        replaced
    }

    /// An entry of this boot was met in a sequence: if that is on the disk, what was awaited was copied there.
    pub(super) fn came(&mut self, index: usize, boot: Id) {
        let sequence = &self.sequences[index];
        if sequence.runtime {
            return;
        }
        let group = group(&sequence.dir).to_owned();
        let awaited = std::mem::take(&mut self.awaited);
        let (came, left): (Vec<_>, Vec<_>) =
            awaited.into_iter().partition(|awaited| awaited.boot == boot && awaited.group == group);
        self.awaited = left;
        came.into_iter().for_each(|awaited| self.push(awaited.key, SourceEvent::Ended));
    }

    /// Everything was read, and the entries of these boots were nowhere.
    pub(super) fn give_up_awaiting(&mut self) {
        for awaited in std::mem::take(&mut self.awaited) {
            tracing::warn!(
                source = self.config.name,
                boot = hex(&awaited.boot),
                "a journal below /run is gone and was not copied to the disk; what was not read of it is lost"
            );
            self.push(awaited.key, SourceEvent::Vanished { lost: None });
        }
    }

    /// Goes back where numbers began again; see [`Sequence::began_again`].
    fn begin_again(&mut self, index: usize) {
        let Some(head) = self.sequences[index].began_again() else { return };
        let sequence = &mut self.sequences[index];
        tracing::warn!(
            source = self.config.name,
            dir = %sequence.dir.display(),
            from = head,
            read_to = sequence.last,
            "journald gave numbers again that were read before, as after a power cut; reading from the first of them"
        );
        sequence.last = head - 1;
        self.tell(index);
    }
}

fn names(cursor: &Cursor) -> Option<(&PathBuf, Id)> {
    match cursor {
        Cursor::Journal { dir, sequence, .. } => Some((dir, *sequence)),
        Cursor::File { .. } | Cursor::Stdin { .. } => None,
    }
}

/// The last entry of a file.
fn last_of(file: &mut JournalFile) -> Option<super::entry::Head> {
    let tail = file.tail_seqnum()?;
    file.rewind();
    let found = (0..16).find_map(|back| file.next_after_fresh(tail.saturating_sub(1 << back)))?;
    let mut last = found;
    while let Some(next) = file.next_after(last.seqnum) {
        last = next;
    }
    Some(last)
}

/// The boot that this process runs in.
fn this_boot() -> Option<Id> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    unhex(&text.trim().replace('-', ""))?.try_into().ok()
}
