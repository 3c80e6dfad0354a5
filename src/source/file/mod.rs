//! Files by glob, followed through rotation.
//!
//! One thread does everything in turns: it looks around when a watch wakes it and at each [`POLL`] (what a watch
//! misses is only late), reads from the files that have something new, one after the other, and sends what it read.
//! While the output is blocked it reads nothing but goes on looking around, so that a file that is rotated or deleted
//! meanwhile is already open.
//!
//! | file | what it knows |
//! | --- | --- |
//! | `patterns`, `discover`, `left_out` | which files match, where they are, which of them are no logs |
//! | `source::watch` | when to look |
//! | `identity` | whether two looks saw one file |
//! | `follow`, `table` | one file and a turn of reading; all of them and their descriptors |
//! | `turns` | what follows from a turn: truncated, ended, gone |
//! | `look_around` | what follows from a walk: renamed, deleted, new |
//! | `admit` | where a file is begun |
//! | `resume` | how the files of known cursors are gone on with |
//! | `whereabouts` | which name a file has now |
//! | `prefix` | a hash of all that was read |
//! | `heir` | where the rest is found of a file that was truncated, compressed or deleted |
//! | `packed`, `unpack` | compressed files |
//! | `lineage` | the files that had one path, one after the other, and those that were never seen under it |

mod admit;
mod discover;
mod follow;
mod heir;
mod identity;
mod left_out;
mod lineage;
mod look_around;
mod packed;
mod patterns;
mod prefix;
mod preview;
mod resume;
mod table;
mod turns;
mod unpack;
mod whereabouts;

pub(super) use preview::places;
pub use preview::{Preview, preview};

use super::labels::SourceLabels;
use super::lines::{ITEMS_MAX, Shape};
use super::{Doing, Error, FileConfig, Keys, Progress, Stop};
use crate::record::{Batch, Cursor, FileId, Item, Known, SourceEvent};
use crate::source::watch::Watch;
use crossbeam_channel::{Select, Sender};
use heir::{Legacy, ReadUp};
use identity::Look;
use left_out::LeftOut;
use lineage::Lineage;
use patterns::Patterns;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use table::Table;
use whereabouts::Listings;

/// Everything is looked at this often, watched or not, as network file systems tell no watch what happens.
const POLL: Duration = Duration::from_secs(1);
/// Where that takes long, so much more seldom that it takes 1/200 of the time ...
const POLL_SHARE: u32 = 200;
/// ... but no more seldom than this.
const POLL_MAX: Duration = Duration::from_secs(10);
/// What it is doing is said this often.
const SAY: Duration = Duration::from_secs(1);
/// How long the last batch waits for a place in the output after a stop.
const PARTING: Duration = Duration::from_secs(1);
/// Between two looks around lies at least this, and [`SHARE`] times what the last one took.
const REST: Duration = Duration::from_millis(20);
/// See [`REST`]: looking around takes a fifth of the time at most, however busy the folders are.
const SHARE: u32 = 4;
/// With `once`, names that keep moving are looked at again this often.
const ROUNDS_ONCE: u64 = 20;
/// The clock of file systems lags behind by one tick of the kernel, 10 ms at most.
const TICK: Duration = Duration::from_millis(10);
/// A batch of this many bytes is sent before more is read; it is at most this plus one turn.
const FILL_BYTES: usize = 64 * 1024;

/// Files by glob.
#[derive(Debug)]
pub struct Files {
    config: FileConfig,
    patterns: Patterns,
    shape: Shape,
    labels: SourceLabels,
    keys: Arc<Keys>,
    /// Folders of sealtail itself, without symbolic links.
    own: Vec<PathBuf>,
    /// Cursors whose files are not found yet, or can't be opened yet.
    known: Vec<Cursor>,
    /// All files that had a cursor at the start.
    known_ids: HashSet<FileId>,
    /// What earlier processes followed, while it is looked for.
    resuming: Vec<Legacy>,
    /// Files that were read to their end, the last of them first.
    ended: VecDeque<ReadUp>,
    /// Copies that are left alone, as they were then.
    left_copies: HashMap<FileId, Look>,
    /// The youngest file that the process before this one knew; see `admit`.
    youngest_ns: Option<u64>,
    /// There was a process before this one.
    restarted: bool,
    once: bool,
    /// When reading began, by the clock that file systems give births from.
    started_ns: Option<u64>,
    table: Table,
    /// What each matching path led to at the last look around, and what files that left are called.
    at: HashMap<PathBuf, FileId>,
    lineages: HashMap<PathBuf, Lineage>,
    listings: Listings,
    /// Paths of which something waits for the next look around, since names were changing at this one.
    moving: HashSet<PathBuf>,
    /// Files with something to read, in turn.
    ready: VecDeque<FileId>,
    /// When files that hold lines back, since others may belong to them, hand them on all the same.
    held: HashMap<FileId, Instant>,
    /// What is read and not sent.
    batch: Batch,
    watch: Watch,
    left_out: LeftOut,
    /// How often it looked around.
    round: u64,
    /// Names changed: look around as soon as there was a rest.
    wanted: bool,
    rested: Instant,
    polled: Instant,
    progress: Arc<Progress>,
    said: Instant,
}

impl Files {
    pub(super) fn new(config: &FileConfig, known: Known, keys: Arc<Keys>, own: &[PathBuf]) -> Result<Files, Error> {
        let shape = Shape::new(&config.name, config.max_line_bytes, &config.text)?;
        let Known { open: known, ended } = known;
        let all = known.iter().chain(ended.iter().map(|ended| &ended.cursor));
        let births = all.filter_map(file_id).filter_map(|id| id.born_ns);
        let (now, restarted) = (Instant::now(), !known.is_empty() || !ended.is_empty());
        let patterns = Patterns::new(config)?;
        let ended = ended.iter().filter_map(|ended| ReadUp::known(keys.hash_key(), ended, &patterns)).collect();
        Ok(Files {
            shape,
            labels: SourceLabels::new(&config.name, &config.labels)?,
            config: config.clone(),
            table: Table::new(keys.open_files()),
            keys,
            own: own.iter().map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone())).collect(),
            youngest_ns: births.max(),
            restarted,
            known_ids: known.iter().filter_map(file_id).collect(),
            resuming: Vec::new(),
            ended,
            patterns,
            left_copies: HashMap::new(),
            known,
            once: false,
            started_ns: None,
            at: HashMap::new(),
            lineages: HashMap::new(),
            listings: Listings::default(),
            moving: HashSet::new(),
            ready: VecDeque::new(),
            held: HashMap::new(),
            batch: Batch::default(),
            watch: Watch::none(),
            left_out: LeftOut::default(),
            round: 0,
            wanted: false,
            rested: now,
            polled: now,
            progress: Arc::default(),
            said: now,
        })
    }

    pub(super) fn run(mut self, once: bool, output: &Sender<Batch>, stop: &Stop) -> Result<(), Error> {
        self.once = once;
        let started = SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|now| now.checked_sub(TICK));
        self.started_ns = started.and_then(|started| u64::try_from(started.as_nanos()).ok());
        if !once {
            self.watch = Watch::new();
        }
        self.look_around();
        while !stop.is_set() {
            if !once {
                self.keep_looking();
            }
            let full = self.batch.bytes.len() >= FILL_BYTES || self.batch.items.len() >= ITEMS_MAX / 2;
            if !full && let Some(id) = self.ready.pop_front() {
                self.turn(id);
                continue;
            }
            if once && self.batch.items.is_empty() {
                if !self.wanted || self.round >= ROUNDS_ONCE {
                    return Ok(());
                }
                // a file got another name while it was looked for
                self.wanted = false;
                self.look_around();
                continue;
            }
            self.wait(output, stop)?;
        }
        self.part(output);
        Ok(())
    }

    /// Hands on what was read, and what makes the next start exact: which files are done with, and hashes that reach as far as
    /// the offsets do. When there is no room for it, all of it is read again.
    fn part(&mut self, output: &Sender<Batch>) {
        for file in self.table.values() {
            let deleted = file.file.as_ref().and_then(|file| Look::of(file).ok()).filter(|look| look.unlinked);
            if deleted.is_some_and(|look| look.size == file.offset) && !Self::may_have_heirs(file) {
                self.batch.items.push(Item::Source(file.key, SourceEvent::Ended));
            } else if let Some(cursor) = file.last_cursor() {
                self.batch.items.push(Item::Source(file.key, SourceEvent::Identified { cursor }));
            }
        }
        if !self.batch.items.is_empty() {
            // gone or full: both mean that it is read again
            let _ = output.send_timeout(std::mem::take(&mut self.batch), PARTING);
        }
    }

    /// Looks at what changed, and around when it is time.
    fn keep_looking(&mut self) {
        if !self.watch.channel().is_empty() {
            self.note_changes();
        }
        let now = Instant::now();
        if !self.held.is_empty() {
            let due: Vec<FileId> = self.held.extract_if(|_, due| *due <= now).map(|(id, _)| id).collect();
            due.into_iter().for_each(|id| self.queue(id));
        }
        if now >= self.said {
            self.say();
            self.said = now + SAY;
        }
        if now >= self.polled || (self.wanted && now >= self.rested) {
            self.wanted = false;
            self.look_around();
            let took = now.elapsed();
            self.rested = Instant::now() + REST.max(took * SHARE);
            self.polled = now + (took * POLL_SHARE).clamp(POLL, POLL_MAX);
        }
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Says what it is doing.
    fn say(&self) {
        let mut doing = Doing::default();
        for file in self.table.values() {
            doing.files += 1;
            doing.open += u64::from(file.file.is_some());
            doing.behind_bytes += file.behind_bytes();
            doing.unread_since = doing.unread_since.into_iter().chain(file.unread_since).min();
        }
        self.progress.say(doing);
    }

    fn note_changes(&mut self) {
        let changes = self.watch.take();
        self.wanted |= changes.names;
        let written: Vec<FileId> = changes.written.iter().filter_map(|path| self.at.get(path).copied()).collect();
        for id in written {
            self.queue(id);
        }
    }

    /// Waits until the batch is sent, a watch wakes it, it is time to look around, or the stop comes.
    fn wait(&mut self, output: &Sender<Batch>, stop: &Stop) -> Result<(), Error> {
        let mut select = Select::new();
        select.recv(stop.channel());
        let woken = select.recv(self.watch.channel());
        let sending = (!self.batch.items.is_empty()).then(|| select.send(output));
        let due = if self.wanted { self.rested.min(self.polled) } else { self.polled }.min(self.said);
        let due = self.held.values().fold(due, |due, held| due.min(*held));
        // with `once` nothing is looked for, so only the output can be waited for
        let due = if self.once { Instant::now() + POLL } else { due };
        let Ok(ready) = select.select_deadline(due) else { return Ok(()) };
        match ready.index() {
            index if Some(index) == sending => {
                let sent = ready.send(output, std::mem::take(&mut self.batch));
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

fn file_id(cursor: &Cursor) -> Option<FileId> {
    match cursor {
        Cursor::File { id, .. } => Some(*id),
        Cursor::Journal { .. } | Cursor::Stdin { .. } => None,
    }
}
