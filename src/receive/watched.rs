//! Files that may change while the receiver runs: certificates are renewed, hosts are added to the trust file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Some files, and what they were like when they were last looked at.
#[derive(Debug)]
pub(super) struct Watched {
    files: Vec<PathBuf>,
    seen: Vec<Version>,
}

/// Inode, size, and time of change in seconds and nanoseconds; `None` for a file that can't be examined.
type Version = Option<(u64, u64, i64, i64)>;

impl Watched {
    /// Looks at the files for the first time.
    pub(super) fn new<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let files: Vec<PathBuf> = files.into_iter().cloned().collect();
        let seen = files.iter().map(|file| version(file)).collect();
        Self { files, seen }
    }

    /// Whether a file changed since the last look.
    pub(super) fn changed(&mut self) -> bool {
        let now: Vec<Version> = self.files.iter().map(|file| version(file)).collect();
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

fn version(file: &Path) -> Version {
    let file = std::fs::metadata(file).ok()?;
    Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}
