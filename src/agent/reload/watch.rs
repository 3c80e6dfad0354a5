//! Whether the files of policies changed.

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// As deep as policies are read.
const DEPTH_MAX: usize = 32;
/// Bound of entries that are looked at.
const ENTRIES_MAX: usize = 65_536;

/// Wakes when something happens where policies are. Only a hint: what it misses, [`stamp`] finds.
pub(super) struct Watch {
    /// None when inotify can't be had.
    _watcher: Option<RecommendedWatcher>,
    events: mpsc::Receiver<()>,
    /// Keeps the channel open without a watcher.
    _waker: mpsc::Sender<()>,
}

impl Watch {
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        let (waker, events) = mpsc::channel(1);
        let wake = waker.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let is_read = |event: &notify::Event| {
                let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
                matches!(event.kind, EventKind::Access(_)) && event.kind != written
            };
            if !event.as_ref().is_ok_and(is_read) {
                // full: it is awake already; closed: it is gone
                let _: Result<(), _> = wake.try_send(());
            }
        });
        let watcher = watcher.and_then(|mut watcher| {
            for path in paths {
                let (folder, mode) = match path.is_dir() {
                    true => (path.as_path(), RecursiveMode::Recursive),
                    // a file that is replaced is another one: its folder tells
                    false => (path.parent().unwrap_or(path), RecursiveMode::NonRecursive),
                };
                watcher.watch(folder, mode)?;
            }
            Ok(watcher)
        });
        if let Err(error) = &watcher {
            tracing::debug!(%error, "policies can't be watched; they are looked at every few seconds");
        }
        Self { _watcher: watcher.ok(), events, _waker: waker }
    }

    /// Until something happens, or `longest` has passed; whether something happened.
    pub(super) async fn change(&mut self, longest: Duration) -> bool {
        timeout(longest, self.events.recv()).await.is_ok()
    }

    /// Until nothing has happened for `quiet`, but no longer than `longest`.
    pub(super) async fn quiet(&mut self, quiet: Duration, longest: Duration) {
        let end = Instant::now() + longest;
        while Instant::now() < end && timeout(quiet, self.events.recv()).await.is_ok() {}
    }
}

/// What changes with the files below the paths: their names, times, sizes and numbers.
pub(super) fn stamp(paths: &[PathBuf]) -> u64 {
    let mut walk = Walk { hash: DefaultHasher::new(), entries: 0 };
    for path in paths {
        walk.path(path, 0);
    }
    walk.hash.finish()
}

struct Walk {
    hash: DefaultHasher,
    entries: usize,
}

impl Walk {
    fn path(&mut self, path: &Path, depth: usize) {
        self.entries += 1;
        if depth > DEPTH_MAX || self.entries > ENTRIES_MAX {
            return;
        }
        path.hash(&mut self.hash);
        let Ok(meta) = fs::metadata(path) else { return };
        let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
        (meta.dev(), meta.ino(), meta.size(), times).hash(&mut self.hash);
        if meta.is_dir() {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let mut below: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            below.sort();
            below.iter().for_each(|path| self.path(path, depth + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_changes_changes_the_stamp_and_reading_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (file, paths) = (dir.path().join("a/x.rego"), [dir.path().to_owned()]);
        let mut seen = vec![stamp(&paths)];
        let mut is_new = || {
            let now = stamp(&paths);
            let is_new = !seen.contains(&now);
            seen.push(now);
            is_new
        };
        fs::create_dir(dir.path().join("a")).unwrap();
        assert!(is_new());
        fs::write(&file, "x").unwrap();
        assert!(is_new());
        fs::write(dir.path().join("other"), "y").unwrap();
        fs::rename(dir.path().join("other"), &file).unwrap();
        assert!(is_new());
        fs::read(&file).unwrap();
        assert!(!is_new());
        fs::remove_file(&file).unwrap();
        assert!(is_new());
        assert_eq!(stamp(&["/nowhere/at/all".into()]), stamp(&["/nowhere/at/all".into()]));
    }
}
