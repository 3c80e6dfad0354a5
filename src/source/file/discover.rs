//! Walks the folders that can hold a match and lists what is there.

use super::identity::Look;
use super::left_out::{self, LeftOut};
use super::patterns::{Patterns, Place, Route, compressed};
use crate::source::watch::Watch;
use std::collections::{BTreeMap, HashSet};
use std::fs::DirEntry;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files that one source follows at most; the rest is said and left.
pub(super) const FILES_MAX: usize = 100_000;
/// Folders within folders; deeper is a loop of mounts or a mistake.
const DEPTH_MAX: usize = 64;

/// A file that matches.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) look: Look,
    /// The path is a symbolic link to it.
    pub(super) link: bool,
}

/// What a walk needs and fills.
pub(super) struct Walk<'a> {
    pub(super) patterns: &'a Patterns,
    /// Folders of sealtail itself, without symbolic links.
    pub(super) own: &'a [PathBuf],
    pub(super) watch: &'a mut Watch,
    pub(super) left_out: &'a mut LeftOut,
    /// Compressed files are wanted.
    pub(super) unpack: bool,
    /// The number of this walk.
    pub(super) round: u64,
    pub(super) found: BTreeMap<PathBuf, Found>,
    /// Folders that were listed.
    pub(super) folders: HashSet<PathBuf>,
}

impl Walk<'_> {
    /// Every path that matches, links last: one file of several names is best known by a real one.
    pub(super) fn all(mut self) -> Vec<Found> {
        let patterns = self.patterns;
        for route in patterns.routes() {
            self.route(route);
        }
        self.watch.keep(&self.folders);
        let mut found: Vec<Found> = self.found.into_values().collect();
        found.sort_by(|one, other| (one.link, &one.path).cmp(&(other.link, &other.path)));
        found
    }

    fn route(&mut self, route: &Route) {
        let mut visited = HashSet::new();
        let mut folders = vec![(route.base.clone(), route.start(), 0)];
        while let Some((folder, place, depth)) = folders.pop() {
            let Ok(metadata) = folder.metadata() else { continue };
            // the same folder may be met again at another place of the pattern, but not for ever
            if depth > DEPTH_MAX || !visited.insert((metadata.dev(), metadata.ino(), place.clone())) {
                continue;
            }
            if self.is_own(&folder) {
                self.left_out.note(&folder, self.round, &"a folder of sealtail itself");
                continue;
            }
            self.watch.add(&folder);
            let entries = match folder.read_dir() {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.left_out.warn(&folder, self.round, &left_out::unreadable(&error));
                    continue;
                }
            };
            self.folders.insert(folder);
            for entry in entries.flatten() {
                if let Some(next) = self.entry(route, &place, &entry) {
                    folders.push((entry.path(), next, depth + 1));
                }
            }
        }
    }

    /// Takes a file that matches, or gives the place of a folder to enter.
    fn entry(&mut self, route: &Route, place: &Place, entry: &DirEntry) -> Option<Place> {
        let path = entry.path();
        let kind = entry.file_type().ok()?;
        let link = kind.is_symlink();
        let next = (kind.is_dir() || link).then(|| route.enter(place, &entry.file_name())).flatten();
        let matches = self.patterns.matches(&path);
        if kind.is_dir() || (link && (next.is_some() || matches) && path.is_dir()) {
            if matches && next.is_none() {
                self.left_out.note(&path, self.round, &"a folder; `/**` after it matches what it holds");
            }
            return next;
        }
        if matches && !self.found.contains_key(&path) {
            self.file(path, link);
        }
        None
    }

    fn file(&mut self, path: PathBuf, link: bool) {
        let Ok(look) = Look::at(&path) else { return };
        if !look.regular {
            self.left_out.note(&path, self.round, &"not a file but a pipe, socket or device");
        } else if link && self.is_own(&path) {
            self.left_out.note(&path, self.round, &"a file of sealtail itself");
        } else if self.found.len() >= FILES_MAX {
            let why = format!("over {FILES_MAX} files match; narrow `include`, or split it over several sources");
            self.left_out.warn(Path::new("include"), self.round, &why);
        } else if let Some(why) = left_out::by_name(&path).filter(|_| !(self.unpack && compressed(&path))) {
            self.left_out.note(&path, self.round, &why);
        } else {
            self.found.insert(path.clone(), Found { path, look, link });
        }
    }

    fn is_own(&self, path: &Path) -> bool {
        !self.own.is_empty()
            && path.canonicalize().is_ok_and(|path| self.own.iter().any(|folder| path.starts_with(folder)))
    }
}
