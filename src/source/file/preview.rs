//! What the patterns of a source find, looked at once, before anything is read.

use super::patterns::{Patterns, Route};
use crate::source::{Error, FileConfig};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What was found.
#[derive(Debug, Default)]
pub struct Preview {
    /// Files that match and may be read.
    pub files: usize,
    /// Folders that can hold a match; each is watched.
    pub folders: usize,
    /// Files that match and folders that may hold a match, and why they can't be read.
    pub closed: Vec<(PathBuf, io::Error)>,
}

/// Folders that are looked into: enough for any machine, and an end to loops.
const FOLDERS_MAX: usize = 100_000;

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
