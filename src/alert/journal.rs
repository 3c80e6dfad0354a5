//! What a target was not told yet, so that a restart goes on telling it: `<spool>/alerts/<target>/<stream>-<record>.json`, one file a
//! notification, gone once it is delivered or given up. There are never more than the target's queue holds.
//!
//! A file that can't be written costs only this: a kill before the delivery loses the notification.

use super::{Alert, QUEUE};
use crate::durable::{self, Disk};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A notification is a page; what is larger is some other file.
const FILE_MAX_BYTES: u64 = 64 * 1024;

/// A target's folder.
#[derive(Clone)]
pub(super) struct Journal {
    dir: PathBuf,
}

/// A notification that is not delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// When it was raised.
    pub since: SystemTime,
    pub alert: Alert,
}

/// Targets below `spool` that still have notifications, and that nobody is told by any more.
pub fn forgotten(spool: &Path, targets: &[&str]) -> Vec<String> {
    let entries = std::fs::read_dir(spool.join("alerts")).into_iter().flatten().flatten();
    let full = entries.filter(|entry| std::fs::read_dir(entry.path()).is_ok_and(|mut kept| kept.next().is_some()));
    let names = full.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !targets.contains(&name.as_str())).collect()
}

impl Journal {
    pub(super) fn new(spool: &Path, target: &str) -> Self {
        Self { dir: spool.join("alerts").join(target) }
    }

    /// Keeps a notification, durably.
    pub(super) fn keep(&self, kept: &Kept) -> io::Result<()> {
        durable::create_dir_all(&Disk, &self.dir, 0o700)?;
        durable::replace(&Disk, &self.path(&kept.alert), &serde_json::to_vec(kept)?, 0o600)
    }

    /// It is settled. Should the file come back after a power cut, the same notification is sent once more.
    pub(super) fn settle(&self, alert: &Alert) {
        drop(std::fs::remove_file(self.path(alert)));
    }

    /// What the last run left, the oldest first.
    pub(super) fn kept(&self) -> Vec<Kept> {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return Vec::new() };
        let mut kept = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            let read = || {
                let small = entry.metadata().ok()?.len() <= FILE_MAX_BYTES;
                serde_json::from_slice::<Kept>(&std::fs::read(&path).ok().filter(|_| small)?).ok()
            };
            match read() {
                Some(found) if kept.len() < QUEUE && self.path(&found.alert) == path => kept.push(found),
                _ => {
                    tracing::warn!(path = %path.display(), "not a notification that waits, and removed");
                    drop(std::fs::remove_file(&path));
                }
            }
        }
        kept.sort_by_key(|kept| kept.since);
        kept
    }

    fn path(&self, alert: &Alert) -> PathBuf {
        self.dir.join(format!("{}-{}.json", alert.stream, alert.record))
    }
}
