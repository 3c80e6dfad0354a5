//! The followed files, and which of them are open.

use super::follow::Followed;
use super::identity::{self, Look};
use super::packed::Packed;
use crate::record::FileId;
use std::collections::HashMap;
use std::io;

/// Descriptors that one source holds for files at most.
const OPEN_MAX: usize = 256;
/// How many are closed at once when more are needed, so that the search for them is seldom.
const CLOSE_AT_ONCE: usize = 64;

/// Followed files by identity. What was not used for the longest time is closed when others need the descriptors; a
/// file that can't be opened again is never closed before it is released.
#[derive(Debug, Default)]
pub(super) struct Table {
    files: HashMap<FileId, Followed>,
    open: usize,
    uses: u64,
}

impl Table {
    pub(super) fn get(&self, id: &FileId) -> Option<&Followed> {
        self.files.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &FileId) -> Option<&mut Followed> {
        self.files.get_mut(id)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Followed> {
        self.files.values()
    }

    /// A new file; ask [`Table::has_room`] before opening it.
    pub(super) fn insert(&mut self, mut followed: Followed) {
        self.uses += 1;
        followed.used = self.uses;
        self.open += usize::from(followed.file.is_some());
        self.files.insert(followed.id, followed);
    }

    pub(super) fn remove(&mut self, id: &FileId) -> Option<Followed> {
        let followed = self.files.remove(id)?;
        self.open -= usize::from(followed.file.is_some());
        Some(followed)
    }

    pub(super) fn close(&mut self, id: &FileId) {
        if let Some(followed) = self.files.get_mut(id) {
            self.open -= usize::from(followed.file.take().is_some());
            followed.packed.iter_mut().for_each(Packed::close);
        }
    }

    /// Sees to it that the file is open. `NotFound` when its path leads to another file or to none.
    pub(super) fn open(&mut self, id: &FileId) -> io::Result<()> {
        let closed = self.files.get(id).is_some_and(|followed| followed.file.is_none());
        if closed && !self.has_room() {
            return Err(io::Error::other(format!(
                "{OPEN_MAX} deleted files are still being read, so no other can be opened"
            )));
        }
        let followed = self.files.get_mut(id).ok_or(io::ErrorKind::NotFound)?;
        self.uses += 1;
        followed.used = self.uses;
        if closed {
            let (file, look) = identity::open(&followed.path)?;
            if look.id != *id {
                return Err(io::ErrorKind::NotFound.into());
            }
            followed.file = Some(file);
            self.open += 1;
        }
        Ok(())
    }

    /// Whether one more file may be opened, after closing others where need be.
    pub(super) fn has_room(&mut self) -> bool {
        if self.open < OPEN_MAX {
            return true;
        }
        let idle = self.files.values().filter(|file| file.file.is_some() && !file.nameless);
        let mut idle: Vec<(bool, u64, FileId)> = idle.map(|file| (file.has_unread(), file.used, file.id)).collect();
        idle.sort_unstable_by_key(|(unread, used, _)| (*unread, *used));
        for (_, _, id) in idle.into_iter().take(CLOSE_AT_ONCE) {
            let Some(followed) = self.files.get_mut(&id) else { continue };
            // renamed or deleted since the last look around: closing it now could lose it
            followed.nameless = !Look::at(&followed.path).is_ok_and(|look| look.id == id);
            if !followed.nameless {
                self.close(&id);
            }
        }
        self.open < OPEN_MAX
    }
}
