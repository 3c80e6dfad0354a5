//! `quarantine/damaged/`: what was found damaged is put there and never deleted, nor is anything there written over.

use crate::durable::{self, FileSystem};
use std::io;
use std::path::{Path, PathBuf};

/// Copies of one name: far more than a file is ever set aside.
const COPIES_MAX: usize = 1000;

/// The folder for it.
pub(super) fn folder(spool: &Path) -> PathBuf {
    spool.join("quarantine").join("damaged")
}

/// Moves `paths` into `kept`, which is made, and tells where each is now; a name that is taken there gets a number behind it.
pub(super) fn put(fs: &dyn FileSystem, paths: &[PathBuf], kept: &Path) -> io::Result<Vec<PathBuf>> {
    durable::create_dir_all(fs, kept, 0o700)?;
    let moved = paths.iter().map(|path| {
        let name = path.file_name().unwrap_or_default();
        let numbered = |copy: usize| match copy {
            1 => kept.join(name),
            _ => {
                let mut name = name.to_owned();
                name.push(format!(".{copy}"));
                kept.join(name)
            }
        };
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for to in (1..=COPIES_MAX).map(numbered) {
            match fs.rename_new(path, &to) {
                Ok(()) => return Ok(to),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    });
    let moved = moved.collect::<io::Result<Vec<_>>>()?;
    fs.sync_dir(kept)?;
    Ok(moved)
}
