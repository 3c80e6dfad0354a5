//! Sources: bytes and cursors from files and pipes, without loss.

use crate::record::{Batch, Cursor, SourceKey};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A `[[source]]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Config {
    /// Files by glob.
    File(FileConfig),
    /// Standard input, to its end.
    Stdin(StdinConfig),
}

/// `type = "file"`.
#[derive(Clone, Debug, PartialEq)]
pub struct FileConfig {
    /// Shown as the source in verdicts and lines.
    pub name: String,
    /// Globs of absolute paths; `**` crosses folders.
    pub include: Vec<String>,
    /// Globs of paths to leave out.
    pub exclude: Vec<String>,
    /// Where a file without a cursor is begun.
    pub start_at: StartAt,
    /// A longer line is handed on in parts of this many bytes.
    pub max_line_bytes: usize,
}

/// `type = "stdin"`.
#[derive(Clone, Debug, PartialEq)]
pub struct StdinConfig {
    /// Shown as the source in verdicts and lines.
    pub name: String,
    /// A longer line is handed on in parts of this many bytes.
    pub max_line_bytes: usize,
}

/// Where a file without a cursor is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At its first byte.
    Beginning,
    /// At what is appended from now on.
    End,
}

/// Gives each source of this process its key.
#[derive(Debug, Default)]
pub struct Keys(AtomicU32);

impl Keys {
    /// A key that was never given before in this process; the first is 1.
    pub fn next(&self) -> SourceKey {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}
