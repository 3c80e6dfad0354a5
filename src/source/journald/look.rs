//! What follows from looking around: files that are new, renamed, gone, read to their end.

use super::file::JournalFile;
use super::folders::{self, Inode};
use super::format::{Id, Refusal};
use super::{FILES_MAX, Journald};
use crate::record::{SourceEvent, unhex};
use std::collections::HashSet;
use std::collections::hash_map::Entry;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Looks, one after the other, when names keep changing.
const LOOKS: usize = 5;

/// A file that is there.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) path: PathBuf,
    pub(super) state: State,
    /// What its header says, as it was read last; none where it can't be read.
    pub(super) sequence: Option<Id>,
    id: Id,
    head: u64,
    tail: u64,
}

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is being read.
    Open,
    /// It is to be read when others are done.
    Waiting,
    /// Nothing is left in it.
    Done,
    /// It can't be read; it is tried again.
    Refused,
}

impl Journald {
    /// Looks around until two looks saw the same names: a folder that changes while it is listed may show a file under
    /// both its names or under none.
    pub(super) fn look_well(&mut self) {
        for _ in 0..LOOKS {
            if self.look() {
                return;
            }
        }
    }

    /// Looks at every name, and takes up what is new. `true` if nothing changed since the last look.
    pub(super) fn look(&mut self) -> bool {
        self.looks += 1;
        let watch = &mut self.watch;
        let listing = folders::list(&self.config.directories, &self.config.namespaces, |folder| watch.add(folder));
        self.watch.keep(&listing.watched);
        for (folder, error) in listing.closed {
            if self.told.insert(folder.clone()) {
                tracing::warn!(source = self.config.name, folder = %folder.display(), %error, "a journal can't be read; give sealtail the group systemd-journal");
            }
        }
        self.forget(&listing.files);
        let same = self.listed == listing.files;
        self.listed.clone_from(&listing.files);
        self.moving = false;
        let mut refused = Vec::new();
        for (path, inode) in listing.files {
            match self.files.get_mut(&inode) {
                Some(known) if known.state != State::Refused => {
                    if known.path != path {
                        known.path.clone_from(&path);
                        let (sequence, id) = (known.sequence, known.id);
                        self.renamed(&path, sequence, id);
                    }
                }
                _ => self.meet(path, inode, &mut refused),
            }
        }
        self.admit();
        for (path, what) in refused {
            self.refuse(&path, &what);
        }
        // who moved is looked for soon
        self.wanted |= self.moving;
        same && !self.moving
    }

    /// Lets go of what is known of files that are gone.
    fn forget(&mut self, listed: &[(PathBuf, Inode)]) {
        let there: HashSet<&Inode> = listed.iter().map(|(_, inode)| inode).collect();
        let sequences = &mut self.sequences;
        self.files.retain(|inode, known| {
            let stays = there.contains(inode);
            if !stays && known.state == State::Waiting {
                let dir = known.path.parent();
                let of = |s: &&mut super::Sequence| Some(s.id) == known.sequence && Some(s.dir.as_path()) == dir;
                if let Some(sequence) = sequences.iter_mut().find(of) {
                    sequence.lost_to = sequence.lost_to.max(known.tail);
                }
            }
            stays
        });
    }

    fn renamed(&mut self, path: &Path, sequence: Option<Id>, id: Id) {
        let of = |s: &&mut super::Sequence| Some(s.id) == sequence && Some(s.dir.as_path()) == path.parent();
        if let Some(file) = self.sequences.iter_mut().find(of).and_then(|sequence| sequence.file_mut(id)) {
            file.rename(path);
        }
    }

    /// A file that was not there at the last look, or could not be read then.
    fn meet(&mut self, path: PathBuf, inode: Inode, refused: &mut Vec<(PathBuf, String)>) {
        let file = match JournalFile::open(&path) {
            // rotated since it was listed: the name is another file's
            Ok(file) if !file.is(inode) => return self.moving = true,
            Ok(file) => file,
            // it is being made, or was renamed or vacuumed since it was listed
            Err(Refusal::NotYet) => return,
            Err(refusal) => {
                if let Entry::Vacant(vacant) = self.files.entry(inode) {
                    refused.push((path.clone(), refusal.to_string()));
                    let (state, id) = (State::Refused, Id::default());
                    vacant.insert(Known { path, state, sequence: None, id, head: 0, tail: 0 });
                }
                return;
            }
        };
        // an empty file says nothing of its sequence yet
        if file.header.entries == 0 {
            return;
        }
        let same = |known: &Known| {
            known.sequence == Some(file.header.sequence)
                && known.id == file.id()
                && known.path.parent() == path.parent()
        };
        let copy = self
            .files
            .values()
            .find(|known| same(known) && known.state != State::Refused)
            .map(|known| known.path.clone());
        if let Some(original) = &copy
            && self.told.insert(path.clone())
        {
            tracing::warn!(source = self.config.name, path = %path.display(), original = %original.display(), "a copy of a journal file is left out");
        }
        let (head, tail) = (file.header.head_seqnum, file.header.tail_seqnum);
        let state = if copy.is_some() { State::Done } else { State::Waiting };
        let known = Known { state, sequence: Some(file.header.sequence), id: file.id(), head, tail, path };
        self.files.insert(inode, known);
    }

    /// Says in the log and in the chain that a file can't be read.
    fn refuse(&mut self, path: &Path, what: &str) {
        tracing::warn!(source = self.config.name, path = %path.display(), what, "a journal file can't be read; the others are");
        let in_folder = || self.sequences.iter().filter(|sequence| Some(sequence.dir.as_path()) == path.parent());
        // what its name promises was read before, or its absence will be seen when later entries are read
        if let Some((id, _)) = said_by_name(path)
            && in_folder().any(|sequence| sequence.id == id)
        {
            return;
        }
        let Some(sequence) = in_folder().max_by_key(|sequence| sequence.at.realtime_us) else { return };
        let key = sequence.key;
        self.push(key, SourceEvent::Missed { lost: None });
    }

    /// Opens files that wait, each sequence's in the order of their numbers.
    pub(super) fn open_waiting(&mut self) {
        let mut waiting: Vec<(u64, Inode)> = Vec::new();
        for (inode, known) in &self.files {
            if known.state == State::Waiting {
                waiting.push((known.head, *inode));
            }
        }
        waiting.sort_unstable();
        let mut open: usize = self.sequences.iter().map(|sequence| sequence.files().len()).sum();
        for (_, inode) in waiting {
            if open >= FILES_MAX {
                return;
            }
            let Some(known) = self.files.get_mut(&inode) else { continue };
            let of =
                |s: &&mut super::Sequence| Some(s.id) == known.sequence && Some(s.dir.as_path()) == known.path.parent();
            let Some(sequence) = self.sequences.iter_mut().find(of) else { continue };
            // renamed or vacuumed since it was listed: the next look knows
            let Ok(file) = JournalFile::open(&known.path) else { continue };
            if file.id() != known.id {
                continue;
            }
            let read = file.is_final() && file.tail_seqnum().is_some_and(|tail| tail <= sequence.last);
            known.state = if read { State::Done } else { State::Open };
            if !read {
                sequence.add(file);
                open += 1;
            }
        }
    }

    /// Lets go of files that are read to their end, and of sequences that are gone with all their files.
    pub(super) fn retire(&mut self) -> bool {
        let mut any = false;
        let mut index = 0;
        while index < self.sequences.len() {
            let retired = self.sequences[index].retire();
            any |= !retired.is_empty();
            let mut lost_to = 0;
            for mut file in retired {
                if let Some(known) = self.files.values_mut().find(|known| known.id == file.id()) {
                    known.state = State::Done;
                }
                if let Some(damage) = file.tell_damage() {
                    tracing::warn!(source = self.config.name, path = %file.path.display(), at = damage.at, what = damage.what, "a journal file is damaged; what is sound in it is read");
                    lost_to = lost_to.max(file.tail_seqnum().unwrap_or(0));
                }
            }
            if self.end_if_gone(index, lost_to) {
                any = true;
            } else {
                index += 1;
            }
        }
        if any {
            self.open_waiting();
        }
        any
    }

    fn end_if_gone(&mut self, index: usize, lost_to: u64) -> bool {
        let sequence = &mut self.sequences[index];
        let lost_to = lost_to.max(std::mem::take(&mut sequence.lost_to));
        if !sequence.files().is_empty() {
            // should another entry come, its number will tell
            sequence.lost_to = lost_to;
            return false;
        }
        let (id, dir, key) = (sequence.id, sequence.dir.clone(), sequence.key);
        let lost = lost_to.saturating_sub(sequence.last);
        if self.files.values().any(|known| known.sequence == Some(id) && known.path.parent() == Some(&dir)) {
            // no later entry will show that the last are missing
            if lost > 0 && !self.files.values().any(|known| known.sequence == Some(id) && known.state == State::Waiting)
            {
                self.push(key, SourceEvent::Missed { lost: Some(lost) });
            }
            return false;
        }
        self.push(key, if lost > 0 { SourceEvent::Vanished { lost: Some(lost) } } else { SourceEvent::Ended });
        let sequence = self.sequences.remove(index);
        if sequence.runtime {
            self.copied.push(sequence);
        }
        true
    }
}

/// Sequence and first number in the name of an archived file: `system@<sequence>-<number>-<time>.journal`.
fn said_by_name(path: &Path) -> Option<(Id, u64)> {
    let name = path.file_name()?.as_bytes();
    let rest = std::str::from_utf8(name).ok()?.split_once('@')?.1;
    let mut parts = rest.split('-');
    let id = unhex(parts.next()?)?.try_into().ok()?;
    let head = u64::from_str_radix(parts.next()?, 16).ok()?;
    parts.next()?.strip_suffix(".journal")?;
    Some((id, head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archived_names_say_their_sequence() {
        let name = "/j/system@18b204519199483e978a3a72931259da-0000000000002a97-000661213514b50e.journal";
        let (id, head) = said_by_name(Path::new(name)).unwrap();
        assert_eq!((crate::record::hex(&id).as_str(), head), ("18b204519199483e978a3a72931259da", 0x2a97));
        for name in ["/j/system.journal", "/j/system@0006612134fc01e0-0123456789abcdef.journal~", "/j/user-1@x.journal"]
        {
            assert_eq!(said_by_name(Path::new(name)), None, "{name}");
        }
    }
}
