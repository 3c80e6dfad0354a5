//! A turn of reading from a compressed file.

use super::follow::{Followed, TURN_BYTES, Turn};
use super::identity::{self, Look};
use super::unpack::{Codec, Unpacked};
use crate::record::{Batch, Item, SourceEvent};
use crate::source::lines::{Cut, ITEMS_MAX, Shape, Units};
use std::io::{self, Read};

/// A byte order mark, and enough behind it to tell it from that of UTF-32.
const MARK_BYTES: u64 = 4;

/// How a compressed file is being read.
#[derive(Debug)]
pub(super) struct Packed {
    codec: Codec,
    /// None before the first turn, and once it was closed or its end was met.
    reader: Option<Unpacked>,
    /// What its lines are made of.
    units: Units,
    /// Unpacked bytes after the offset.
    rest: Vec<u8>,
    /// Everything is read, as far as it can be unpacked.
    pub(super) ended: bool,
}

/// How far one reading went.
enum Got {
    More,
    End,
    /// It ends in the middle: still being written, or cut off.
    Torn,
    Damaged(io::Error),
}

impl Packed {
    pub(super) fn new(codec: Codec) -> Self {
        Self { codec, reader: None, units: Units::Bytes, rest: Vec::new(), ended: false }
    }

    /// Lets go of the file: the next turn unpacks again up to the offset.
    pub(super) fn close(&mut self) {
        self.reader = None;
        self.rest = Vec::new();
    }
}

impl Followed {
    /// Reads about [`TURN_BYTES`] of what the file unpacks to.
    pub(super) fn turn_packed(&mut self, batch: &mut Batch, shape: &Shape, at_end: bool) -> io::Result<Turn> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let Some(packed) = self.packed.as_mut().filter(|packed| !packed.ended) else {
            self.read = true;
            return Ok(Turn::Drained);
        };
        self.look = Look::of(file)?;
        if packed.reader.is_none() {
            if !identity::fits(self.hash_key, &self.fingerprint, &identity::head(file)?) {
                return Ok(Turn::Rewritten);
            }
            let mut head = Vec::new();
            // what is damaged is met again by the reader
            let _ = packed.codec.unpack(file)?.take(MARK_BYTES).read_to_end(&mut head);
            packed.units = shape.encoding.units(&head);
            packed.reader = Some(packed.codec.unpack(file)?);
        }
        let from = batch.bytes.len();
        let got = packed.read(self.offset, shape.window_bytes(), &mut batch.bytes);
        let last = matches!(got, Got::End | Got::Damaged(_)) || (at_end && matches!(got, Got::Torn));
        let (units, look) = (packed.units, self.look);
        // while there is more, or it is still being written, lines that may go on wait
        let is_quiet = !matches!(got, Got::More) && self.is_quiet(&look, shape.timeout());
        let cut = Cut { key: self.key, shape, units, at_end: last, is_quiet };
        let taken = cut.lines(batch, from, self.offset);
        self.hold(taken.held, &look);
        let Some(packed) = &mut self.packed else { return Ok(Turn::Drained) };
        packed.rest = batch.bytes.split_off(from + taken.bytes);
        let all = batch.items.len() < ITEMS_MAX;
        self.advance(&batch.bytes[from..]);
        self.publish(batch);
        if matches!(got, Got::More) || !all {
            return Ok(Turn::More);
        }
        let damage = match got {
            Got::Damaged(error) => Some(error),
            Got::Torn if at_end => Some(io::ErrorKind::UnexpectedEof.into()),
            _ => None,
        };
        self.unpacked(batch, damage, last)
    }

    /// The end of what can be unpacked.
    fn unpacked(&mut self, batch: &mut Batch, damage: Option<io::Error>, last: bool) -> io::Result<Turn> {
        let Some(packed) = &mut self.packed else { return Ok(Turn::Drained) };
        packed.close();
        packed.ended = true;
        self.read = true;
        // a rotation that is unpacked to its end is done with, once another file has its path: till then its cursor tells
        // the next start how far the path was read
        self.finishing |= last && self.left.is_some_and(|left| left.since.is_some());
        if let Some(error) = damage {
            tracing::warn!(path = %self.path.display(), "cannot be unpacked any further, and what follows is not read: {error}");
            batch.items.push(Item::Source(self.key, SourceEvent::Missed { lost: None }));
        }
        Ok(Turn::Drained)
    }
}

impl Packed {
    /// Appends the rest of the last turn and what comes next.
    fn read(&mut self, offset: u64, window_bytes: usize, bytes: &mut Vec<u8>) -> Got {
        let Some(reader) = &mut self.reader else { return Got::End };
        bytes.append(&mut self.rest);
        if reader.at < offset {
            match reader.skip_to(offset) {
                Ok(true) => {}
                Ok(false) => return Got::End,
                Err(error) => return Got::of(error),
            }
        }
        let want = TURN_BYTES.max(window_bytes) as u64;
        match reader.take(want).read_to_end(bytes) {
            Ok(got) if got as u64 == want => Got::More,
            Ok(_) => Got::End,
            Err(error) => Got::of(error),
        }
    }
}

impl Got {
    fn of(error: io::Error) -> Got {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Got::Torn,
            _ => Got::Damaged(error),
        }
    }
}
