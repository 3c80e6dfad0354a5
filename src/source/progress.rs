//! What a source is doing, for whoever asks meanwhile.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Written by the source's thread about once a second, read by any other.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Doing>);

/// A moment of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doing {
    /// Files (of a journal: its files) that are followed.
    pub files: u64,
    /// Those of them that are open.
    pub open: u64,
    /// Bytes that files hold and that were not handed on.
    pub behind_bytes: u64,
    /// Entries that journals hold and that were not handed on.
    pub behind_entries: u64,
    /// Since when the oldest of them waits; nothing where nothing waits but half a line.
    pub unread_since: Option<SystemTime>,
}

impl Progress {
    /// Replaces what was said before.
    pub(super) fn say(&self, doing: Doing) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = doing;
    }

    /// What it said last.
    pub fn doing(&self) -> Doing {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
