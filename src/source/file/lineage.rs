//! The files that had one path, one after the other.
//!
//! When two rotations happen between two looks (sealtail was stopped, or the writer is fast), there is a file between
//! the last one that was seen and the present one which was never seen under the path. It is among the rotations of the
//! path (NAME.*, NAME-*) and younger than the last one seen. Rotations that are older were read in their time.
//!
//! The search is for rename rotation only: while the last file seen still has the path, its rotations are copies. Where that
//! one has a cursor and can't be gone on with yet, nothing is begun under its path.

use super::admit::{Admission, Candidate};
use super::discover::{FILES_MAX, Found};
use super::heir::{Inheritance, has_digit};
use super::identity::{self, Look};
use super::patterns::{compressed, is_copy, is_rotation, originals};
use super::{Files, TICK, file_id};
use crate::record::FileId;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Lineages of paths that lead nowhere any more are kept up to this many.
const LINEAGES_MAX: usize = 2 * FILES_MAX;

/// The newest file that is known to have had a path.
#[derive(Debug)]
pub(super) struct Lineage {
    pub(super) newest: Age,
    /// What is read after it and before what comes next: its heirs.
    pub(super) last: Option<FileId>,
}

/// What tells the older of two files.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Age {
    pub(super) id: FileId,
    /// Unknown of a file that is gone.
    pub(super) written_ns: Option<i128>,
    pub(super) path: PathBuf,
}

impl Age {
    /// What has the name now.
    pub(super) fn at(path: PathBuf) -> Option<Age> {
        let look = Look::at(&path).ok().filter(|look| look.regular)?;
        Some(Age { id: look.id, written_ns: Some(look.written_ns), path })
    }
}

impl Files {
    /// Begins what is new, after what came before it under the same path.
    pub(super) fn succeed_all(&mut self, found: Vec<Found>) {
        for found in &found {
            self.succeed(&found.path, Some(&found.look));
        }
        // paths that lead nowhere for now: what had them meanwhile may be a rotation by now
        let absent = self.lineages.keys().filter(|base| !self.at.contains_key(*base));
        for base in absent.cloned().collect::<Vec<_>>() {
            self.succeed(&base, None);
        }
        // a lineage outlives its files, lest their rotations be taken for new ones when the path is used again
        if self.lineages.len() > LINEAGES_MAX {
            let followed: HashSet<PathBuf> = self.table.values().map(|file| file.base.clone()).collect();
            self.lineages.retain(|base, _| self.at.contains_key(base) || followed.contains(base));
        }
    }

    /// Begins the files that had the path since the last look, and then the one that has it now: a cursor of that one
    /// would hide those before it from the next start. So when a name moves meanwhile, all of it waits for the next look.
    fn succeed(&mut self, base: &Path, now: Option<&Look>) {
        let present = now.map(|look| look.id);
        let newest = self.lineages.get(base).map(|lineage| &lineage.newest);
        if newest.is_some_and(|newest| present == Some(newest.id) && self.table.get(&newest.id).is_some()) {
            return;
        }
        if let Some(id) = present.filter(|id| self.known_ids.contains(id))
            && let Some(file) = self.table.get(&id).filter(|file| file.base == base)
        {
            // it was begun after all that came before it; what is younger among its rotations are copies
            let newest = Age { id, written_ns: Some(file.written_ns), path: file.path.clone() };
            let last = self.lineages.get(base).and_then(|lineage| lineage.last);
            self.lineages.insert(base.to_owned(), Lineage { newest, last });
            return;
        }
        if self.has_to_wait(base, now) {
            return;
        }
        let lineage = self.lineages.get(base);
        let newest = lineage.map(|lineage| self.refreshed(&lineage.newest)).or_else(|| self.never_seen());
        let last = lineage.and_then(|lineage| lineage.last);
        let mut after = last.or(newest.as_ref().map(|age| age.id));
        let mut settled = true;
        if let Some(newest) = newest.filter(|newest| present != Some(newest.id)) {
            let Some(between) = self.between(base, newest) else {
                return self.moves(base);
            };
            for age in between {
                // also one that is being compressed from the one before
                if self.is_read(&age) {
                    continue;
                }
                let candidate = Candidate {
                    path: age.path,
                    id: age.id,
                    base: base.to_owned(),
                    known: None,
                    after,
                    start: Some((0, None)),
                };
                match self.admit(candidate) {
                    Admission::Followed(id) => after = Some(id),
                    Admission::LeftOut => {}
                    Admission::Refused => settled = false,
                    Admission::Moved => return,
                }
            }
        }
        let Some(look) = now else { return };
        if self.table.get(&look.id).is_none() && self.leave_out_copy(base, look) {
            return;
        }
        let path = base.to_owned();
        let candidate =
            Candidate { path: path.clone(), id: look.id, base: path.clone(), known: None, after, start: None };
        if matches!(self.admit(candidate), Admission::Followed(_)) && settled {
            let newest = Age { id: look.id, written_ns: Some(look.written_ns), path: path.clone() };
            self.lineages.insert(path, Lineage { newest, last: None });
        }
    }

    /// Names are changing: all that is to be told of the path waits for the next look around, which comes soon.
    pub(super) fn moves(&mut self, base: &Path) {
        self.wanted = true;
        self.moving.insert(base.to_owned());
    }

    /// Heirs can't be begun yet. One that can't be read holds nothing else up.
    pub(super) fn asks_again(&mut self, base: &Path, waiting: &Inheritance) {
        match waiting {
            Inheritance::Moving => self.moves(base),
            _ => self.wanted = true,
        }
    }

    /// Whether a cursor waits that tells which of the path's rotations are copies of what was read, or whether what has the
    /// path now is one itself: begun before the cursor's file is, they would be read as a whole.
    fn has_to_wait(&mut self, base: &Path, now: Option<&Look>) -> bool {
        if self.moving.is_empty() && self.known.is_empty() {
            return false;
        }
        let waits = |id: &FileId| self.known.iter().filter_map(file_id).any(|known| identity::same(&known, id));
        if self.moving.contains(base) || now.is_some_and(|look| waits(&look.id)) {
            return true;
        }
        let Some(look) = now.filter(|look| self.table.get(&look.id).is_none()) else { return false };
        let mut originals = originals(base).filter(|original| has_digit(base, original));
        let is_waited_for = |original: &PathBuf| {
            self.moving.contains(original)
                || self.at.get(original).is_some_and(|id| id.born_ns <= look.id.born_ns && waits(id))
        };
        let Some(original) = originals.find(is_waited_for) else { return false };
        if !self.moving.contains(&original) {
            let why = format!("it may be a copy of {}, which can't be read on for now", original.display());
            self.left_out.warn(base, self.round, &why);
        }
        true
    }

    /// Stands for the newest file of a path that came up while the source runs: rotations born since the start are new.
    fn never_seen(&self) -> Option<Age> {
        let id = FileId { dev: 0, ino: 0, born_ns: self.started_ns };
        (self.round > 1 && self.started_ns.is_some()).then(|| Age { id, written_ns: None, path: PathBuf::new() })
    }

    /// Rotations of `base` that are younger than `newest` and not followed, oldest first. None while they are being
    /// renamed: a file that moves while its folder is listed may be missing from the list, or out of order.
    fn between(&mut self, base: &Path, mut newest: Age) -> Option<Vec<Age>> {
        let patterns = &self.patterns;
        let named = self.listings.named_after(base, |path| is_copy(path, base) && !patterns.excludes(path))?;
        let named = named.into_iter().map(|(path, look)| Age { id: look.id, written_ns: Some(look.written_ns), path });
        let (mut ages, others): (Vec<Age>, Vec<Age>) = named.partition(|age| is_rotation(&age.path, base));
        if let Some(listed) = ages.iter().find(|age| age.id == newest.id) {
            newest = listed.clone();
        }
        // what had the path when the folders were walked may be a rotation by now, and takes its turn among them
        let is_new = |age: &Age| age.id != newest.id && self.table.get(&age.id).is_none();
        ages.retain(|age| is_new(age) && younger(age, &newest, base));
        // one that was compressed before it was seen is younger by its last write, which compressing keeps; what was last
        // written before the first start of all is history
        let began = self.started_ns.filter(|_| !self.restarted);
        let began = began.map(|started| i128::from(started) + TICK.as_nanos() as i128);
        let least = newest.written_ns.map(|newest| began.map_or(newest, |began| newest.max(began)));
        let packed = others.into_iter().filter(|age| compressed(&age.path));
        ages.extend(packed.filter(|age| least.is_some() && age.written_ns >= least && is_new(age)));
        ages.sort_by(|one, other| order(one, base).cmp(&order(other, base)));
        ages.dedup_by_key(|age| age.id);
        Some(ages)
    }

    /// The same file with what is known of it by now.
    fn refreshed(&self, age: &Age) -> Age {
        match self.table.get(&age.id) {
            Some(file) => Age { id: age.id, written_ns: Some(file.look.written_ns), path: file.path.clone() },
            None => age.clone(),
        }
    }
}

/// Whether `one` had the path after `other`. Births decide; within one tick of the file system's clock, or without
/// births, the numbers of rotations (NAME.1 is younger than NAME.2), then the last writes.
fn younger(one: &Age, other: &Age, base: &Path) -> bool {
    let births = one.id.born_ns.zip(other.id.born_ns);
    if let Some((one, other)) = births.filter(|(one, other)| one != other) {
        return one > other;
    }
    if let Some((one, other)) = number(&one.path, base).zip(number(&other.path, base)).filter(|(a, b)| a != b) {
        return one < other;
    }
    match one.written_ns.zip(other.written_ns) {
        Some((one, other)) if one != other => one > other,
        // born in the same tick as a file that is gone: read, as lines twice are better than lines lost
        _ => births.is_some(),
    }
}

/// Sorts files that had one path by age, the oldest first.
fn order<'a>(age: &'a Age, base: &Path) -> (Option<i128>, std::cmp::Reverse<Option<u64>>, Option<i128>, &'a Path) {
    // a compressed file is born when it is compressed; its last write was before the next file's birth
    let time = if compressed(&age.path) { age.written_ns } else { age.id.born_ns.map(i128::from) };
    (time, std::cmp::Reverse(number(&age.path, base)), age.written_ns, &age.path)
}

/// The number of a sequential rotation: 2 of NAME.2 and of NAME.2.gz.
pub(super) fn number(path: &Path, base: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let suffix = name.strip_prefix(base.file_name()?.to_str()?)?.strip_prefix(['.', '-'])?;
    let plain = if compressed(path) { suffix.rsplit_once('.')?.0 } else { suffix };
    plain.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(name: &str, born_ns: Option<u64>, written_ns: Option<i128>) -> Age {
        Age { id: FileId { dev: 1, ino: 1, born_ns }, written_ns, path: Path::new("/l").join(name) }
    }

    #[test]
    fn births_decide_then_numbers_then_writes() {
        let base = Path::new("/l/a");
        let younger = |one: &Age, other: &Age| younger(one, other, base);
        assert!(younger(&age("a.2", Some(8), Some(0)), &age("a.1", Some(7), Some(9))));
        assert!(younger(&age("a.1", Some(7), Some(0)), &age("a.2", Some(7), Some(9))));
        assert!(!younger(&age("a.2", None, Some(9)), &age("a.1", None, Some(0))));
        assert!(younger(&age("a-x", None, Some(9)), &age("a", None, Some(0))));
        assert!(younger(&age("a.1", Some(7), Some(1)), &age("a", Some(7), None)));
        assert!(!younger(&age("a.1", None, Some(1)), &age("a", None, None)));
    }
}
