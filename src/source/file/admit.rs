//! Where a file is begun.
//!
//! Without a cursor that is its first byte, or with `start_at = "end"` the end of the last line it has at the first
//! start of all. After a restart every file that was there before has a cursor, so one without came meanwhile and is
//! read from its first byte; unless it was born before the youngest file that is known, for then it was there while
//! sealtail ran and did not match: the patterns changed, and `start_at` counts again.

use super::follow::{Followed, Left};
use super::heir::Inheritance;
use super::identity::{self, Look};
use super::left_out;
use super::packed::Packed;
use super::prefix::{PrefixHash, Proof};
use super::unpack::Codec;
use super::{Files, file_id};
use crate::record::{Cursor, FileId, Fingerprint, Item, Prefix, SourceEvent};
use crate::source::StartAt;
use crate::source::lines::Units;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A file to begin with.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    /// What was seen there. If another file has the name by now, the names have to be looked at again.
    pub(super) id: FileId,
    /// The matched path that it is, or is a rotation of.
    pub(super) base: PathBuf,
    pub(super) known: Option<Cursor>,
    /// The file whose lines come first.
    pub(super) after: Option<FileId>,
    /// Where it is begun and what it begins with, if that is known without a cursor.
    pub(super) start: Option<(u64, Option<Prefix>)>,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is followed.
    Followed(FileId),
    /// It holds no lines.
    LeftOut,
    /// It can't be opened now.
    Refused,
    /// Another file has its name now.
    Moved,
}

/// What a cursor says of a file that it belongs to.
enum Begin {
    At(u64),
    /// It was truncated, or written anew.
    Again(Cursor),
}

impl Files {
    /// Begins to follow a file, if it can be opened and is a log. The cursor of one that can't is kept.
    pub(super) fn admit(&mut self, candidate: Candidate) -> Admission {
        if self.table.get(&candidate.id).is_some() {
            return Admission::Followed(candidate.id);
        }
        let (file, look, head) = match self.open_candidate(&candidate) {
            Ok(Some(opened)) => opened,
            Ok(None) => {
                self.known.extend(candidate.known);
                self.moves(&candidate.base);
                return Admission::Moved;
            }
            Err(error) => {
                self.left_out.warn(&candidate.path, self.round, &left_out::unreadable(&error));
                self.known.extend(candidate.known);
                return Admission::Refused;
            }
        };
        let known = candidate.known.clone().or_else(|| self.take_known(&look.id));
        // an heir is read in whatever form it is there
        let unpack = self.config.compressed || candidate.start.is_some() || known.is_some();
        let codec = Codec::of(&head).filter(|_| unpack);
        let no_log = match codec {
            _ if !look.regular => Some("not a file"),
            Some(_) => None,
            None => left_out::by_head(&head),
        };
        if let Some(why) = no_log {
            self.left_out.note(&candidate.path, self.round, &why);
            known.into_iter().for_each(|cursor| self.give_up(cursor));
            return Admission::LeftOut;
        }
        match self.begin(candidate, known, file, look, &head, codec) {
            true => Admission::Followed(look.id),
            false => Admission::Moved,
        }
    }

    /// The file that was seen under the name, or None when it has another name by now.
    fn open_candidate(&mut self, candidate: &Candidate) -> io::Result<Option<(File, Look, Vec<u8>)>> {
        if !self.table.has_room() {
            return Err(io::Error::other("too many deleted files are still being read"));
        }
        match identity::open(&candidate.path) {
            Ok((_, look)) if look.id != candidate.id => Ok(None),
            Ok((file, look)) => identity::head(&file).map(|head| Some((file, look, head))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says that a cursor's file is not there any more.
    pub(super) fn give_up(&mut self, cursor: Cursor) {
        let key = self.keys.next();
        let labels = self.labels.of(cursor_path(&cursor).and_then(|path| self.base(path)).as_deref());
        let opened = SourceEvent::Opened { name: self.config.name.clone(), cursor, labels };
        self.batch.items.push(Item::Source(key, opened));
        self.batch.items.push(Item::Source(key, SourceEvent::Vanished { lost: None }));
    }

    /// Says that a cursor's file is not there any more, unless what it held is. The cursor is kept while that can't be told.
    pub(super) fn give_up_to_heirs(&mut self, cursor: Cursor, base: &Path) {
        let legacy = self.legacy(&cursor, base);
        match legacy.map_or(Inheritance::Nothing, |legacy| self.inherit(&legacy)) {
            waiting @ (Inheritance::Moving | Inheritance::Refused) => {
                self.asks_again(base, &waiting);
                self.known.push(cursor);
            }
            Inheritance::Nothing => self.give_up(cursor),
            Inheritance::Last { heir, proof } => {
                if let Some(lineage) = self.lineages.get_mut(base) {
                    lineage.last = Some(heir);
                }
                match proof {
                    Proof::Whole => self.end(cursor),
                    Proof::Part => self.give_up(cursor),
                }
            }
        }
    }

    /// Says that nothing is to be read any more at a cursor.
    fn end(&mut self, cursor: Cursor) {
        let key = self.keys.next();
        let labels = self.labels.of(cursor_path(&cursor).and_then(|path| self.base(path)).as_deref());
        let opened = SourceEvent::Opened { name: self.config.name.clone(), cursor, labels };
        self.batch.items.extend([Item::Source(key, opened), Item::Source(key, SourceEvent::Ended)]);
    }

    fn begin(
        &mut self,
        mut candidate: Candidate,
        known: Option<Cursor>,
        file: File,
        look: Look,
        head: &[u8],
        codec: Option<Codec>,
    ) -> bool {
        let other = known.as_ref().filter(|cursor| file_id(cursor) != Some(look.id)).cloned();
        let prefix = known.as_ref().and_then(prefix_of).or(candidate.start.and_then(|(_, prefix)| prefix));
        let begin = match known {
            Some(cursor) => self.judge(cursor, &candidate, &look, head, codec),
            None => None,
        };
        let is_same = begin.is_some();
        let (offset, again) = match begin {
            Some(Begin::At(offset)) => (offset, None),
            Some(Begin::Again(cursor)) => {
                let legacy = self.legacy(&cursor, &candidate.base);
                match legacy.map_or(Inheritance::Nothing, |legacy| self.inherit(&legacy)) {
                    waiting @ (Inheritance::Moving | Inheritance::Refused) => {
                        self.asks_again(&candidate.base, &waiting);
                        self.known.push(cursor);
                        return false;
                    }
                    Inheritance::Nothing => {}
                    Inheritance::Last { heir, .. } => candidate.after = Some(heir),
                }
                (cursor.offset(), Some(cursor))
            }
            None => {
                let units = self.shape.encoding.units(head);
                let start = candidate.start.map(|(offset, _)| offset);
                (start.unwrap_or_else(|| self.start(&candidate, &file, &look, units)), None)
            }
        };
        let is_replaced = self.at.get(&candidate.base).is_some_and(|now| *now != look.id);
        let since = is_replaced.then(Instant::now);
        let left = (candidate.path != candidate.base).then_some(Left { since });
        let hash_key = self.keys.hash_key();
        let followed = Followed {
            key: self.keys.next(),
            hash_key,
            id: look.id,
            known_as: candidate.path.clone(),
            path: candidate.path,
            base: candidate.base,
            fingerprint: again.as_ref().and_then(print_of).unwrap_or_else(|| identity::fingerprint(hash_key, head)),
            offset,
            file: Some(file),
            nameless: false,
            look,
            written_ns: look.written_ns,
            read: false,
            unread_since: None,
            // a rotation is not met under a matching name
            met: if left.is_some() { 0 } else { self.round },
            left,
            after: candidate.after,
            awaited: false,
            queued: false,
            until: (self.once && codec.is_none()).then_some(look.size),
            finishing: false,
            grown: Instant::now(),
            used: 0,
            before: Vec::new(),
            held: None,
            hash: PrefixHash::resume(hash_key, prefix.filter(|prefix| prefix.len <= offset)),
            prefix,
            packed: codec.map(Packed::new),
        };
        let labels = self.labels.of(Some(&followed.base));
        let opened = SourceEvent::Opened { name: self.config.name.clone(), cursor: followed.cursor(), labels };
        self.batch.items.push(Item::Source(followed.key, opened));
        self.ready_to_read(followed, again.is_some().then_some(head));
        self.known_ids.extend(is_same.then_some(look.id));
        // another disk number, or a backup put back: it is the same file, and the old cursor must not find it once more
        other.into_iter().filter(|_| is_same).for_each(|cursor| self.end(cursor));
        true
    }

    /// With `again`, the file is begun again, and begins so.
    fn ready_to_read(&mut self, mut followed: Followed, again: Option<&[u8]>) {
        let id = followed.id;
        let prepared = match followed.file.take() {
            Some(file) if again.is_none() => {
                let remembered = match followed.packed {
                    Some(_) => Ok(()),
                    None => followed.remember_before(&file),
                };
                followed.file = Some(file);
                remembered
            }
            file => {
                followed.file = file;
                followed.restart(again.unwrap_or_default(), &mut self.batch);
                Ok(())
            }
        };
        if let Err(error) = prepared {
            // without those bytes a truncation is told by the head alone
            followed.before.clear();
            self.left_out.warn(&followed.path, self.round, &left_out::unreadable(&error));
        }
        self.table.insert(followed);
        self.queue(id);
    }

    /// Whether the file is still what the cursor knew.
    fn judge(
        &mut self,
        cursor: Cursor,
        candidate: &Candidate,
        look: &Look,
        head: &[u8],
        codec: Option<Codec>,
    ) -> Option<Begin> {
        let Cursor::File { path: was, id, fingerprint, offset, .. } = &cursor else { return None };
        if identity::fits(self.keys.hash_key(), fingerprint, head) && (look.size >= *offset || codec.is_some()) {
            return Some(Begin::At(*offset));
        }
        // with another head, only the time of birth or the name tells a rewritten file from a reused inode number
        let same_birth = id.born_ns.is_some() && id.born_ns == look.id.born_ns;
        if same_birth || *was == candidate.path {
            return Some(Begin::Again(cursor));
        }
        self.give_up_to_heirs(cursor, &candidate.base);
        None
    }

    /// Where a file without a cursor is begun.
    fn start(&self, candidate: &Candidate, file: &File, look: &Look, units: Units) -> u64 {
        let came_later = match (self.restarted, look.id.born_ns, self.youngest_ns) {
            (false, ..) => false,
            (true, Some(born), Some(youngest)) => born > youngest,
            (true, ..) => true,
        };
        let at_end = self.config.start_at == StartAt::End && self.round == 1 && candidate.path == candidate.base;
        if !at_end || came_later {
            return 0;
        }
        last_line_end(file, look.size, self.config.max_line_bytes as u64, units).unwrap_or(look.size)
    }

    /// The cursor of a file that could not be opened before.
    fn take_known(&mut self, file: &FileId) -> Option<Cursor> {
        let is_its = |cursor: &Cursor| matches!(cursor, Cursor::File { id, .. } if identity::same(id, file));
        let at = self.known.iter().position(is_its)?;
        Some(self.known.swap_remove(at))
    }
}

fn cursor_path(cursor: &Cursor) -> Option<&Path> {
    match cursor {
        Cursor::File { path, .. } => Some(path),
        Cursor::Journal { .. } | Cursor::Stdin { .. } => None,
    }
}

fn print_of(cursor: &Cursor) -> Option<Fingerprint> {
    match cursor {
        Cursor::File { fingerprint, .. } => Some(*fingerprint),
        Cursor::Journal { .. } | Cursor::Stdin { .. } => None,
    }
}

fn prefix_of(cursor: &Cursor) -> Option<Prefix> {
    match cursor {
        Cursor::File { prefix, .. } => *prefix,
        Cursor::Journal { .. } | Cursor::Stdin { .. } => None,
    }
}

/// The offset after the last newline before `size`; a line that is longer than any may be is not searched through.
fn last_line_end(file: &File, size: u64, max_line_bytes: u64, units: Units) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let mut bytes = Vec::new();
    let (mut end, least) = (size, size.saturating_sub(max_line_bytes.saturating_add(STEP)));
    while end > least {
        let start = end.saturating_sub(STEP).max(least);
        bytes.resize((end - start) as usize, 0);
        let got = identity::read_at(file, &mut bytes, start)?;
        if let Some(at) = units.last_end(&bytes[..got], start) {
            return Ok(start + at as u64);
        }
        // a newline of two bytes may lie across
        end = if units == Units::Bytes || start == least { start } else { start + 1 };
    }
    Ok(if least == 0 { 0 } else { size })
}
