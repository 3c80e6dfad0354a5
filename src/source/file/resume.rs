//! Finds the files of known cursors at the start.
//!
//! | where | what |
//! | --- | --- |
//! | under a matching path, same device, inode and birth | goes on at the cursor |
//! | under any other name in its old folder, same identity | the same: it was rotated while nobody looked |
//! | at its old path with another identity, but the same head | goes on only if that is sure enough, see [`restored`] |
//! | in a folder that can't be read, or can't be opened | the cursor waits |
//! | nowhere | `Vanished` |
//!
//! A cursor whose path no pattern matches any more is left alone: the operator took the file out.

use super::Files;
use super::admit::{Admission, Candidate};
use super::discover::Found;
use super::heir::Legacy;
use super::identity::{self, Look};
use super::lineage::{Age, Lineage};
use super::prefix::TELLING_BYTES;
use super::whereabouts::Whereabouts;
use crate::record::{Cursor, FileId, Fingerprint, HashKey};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

impl Files {
    /// Goes on with every known cursor whose file is there, oldest first, and gives up the others. Those that wait are
    /// tried again at each look around.
    pub(super) fn resume(&mut self, found: &[Found]) {
        let by_inode: HashMap<(u64, u64), &Found> =
            found.iter().map(|found| ((found.look.id.dev, found.look.id.ino), found)).collect();
        let mut known: Vec<(FileId, PathBuf, Cursor)> = std::mem::take(&mut self.known)
            .into_iter()
            .filter_map(|cursor| match &cursor {
                Cursor::File { path, id, .. } => Some((*id, path.clone(), cursor)),
                Cursor::Journal { .. } | Cursor::Stdin { .. } => None,
            })
            .collect();
        known.sort_by_key(|(id, ..)| id.born_ns);
        let legacies =
            known.iter().filter_map(|(_, path, cursor)| Legacy::known(self.keys.hash_key(), cursor, &self.base(path)?));
        self.resuming = legacies.collect();
        for (id, path, cursor) in known {
            let Some(base) = self.base(&path) else {
                tracing::info!(path = %path.display(), "no pattern matches this file any more, so it is not read on");
                continue;
            };
            let mut after = None;
            if self.round == 1 {
                let newest = Age { id, written_ns: None, path: path.clone() };
                let older = self.lineages.insert(base.clone(), Lineage { newest, last: None });
                after = older.map(|older| older.last.unwrap_or(older.newest.id));
            }
            let found = by_inode.get(&(id.dev, id.ino)).filter(|found| identity::same(&found.look.id, &id));
            let place = match found {
                Some(found) => Whereabouts::Named(found.path.clone(), found.look),
                None => self.locate(&path, &base, &cursor),
            };
            self.resume_at(place, base, cursor, after);
        }
        self.resuming.clear();
    }

    fn resume_at(&mut self, place: Whereabouts, base: PathBuf, cursor: Cursor, after: Option<FileId>) {
        let (path, id) = match place {
            Whereabouts::Named(path, look) => (path, look.id),
            Whereabouts::Moving => {
                self.moves(&base);
                return self.known.push(cursor);
            }
            Whereabouts::Hidden => return self.known.push(cursor),
            Whereabouts::Nowhere => return self.give_up_to_heirs(cursor, &base),
        };
        // under another matching name it is that path's file now
        let base_now = if self.at.contains_key(&path) { path.clone() } else { base.clone() };
        let was = match &cursor {
            Cursor::File { id, .. } => *id,
            Cursor::Journal { .. } | Cursor::Stdin { .. } => return,
        };
        let admission = self.admit(Candidate { path, id, base: base_now, known: Some(cursor), after, start: None });
        if let (Admission::Followed(id), Some(lineage)) = (admission, self.lineages.get_mut(&base))
            && lineage.newest.id == was
        {
            lineage.newest.id = id;
        }
    }

    /// Finds a file that no pattern leads to.
    fn locate(&mut self, path: &Path, base: &Path, cursor: &Cursor) -> Whereabouts {
        let Cursor::File { id, fingerprint, offset, .. } = cursor else { return Whereabouts::Nowhere };
        let place = self.listings.find(id, path.parent().unwrap_or(Path::new("/")));
        if !matches!(place, Whereabouts::Nowhere) {
            return place;
        }
        let restored =
            |path: &Path| Some((path.to_owned(), restored(self.keys.hash_key(), path, id, fingerprint, *offset)?));
        match restored(path).or_else(|| restored(base)) {
            Some((path, look)) => Whereabouts::Named(path, look),
            None => Whereabouts::Nowhere,
        }
    }

    /// The matching path that `path` is, or is a rotation of.
    pub(super) fn base(&self, path: &Path) -> Option<PathBuf> {
        self.patterns.base(path)
    }
}

/// The file at a cursor's path, if it is the cursor's in spite of another identity. A false yes loses lines and a false
/// no repeats them, so it takes a long head and one of two signs that a log which was merely begun anew does not give:
/// - the inode and birth are equal and only the device number differs: a reboot numbered the disks differently;
/// - the file was written before it was born: a backup was put back with its times.
fn restored(key: HashKey, path: &Path, id: &FileId, fingerprint: &Fingerprint, offset: u64) -> Option<Look> {
    let (file, look) = identity::open(path).ok()?;
    let renumbered = id.ino == look.id.ino && id.born_ns == look.id.born_ns;
    let put_back = look.id.born_ns.is_some_and(|born| look.written_ns < i128::from(born));
    let sure = fingerprint.len >= TELLING_BYTES
        && look.regular
        && look.size >= offset
        && (renumbered || put_back)
        && identity::head(&file).is_ok_and(|head| identity::fits(key, fingerprint, &head))
        && ends_a_line(&file, &look, offset);
    sure.then_some(look)
}

/// Whether a line ends right before `offset`.
fn ends_a_line(file: &std::fs::File, look: &Look, offset: u64) -> bool {
    let mut last = [0; 2];
    let before = &mut last[..offset.min(2) as usize];
    let (at, wanted) = (offset - before.len() as u64, before.len());
    let got = offset <= look.size && identity::read_at(file, before, at).is_ok_and(|got| got == wanted);
    // of UTF-16, little endian, the newline's second byte is a NUL
    got && (offset == 0 || before.ends_with(b"\n") || before == b"\n\0")
}
