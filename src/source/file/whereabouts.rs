//! Finds the name that a file has now in the folder where it was.
//!
//! A file that is renamed while its folder is listed can be missing from the list, and taking it for deleted would
//! lose its lines. So a file is nowhere only when the folder was listed twice with the same result.

use super::identity::{self, Look};
use crate::record::FileId;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

/// Attempts to list a folder twice alike; then it is left to the next look around.
pub(super) const LISTINGS_MAX: usize = 5;

/// Where a file is.
#[derive(Debug)]
pub(super) enum Whereabouts {
    /// It has this name.
    Named(PathBuf, Look),
    /// It has no name in the folder, or the folder is gone.
    Nowhere,
    /// Names in the folder are changing: ask again soon.
    Moving,
    /// The folder can't be read.
    Hidden,
}

/// The folders that were listed during one look around.
#[derive(Debug, Default)]
pub(super) struct Listings(HashMap<PathBuf, Listing>);

#[derive(Debug)]
enum Listing {
    Settled(Names),
    Moving,
    Hidden,
}

/// What a folder holds.
#[derive(Debug, PartialEq)]
struct Names {
    by_inode: HashMap<u64, Vec<OsString>>,
    /// With their inode numbers.
    sorted: Vec<(OsString, u64)>,
}

impl Listings {
    /// Looks for a file in a folder, which is listed only the first time.
    pub(super) fn find(&mut self, id: &FileId, folder: &Path) -> Whereabouts {
        let names = match self.listing(folder) {
            Listing::Settled(names) => names,
            Listing::Moving => return Whereabouts::Moving,
            Listing::Hidden => return Whereabouts::Hidden,
        };
        for path in names.by_inode.get(&id.ino).into_iter().flatten().map(|name| folder.join(name)) {
            match Look::at(&path) {
                Ok(look) if identity::same(&look.id, id) => return Whereabouts::Named(path, look),
                // another birth or device: the inode number is used again
                Ok(look) if look.id.ino == id.ino => {}
                // renamed since the folder was listed
                _ => return Whereabouts::Moving,
            }
        }
        Whereabouts::Nowhere
    }

    /// The other files of a file's folder whose names begin with its name and that are `wanted`, sorted by name. None while
    /// names there are changing, or changed since the folder was listed: then a file may have a name that isn't in the list.
    pub(super) fn named_after(&mut self, base: &Path, wanted: impl Fn(&Path) -> bool) -> Option<Vec<(PathBuf, Look)>> {
        let (Some(folder), Some(name)) = (base.parent(), base.file_name()) else { return Some(Vec::new()) };
        let names = match self.listing(folder) {
            Listing::Settled(names) => names,
            Listing::Moving => return None,
            Listing::Hidden => return Some(Vec::new()),
        };
        let first = names.sorted.partition_point(|(other, _)| other.as_os_str() <= name);
        let after = names.sorted[first..].iter().take_while(|(other, _)| other.as_bytes().starts_with(name.as_bytes()));
        let paths = after.map(|(other, inode)| (folder.join(other), *inode)).filter(|(path, _)| wanted(path));
        let mut there = Vec::new();
        let mut as_listed = true;
        for (path, inode) in paths {
            match Look::at(&path) {
                Ok(look) => {
                    as_listed &= look.id.ino == inode;
                    there.push((path, look));
                }
                // a link that leads nowhere is no file
                Err(_) if path.symlink_metadata().is_ok() => {}
                Err(_) => return None,
            }
        }
        // there are file systems (overlays) whose folders give other numbers than their files
        if !as_listed && list(folder).ok().as_ref() != Some(names) {
            return None;
        }
        there.retain(|(_, look)| look.regular);
        Some(there)
    }

    fn listing(&mut self, folder: &Path) -> &Listing {
        if !self.0.contains_key(folder) {
            self.0.insert(folder.to_owned(), settled(folder));
        }
        &self.0[folder]
    }

    /// A new look around begins.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// The names in a folder once they hold still.
fn settled(folder: &Path) -> Listing {
    let mut before: Option<Names> = None;
    for _ in 0..LISTINGS_MAX {
        let names = match list(folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Listing::Settled(Names { by_inode: HashMap::new(), sorted: Vec::new() });
            }
            Err(_) => return Listing::Hidden,
        };
        if before.as_ref() == Some(&names) {
            return Listing::Settled(names);
        }
        before = Some(names);
    }
    Listing::Moving
}

fn list(folder: &Path) -> io::Result<Names> {
    let mut names = Names { by_inode: HashMap::new(), sorted: Vec::new() };
    for entry in folder.read_dir()? {
        let entry = entry?;
        names.sorted.push((entry.file_name(), entry.ino()));
        names.by_inode.entry(entry.ino()).or_default().push(entry.file_name());
    }
    names.sorted.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_file_is_found_and_a_deleted_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        std::fs::write(&old, "x").unwrap();
        let id = Look::at(&old).unwrap().id;
        std::fs::rename(&old, &new).unwrap();
        let find = |folder: &Path| Listings::default().find(&id, folder);
        assert!(matches!(find(dir.path()), Whereabouts::Named(path, _) if path == new));
        std::fs::remove_file(&new).unwrap();
        assert!(matches!(find(dir.path()), Whereabouts::Nowhere));
        assert!(matches!(find(&new), Whereabouts::Nowhere));
    }

    #[test]
    fn a_name_that_moved_since_the_listing_asks_for_another_look() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "x").unwrap();
        let id = Look::at(&path).unwrap().id;
        let mut listings = Listings::default();
        assert!(matches!(listings.find(&id, dir.path()), Whereabouts::Named(..)));
        std::fs::rename(&path, dir.path().join("b")).unwrap();
        assert!(matches!(listings.find(&id, dir.path()), Whereabouts::Moving));
        listings.forget();
        assert!(matches!(listings.find(&id, dir.path()), Whereabouts::Named(..)));
    }

    // what was NAME.1 when the folder was listed has the new name NAME.2 by now, which isn't in the list
    #[test]
    fn a_rotation_that_moved_since_the_listing_asks_for_another_look() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a.1"), "x").unwrap();
        std::os::unix::fs::symlink("nowhere", path("a.link")).unwrap();
        let mut listings = Listings::default();
        let named = |listings: &mut Listings| listings.named_after(&path("a"), |_| true).map(|all| all.len());
        assert_eq!(named(&mut listings), Some(1));
        std::fs::rename(path("a.1"), path("a.2")).unwrap();
        assert_eq!(named(&mut listings), None);
        std::fs::write(path("a.1"), "y").unwrap();
        assert_eq!(named(&mut listings), None);
        listings.forget();
        assert_eq!(named(&mut listings), Some(2));
    }
}
