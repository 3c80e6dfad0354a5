//! An entry, and the line that is chained for it.
//!
//! The line is one JSON object as `journalctl -o json --all` prints it: `__CURSOR` (which `journalctl --after-cursor`
//! takes), `__REALTIME_TIMESTAMP`, `__MONOTONIC_TIMESTAMP`, `__SEQNUM` and `__SEQNUM_ID` as systemd 254 and later have
//! them, then the fields in the entry's order. A field with several values is an array of them. Nothing is left out or cut
//! short, whatever its size.

use super::data::Field;
use super::format::{Damage, ENTRY, ENTRY_BYTES, Id, id, le64};
use super::json;
use super::pages::Pages;
use crate::record::{JournalTime, hex};
use std::io::Write;
use std::sync::Arc;

/// What an entry begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) offset: u64,
    pub(super) seqnum: u64,
    pub(super) time: JournalTime,
    /// Tells entries of one moment apart; the same for an entry and its copy in another file.
    pub(super) hash: u64,
}

impl Head {
    pub(super) fn read(pages: &mut Pages, offset: u64) -> Result<Head, Damage> {
        pages.object(offset, ENTRY, ENTRY_BYTES)?;
        let bytes = pages.get(offset, ENTRY_BYTES)?;
        let seqnum = le64(bytes, 16);
        if seqnum == 0 || seqnum > u64::MAX / 2 {
            return Err(Damage::new(offset, format!("an entry with the number {seqnum}")));
        }
        let time = JournalTime { boot: id(bytes, 40), monotonic_us: le64(bytes, 32), realtime_us: le64(bytes, 24) };
        Ok(Head { offset, seqnum, time, hash: le64(bytes, 56) })
    }
}

/// Appends the line of an entry of a sequence.
pub(super) fn render(head: &Head, sequence: Id, fields: &[Arc<Field>], line: &mut Vec<u8>) {
    let (sequence, boot) = (hex(&sequence), hex(&head.time.boot));
    let JournalTime { monotonic_us, realtime_us, .. } = head.time;
    let (seqnum, hash) = (head.seqnum, head.hash);
    // writing to memory does not fail
    let _ = write!(
        line,
        "{{\"__CURSOR\":\"s={sequence};i={seqnum:x};b={boot};m={monotonic_us:x};t={realtime_us:x};x={hash:x}\",\
         \"__REALTIME_TIMESTAMP\":\"{realtime_us}\",\"__MONOTONIC_TIMESTAMP\":\"{monotonic_us}\",\
         \"__SEQNUM\":\"{seqnum}\",\"__SEQNUM_ID\":\"{sequence}\""
    );
    for (index, field) in fields.iter().enumerate() {
        let same = |other: &&Arc<Field>| other.name == field.name;
        if fields[..index].iter().any(|other| same(&other)) {
            continue;
        }
        line.push(b',');
        json::string(&field.name, line);
        line.push(b':');
        let mut others = fields[index + 1..].iter().filter(same).peekable();
        if others.peek().is_none() {
            line.extend_from_slice(&field.json);
            continue;
        }
        line.push(b'[');
        line.extend_from_slice(&field.json);
        for other in others {
            line.push(b',');
            line.extend_from_slice(&other.json);
        }
        line.push(b']');
    }
    line.push(b'}');
}
