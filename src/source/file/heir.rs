//! Where the rest of a file is found when the file itself can't be read on.
//!
//! copytruncate copies a file and empties it; logrotate's compress puts a file's bytes into another one and deletes it.
//! What was not read by then stands in the copy, plain or compressed: a file named NAME.* or NAME-* beside it that begins
//! with all that was read, byte for byte, as the hash of it tells (see `prefix`). Such an heir is read from the old
//! offset on. Copies that are younger than the heir hold what came after it. Those of which nothing is known, neither a
//! cursor nor that they were read to their end, are read as a whole; but not after a copy, as copytruncate makes it, for
//! what came after that was in the file it was copied from.
//!
//! | what is known | an heir is |
//! | --- | --- |
//! | all that was read (while sealtail runs, after a clean stop) | a file that begins with it |
//! | more than half of it (after a kill) | the same, if a line ends at the offset; a gap is said, as the lines between are not proven |
//! | the head of a file of which nothing was read | while sealtail runs, a copy that was written after the last look; else none |
//!
//! While a file is there, its copies (a pattern such as `/var/log/**` matches them) are left alone: they
//! hold what is read from the file itself.

use super::admit::{Admission, Candidate};
use super::follow::Followed;
use super::identity::{self, Look};
use super::lineage::{Age, number};
use super::patterns::{Patterns, compressed, is_copy, originals};
use super::prefix::{Proof, Trace};
use super::unpack::{Codec, FromStart};
use super::whereabouts::{LISTINGS_MAX, Whereabouts};
use super::{Files, file_id};
use crate::record::{Cursor, Ended, FileId, HashKey};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Copies of one file that are looked into, the youngest first.
const COPIES_MAX: usize = 64;
/// Files that were read to their end and may turn up again compressed.
pub(super) const ENDED_MAX: usize = 4096;

/// A file that was read up to an offset.
#[derive(Clone, Debug)]
pub(super) struct Legacy {
    id: FileId,
    pub(super) base: PathBuf,
    /// It had the path itself, not the name of a rotation or copy.
    has_path: bool,
    trace: Trace,
    /// Its last write that is known of; a copy can't be older.
    written_ns: Option<i128>,
}

/// A file that was read to its end.
#[derive(Clone, Debug)]
pub(super) struct ReadUp {
    legacy: Legacy,
    /// When it was let go of: what was written later is not of this file, though it may be the same.
    at_ns: i128,
}

/// What became of the rest of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inheritance {
    /// There is no heir.
    Nothing,
    /// It is read from heirs; this is the last of them.
    Last { heir: FileId, proof: Proof },
    /// Names are changing: ask again soon.
    Moving,
    /// One of them can't be read: ask again, and hold nothing else up meanwhile.
    Refused,
}

/// A file was renamed while it was looked for.
struct Moved;

/// Where what was not read of a file stands, oldest first.
struct Heirs {
    copies: Vec<Age>,
    /// The first one holds the rest of it; the others came after it, as a whole.
    begin_with_rest: bool,
    proof: Proof,
}

impl Legacy {
    /// Of a file that is followed.
    pub(super) fn of(followed: &Followed) -> Legacy {
        let (trace, written_ns) = (followed.trace(), Some(followed.written_ns));
        let has_path = followed.known_as == followed.base;
        Legacy { id: followed.id, base: followed.base.clone(), has_path, trace, written_ns }
    }

    /// The file was empty when it was last looked into.
    pub(super) fn is_empty(&self) -> bool {
        self.trace.offset == 0 && self.trace.fingerprint.len == 0
    }

    /// Whether what has this name still begins as the file did: it may have been emptied, and be as long again.
    fn is_at(&self, path: &Path) -> bool {
        let head = identity::open(path).and_then(|(file, _)| identity::head(&file));
        head.is_ok_and(|head| identity::fits(self.trace.key, &self.trace.fingerprint, &head))
    }

    /// Of a file that an earlier process followed.
    pub(super) fn known(key: HashKey, cursor: &Cursor, base: &Path) -> Option<Legacy> {
        let Cursor::File { path, id, fingerprint, prefix, offset } = cursor else { return None };
        let trace = Trace { key, offset: *offset, fingerprint: *fingerprint, prefix: *prefix, before: Vec::new() };
        Some(Legacy { id: *id, base: base.to_owned(), has_path: path == base, trace, written_ns: None })
    }
}

impl ReadUp {
    /// A file that is let go of now.
    pub(super) fn now(followed: &Followed) -> ReadUp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
        ReadUp { legacy: Legacy::of(followed), at_ns: now.cast_signed() }
    }

    /// A file that an earlier process read.
    pub(super) fn known(key: HashKey, ended: &Ended, patterns: &Patterns) -> Option<ReadUp> {
        let Cursor::File { path, .. } = &ended.cursor else { return None };
        Some(ReadUp { legacy: Legacy::known(key, &ended.cursor, &patterns.base(path)?)?, at_ns: ended.at_ns })
    }

    /// Whether a file is this one, under another name or compressed: nothing is in it that was not read.
    fn is(&self, age: &Age) -> bool {
        if self.legacy.id == age.id {
            return true;
        }
        let read = || -> io::Result<bool> {
            let mut content = content(&age.path, age.id)?;
            Ok(self.legacy.trace.begins(&mut content)?.is_some() && content.read(&mut [0])? == 0)
        };
        let may_be = is_copy(&age.path, &self.legacy.base) && age.written_ns.is_some_and(|at| at <= self.at_ns);
        may_be && read().unwrap_or(false)
    }
}

impl Files {
    /// What is known of a cursor's file, and of its place among the others.
    pub(super) fn legacy(&self, cursor: &Cursor, base: &Path) -> Option<Legacy> {
        let known = self.resuming.iter().find(|legacy| Some(legacy.id) == file_id(cursor)).cloned();
        known.or_else(|| Legacy::known(self.keys.hash_key(), cursor, base))
    }

    /// Begins the heir of a file and what came after it, oldest first.
    pub(super) fn inherit(&mut self, legacy: &Legacy) -> Inheritance {
        let Heirs { copies, begin_with_rest, proof } = match self.heirs(legacy) {
            Ok(Some(heirs)) => heirs,
            Ok(None) => return Inheritance::Nothing,
            Err(Moved) => return Inheritance::Moving,
        };
        let mut last = None;
        for (at, copy) in copies.into_iter().enumerate() {
            // one that was read to its end comes up again while a younger one can't be read
            let is_ended = || self.ended.iter().any(|ended| ended.legacy.id == copy.id);
            if self.known_ids.contains(&copy.id) || self.table.get(&copy.id).is_some() || is_ended() {
                last = Some(copy.id);
                continue;
            }
            let is_heir = at == 0 && begin_with_rest;
            let Ok(is_awaited) = self.is_awaited(&copy, legacy) else { return Inheritance::Moving };
            let is_news = is_heir || has_digit(&copy.path, &legacy.base) && !is_awaited;
            if !is_news || (!is_heir && (self.is_read(&copy) || is_copy_of_now(&copy, &legacy.base))) {
                continue;
            }
            let start = Some(if is_heir { (legacy.trace.offset, legacy.trace.prefix) } else { (0, None) });
            let base = legacy.base.clone();
            match self.admit(Candidate { path: copy.path, id: copy.id, base, known: None, after: last, start }) {
                Admission::Followed(id) => last = Some(id),
                Admission::Moved => return Inheritance::Moving,
                Admission::Refused => return Inheritance::Refused,
                Admission::LeftOut => {}
            }
        }
        last.map_or(Inheritance::Nothing, |heir| Inheritance::Last { heir, proof })
    }

    /// A deleted file whose compressed form the next start would take for what came after its other cursors.
    pub(super) fn may_have_heirs(file: &Followed) -> bool {
        Self::copies(&file.base).iter().any(|copy| compressed(&copy.path))
    }

    /// The heir and what is younger.
    fn heirs(&mut self, legacy: &Legacy) -> Result<Option<Heirs>, Moved> {
        let mut copies = Self::copies(&legacy.base);
        copies.retain(|copy| copy.id != legacy.id && copy.written_ns >= legacy.written_ns);
        // a file that has the path still was emptied; one that hasn't was renamed, and what is younger is the path's next
        let is_emptied = legacy.written_ns.is_some() && Look::at(&legacy.base).is_ok_and(|now| now.id == legacy.id);
        if legacy.is_empty() || (legacy.trace.offset == 0 && is_emptied) {
            // nothing was read, so any copy would fit; what was written after the last look is what came and went since
            let is_later = |copy: &Age| copy.written_ns > legacy.written_ns || !legacy.is_empty();
            copies.retain(|copy| is_emptied && is_later(copy) && self.table.get(&copy.id).is_none());
            let heirs = Heirs { copies, begin_with_rest: false, proof: Proof::Whole };
            return Ok((!heirs.copies.is_empty()).then_some(heirs));
        }
        if legacy.trace.is_vague() {
            if legacy.written_ns.is_none() {
                // after a restart nothing tells such a copy from older ones
                return Ok(None);
            }
            // what is followed already is rather another file of which as little is known
            copies.retain(|copy| !self.known_ids.contains(&copy.id) && self.table.get(&copy.id).is_none());
        }
        let old = copies.len().saturating_sub(COPIES_MAX);
        let mut heir = None;
        for (at, copy) in copies.iter().enumerate().skip(old).rev() {
            if let Some(proof) = proof(copy, &legacy.trace)? {
                heir = Some((at, proof));
                break;
            }
        }
        if let Some((heir, proof)) = heir {
            copies.drain(..heir);
            copies.truncate(if self.is_copy(legacy) { 1 } else { copies.len() });
            return Ok(Some(Heirs { copies, begin_with_rest: true, proof }));
        }
        let Some(read_up) = shorter(&copies[old..], &legacy.trace)?.filter(|_| legacy.has_path) else {
            return Ok(None);
        };
        copies.drain(..=old + read_up);
        let heirs = Heirs { copies, begin_with_rest: false, proof: Proof::Part };
        Ok((!heirs.copies.is_empty()).then_some(heirs))
    }

    /// Whether it is a copy of the file that has the path, which is older then: what came after the copy was read there.
    fn is_copy(&self, legacy: &Legacy) -> bool {
        let known =
            self.resuming.iter().find(|other| other.has_path && other.base == legacy.base).map(|other| other.id);
        let own = known.or_else(|| self.at.get(&legacy.base).copied()).filter(|own| *own != legacy.id);
        own.is_some_and(|own| own.born_ns.zip(legacy.id.born_ns).is_none_or(|(own, copy)| own < copy))
    }

    /// Whether it is the heir of another file that an earlier process followed and that is not there any more.
    fn is_awaited(&mut self, copy: &Age, legacy: &Legacy) -> Result<bool, Moved> {
        let folder = legacy.base.parent().unwrap_or(Path::new("/"));
        let others = self.resuming.iter().filter(|other| other.base == legacy.base && other.id != legacy.id);
        for other in others.filter(|other| other.trace.offset > 0) {
            let is_gone = match self.listings.find(&other.id, folder) {
                Whereabouts::Named(path, look) => look.size < other.trace.offset || !other.is_at(&path),
                _ => true,
            };
            if is_gone && proof(copy, &other.trace)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a file that comes up under a matching name holds only what is, or was, read from another one: a copy of a file
    /// that is followed, or the compressed form of one that ended.
    pub(super) fn is_read(&self, age: &Age) -> bool {
        // a file that was renamed is not copied besides; what has the same lines as it is the path's next one
        let may_be = |file: &&Followed| compressed(&age.path) || file.left.is_none() || file.nameless;
        let followed = self.table.values().filter(|file| file.id != age.id && is_copy(&age.path, &file.base));
        followed.filter(may_be).any(|file| is_copy_of(&age.path, age.id, file))
            || self.ended.iter().any(|ended| ended.is(age))
    }

    /// Whether a file that comes up under a matching name is to be left alone: what it holds is, or was, read elsewhere.
    pub(super) fn leave_out_copy(&mut self, path: &Path, look: &Look) -> bool {
        if self.left_copies.get(&look.id).is_some_and(|left| left == look) {
            return true;
        }
        if self.known_ids.contains(&look.id) || !originals(path).any(|base| self.lineages.contains_key(&base)) {
            return false;
        }
        let first_start = self.round == 1 && !self.restarted;
        // compressing keeps the time of the last write: what was last written before this process began is no news
        let is_old = || self.started_ns.is_some_and(|started| look.written_ns < i128::from(started));
        let age = Age { id: look.id, written_ns: Some(look.written_ns), path: path.to_owned() };
        let left = self.is_read(&age) || (compressed(path) && !first_start && is_old());
        if left {
            self.left_copies.insert(look.id, *look);
            self.left_out.note(path, self.round, &"it holds what is read from another file");
        }
        left
    }

    /// Files that have the name of a copy of `base`, oldest first by their last write, which compressing keeps.
    fn copies(base: &Path) -> Vec<Age> {
        let mut ages = Self::copies_now(base);
        // a file that is renamed meanwhile may be missing from the list
        for _ in 0..LISTINGS_MAX {
            let again = Self::copies_now(base);
            if again == ages {
                break;
            }
            ages = again;
        }
        ages
    }

    fn copies_now(base: &Path) -> Vec<Age> {
        let Some(entries) = base.parent().and_then(|folder| folder.read_dir().ok()) else { return Vec::new() };
        let paths = entries.flatten().map(|entry| entry.path()).filter(|path| is_copy(path, base));
        let mut ages: Vec<Age> = paths.filter_map(Age::at).collect();
        ages.sort_by_cached_key(|age| (age.written_ns, std::cmp::Reverse(number(&age.path, base)), age.path.clone()));
        ages
    }
}

/// How sure it is that a file begins with what was read. What can't be unpacked is no heir; what has another name by now
/// may be one.
fn proof(copy: &Age, trace: &Trace) -> Result<Option<Proof>, Moved> {
    match content(&copy.path, copy.id).and_then(|mut content| trace.begins(&mut content)) {
        Ok(proof) => Ok(proof),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Moved),
        Err(_) => Ok(None),
    }
}

/// The copy that was made of a file before it was read on to the offset, if there is one that it can be: what is younger
/// came after the file was emptied.
fn shorter(copies: &[Age], trace: &Trace) -> Result<Option<usize>, Moved> {
    let mut found = None;
    for (at, copy) in copies.iter().enumerate() {
        match content(&copy.path, copy.id).and_then(|mut content| trace.is_longer_than(&mut content)) {
            // several logs begin alike
            Ok(true) if found.is_some() => return Ok(None),
            Ok(true) => found = Some(at),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Moved),
            Ok(false) | Err(_) => {}
        }
    }
    Ok(found)
}

/// The lines of a file, unpacked if need be.
fn content(path: &Path, id: FileId) -> io::Result<Box<dyn Read>> {
    let (file, look) = identity::open(path)?;
    if look.id != id {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(match Codec::of(&identity::head(&file)?) {
        Some(codec) => Box::new(codec.unpack(&file)?),
        None => Box::new(FromStart { file, at: 0 }),
    })
}

/// Whether a file begins as `original` does, which is still there, or with what was read from it, if it is not.
fn is_copy_of(path: &Path, id: FileId, original: &Followed) -> bool {
    // a file that had the path before the original is older, and no copy of it
    if original.id.born_ns.zip(id.born_ns).is_some_and(|(original, copy)| copy < original) {
        return false;
    }
    let same = || -> io::Result<bool> {
        let file = match &original.file {
            Some(file) => Some(file.try_clone()?),
            None => {
                identity::open(&original.path).ok().filter(|(_, look)| look.id == original.id).map(|(file, _)| file)
            }
        };
        let mut copy = content(path, id)?;
        let is_intact = file.as_ref().map(|file| original.packed.is_none() && original.is_intact(file));
        if is_intact == Some(false) && original.packed.is_none() && original.offset == 0 {
            // it was emptied before any of it was read
            return Ok(false);
        }
        match file.filter(|_| is_intact == Some(true)) {
            // of a file that was empty when it was looked into, anything may be a copy
            Some(file) if original.offset == 0 && original.fingerprint.len == 0 => {
                let mut first = [0];
                let is_empty = copy.read(&mut first)? == 0;
                Ok(!is_empty && is_prefix(&mut first.as_slice().chain(copy), &mut FromStart { file, at: 0 })?)
            }
            None if original.offset == 0 && original.fingerprint.len == 0 => Ok(false),
            // what begins as the original did up to the offset may still be another log with the same head
            Some(file) => is_prefix(&mut copy, &mut FromStart { file, at: 0 }),
            None => Ok(original.trace().begins(&mut copy)?.is_some()),
        }
    };
    same().unwrap_or(false)
}

/// Whether it is a copy of what the path holds now: made, and the path not emptied yet.
fn is_copy_of_now(copy: &Age, base: &Path) -> bool {
    let same = || -> io::Result<bool> {
        let (file, look) = identity::open(base)?;
        Ok(look.id != copy.id && is_prefix(&mut content(&copy.path, copy.id)?, &mut FromStart { file, at: 0 })?)
    };
    same().unwrap_or(false)
}

/// Whether the one stream is what the other begins with.
fn is_prefix(one: &mut impl Read, other: &mut impl Read) -> io::Result<bool> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    loop {
        a.clear();
        b.clear();
        one.take(64 * 1024).read_to_end(&mut a)?;
        if a.is_empty() {
            return Ok(true);
        }
        other.take(a.len() as u64).read_to_end(&mut b)?;
        if a != b {
            return Ok(false);
        }
    }
}

/// Rotations have a number or a date in their name; what an editor leaves has not.
pub(super) fn has_digit(path: &Path, base: &Path) -> bool {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name(path).trim_start_matches(&name(base)).contains(|c: char| c.is_ascii_digit())
}
