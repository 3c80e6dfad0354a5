//! Wakes the source when something happens in a folder. Only a hint: what it misses, the poll finds.

use crossbeam_channel::{Receiver, Sender, bounded, never};
use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Paths that are remembered between two looks; with more, everything is looked at.
const PATHS_MAX: usize = 4096;

/// What happened since the last look.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Names came or went, or events were missed: look at everything.
    pub(super) names: bool,
    /// Files that were written.
    pub(super) written: HashSet<PathBuf>,
}

/// Watches folders, as far as the system lets it.
#[derive(Debug)]
pub(super) struct Watch {
    /// None when inotify can't be had: then there is the poll only.
    watcher: Option<RecommendedWatcher>,
    changes: Arc<Mutex<Changes>>,
    wake: Receiver<()>,
    /// Watched folders with their device and inode: a folder made anew needs a new watch.
    folders: HashMap<PathBuf, (u64, u64)>,
}

impl Watch {
    pub(super) fn new() -> Watch {
        let changes = Arc::new(Mutex::new(Changes::default()));
        let (waker, wake) = bounded(1);
        let noted = Arc::clone(&changes);
        let watcher = notify::recommended_watcher(move |event| note(event, &noted, &waker));
        match watcher {
            Ok(watcher) => Watch { watcher: Some(watcher), changes, wake, folders: HashMap::new() },
            Err(error) => {
                poll_only(&error);
                Watch::none()
            }
        }
    }

    /// Without inotify: the poll alone.
    pub(super) fn none() -> Watch {
        Watch { watcher: None, changes: Arc::default(), wake: never(), folders: HashMap::new() }
    }

    /// Watches a folder from now on. Call it before listing the folder, so that nothing falls between.
    pub(super) fn add(&mut self, folder: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
        let Ok(metadata) = folder.metadata() else { return };
        let id = (metadata.dev(), metadata.ino());
        let before = self.folders.get(folder);
        if before == Some(&id) {
            return;
        }
        if before.is_some() {
            // it went with the folder, if the system told so already
            let _ = watcher.unwatch(folder);
        }
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.folders.insert(folder.to_owned(), id);
            }
            Err(error) if is_limit(&error) => {
                poll_only(&error);
                *self = Watch::none();
            }
            // the folder is gone again, or may not be listed; then the walk says so
            Err(_) => {}
        }
    }

    /// Drops the watches of folders that are not among `wanted` any more.
    pub(super) fn keep(&mut self, wanted: &HashSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        self.folders.retain(|folder, _| {
            let keep = wanted.contains(folder);
            if !keep {
                // fails when the folder is gone, and its watch with it
                let _ = watcher.unwatch(folder);
            }
            keep
        });
    }

    /// Becomes ready when there are changes.
    pub(super) fn channel(&self) -> &Receiver<()> {
        &self.wake
    }

    /// What happened since the last call.
    pub(super) fn take(&mut self) -> Changes {
        let _ = self.wake.try_recv();
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Called on notify's thread.
fn note(event: notify::Result<notify::Event>, changes: &Mutex<Changes>, waker: &Sender<()>) {
    let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        Ok(event) if event.need_rescan() => changes.names = true,
        Ok(event) => match event.kind {
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => return,
            EventKind::Modify(ModifyKind::Data(_)) => changes.written.extend(event.paths),
            _ => changes.names = true,
        },
        Err(_) => changes.names = true,
    }
    if changes.written.len() > PATHS_MAX {
        changes.written = HashSet::new();
        changes.names = true;
    }
    // full means that it is awake already; disconnected, that it is gone
    let _ = waker.try_send(());
}

fn is_limit(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => true,
        notify::ErrorKind::Io(error) => {
            let limits = [rustix::io::Errno::NOSPC, rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
            limits.iter().any(|limit| error.raw_os_error() == Some(limit.raw_os_error()))
        }
        _ => false,
    }
}

fn poll_only(error: &notify::Error) {
    tracing::warn!(
        "folders can't be watched ({error}), so files are looked at each second instead; \
         raise fs.inotify.max_user_watches and fs.inotify.max_user_instances with sysctl"
    );
}
