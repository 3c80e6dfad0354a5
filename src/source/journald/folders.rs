//! Where journal files are.

use super::Namespaces;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Which file, whatever its name; the time of birth tells a reused inode apart.
pub(super) type Inode = (u64, u64, Option<SystemTime>);

/// What one look found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Folders whose files were listed.
    pub(super) read: HashSet<PathBuf>,
    /// Folders to watch: those, and the ones that they are in.
    pub(super) watched: HashSet<PathBuf>,
    pub(super) files: Vec<(PathBuf, Inode)>,
    /// Folders that are there and can't be read.
    pub(super) closed: Vec<(PathBuf, std::io::Error)>,
}

/// Lists the files of the wanted namespaces. `watch` is called with each folder before it is listed.
pub(super) fn list(directories: &[PathBuf], namespaces: &Namespaces, mut watch: impl FnMut(&Path)) -> Listing {
    let mut listing = Listing::default();
    for directory in directories {
        let mut folders = Vec::new();
        listing.folder(directory, &mut watch, |path| folders.push(path.to_owned()));
        for folder in folders {
            if wanted(&folder, namespaces) {
                listing.folder(&folder, &mut watch, |_| {});
            }
        }
    }
    listing.files.sort();
    listing
}

impl Listing {
    fn folder(&mut self, folder: &Path, watch: &mut impl FnMut(&Path), mut inner: impl FnMut(&Path)) {
        watch(folder);
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.closed.push((folder.to_owned(), error)),
        };
        self.watched.insert(folder.to_owned());
        self.read.insert(folder.to_owned());
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_file() && is_journal(&path) {
                if let Ok(metadata) = entry.metadata() {
                    let inode = (metadata.dev(), metadata.ino(), metadata.created().ok());
                    self.files.push((path, inode));
                }
            } else if kind.is_dir() || (kind.is_symlink() && path.is_dir()) {
                inner(&path);
            }
        }
    }
}

fn is_journal(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
    name.ends_with(b".journal") || name.ends_with(b".journal~")
}

/// `<machine id>` for the default namespace, `<machine id>.<namespace>` for another.
fn wanted(folder: &Path, namespaces: &Namespaces) -> bool {
    let Some(name) = folder.file_name().and_then(OsStr::to_str) else { return false };
    let (machine, namespace) = name.split_once('.').map_or((name, "default"), |(machine, rest)| (machine, rest));
    let is_id = machine.len() == 32 && machine.bytes().all(|byte| byte.is_ascii_hexdigit());
    let named = match namespaces {
        Namespaces::All => true,
        Namespaces::These(names) => names.iter().any(|name| name == namespace),
    };
    is_id && named
}

/// What one journald writes, wherever: the name of its folder below `/run/log/journal` and `/var/log/journal`.
pub(super) fn group(dir: &Path) -> &OsStr {
    dir.file_name().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_told_by_the_folder() {
        let id = "3d1219c7c4c5404aaa1f6d2a48adfda4";
        let these = |name: &str| Namespaces::These(vec![name.to_owned()]);
        for (folder, namespaces, expected) in [
            (id.to_owned(), these("default"), true),
            (format!("{id}.web"), these("default"), false),
            (format!("{id}.web"), these("web"), true),
            (format!("{id}.web"), Namespaces::All, true),
            ("remote".to_owned(), Namespaces::All, false),
        ] {
            assert_eq!(wanted(Path::new(&folder), &namespaces), expected, "{folder} {namespaces:?}");
        }
    }
}
