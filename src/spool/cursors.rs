//! Where the sources are, as the chain's own lines say it: there is no second store that could disagree with them.
//!
//! The running agent applies each event as it is chained; recovery applies the same events read back from the spool.
//!
//! Files that were read to their end are remembered, the last [`ENDED_MAX`] of them: compressed while nobody looks, one of
//! them would be taken for a log that was never read.

use crate::chain::header::{HeaderCursor, SourceEventKind, SourceLine, SourcePayload};
use crate::chain::stamp::parse_rfc3339;
use crate::record::{
    Cursor, Ended, FileId, Fingerprint, JournalTime, Known, Labels, Prefix, SourceEvent, SourceKey, hex, unhex,
};
use base64::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Files read to their end that are remembered, of all sources together.
const ENDED_MAX: usize = 4096;

/// A source and how far it has been read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownSource {
    /// Its number in the stream; none when it was last read in an earlier stream.
    pub key: Option<SourceKey>,
    /// The configured name.
    pub name: String,
    /// How far.
    #[serde(with = "stored_cursor")]
    pub cursor: Cursor,
    /// What else is known of it.
    #[serde(default)]
    pub labels: Labels,
    /// When it was chained that it was read to its end, if it was (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// The sources of a stream, and those of earlier streams that were not taken up again yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cursors {
    open: BTreeMap<SourceKey, KnownSource>,
    inherited: Vec<KnownSource>,
    /// The last one first.
    ended: VecDeque<KnownSource>,
}

impl Cursors {
    /// As a snapshot has them.
    pub fn from_snapshot(sources: &[KnownSource]) -> Self {
        let mut cursors = Self::default();
        for source in sources {
            match source.key {
                _ if source.ended.is_some() => cursors.ended.push_back(source.clone()),
                Some(key) => drop(cursors.open.insert(key, source.clone())),
                None => cursors.inherited.push(source.clone()),
            }
        }
        cursors
    }

    /// All of them, for a snapshot.
    pub fn to_snapshot(&self) -> Vec<KnownSource> {
        self.open.values().chain(&self.inherited).chain(&self.ended).cloned().collect()
    }

    /// A new process or stream numbers its sources anew.
    pub fn begin_stream(&mut self) {
        let open = std::mem::take(&mut self.open).into_values();
        self.inherited.extend(open.map(|source| KnownSource { key: None, ..source }));
    }

    /// The sources that are being read in the present stream.
    pub fn open(&self) -> impl Iterator<Item = (SourceKey, &KnownSource)> {
        self.open.iter().map(|(key, source)| (*key, source))
    }

    /// A source that is being read in the present stream.
    pub fn source(&self, key: SourceKey) -> Option<&KnownSource> {
        self.open.get(&key)
    }

    /// What is known of the source of this name, for its reader to go on from.
    pub fn known(&self, name: &str) -> Known {
        let open = self.open.values().chain(&self.inherited).filter(|source| source.name == name);
        let ended = self.ended.iter().filter(|source| source.name == name).filter_map(|source| {
            let at_ns = parse_rfc3339(source.ended.as_deref()?)?;
            Some(Ended { cursor: source.cursor.clone(), at_ns })
        });
        Known { open: open.map(|source| source.cursor.clone()).collect(), ended: ended.collect() }
    }

    /// Applies what happened to a source, as it was chained at a time (RFC 3339).
    pub fn apply(&mut self, key: SourceKey, event: &SourceEvent, time: &str) {
        match event {
            SourceEvent::Opened { name, cursor, labels } => {
                let is_other = |old: &KnownSource| old.name != *name || !same_source(&old.cursor, cursor);
                self.inherited.retain(is_other);
                self.ended.retain(is_other);
                let (cursor, labels) = (cursor.clone(), labels.clone());
                let source = KnownSource { key: Some(key), name: name.clone(), cursor, labels, ended: None };
                let displaced = self.open.insert(key, source);
                // a number that is given again takes no cursor away
                let same = |old: &KnownSource| {
                    self.open.get(&key).is_some_and(|new| old.name == new.name && same_source(&old.cursor, &new.cursor))
                };
                let other = displaced.filter(|old| !same(old));
                self.inherited.extend(other.map(|old| KnownSource { key: None, ..old }));
            }
            SourceEvent::Identified { cursor } => {
                if let Some(source) = self.open.get_mut(&key) {
                    source.cursor = cursor.clone();
                }
            }
            SourceEvent::Truncated { .. } => self.read_to(key, 0),
            SourceEvent::Missed { .. } => {}
            SourceEvent::Vanished { .. } => drop(self.open.remove(&key)),
            SourceEvent::Ended => self.end(key, time),
        }
    }

    fn end(&mut self, key: SourceKey, time: &str) {
        let Some(source) = self.open.remove(&key) else { return };
        if matches!(source.cursor, Cursor::File { offset: 1.., .. }) {
            self.ended.truncate(ENDED_MAX - 1);
            self.ended.push_front(KnownSource { key: None, ended: Some(time.to_owned()), ..source });
        }
    }

    /// A line of the source was chained.
    pub fn read_to(&mut self, key: SourceKey, offset: u64) {
        if let Some(source) = self.open.get_mut(&key) {
            source.cursor.set_offset(offset);
        }
    }

    /// Applies a `source` line read back from the spool; `false` when it makes no sense.
    pub fn apply_line(&mut self, header: &SourceLine<'_>, payload: &SourcePayload<'_>, time: &str) -> bool {
        let cursor = match &header.cursor {
            Some(cursor) => match from_header(cursor, payload) {
                Some(cursor) => Some(cursor),
                None => return false,
            },
            None => None,
        };
        let event = match (header.event, cursor) {
            (SourceEventKind::Opened, Some(cursor)) => {
                let labels = payload.labels.clone().unwrap_or_default().into();
                SourceEvent::Opened { name: header.name.clone().unwrap_or_default(), cursor, labels }
            }
            (SourceEventKind::Identified, Some(cursor)) => SourceEvent::Identified { cursor },
            (SourceEventKind::Truncated, None) => SourceEvent::Truncated { lost: header.lost },
            (SourceEventKind::Missed, None) => SourceEvent::Missed { lost: header.lost },
            (SourceEventKind::Vanished, None) => SourceEvent::Vanished { lost: header.lost },
            (SourceEventKind::Ended, None) => SourceEvent::Ended,
            _ => return false,
        };
        self.apply(header.src, &event, time);
        true
    }
}

/// Whether two cursors are of one file (or both of the pipe).
fn same_source(a: &Cursor, b: &Cursor) -> bool {
    match (a, b) {
        (Cursor::File { id: a, .. }, Cursor::File { id: b, .. }) => a == b,
        (Cursor::Stdin { .. }, Cursor::Stdin { .. }) => true,
        (Cursor::Journal { dir: a, sequence: b, .. }, Cursor::Journal { dir: c, sequence: d, .. }) => (a, b) == (c, d),
        _ => false,
    }
}

fn from_header(cursor: &HeaderCursor, payload: &SourcePayload<'_>) -> Option<Cursor> {
    Some(match cursor {
        HeaderCursor::Stdin { off } => Cursor::Stdin { offset: *off },
        HeaderCursor::Journal { sequence, boot, boot_us, real_us, off } => Cursor::Journal {
            dir: path(payload)?,
            sequence: unhex(sequence)?.try_into().ok()?,
            at: JournalTime { boot: unhex(boot)?.try_into().ok()?, monotonic_us: *boot_us, realtime_us: *real_us },
            seqnum: *off,
        },
        HeaderCursor::File { dev, ino, born, fp_len, fp, pre_len, pre, off } => {
            let digest = unhex(fp)?.try_into().ok()?;
            let prefix = match (pre_len, pre) {
                (Some(len), Some(pre)) => Some(Prefix { len: *len, digest: unhex(pre)?.try_into().ok()? }),
                (None, None) => None,
                _ => return None,
            };
            Cursor::File {
                path: path(payload)?,
                id: FileId { dev: *dev, ino: *ino, born_ns: *born },
                fingerprint: Fingerprint { len: *fp_len, digest },
                prefix,
                offset: *off,
            }
        }
    })
}

fn path(payload: &SourcePayload<'_>) -> Option<PathBuf> {
    let path = match (&payload.path, &payload.path_b64) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(coded)) => BASE64_STANDARD.decode(coded.as_bytes()).ok()?,
        _ => return None,
    };
    Some(OsString::from_vec(path).into())
}

/// A cursor as the ledger has it: the header's form, and the path's bytes in hexadecimal, since they may be any.
mod stored_cursor {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Stored {
        cursor: HeaderCursor,
        path: String,
    }

    pub(super) fn serialize<S: Serializer>(cursor: &Cursor, s: S) -> Result<S::Ok, S::Error> {
        let path = match cursor {
            Cursor::File { path, .. } | Cursor::Journal { dir: path, .. } => path.as_path(),
            Cursor::Stdin { .. } => Path::new(""),
        };
        Stored { cursor: cursor.into(), path: hex(path.as_os_str().as_bytes()) }.serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Cursor, D::Error> {
        let stored = Stored::deserialize(d)?;
        let path = unhex(&stored.path).ok_or_else(|| de::Error::custom("a path that is not hexadecimal"))?;
        let coded = BASE64_STANDARD.encode(path);
        let payload = SourcePayload { path_b64: Some(coded.into()), ..SourcePayload::default() };
        from_header(&stored.cursor, &payload).ok_or_else(|| de::Error::custom("not a cursor"))
    }
}
