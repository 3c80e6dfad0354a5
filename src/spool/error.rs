//! Why a spool can't be used.

use std::io;
use std::path::PathBuf;

/// Why the spool can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system said no.
    #[error("cannot {what} {path}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// Another agent has it.
    #[error(
        "the spool {0} is in use by another sealtail; stop that one, or give this one a spool of its own ([spool] dir)"
    )]
    Locked(PathBuf),
    /// The ledger is not one.
    #[error(
        "the ledger {path} is damaged: {reason}; nothing was changed. Restore it, or run `sealtail spool check --config FILE --repair`"
    )]
    Ledger {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A later version's.
    #[error(
        "the ledger {path} is of version {version}, which this sealtail does not know; nothing was changed. Use the sealtail that wrote it, or a later one"
    )]
    Version {
        /// Where.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// Another host's spool.
    #[error(
        "the spool {dir} belongs to host {theirs:?}, this is {ours:?}; give each host name a spool of its own ([spool] dir)"
    )]
    OtherHost {
        /// The folder.
        dir: PathBuf,
        /// As the ledger says.
        theirs: String,
        /// As the configuration says.
        ours: String,
    },
    /// Stopped while the disk was full.
    #[error("stopped while the disk of {dir} was full; the lines that did not fit are read again at the next start")]
    DiskFull {
        /// The spool.
        dir: PathBuf,
    },
    /// The sync thread failed before.
    #[error("{0}; the stream ends here and the next start begins a new one")]
    Failed(String),
    /// The writer is gone.
    #[error("the spool was stopped")]
    Stopped,
}

impl Error {
    /// The stream can't go on, but what is durable is: the spool may be opened again, as after a crash.
    pub fn ends_stream(&self) -> bool {
        matches!(self, Error::Io { .. } | Error::Failed(_) | Error::Stopped)
    }

    /// Somebody has the spool; perhaps this process itself, whose last threads are about to end.
    pub fn is_locked(&self) -> bool {
        matches!(self, Error::Locked(_))
    }
}
