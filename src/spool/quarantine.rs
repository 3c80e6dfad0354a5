//! `<spool>/quarantine/`: what targets refused for good (`<target>/<host>/<stream>/`), and what was found damaged (`damaged/`).
//!
//! It is the operator's to look at and take away; nothing here deletes it, and nothing of it is dropped in silence. What required
//! targets refused, and what is damaged, counts towards `max_size`, so that reading stops before the disk is full. An optional
//! target has its `max_lag` here: what it refuses beyond that is not kept but skipped, as the chain says.

use super::ledger::Frozen;
use super::{Error, Spool, Target, writer};
use crate::durable;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How much there is, by target.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    bytes: BTreeMap<String, u64>,
}

impl Quarantine {
    /// Measures that of the spool in `dir`. What can't be read is not counted: it is told where it is needed.
    pub(super) fn measure(dir: &Path) -> Self {
        let targets = std::fs::read_dir(dir.join("quarantine")).into_iter().flatten().flatten();
        let measured =
            targets.map(|target| (target.file_name().to_string_lossy().into_owned(), size(&target.path(), 0)));
        Self { bytes: measured.collect() }
    }

    /// What counts towards `max_size`: all but what optional targets refused.
    pub(super) fn counted(&self, targets: &[Target]) -> u64 {
        let is_optional = |name: &str| targets.iter().any(|t| t.name == name && t.max_lag_bytes.is_some());
        self.bytes.iter().filter(|(name, _)| !is_optional(name)).map(|(_, bytes)| bytes).sum()
    }
}

impl Spool {
    /// Keeps the bytes of a batch that the target refused for good; returns where, or `None` if the target is optional and has no
    /// room for it.
    pub fn keep_refused(&self, target: &str, batch: &Frozen, bytes: &[u8]) -> Result<Option<PathBuf>, Error> {
        let shared = &self.shared;
        let room = shared.targets.iter().find(|known| known.name == target).and_then(|target| target.max_lag_bytes);
        let kept = shared.lock().quarantine.bytes.get(target).copied().unwrap_or_default();
        if room.is_some_and(|room| kept + batch.len > room) {
            return Ok(None);
        }
        let dir = shared.dir.join("quarantine").join(target).join(&shared.host).join(batch.stream.to_string());
        let path = dir.join(writer::file_name(batch.seq[0]));
        durable::create_dir_all(&*shared.fs, &dir, 0o700)
            .and_then(|()| durable::replace(&*shared.fs, &path, bytes, 0o600))
            .map_err(|e| shared.io("keep a refused batch in", path.clone(), e))?;
        *shared.lock().quarantine.bytes.entry(target.to_owned()).or_default() += batch.len;
        Ok(Some(path))
    }
}

/// Bytes of files below a folder.
fn size(path: &Path, depth: usize) -> u64 {
    const DEPTH_MAX: usize = 8;
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() && depth < DEPTH_MAX => size(&entry.path(), depth + 1),
        Ok(found) if found.is_file() => found.len(),
        _ => 0,
    });
    sizes.sum()
}
