//! One followed file: what is known of it, and a turn of reading.
//!
//! A turn reads what is new and only then makes sure that it read the file it thinks it did: the head still has the
//! fingerprint, and the bytes before the offset are still those that were read before. So a file that is truncated and
//! written anew is noticed even when it has outgrown the offset, or begins as it did before.

use super::identity::{self, Look};
use super::left_out;
use super::packed::Packed;
use super::prefix::{PrefixHash, Trace};
use crate::record::{Batch, Cursor, FileId, Fingerprint, HashKey, Item, Prefix, SourceEvent, SourceKey};
use crate::source::lines::{Cut, ITEMS_MAX, Shape};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Bytes of one file at a turn, so that a busy file doesn't hold up the others.
pub(super) const TURN_BYTES: usize = 256 * 1024;
/// What was read of a file up to this long is read and compared again after a restart even if nothing was added: the file may
/// have been written anew.
const SMALL_BYTES: u64 = 256 * 1024;
/// Bytes before the offset that are compared at each turn.
const BEFORE_BYTES: usize = 64;

/// A file that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) key: SourceKey,
    /// What its hashes are keyed with.
    pub(super) hash_key: HashKey,
    pub(super) id: FileId,
    /// Where it can be opened.
    pub(super) path: PathBuf,
    /// What its cursor calls it: the last name that leads back to it after a restart.
    pub(super) known_as: PathBuf,
    /// The matched path that it is, or is a rotation of.
    pub(super) base: PathBuf,
    pub(super) fingerprint: Fingerprint,
    /// Bytes that were handed on.
    pub(super) offset: u64,
    /// Open, or closed to spare descriptors.
    pub(super) file: Option<File>,
    /// It can't be opened again by any name that is known.
    pub(super) nameless: bool,
    /// The last look at it.
    pub(super) look: Look,
    /// The last write before what was read was last found to be what it was.
    pub(super) written_ns: i128,
    /// Whether everything that the last look saw is read, but for half a line.
    pub(super) read: bool,
    /// Since when there is more to read.
    pub(super) unread_since: Option<SystemTime>,
    /// Set when no pattern leads to it any more: it was renamed or deleted.
    pub(super) left: Option<Left>,
    /// Older lines of the same path come first: this file waits for that one.
    pub(super) after: Option<FileId>,
    /// Another file waits for this one.
    pub(super) awaited: bool,
    /// It is in the queue, or waits for another.
    pub(super) queued: bool,
    /// With `once`: where it ended when it was met. A writer that never rests must not keep the source running.
    pub(super) until: Option<u64>,
    /// The next turn is the last one.
    pub(super) finishing: bool,
    /// When it last gave a line.
    pub(super) grown: Instant,
    /// Grows with each use; the least is closed first.
    pub(super) used: u64,
    /// The last look around that met it under a matching name.
    pub(super) met: u64,
    /// The bytes before the offset, as they were read.
    pub(super) before: Vec<u8>,
    /// Of all bytes before the offset; after a restart it lags behind until there is something new to read.
    pub(super) hash: PrefixHash,
    /// What the cursor has of it.
    pub(super) prefix: Option<Prefix>,
    /// It is compressed.
    pub(super) packed: Option<Packed>,
    /// Lines after the offset are held back, since others may belong to them.
    pub(super) held: Option<Held>,
}

/// Lines that are held back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// The size of the file then: while it stays, nothing came.
    size: u64,
    since: Instant,
}

/// A file that no pattern leads to any more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Left {
    /// When its successor was seen under its old name, or that it is deleted.
    pub(super) since: Option<Instant>,
}

/// How a turn went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is more to read.
    More,
    /// Everything is read, but for half a line.
    Drained,
    /// It isn't what was read before: truncated, or written anew.
    Rewritten,
    /// It turned out to hold no lines.
    Binary(&'static str),
}

impl Followed {
    pub(super) fn cursor(&self) -> Cursor {
        let (path, id) = (self.known_as.clone(), self.id);
        Cursor::File { path, id, fingerprint: self.fingerprint, prefix: self.prefix, offset: self.offset }
    }

    /// Takes note of a look; says whether there is something to read or to check.
    pub(super) fn saw(&mut self, look: Look) -> bool {
        let changed = (look.size, look.written_ns) != (self.look.size, self.look.written_ns);
        self.read &= !changed;
        if let Some(packed) = self.packed.as_mut().filter(|_| changed) {
            packed.close();
            packed.ended = false;
        }
        self.look = look;
        if self.read || !self.has_unread() {
            self.unread_since = None;
        } else if self.unread_since.is_none() {
            self.unread_since = Some(SystemTime::now());
        }
        !self.read
    }

    /// Bytes that the last look saw and that were not handed on; of a compressed file none, as they can't be known.
    pub(super) fn behind_bytes(&self) -> u64 {
        if self.packed.is_some() { 0 } else { self.look.size.saturating_sub(self.offset) }
    }

    /// Whether bytes are there that were not handed on.
    pub(super) fn has_unread(&self) -> bool {
        self.packed.as_ref().map_or(self.look.size > self.offset, |packed| !packed.ended)
    }

    /// Reads at most [`TURN_BYTES`] (or one line, when lines may be longer) into the batch.
    pub(super) fn turn(&mut self, batch: &mut Batch, shape: &Shape, at_end: bool) -> io::Result<Turn> {
        if self.packed.is_some() {
            return self.turn_packed(batch, shape, at_end);
        }
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let look = Look::of(file)?;
        // an empty file that was written to: other content may have come and gone before this
        let was_empty = self.fingerprint.len == 0 && look.written_ns > self.written_ns;
        if was_empty || look.size < self.offset.max(u64::from(self.fingerprint.len)) {
            self.look = look;
            return Ok(Turn::Rewritten);
        }
        if self.offset == 0 {
            self.offset = identity::after_hole(file, look.size)?;
        }
        let window = TURN_BYTES.max(shape.window_bytes()) as u64;
        let (from, unread) = (batch.bytes.len(), look.size - self.offset);
        let want = unread.min(window);
        let is_worth_it = unread > 0 || self.offset <= SMALL_BYTES;
        // kept only once the file proves to be what was read: the hash of anything else would hide its copies
        let mut caught_up = None;
        if is_worth_it && self.hash.len() != self.offset {
            let mut hash = self.hash.clone();
            if !hash.catch_up(file, self.offset, self.prefix)? {
                self.before.clear();
                self.look = look;
                return Ok(Turn::Rewritten);
            }
            caught_up = Some(hash);
        }
        let got = append(file, self.offset, want, &mut batch.bytes)?;
        let head = identity::head(file)?;
        if !identity::fits(self.hash_key, &self.fingerprint, &head) || !self.continues(file)? {
            batch.bytes.truncate(from);
            self.look = look;
            return Ok(Turn::Rewritten);
        }
        if let Some(hash) = caught_up {
            self.hash = hash;
        }
        if self.offset == 0
            && let Some(what) = left_out::by_head(&head)
        {
            batch.bytes.truncate(from);
            return Ok(Turn::Binary(what));
        }
        let all = got == unread;
        let (units, is_quiet) = (shape.encoding.units(&head), self.is_quiet(&look, shape.timeout()));
        let mut cut = Cut { key: self.key, shape, units, at_end: at_end && all, is_quiet };
        let mut taken = cut.lines(batch, from, self.offset);
        if taken.held && taken.bytes == 0 && !all {
            // what may still belong to them does not fit
            cut.is_quiet = true;
            taken = cut.lines(batch, from, self.offset);
        }
        batch.bytes.truncate(from + taken.bytes);
        self.hold(taken.held, &look);
        self.advance(&batch.bytes[from..]);
        let outgrown = identity::outgrown(&self.fingerprint, &head);
        if outgrown {
            self.fingerprint = identity::fingerprint(self.hash_key, &head);
        }
        if !self.publish(batch) && outgrown {
            batch.items.push(Item::Source(self.key, SourceEvent::Identified { cursor: self.cursor() }));
        }
        self.look = look;
        self.written_ns = look.written_ns;
        self.read = all && batch.items.len() < ITEMS_MAX;
        if self.read {
            self.unread_since = None;
        }
        let enough = self.until.is_some_and(|until| self.offset >= until);
        // a file that gives less than its size says is left to the next look around
        Ok(if self.read || enough || got < want { Turn::Drained } else { Turn::More })
    }

    /// Takes note of the first bytes of a file that was empty.
    pub(super) fn look_at_head(&mut self, batch: &mut Batch) -> io::Result<()> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        self.fingerprint = identity::fingerprint(self.hash_key, &identity::head(file)?);
        batch.items.push(Item::Source(self.key, SourceEvent::Identified { cursor: self.cursor() }));
        Ok(())
    }

    /// Begins again at 0 and says so. `head` is what it began with before its copies were looked through: by its turn other
    /// content may have come, and gone.
    pub(super) fn restart(&mut self, head: &[u8], batch: &mut Batch) {
        self.fingerprint = identity::fingerprint(self.hash_key, head);
        self.offset = 0;
        self.held = None;
        self.before.clear();
        (self.hash, self.prefix) = (PrefixHash::new(self.hash_key), None);
        self.read = false;
        batch.items.push(Item::Source(self.key, SourceEvent::Truncated { lost: None }));
        batch.items.push(Item::Source(self.key, SourceEvent::Identified { cursor: self.cursor() }));
    }

    /// Remembers what stands before the offset; at a restart it is read from the file, and is not what was read if the file was
    /// truncated meanwhile.
    pub(super) fn remember_before(&mut self, file: &File) -> io::Result<()> {
        let len = self.offset.min(BEFORE_BYTES as u64);
        self.before.resize(len as usize, 0);
        let got = identity::read_at(file, &mut self.before, self.offset - len)?;
        self.before.truncate(got);
        if !identity::fits(self.hash_key, &self.fingerprint, &identity::head(file)?) {
            self.before.clear();
        }
        Ok(())
    }

    /// Whether the bytes before the offset are those that were read.
    fn continues(&self, file: &File) -> io::Result<bool> {
        let mut now = [0; BEFORE_BYTES];
        let now = &mut now[..self.before.len()];
        let got = identity::read_at(file, now, self.offset - self.before.len() as u64)?;
        Ok(now[..got] == self.before[..])
    }

    /// When lines that are held back are handed on all the same.
    pub(super) fn due(&self, timeout: Duration) -> Option<Instant> {
        self.held.map(|held| held.since + timeout)
    }

    pub(super) fn is_quiet(&self, look: &Look, timeout: Duration) -> bool {
        self.held.is_some_and(|held| held.size == look.size && held.since.elapsed() >= timeout)
    }

    pub(super) fn hold(&mut self, is_held: bool, look: &Look) {
        let same = self.held.filter(|held| held.size == look.size);
        let new = Held { size: look.size, since: Instant::now() };
        self.held = is_held.then(|| same.unwrap_or(new));
    }

    /// Its cursor with a hash of all that was read, if it has not that already.
    pub(super) fn last_cursor(&self) -> Option<Cursor> {
        let last = Some(self.hash.last()).filter(|last| self.hash.len() == self.offset && last.len > 0);
        let news = last.is_some() && last.map(|last| last.len) > self.prefix.map(|prefix| prefix.len);
        let (path, id, fingerprint, offset) = (self.known_as.clone(), self.id, self.fingerprint, self.offset);
        news.then_some(Cursor::File { path, id, fingerprint, prefix: last, offset })
    }

    /// Whether an open file still is what was read.
    pub(super) fn is_intact(&self, file: &File) -> bool {
        let long = Look::of(file).is_ok_and(|look| look.size >= self.offset.max(u64::from(self.fingerprint.len)));
        let fits = || identity::head(file).is_ok_and(|head| identity::fits(self.hash_key, &self.fingerprint, &head));
        long && fits() && self.continues(file).unwrap_or(false)
    }

    /// What is known of the bytes that were read.
    pub(super) fn trace(&self) -> Trace {
        let whole = self.hash.len() == self.offset;
        let prefix = if whole { Some(self.hash.get()) } else { self.prefix };
        let (key, offset, fingerprint) = (self.hash_key, self.offset, self.fingerprint);
        Trace { key, offset, fingerprint, prefix, before: self.before.clone() }
    }

    /// Renews what the cursor has of the hash when it is time; says whether it did.
    pub(super) fn publish(&mut self, batch: &mut Batch) -> bool {
        let due = if self.hash.len() == self.offset { self.hash.due(self.prefix) } else { None };
        if due.is_some() {
            self.prefix = due;
            batch.items.push(Item::Source(self.key, SourceEvent::Identified { cursor: self.cursor() }));
        }
        due.is_some()
    }

    pub(super) fn advance(&mut self, taken: &[u8]) {
        if taken.is_empty() {
            return;
        }
        if self.hash.len() == self.offset {
            self.hash.update(taken);
        }
        self.offset += taken.len() as u64;
        self.grown = Instant::now();
        let last = &taken[taken.len().saturating_sub(BEFORE_BYTES)..];
        self.before.extend_from_slice(last);
        let over = self.before.len().saturating_sub(BEFORE_BYTES);
        self.before.drain(..over);
    }
}

/// Appends `want` bytes from `offset` on, or what there is.
fn append(mut file: &File, offset: u64, want: u64, bytes: &mut Vec<u8>) -> io::Result<u64> {
    bytes.reserve(want as usize);
    file.seek(SeekFrom::Start(offset))?;
    file.take(want).read_to_end(bytes).map(|got| got as u64)
}
