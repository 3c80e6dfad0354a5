//! systemd's journal, read from its files.
//!
//! We read the documented format ourselves. The choice was between that and `journalctl -o export` or `-o json`, and was made
//! by what real journald shows: a pod has neither journalctl nor libsystemd; before systemd 254 journalctl prints no sequence
//! numbers, without which nobody can say that entries were lost; and it says nothing when a file is damaged or was vacuumed
//! under it. It is the faster way too. 200,000 sshd-like entries (936 bytes of JSON each) that systemd-journald 252 wrote, on 2
//! busy cores of which only CPU time tells: 4.1 µs an entry here (81,000 to 160,000 entries a second by the clock), 8.5 µs by
//! `journalctl -o export --all`, 30 µs by `-o json --all`. `cargo nextest run --cargo-profile release --profile long --no-capture
//! --test journald long` times them again.
//!
//! journald numbers its entries. A *sequence* is the entries that share a `seqnum_id` in one directory; it has a source key
//! of its own, a line's offset is its entry's number, and numbers that no file there holds are told to the chain as
//! `Missed`, with their count. One thread does everything in turns, as with files: it looks around when a watch wakes it and at
//! each [`POLL`], reads the sequences' entries in the order of their times, and sends them.
//!
//! | file | what it knows |
//! | --- | --- |
//! | `format`, `pages` | the bytes of a file, and how they are read |
//! | `walk`, `file` | the entries of one file, on whatever is damaged in it |
//! | `data`, `json`, `entry` | fields, and the line that an entry becomes |
//! | `filter` | which entries are wanted |
//! | `sequence`, `held` | the files of one sequence as one; which numbers of a directory were read |
//! | `folders`, `look`, `admit` | where files are; what became of them; where a sequence begins, and what became of known ones |
//! | `turn` | one entry: gaps, copies, its line |
//!
//! What is promised, and what not:
//! - An entry that journald kept is chained once, through rotation (`system@….journal` is the file that `system.journal` was: files
//!   go by their id), restart and damage. What journald vacuums before it is read is lost, also while the file is open (it
//!   punches the bytes out), and told with its count.
//! - journald copies the entries of `/run/log/journal` to `/var/log/journal` at boot; a copy of an entry that was chained is not
//!   chained again. After a crash in that very moment up to [`TELL_EVERY`] may be, rather than one be lost.
//! - An entry longer than `max_line` comes in parts. The parts before its last don't move the cursor, so that after a crash
//!   between them the entry is chained again from its beginning.
//! - A field that is damaged or above 64 MiB is left out of its entry, and told as `Missed`.

mod admit;
mod data;
mod entry;
mod file;
mod filter;
mod folders;
mod format;
mod held;
mod json;
mod look;
mod pages;
mod sequence;
mod turn;
mod walk;

use super::watch::Watch;
use super::{Doing, Error, Keys, Progress, Stop};
use crate::record::{Batch, Cursor, Item, SourceEvent, SourceKey};
use admit::Awaited;
use crossbeam_channel::{Select, Sender};
use filter::Filter;
use folders::Inode;
use held::Held;
use look::Known;
use sequence::Sequence;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Everything is looked at this often, watched or not. journald writes through a mapping, which no watch sees; for their sake
/// it truncates the file to the length it has, at most 250 ms later.
const POLL: Duration = Duration::from_secs(1);
/// What it is doing is said this often.
const SAY: Duration = Duration::from_secs(1);
/// Between two looks around lies at least this.
const REST: Duration = Duration::from_millis(20);
/// A batch of this many bytes is sent before more is read.
const FILL_BYTES: usize = 64 * 1024;
/// Items of a batch.
const FILL_ITEMS: usize = 4096;
/// Batches that one entry may fill before they are sent: of a giant, the rest waits in its rendered form.
const LARGE_BYTES: usize = 1 << 20;
/// Files that are open at a time: of each sequence the oldest that are not read.
const FILES_MAX: usize = 64;
/// After so many entries the chain is told where reading stands: by what time to go on should the sequence be gone,
/// and how far those were read that a filter left out.
const TELL_EVERY: u32 = 1000;
/// At the end of what there is it is told too, this often.
const TELL_PAUSE: Duration = Duration::from_secs(10);

/// `type = "journald"`.
#[derive(Clone, Debug, PartialEq)]
pub struct JournaldConfig {
    /// Shown as the source in verdicts and lines.
    pub name: String,
    /// Folders that hold one folder for each machine and namespace; journal files in the folder itself are read too.
    pub directories: Vec<PathBuf>,
    /// Whose entries.
    pub namespaces: Namespaces,
    /// Units, with `*`; none: all.
    pub units: Vec<String>,
    /// Entries at least that urgent; none: all.
    pub priority: Option<Priority>,
    /// Where a journal without a cursor is begun.
    pub since: Since,
    /// A longer entry is handed on in parts of this many bytes.
    pub max_line_bytes: usize,
}

/// Journals of which namespaces are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// All, and the default one.
    All,
    /// Those of these names; the default one is called `default`.
    These(Vec<String>),
}

/// Where a journal without a cursor is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// At the oldest entry that is there.
    Beginning,
    /// At what is written from now on.
    Now,
}

/// syslog's priorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Priority {
    Emerg,
    Alert,
    Crit,
    Err,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Priority {
    /// Their names, the most urgent first.
    pub const NAMES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

    /// The priority of a name.
    pub fn named(name: &str) -> Option<Priority> {
        use Priority::{Alert, Crit, Debug, Emerg, Err, Info, Notice, Warning};
        let all = [Emerg, Alert, Crit, Err, Warning, Notice, Info, Debug];
        Self::NAMES.iter().position(|known| *known == name).map(|index| all[index])
    }
}

impl JournaldConfig {
    /// Everything that this machine's journals hold.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            directories: vec!["/var/log/journal".into(), "/run/log/journal".into()],
            namespaces: Namespaces::All,
            units: Vec::new(),
            priority: None,
            since: Since::Beginning,
            max_line_bytes: 256 * 1024,
        }
    }

    /// Whether `pattern` can stand in `units`; else why not.
    pub fn check_unit(pattern: &str) -> Result<(), String> {
        filter::is_pattern(pattern)
    }
}

/// The journal as a source.
#[derive(Debug)]
pub struct Journald {
    config: JournaldConfig,
    filter: Filter,
    keys: Arc<Keys>,
    /// Cursors whose sequences are not found yet.
    known: Vec<Cursor>,
    /// There was a process before this one.
    restarted: bool,
    once: bool,
    sequences: Vec<Sequence>,
    /// Sequences below /run that ended, whose copies may still come.
    copied: Vec<Sequence>,
    /// Known sequences below /run that are gone: their boot's entries are awaited on the disk.
    awaited: Vec<Awaited>,
    held: HashMap<PathBuf, Held>,
    /// Every file that is there.
    files: HashMap<Inode, Known>,
    /// Names at the last look, and whether one of them moved while it was looked at.
    listed: Vec<(PathBuf, Inode)>,
    moving: bool,
    /// What was complained of.
    told: HashSet<PathBuf>,
    looks: u64,
    /// The entry before which everything was looked at, so that a hole is one.
    sure_before: Option<(SourceKey, u64)>,
    /// What is read and not sent.
    batch: Batch,
    full: VecDeque<Batch>,
    watch: Watch,
    /// Names changed: look around as soon as there was a rest.
    wanted: bool,
    /// Something was written.
    written: bool,
    rested: Instant,
    polled: Instant,
    tell_at: Instant,
    progress: Arc<Progress>,
    said: Instant,
}

impl Journald {
    pub(super) fn new(config: &JournaldConfig, known: Vec<Cursor>, keys: Arc<Keys>) -> Result<Journald, Error> {
        if config.max_line_bytes == 0 {
            return Err(Error::NoLine { name: config.name.clone() });
        }
        let filter = Filter::new(config).map_err(|(pattern, reason)| Error::Unit {
            name: config.name.clone(),
            pattern,
            reason,
        })?;
        let known: Vec<Cursor> = known.into_iter().filter(|cursor| matches!(cursor, Cursor::Journal { .. })).collect();
        let now = Instant::now();
        Ok(Journald {
            config: config.clone(),
            filter,
            keys,
            restarted: !known.is_empty(),
            known,
            once: false,
            sequences: Vec::new(),
            copied: Vec::new(),
            awaited: Vec::new(),
            held: HashMap::new(),
            files: HashMap::new(),
            listed: Vec::new(),
            moving: false,
            told: HashSet::new(),
            looks: 0,
            sure_before: None,
            batch: Batch::default(),
            full: VecDeque::new(),
            watch: Watch::none(),
            wanted: false,
            written: false,
            rested: now,
            polled: now,
            tell_at: now,
            progress: Arc::default(),
            said: now,
        })
    }

    pub(super) fn run(mut self, once: bool, output: &Sender<Batch>, stop: &Stop) -> Result<(), Error> {
        self.once = once;
        if !once {
            self.watch = Watch::new();
        }
        self.look();
        let mut last_look = false;
        while !stop.is_set() {
            if !once {
                self.keep_looking();
            }
            if !self.is_full() && self.turn() {
                last_look = false;
                continue;
            }
            if once && self.full.is_empty() && self.batch.items.is_empty() {
                if last_look {
                    return Ok(());
                }
                // what was rotated while it was read
                last_look = true;
                self.look();
                self.refresh();
                continue;
            }
            self.wait(output, stop)?;
        }
        Ok(())
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Says what it is doing.
    fn say(&mut self) {
        let mut doing = Doing { files: self.files.len() as u64, ..Doing::default() };
        for sequence in &mut self.sequences {
            doing.open += sequence.files().len() as u64;
            doing.behind_entries += sequence.behind();
            let oldest = sequence.peek().map(|head| UNIX_EPOCH + Duration::from_micros(head.time.realtime_us));
            doing.unread_since = doing.unread_since.into_iter().chain(oldest).min();
        }
        self.progress.say(doing);
    }

    fn is_full(&self) -> bool {
        !self.full.is_empty() || self.batch.bytes.len() >= FILL_BYTES || self.batch.items.len() >= FILL_ITEMS
    }

    /// Looks around when it is time.
    fn keep_looking(&mut self) {
        if !self.watch.channel().is_empty() {
            self.note_changes();
        }
        let now = Instant::now();
        if now >= self.said {
            self.say();
            self.said = now + SAY;
        }
        if now >= self.polled || (self.wanted && now >= self.rested) {
            self.wanted = false;
            self.written = true;
            self.look();
            self.rested = Instant::now() + REST;
            self.polled = now + POLL;
        }
    }

    fn note_changes(&mut self) {
        let changes = self.watch.take();
        self.wanted |= changes.names;
        self.written |= !changes.written.is_empty();
    }

    fn push(&mut self, key: SourceKey, event: SourceEvent) {
        self.batch.items.push(Item::Source(key, event));
    }

    /// Waits until a batch is sent, a watch wakes it, it is time to look around, or the stop comes.
    fn wait(&mut self, output: &Sender<Batch>, stop: &Stop) -> Result<(), Error> {
        if self.full.is_empty() && !self.batch.items.is_empty() {
            self.full.push_back(std::mem::take(&mut self.batch));
        }
        let mut select = Select::new();
        select.recv(stop.channel());
        let woken = select.recv(self.watch.channel());
        let sending = (!self.full.is_empty()).then(|| select.send(output));
        let due = if self.wanted { self.rested.min(self.polled) } else { self.polled }.min(self.said);
        // with `once` nothing is looked for, so only the output can be waited for
        let due = if self.once { Instant::now() + POLL } else { due };
        let Ok(ready) = select.select_deadline(due) else { return Ok(()) };
        match ready.index() {
            index if Some(index) == sending => {
                let sent = ready.send(output, self.full.pop_front().unwrap_or_default());
                sent.map_err(|_| Error::OutputClosed { name: self.config.name.clone() })
            }
            index if index == woken => {
                let _ = ready.recv(self.watch.channel());
                self.note_changes();
                Ok(())
            }
            _ => {
                let _ = ready.recv(stop.channel());
                Ok(())
            }
        }
    }
}
