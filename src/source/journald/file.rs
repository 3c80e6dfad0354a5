//! One journal file: its entries in order, from any number on, while it grows and whatever is wrong with it.

use super::data::{Field, Fields};
use super::entry::Head;
use super::folders::Inode;
use super::format::{Damage, HEADER_BYTES, Header, Id, Refusal};
use super::pages::Pages;
use super::walk::{Walk, items_of};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A journal file that is open.
#[derive(Debug)]
pub(super) struct JournalFile {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    /// Its name is one that journald never writes to again.
    pub(super) renamed: bool,
    pages: Pages,
    walk: Walk,
    /// The number of the last entry that was read here; none before the first.
    last: Option<u64>,
    /// Given out next, and again until somebody asks for what comes after it.
    peeked: Option<Head>,
    /// Read already and not judged yet.
    ahead: Option<Head>,
    fields: Fields,
    /// The first damage that was met, until it is told.
    damage: Option<Damage>,
    told: bool,
}

/// What an entry holds.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) fields: Vec<Arc<Field>>,
    /// Some of its fields could not be read.
    pub(super) damaged: bool,
}

impl JournalFile {
    pub(super) fn open(path: &Path) -> Result<JournalFile, Refusal> {
        // a pipe or a device of that name must not block, and a link leads nowhere
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |error: std::io::Error| match error.kind() {
            // renamed or vacuumed since it was listed
            std::io::ErrorKind::NotFound => Refusal::NotYet,
            _ => Refusal::Damaged(error.to_string()),
        };
        let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?);
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(Refusal::Damaged("it is no regular file".to_owned()));
        }
        let pages = Pages::new(file).map_err(failed)?;
        let header = read_header(&pages)?;
        Ok(JournalFile {
            path: path.to_owned(),
            header,
            renamed: is_renamed(path),
            pages,
            walk: Walk::default(),
            last: None,
            peeked: None,
            ahead: None,
            fields: Fields::default(),
            damage: None,
            told: false,
        })
    }

    pub(super) fn id(&self) -> Id {
        self.header.file_id
    }

    /// Whether it is the file that was listed.
    pub(super) fn is(&self, (dev, ino, _): Inode) -> bool {
        self.pages.file().metadata().is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (dev, ino))
    }

    /// Sees what was written since. `false` when there is nothing new.
    pub(super) fn refresh(&mut self) -> bool {
        let header = match read_header(&self.pages) {
            Ok(header) if header.file_id == self.header.file_id && header.sequence == self.header.sequence => header,
            // it is read on by the header that was good
            _ => {
                self.damage.get_or_insert_with(|| Damage::new(0, "its header changed to something else"));
                return false;
            }
        };
        if header == self.header {
            return false;
        }
        let grew = header.entries != self.header.entries;
        self.header = header;
        if grew && let Err(error) = self.pages.refresh() {
            self.damage.get_or_insert_with(|| Damage::new(0, error.to_string()));
        }
        grew
    }

    /// Nothing will be written to it any more.
    pub(super) fn is_final(&self) -> bool {
        self.header.archived || self.renamed
    }

    /// Whether its name is gone: vacuumed, and readable only as long as it is open.
    pub(super) fn is_unlinked(&self) -> bool {
        self.pages.file().metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// The next entry with a number above `after`, as far as the file was seen by the last [`Self::refresh`].
    pub(super) fn next_after(&mut self, after: u64) -> Option<Head> {
        if self.last.is_none() && after >= self.header.head_seqnum {
            self.seek(after);
        }
        loop {
            let head = match self.peeked.take() {
                Some(head) => head,
                None => self.sound()?,
            };
            if head.seqnum > after {
                self.peeked = Some(head);
                return Some(head);
            }
        }
    }

    /// The same from anywhere, not only from where it was asked last.
    pub(super) fn next_after_fresh(&mut self, after: u64) -> Option<Head> {
        self.rewind();
        self.next_after(after)
    }

    /// It has another name now.
    pub(super) fn rename(&mut self, path: &Path) {
        self.path = path.to_owned();
        self.renamed = is_renamed(path);
    }

    /// Goes back to where it has read nothing.
    pub(super) fn rewind(&mut self) {
        (self.walk, self.last, self.peeked, self.ahead) = (Walk::default(), None, None, None);
    }

    /// What an entry of this file holds.
    pub(super) fn content(&mut self, head: &Head) -> Content {
        let mut content = Content { fields: Vec::new(), damaged: false };
        let items = match items_of(&mut self.pages, &self.header, head.offset) {
            Ok(items) => items,
            Err(damage) => {
                self.note(damage);
                content.damaged = true;
                return content;
            }
        };
        for item in items {
            match self.fields.get(&mut self.pages, &self.header, item) {
                Ok(field) => content.fields.push(field),
                Err(damage) => {
                    self.note(damage);
                    content.damaged = true;
                }
            }
        }
        content
    }

    /// What is wrong with the file, once.
    pub(super) fn tell_damage(&mut self) -> Option<Damage> {
        if self.told {
            return None;
        }
        let mut damage = self.damage.take()?;
        self.told = true;
        if self.is_unlinked() {
            // journald punches the bytes out of what it vacuums
            "it was vacuumed before it was read to its end".clone_into(&mut damage.what);
        }
        Some(damage)
    }

    /// The number of the last entry that its header knows, where that can be true.
    pub(super) fn tail_seqnum(&self) -> Option<u64> {
        self.header.bounds_hold().then_some(self.header.tail_seqnum)
    }

    fn note(&mut self, damage: Damage) {
        self.damage.get_or_insert(damage);
    }

    fn seek(&mut self, after: u64) {
        let before = |pages: &mut Pages, offset: u64| Ok(Head::read(pages, offset)?.seqnum <= after);
        if self.walk.seek(&mut self.pages, &self.header, before).is_err() {
            // what is damaged is met, and told, on the way from the beginning
            self.rewind();
        }
    }

    /// The next entry that fits between its neighbours: numbers only grow in a file, so one above the next is damaged.
    fn sound(&mut self) -> Option<Head> {
        let mut candidate = self.candidate()?;
        loop {
            let expected = self.last.map_or(self.header.head_seqnum, |last| last + 1);
            if candidate.seqnum == expected {
                break;
            }
            let Some(next) = self.candidate() else { break };
            if next.seqnum > candidate.seqnum {
                self.ahead = Some(next);
                break;
            }
            self.note(Damage::new(candidate.offset, "an entry's number is above that of the next"));
            candidate = next;
        }
        self.last = Some(candidate.seqnum);
        Some(candidate)
    }

    /// The next entry whose number can be true.
    fn candidate(&mut self) -> Option<Head> {
        if let Some(head) = self.ahead.take() {
            return Some(head);
        }
        loop {
            let offset = match self.walk.next(&mut self.pages, &self.header) {
                Ok(offset) => offset?,
                Err(damage) => {
                    self.note(damage);
                    continue;
                }
            };
            let head = match Head::read(&mut self.pages, offset) {
                Ok(head) => head,
                Err(damage) => {
                    self.note(damage);
                    self.walk.was_bad(&mut self.pages, &self.header);
                    continue;
                }
            };
            let beyond = self.header.bounds_hold() && head.seqnum > self.header.tail_seqnum;
            if beyond || self.last.is_some_and(|last| head.seqnum <= last) {
                self.note(Damage::new(offset, "an entry whose number does not fit"));
                continue;
            }
            self.walk.was_good(offset);
            return Some(head);
        }
    }
}

/// `system@….journal` and `….journal~`, unlike `system.journal`.
fn is_renamed(path: &Path) -> bool {
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    name.ends_with(b"~") || name.contains(&b'@')
}

fn read_header(pages: &Pages) -> Result<Header, Refusal> {
    let mut bytes = [0; HEADER_BYTES];
    let read = pages.read_now(0, &mut bytes).map_err(|error| Refusal::Damaged(error.to_string()))?;
    Header::parse(&bytes[..read])
}
