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
use super::admit::Candidate;
use super::discover::Found;
use super::identity::{self, Look};
use super::lineage::{Age, Lineage};
use super::patterns::is_rotation;
use crate::record::{Cursor, FileId, Fingerprint};
use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A head that many logs share can't tell them apart; from this length on, with the rest of [`restored`], it does.
const TELLING_BYTES: u32 = 256;

/// Where a cursor's file is now.
enum Place {
    At(PathBuf),
    /// Its folder can't be read now.
    Hidden,
    Nowhere,
}

impl Files {
    /// Goes on with every known cursor whose file is there, oldest first, and gives up the others.
    pub(super) fn resume(&mut self, found: &[Found]) {
        let by_inode: HashMap<(u64, u64), &Found> =
            found.iter().map(|found| ((found.look.id.dev, found.look.id.ino), found)).collect();
        let mut known: Vec<(FileId, PathBuf, Cursor)> = std::mem::take(&mut self.known)
            .into_iter()
            .filter_map(|cursor| match &cursor {
                Cursor::File { path, id, .. } => Some((*id, path.clone(), cursor)),
                Cursor::Stdin { .. } => None,
            })
            .collect();
        known.sort_by_key(|(id, ..)| id.born_ns);
        for (id, path, cursor) in known {
            let Some(base) = self.base(&path) else {
                tracing::info!(path = %path.display(), "no pattern matches this file any more, so it is not read on");
                continue;
            };
            let place = match by_inode.get(&(id.dev, id.ino)).filter(|found| identity::same(&found.look.id, &id)) {
                Some(found) => Place::At(found.path.clone()),
                None => self.locate(&path, &base, &cursor),
            };
            let age = Age { id, written_ns: None, path };
            let after = self.lineages.insert(base.clone(), Lineage { newest: age }).map(|older| older.newest.id);
            self.resume_at(place, base, cursor, after);
        }
    }

    fn resume_at(&mut self, place: Place, base: PathBuf, cursor: Cursor, after: Option<FileId>) {
        match place {
            Place::At(path) => {
                // under another matching name it is that path's file now
                let base_now = if self.at.contains_key(&path) { path.clone() } else { base.clone() };
                let candidate = Candidate { path: path.clone(), base: base_now, known: Some(cursor), after };
                let look = self.admit(candidate);
                if let (Some(look), Some(lineage)) = (look, self.lineages.get_mut(&base)) {
                    lineage.newest = Age { id: look.id, written_ns: Some(look.written_ns), path };
                }
            }
            Place::Hidden => self.known.push(cursor),
            Place::Nowhere => self.give_up(cursor),
        }
    }

    /// Finds a file that no pattern leads to.
    fn locate(&self, path: &Path, base: &Path, cursor: &Cursor) -> Place {
        let Cursor::File { id, fingerprint, offset, .. } = cursor else { return Place::Nowhere };
        let folder = path.parent().unwrap_or(Path::new("/"));
        if let Some((path, _)) = self.renamed(id, folder) {
            return Place::At(path);
        }
        let candidates = [path, base];
        if let Some(path) = candidates.into_iter().find(|path| restored(path, id, fingerprint, *offset)) {
            return Place::At(path.to_owned());
        }
        match folder.read_dir() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Place::Hidden,
            _ => Place::Nowhere,
        }
    }

    /// The matching path that `path` is, or is a rotation of.
    pub(super) fn base(&self, path: &Path) -> Option<PathBuf> {
        if self.patterns.matches(path) {
            return Some(path.to_owned());
        }
        let name = path.file_name()?.as_bytes();
        let ends = (1..name.len()).rev().filter(|end| matches!(name[*end], b'.' | b'-'));
        let bases = ends.map(|end| path.with_file_name(std::ffi::OsString::from_vec(name[..end].to_vec())));
        bases.into_iter().find(|base| is_rotation(path, base) && self.patterns.matches(base))
    }
}

/// Whether the file at a cursor's path is the cursor's in spite of another identity. A false yes loses lines and a false
/// no repeats them, so it takes a long head and one of two signs that a log which was merely begun anew does not give:
/// - the inode and birth are equal and only the device number differs: a reboot numbered the disks differently;
/// - the file was written before it was born: a backup was put back with its times.
fn restored(path: &Path, id: &FileId, fingerprint: &Fingerprint, offset: u64) -> bool {
    let Ok((file, look)) = identity::open(path) else { return false };
    let renumbered = id.ino == look.id.ino && id.born_ns == look.id.born_ns;
    let put_back = look.id.born_ns.is_some_and(|born| look.written_ns < i128::from(born));
    fingerprint.len >= TELLING_BYTES
        && look.regular
        && look.size >= offset
        && (renumbered || put_back)
        && identity::head(&file).is_ok_and(|head| identity::fits(fingerprint, &head))
        && ends_a_line(&file, &look, offset)
}

/// Whether a line ends right before `offset`.
fn ends_a_line(file: &std::fs::File, look: &Look, offset: u64) -> bool {
    let mut byte = [0];
    offset == 0 || (offset <= look.size && identity::read_at(file, &mut byte, offset - 1).is_ok_and(|_| byte == *b"\n"))
}
