//! The queue of files with something to read, and what follows from a turn of one.

use super::Files;
use super::discover::FILES_MAX;
use super::follow::{Left, Turn};
use super::heir::{ENDED_MAX, Inheritance, Legacy, ReadUp};
use super::prefix::Proof;
use super::{identity, left_out};
use crate::record::{FileId, Item, SourceEvent};
use std::io;
use std::time::Duration;

/// A write(2) takes no longer than this from setting the file's time to setting its size.
const WRITING: Duration = Duration::from_secs(1);

impl Files {
    /// Gives a file its turn once those before it, and the file it waits for, had theirs.
    pub(super) fn queue(&mut self, id: FileId) {
        let circle = self.waits_for_itself(id);
        let Some(followed) = self.table.get_mut(&id).filter(|followed| !followed.queued) else { return };
        followed.queued = true;
        let older = followed.after.filter(|_| !circle);
        followed.after = older;
        if let Some(older) = older.and_then(|older| self.table.get_mut(&older)).filter(|older| older.queued) {
            older.awaited = true;
            return;
        }
        self.ready.push_back(id);
    }

    /// Reads from a file, as it was taken from the queue.
    pub(super) fn turn(&mut self, id: FileId) {
        if let Err(error) = self.table.open(&id) {
            self.cannot_open(id, &error);
            return self.settle(id);
        }
        let Some(followed) = self.table.get_mut(&id) else { return };
        let at_end = self.once || followed.finishing;
        match followed.turn(&mut self.batch, &self.shape, at_end) {
            Ok(Turn::More) => return self.ready.push_back(id),
            Ok(Turn::Drained) => self.drained(id),
            Ok(Turn::Rewritten) => match self.rewritten(id) {
                Ok(true) => return self.go_on(id),
                // looked at again at the next look around
                Ok(false) => {}
                Err(error) => self.cannot_read(id, &error),
            },
            Ok(Turn::Binary(what)) => {
                self.left_out.note(&followed.path, self.round, &what);
                self.release(id, SourceEvent::Ended);
            }
            Err(error) => self.cannot_read(id, &error),
        }
        self.settle(id);
    }

    /// Begins again at 0, after what is left of the old content in a copy. False if that can't be told yet.
    fn rewritten(&mut self, id: FileId) -> io::Result<bool> {
        let Some(followed) = self.table.get(&id) else { return Ok(true) };
        let legacy = Legacy::of(followed);
        let head = followed.file.as_ref().map(identity::head).transpose()?.unwrap_or_default();
        let inheritance = self.inherit(&legacy);
        let Some(followed) = self.table.get_mut(&id) else { return Ok(true) };
        match inheritance {
            Inheritance::Moving | Inheritance::Refused => {
                self.wanted = true;
                return Err(io::Error::other("its copies are being renamed, or one of them can't be read"));
            }
            // it has its first bytes; or it was emptied again, of what nobody saw
            Inheritance::Nothing if legacy.is_empty() => {
                // write(2) sets the time first and then the size
                if followed.look.size == 0 && followed.look.written_since() < WRITING {
                    return Ok(false);
                }
                followed.written_ns = followed.look.written_ns;
                if followed.look.size == 0 {
                    self.batch.items.push(Item::Source(followed.key, SourceEvent::Truncated { lost: None }));
                }
                return followed.look_at_head(&mut self.batch).map(|()| true);
            }
            Inheritance::Nothing => {}
            Inheritance::Last { heir, .. } => followed.after = Some(heir),
        }
        followed.written_ns = followed.look.written_ns;
        followed.restart(&head, &mut self.batch);
        Ok(true)
    }

    /// Copies and rotations can have been put before one another by what was known of them at different times.
    fn waits_for_itself(&self, id: FileId) -> bool {
        let next = |id: &FileId| self.table.get(id).and_then(|file| file.after);
        std::iter::successors(next(&id), next).take(FILES_MAX).any(|before| before == id)
    }

    /// The next turn of a file that is queued, once the one it waits for had its turn.
    fn go_on(&mut self, id: FileId) {
        if let Some(followed) = self.table.get_mut(&id) {
            followed.queued = false;
        }
        self.queue(id);
    }

    /// Lets go of a file for good.
    pub(super) fn release(&mut self, id: FileId, last: SourceEvent) {
        let Some(followed) = self.table.remove(&id) else { return };
        self.held.remove(&id);
        if last == SourceEvent::Ended && followed.offset > 0 {
            // it may turn up again, compressed
            self.ended.truncate(ENDED_MAX - 1);
            self.ended.push_front(ReadUp::now(&followed));
            if let Some(cursor) = followed.last_cursor() {
                self.batch.items.push(Item::Source(followed.key, SourceEvent::Identified { cursor }));
            }
        }
        self.batch.items.push(Item::Source(followed.key, last));
        if followed.awaited {
            self.let_pass(id);
        }
    }

    /// Everything is read: a file that has been followed to its end is released.
    fn drained(&mut self, id: FileId) {
        let Some(followed) = self.table.get_mut(&id) else { return };
        let replaced = matches!(followed.left, Some(Left { since: Some(_) }));
        if followed.finishing || (self.once && replaced) {
            self.release(id, SourceEvent::Ended);
        } else if self.once && !followed.nameless {
            self.table.close(&id);
        }
    }

    /// The turn is over: those who waited for this file may go on.
    fn settle(&mut self, id: FileId) {
        let Some(followed) = self.table.get_mut(&id) else { return };
        followed.queued = false;
        match followed.due(self.shape.timeout()) {
            Some(due) => self.held.insert(id, due),
            None => self.held.remove(&id),
        };
        if std::mem::take(&mut followed.awaited) {
            self.let_pass(id);
        }
    }

    fn let_pass(&mut self, id: FileId) {
        let waiting: Vec<FileId> =
            self.table.values().filter(|file| file.after == Some(id)).map(|file| file.id).collect();
        for id in waiting {
            let Some(followed) = self.table.get_mut(&id) else { continue };
            followed.after = None;
            if followed.queued {
                self.ready.push_back(id);
            }
        }
    }

    fn cannot_open(&mut self, id: FileId, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            return self.cannot_read(id, error);
        }
        // it was closed to spare descriptors and has another name by now, or none: the next look around tells
        self.wanted = true;
        if let Some(followed) = self.table.get_mut(&id) {
            followed.read = false;
        }
    }

    /// No name leads to a closed file any more.
    pub(super) fn gone(&mut self, id: FileId) {
        let Some(followed) = self.table.get(&id) else { return };
        let (unread, base) = (followed.has_unread(), followed.base.clone());
        let legacy = Legacy::of(followed);
        let lost = match self.inherit(&legacy) {
            waiting @ (Inheritance::Moving | Inheritance::Refused) => return self.asks_again(&base, &waiting),
            Inheritance::Nothing => unread,
            Inheritance::Last { heir, proof } => {
                if let Some(lineage) = self.lineages.get_mut(&base).filter(|lineage| lineage.newest.id == id) {
                    lineage.last = Some(heir);
                }
                proof == Proof::Part
            }
        };
        self.release(id, if lost { SourceEvent::Vanished { lost: None } } else { SourceEvent::Ended });
    }

    /// Says so once and leaves it to the next look around to try again.
    fn cannot_read(&mut self, id: FileId, error: &io::Error) {
        let Some(followed) = self.table.get_mut(&id) else { return };
        followed.read = false;
        let path = followed.path.clone();
        self.left_out.warn(&path, self.round, &left_out::unreadable(error));
    }
}
