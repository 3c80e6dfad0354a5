//! Sources: bytes and cursors from files, journals and pipes, without loss.
//!
//! A source runs on its own thread and sends [`Batch`]es into a bounded channel; blocking there is the backpressure. It
//! keeps no state on disk: the offset of a line says how far its file is read once that line is durable, and at the next
//! start the agent hands back as `known` the last durable cursors, and those of files that were read to their end. So what
//! was read but not made durable is read again, and what was made durable is not.
//!
//! What a source promises, with [`Cursor`](crate::record::Cursor) for the terms:
//! - an `Opened` comes before the first line of a key, and the offsets of a key's lines only grow, but for a `Truncated`;
//! - an `Identified` replaces the cursor's path and fingerprint and never moves the offset of a file; of a journal it does,
//!   over entries that a filter leaves out;
//! - after `Ended` or `Vanished` the key and its cursor are done with.

mod file;
mod handover;
mod journald;
mod kubernetes;
mod labels;
mod lines;
mod progress;
mod stdin;
mod stop;
mod watch;

pub use file::{Files, Preview, preview};
pub use handover::Handover;
pub use journald::{Journald, JournaldConfig, Namespaces, Priority, Since};
pub use labels::LabelConfig;
pub use lines::{Encoding, Multiline, Opens, TextConfig};
pub use progress::{Doing, Progress};
pub use stdin::Stdin;
pub use stop::{Stop, Stopper};

use crate::record::{Batch, Format, HashKey, Known, SourceKey};
use crossbeam_channel::Sender;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A place that lines come from.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one a thread, moved once")]
pub enum Source {
    /// Files by glob.
    File(Files),
    /// systemd's journal.
    Journald(Journald),
    /// Standard input.
    Stdin(Stdin),
}

impl Source {
    /// A source as configured. `known` is what is durable of the source of this name, `own` the folders of sealtail
    /// itself, whose files are never followed: a line about a line would never end.
    pub fn new(config: &Config, known: Known, keys: Arc<Keys>, own: &[PathBuf]) -> Result<Source, Error> {
        Ok(match config {
            Config::File(config) => Source::File(Files::new(config, known, keys, own)?),
            Config::Journald(config) => Source::Journald(Journald::new(config, known.open, keys)?),
            Config::Stdin(config) => Source::Stdin(Stdin::new(config, known.open, &keys)?),
        })
    }

    /// Where it says what it is doing; nothing is said of a pipe.
    pub fn progress(&self) -> Arc<Progress> {
        match self {
            Source::File(files) => files.progress(),
            Source::Journald(journald) => journald.progress(),
            Source::Stdin(_) => Arc::default(),
        }
    }

    /// Reads until `stop` (then returns at once; what was not sent is read again at the next start) or, with `once`,
    /// until everything that is there is read.
    pub fn run(self, once: bool, output: &Sender<Batch>, stop: &Stop) -> Result<(), Error> {
        match self {
            Source::File(files) => files.run(once, output, stop),
            Source::Journald(journald) => journald.run(once, output, stop),
            Source::Stdin(stdin) => stdin.run(output, stop),
        }
    }
}

/// Why a source can't begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A pattern that is no glob.
    #[error("source {name:?}: {pattern:?} is not a glob: {reason}; mend it in `include` or `exclude`")]
    Pattern {
        /// The source.
        name: String,
        /// The pattern.
        pattern: String,
        /// What globset says.
        reason: String,
    },
    /// A pattern that does not begin at the root.
    #[error("source {name:?}: {pattern:?} is not an absolute path; begin it with a slash, e.g. \"/var/log/*.log\"")]
    Relative {
        /// The source.
        name: String,
        /// The pattern.
        pattern: String,
    },
    /// A unit that is no pattern.
    #[error("source {name:?}: {pattern:?} is no pattern of units: {reason}; mend it in `units`")]
    Unit {
        /// The source.
        name: String,
        /// The pattern.
        pattern: String,
        /// What globset says.
        reason: String,
    },
    /// No bytes a line.
    #[error("source {name:?}: `max_line` is 0, so no line would fit; set it to 1KiB or more")]
    NoLine {
        /// The source.
        name: String,
    },
    /// A pattern that is no regular expression.
    #[error("source {name:?}: the pattern of `multiline` is none: {reason}")]
    Multiline {
        /// The source.
        name: String,
        /// What regex says.
        reason: String,
    },
    /// What the downward API says of the pod can't be read.
    #[error(
        "source {name:?}: cannot read {}: {reason}; mount a downwardAPI volume with `labels` or `annotations` there, or take \
         `downward_api` out", path.display()
    )]
    DownwardApi {
        /// The source.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// More labels than a line may hold.
    #[error("source {name:?}: its labels are larger than 64 KiB; give it fewer")]
    Labels {
        /// The source.
        name: String,
    },
    /// Standard input can't be read.
    #[error("source {name:?}: cannot read standard input: {reason}; give sealtail a pipe or a file there")]
    Stdin {
        /// The source.
        name: String,
        /// What the system says.
        reason: std::io::Error,
    },
    /// Whoever takes the batches is gone.
    #[error("source {name:?}: the agent takes no more lines, so reading stopped; its own error says why")]
    OutputClosed {
        /// The source.
        name: String,
    },
}

/// A `[[source]]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Config {
    /// Files by glob.
    File(FileConfig),
    /// systemd's journal.
    Journald(JournaldConfig),
    /// Standard input, to its end.
    Stdin(StdinConfig),
}

impl Config {
    /// The configured name.
    pub fn name(&self) -> &str {
        match self {
            Config::File(file) => &file.name,
            Config::Journald(journald) => &journald.name,
            Config::Stdin(stdin) => &stdin.name,
        }
    }

    /// Its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Config::File(_) => "file",
            Config::Journald(_) => "journald",
            Config::Stdin(_) => "stdin",
        }
    }

    /// What its lines look like.
    pub fn format(&self) -> Format {
        match self {
            Config::File(file) => file.text.format,
            // an entry is handed on as a JSON object
            Config::Journald(_) => Format::Json,
            Config::Stdin(stdin) => stdin.text.format,
        }
    }

    /// The folders that it reads, by what is there now.
    pub fn places(&self) -> Vec<PathBuf> {
        let own = match self {
            Config::File(config) => file::places(config),
            Config::Journald(journald) => journald.directories.clone(),
            Config::Stdin(_) => Vec::new(),
        };
        own.into_iter().chain(self.labels().and_then(|labels| labels.downward_api.clone())).collect()
    }

    /// What is known of it besides its lines.
    pub fn labels(&self) -> Option<&LabelConfig> {
        match self {
            Config::File(file) => Some(&file.labels),
            Config::Journald(_) => None,
            Config::Stdin(stdin) => Some(&stdin.labels),
        }
    }
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
    /// What its text looks like.
    pub text: TextConfig,
    /// What is known of it besides its lines.
    pub labels: LabelConfig,
    /// Files that match and are compressed are read too.
    pub compressed: bool,
}

/// `type = "stdin"`.
#[derive(Clone, Debug, PartialEq)]
pub struct StdinConfig {
    /// Shown as the source in verdicts and lines.
    pub name: String,
    /// A longer line is handed on in parts of this many bytes.
    pub max_line_bytes: usize,
    /// What its text looks like.
    pub text: TextConfig,
    /// What is known of it besides its lines.
    pub labels: LabelConfig,
}

/// Where a file without a cursor is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At its first byte.
    Beginning,
    /// At what is appended from now on.
    End,
}

/// What the sources of a process share: each file and pipe has its key, and all of them the descriptors.
#[derive(Debug)]
pub struct Keys {
    last: AtomicU32,
    open_files: usize,
    hash_key: HashKey,
    handover: Arc<Handover>,
}

/// Descriptors that are not the sources': of the spool, the network, the process itself.
const OTHER_DESCRIPTORS: u64 = 64;
/// What one source holds open at most, and at least.
const OPEN_FILES: std::ops::RangeInclusive<u64> = 8..=256;

impl Default for Keys {
    fn default() -> Self {
        Self::sharing(1, HashKey::default(), Arc::default())
    }
}

impl Keys {
    /// For so many sources. `hash_key` is the same at each start: by it files are known again. `handover` has what sources
    /// before these took out of pipes.
    pub fn sharing(sources: usize, hash_key: HashKey, handover: Arc<Handover>) -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        let share = limit.saturating_sub(OTHER_DESCRIPTORS) / sources.max(1) as u64;
        let open_files = share.clamp(*OPEN_FILES.start(), *OPEN_FILES.end()) as usize;
        Self { last: AtomicU32::new(0), open_files, hash_key, handover }
    }

    /// A key that was never given before in this process; the first is 1.
    pub fn next(&self) -> SourceKey {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What the hashes in cursors are keyed with.
    fn hash_key(&self) -> HashKey {
        self.hash_key
    }

    /// What goes from sources before to these, and from these to the next.
    fn handover(&self) -> &Arc<Handover> {
        &self.handover
    }

    /// How many files one source may hold open.
    fn open_files(&self) -> usize {
        self.open_files
    }
}
