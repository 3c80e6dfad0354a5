//! What the patterns of a source find, looked at once, before anything is read.

use super::patterns::{Patterns, Route};
use crate::source::{Error, FileConfig};
use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Debug, Default)]
pub struct Preview {
    /// Files that match and may be read.
    pub files: usize,
    /// Folders that can hold a match; each is watched.
    pub folders: usize,
    /// Files that match and folders that may hold a match, and why they can't be read.
    pub closed: Vec<(PathBuf, io::Error)>,
    /// Where folders and files are that links lead to from below the patterns' bases.
    pub linked: BTreeSet<PathBuf>,
}

/// Folders that are looked into: enough for any machine, and an end to loops.
const FOLDERS_MAX: usize = 100_000;

/// Where its files are: the folders in which patterns begin, and those that links lead to now.
pub(in crate::source) fn places(config: &FileConfig) -> Vec<PathBuf> {
    let Ok(patterns) = Patterns::new(config) else { return Vec::new() };
    let linked = preview(config).map(|preview| preview.linked).unwrap_or_default();
    patterns.routes().iter().map(|route| route.base.clone()).chain(linked).collect()
}

/// Looks.
pub fn preview(config: &FileConfig) -> Result<Preview, Error> {
    let patterns = Patterns::new(config)?;
    let (mut preview, mut seen) = (Preview::default(), HashSet::new());
    patterns.routes().iter().for_each(|route| look(route, &patterns, &mut seen, &mut preview));
    Ok(preview)
}

fn look(route: &Route, patterns: &Patterns, seen: &mut HashSet<PathBuf>, preview: &mut Preview) {
    let mut visited = HashSet::new();
    let mut folders = vec![(route.base.clone(), route.start())];
    while let Some((folder, place)) = folders.pop() {
        let Ok(metadata) = folder.metadata() else { continue };
        if preview.folders >= FOLDERS_MAX || !visited.insert((metadata.dev(), metadata.ino(), place.clone())) {
            continue;
        }
        let entries = match folder.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                preview.closed.push((folder, error));
                continue;
            }
        };
        preview.folders += usize::from(seen.insert(folder));
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) && (path.is_dir() || patterns.matches(&path)) {
                let real = path.canonicalize().ok();
                let place =
                    real.and_then(|real| if path.is_dir() { Some(real) } else { real.parent().map(Path::to_owned) });
                preview.linked.extend(place);
            }
            if path.is_dir() {
                folders.extend(route.enter(&place, &entry.file_name()).map(|next| (path, next)));
            } else if patterns.matches(&path) && path.is_file() && seen.insert(path.clone()) {
                match File::open(&path) {
                    Ok(_) => preview.files += 1,
                    Err(error) => preview.closed.push((path, error)),
                }
            }
        }
    }
}
