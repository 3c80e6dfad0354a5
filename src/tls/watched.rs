//! Files that may change while they are in use: certificates are renewed, hosts are added to a trust file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Some files, and what they were like when they were taken up.
#[derive(Debug)]
pub(crate) struct Watched {
    files: Vec<PathBuf>,
    taken: Versions,
    /// What was found unusable last.
    refused: Option<Versions>,
}

/// Of each file.
pub(crate) type Versions = Vec<Option<Version>>;

/// Symbolic links followed.
#[derive(Debug, PartialEq)]
pub(crate) struct Version {
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds, of the content and of permissions.
    changed: [(i64, i64); 2],
}

impl Watched {
    /// Looks at the files for the first time: before they are read, so that no change goes unseen.
    pub(crate) fn new<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let files: Vec<PathBuf> = files.into_iter().cloned().collect();
        let taken = versions(&files);
        Self { files, taken, refused: None }
    }

    /// What the files are like, if that is not what was taken up. Asked before they are read.
    pub(crate) fn changed(&self) -> Option<Versions> {
        Some(versions(&self.files)).filter(|now| *now != self.taken)
    }

    /// These are in use from now on.
    pub(crate) fn take_up(&mut self, versions: Versions) {
        (self.taken, self.refused) = (versions, None);
    }

    /// These can't be used, perhaps because they are being exchanged: they stay changed. Whether that is news.
    pub(crate) fn refuse(&mut self, versions: Versions) -> bool {
        let versions = Some(versions);
        let is_news = self.refused != versions;
        self.refused = versions;
        is_news
    }
}

fn versions(files: &[PathBuf]) -> Versions {
    files.iter().map(|file| version(file)).collect()
}

/// `None` for a file that can't be examined.
fn version(file: &Path) -> Option<Version> {
    let file = std::fs::metadata(file).ok()?;
    let changed = [(file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec())];
    Some(Version { inode: file.ino(), size: file.len(), changed })
}
