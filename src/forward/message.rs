//! A batch as messages of a queue: what NATS and Kafka have in common.
//!
//! # Format
//! The value is the batch's bytes, or a part of them where the batch is larger than the server takes in a message: a batch holds
//! whole segments, and one alone may be over the limit. Parts follow one another on one subject or partition. Headers:
//!
//! | header | says |
//! | --- | --- |
//! | `Sealtail-Name` | `<host>/<stream>/<first seq, 20 digits>.ndjson.zst`: the batch's name in an archive |
//! | `Sealtail-Host`, `Sealtail-Stream` | whose lines |
//! | `Sealtail-First-Seq`, `Sealtail-Last-Seq` | which of them |
//! | `Repr-Digest` | `sha-256=:…:` of the whole batch (RFC 9530) |
//! | `Content-Range` | `bytes 0-99/100`: which bytes of the batch these are (RFC 9110); a message without parts has all |
//!
//! An attempt goes on where the last stored message of the stream ends, also if the limit changed in between.

use super::backend::{Outcome, Upload};
use crate::chain::header::Hash;
use crate::chain::key::sha256;
use crate::record::{Seq, StreamId, is_name};
use base64::prelude::*;
use std::ops::Range;

/// A batch is no longer than a spool file, and that is a few MiB; what claims more is no batch of sealtail's.
pub(super) const BATCH_MAX_BYTES: u64 = 128 << 20;
/// What headers may take of a message: host names have 64 bytes at most.
pub(super) const HEADERS_MAX_BYTES: u64 = 2 << 10;
/// A server that takes less than this in a message is not meant for batches.
pub(super) const PART_MIN_BYTES: u64 = 16 << 10;

/// What the headers of a message say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label {
    pub host: String,
    pub stream: StreamId,
    pub seq: [Seq; 2],
    /// Of the whole batch.
    pub digest: Hash,
    /// Which bytes of the batch the message has.
    pub range: Range<u64>,
    pub total: u64,
}

impl Label {
    /// Of the part of a batch that begins at `from` and has at most `limit` bytes.
    pub(super) fn of(upload: &Upload, from: u64, limit: u64) -> Label {
        let total = upload.bytes.len() as u64;
        let (host, stream, seq) = (upload.host.clone(), upload.batch.stream, upload.batch.seq);
        Label { host, stream, seq, digest: upload.digest, range: from..total.min(from + limit), total }
    }

    /// The batch's name in an archive.
    pub(super) fn name(&self) -> String {
        format!("{}/{}/{:020}.ndjson.zst", self.host, self.stream, self.seq[0])
    }

    /// Names the message: the batch's name, with the place of a part that is not the first.
    pub(super) fn message_id(&self) -> String {
        match self.range.start {
            0 => self.name(),
            from => format!("{}+{from}", self.name()),
        }
    }

    pub(super) fn headers(&self) -> [(&'static str, String); 7] {
        let Range { start, end } = self.range;
        [
            ("Sealtail-Name", self.name()),
            ("Sealtail-Host", self.host.clone()),
            ("Sealtail-Stream", self.stream.to_string()),
            ("Sealtail-First-Seq", self.seq[0].to_string()),
            ("Sealtail-Last-Seq", self.seq[1].to_string()),
            ("Repr-Digest", format!("sha-256=:{}:", BASE64_STANDARD.encode(self.digest.0))),
            ("Content-Range", format!("bytes {start}-{}/{}", end.saturating_sub(1), self.total)),
        ]
    }

    /// Reads headers; `None` if they are not those of a batch.
    pub(super) fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Label> {
        let host = header("Sealtail-Host").filter(|host| is_name(host))?.to_owned();
        let stream = header("Sealtail-Stream")?.parse().ok()?;
        let seq = [header("Sealtail-First-Seq")?.parse().ok()?, header("Sealtail-Last-Seq")?.parse().ok()?];
        let digest = header("Repr-Digest")?.strip_prefix("sha-256=:")?.strip_suffix(':')?;
        let digest = Hash(BASE64_STANDARD.decode(digest).ok()?.try_into().ok()?);
        let (range, total) = header("Content-Range")?.strip_prefix("bytes ")?.split_once('/')?;
        let (start, last) = range.split_once('-')?;
        let (start, last, total): (u64, u64, u64) = (start.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
        let is_range = start <= last && last < total && total <= BATCH_MAX_BYTES;
        let label = Label { host, stream, seq, digest, range: start..last.checked_add(1)?, total };
        (is_range && seq[0] <= seq[1] && header("Sealtail-Name")? == label.name()).then_some(label)
    }

    /// Of a message with these headers and bytes; `None` if it is no batch.
    pub(super) fn of_message<'a>(header: impl Fn(&str) -> Option<&'a str>, bytes: &[u8]) -> Option<Label> {
        Label::read(header).filter(|label| label.range.end - label.range.start == bytes.len() as u64)
    }

    /// Whether this message is of the upload's stream, and not of a later batch.
    pub(super) fn is_at_or_before(&self, upload: &Upload) -> bool {
        self.host == upload.host && self.stream == upload.batch.stream && self.seq[0] <= upload.batch.seq[0]
    }
}

/// A message that is there. Whoever may write there can put what he likes into the headers, and so they are not believed for the bytes.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub label: Label,
    /// SHA-256 of the message's own bytes.
    own: Hash,
}

impl Found {
    pub(super) fn new(label: Label, bytes: &[u8]) -> Found {
        Found { label, own: Hash(sha256(&[bytes])) }
    }

    /// Of a message of the upload.
    fn has_other_bytes(&self, upload: &Upload) -> bool {
        let range = self.label.range.start as usize..self.label.range.end as usize;
        self.label.digest != upload.digest
            || self.label.total != upload.bytes.len() as u64
            || upload.bytes.get(range).is_none_or(|bytes| Hash(sha256(&[bytes])) != self.own)
    }
}

/// What the target has of a batch.
#[derive(Debug)]
pub(super) enum Standing {
    /// So many of its bytes; perhaps none.
    Until(u64),
    /// That settles it.
    Settled(Outcome),
}

/// What the target has of the batch, going by the newest stored message that [is at or before](Label::is_at_or_before) it.
pub(super) fn standing(last: Option<&Found>, upload: &Upload) -> Standing {
    match last.filter(|last| last.label.seq[0] == upload.batch.seq[0]) {
        None => Standing::Until(0),
        Some(last) if last.has_other_bytes(upload) => {
            let (name, range) = (last.label.name(), &last.label.range);
            let why = format!(
                "{name} is there with other bytes ({} to {}); whoever wrote them was not this stream",
                range.start,
                range.end - 1
            );
            Standing::Settled(Outcome::Refused { is_fork: true, why })
        }
        Some(last) if last.label.range.end == last.label.total => Standing::Settled(Outcome::Stored(None)),
        Some(last) => Standing::Until(last.label.range.end),
    }
}

/// What is wrong with that which the target has of what came before the batch; nothing can be done about it here, so that it is
/// told and sending goes on.
pub(super) fn gap_before(last: Option<&Found>, upload: &Upload) -> Option<String> {
    let last = last.map(|last| &last.label);
    let first = upload.batch.seq[0];
    let stream = upload.batch.stream;
    match last.filter(|last| last.seq[0] < first) {
        None if first > 0 && last.is_none() => {
            Some(format!("what came before line {first} of stream {stream} is not there, and was stored"))
        }
        Some(last) if last.seq[1].checked_add(1) != Some(first) || last.range.end != last.total => {
            Some(format!("before line {first} of stream {stream} a batch is not there that was stored"))
        }
        _ => None,
    }
}

/// How many bytes of a batch a message may have.
pub(super) fn part_limit(message_max_bytes: u64, setting: &str) -> Result<u64, String> {
    let limit = message_max_bytes.saturating_sub(HEADERS_MAX_BYTES);
    if limit < PART_MIN_BYTES {
        return Err(format!("it takes messages of {message_max_bytes} bytes at most; raise {setting} to 1 MiB"));
    }
    Ok(limit)
}

/// Tells whoever set `batch.max_size` over what the server takes in a message.
pub(super) fn tell_of_parts(target: &str, batch_max_size_bytes: u64, limit: u64, setting: &str) {
    if batch_max_size_bytes > limit {
        let mend = format!("set batch = {{ max_size = \"{limit}B\" }} or less, or raise {setting}");
        tracing::warn!(target_name = %target, "batches of up to {batch_max_size_bytes} bytes are over what the server takes in a message, and go in parts; {mend}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn label() -> Label {
        let stream = StreamId([7; 16]);
        Label { host: "web-1".into(), stream, seq: [4, 9], digest: Hash([3; 32]), range: 10..20, total: 30 }
    }

    fn read(headers: &HashMap<&str, String>) -> Option<Label> {
        Label::read(|name| headers.get(name).map(String::as_str))
    }

    fn upload(bytes: Vec<u8>) -> Upload {
        let len = bytes.len() as u64;
        let batch = crate::spool::Frozen { stream: StreamId([7; 16]), seq: [4, 9], file: 0, offset: 0, len };
        Upload { host: "web-1".into(), batch, bytes: bytes.into(), digest: Hash([3; 32]) }
    }

    /// A part that says of the batch what its bytes do not.
    #[test]
    fn a_part_of_another_size_of_batch_or_with_other_bytes_is_a_fork() {
        let there = |bytes: &[u8]| Found::new(label(), bytes);
        assert!(matches!(standing(Some(&there(&[0; 10])), &upload(vec![0; 30])), Standing::Until(20)));
        let mut cases: Vec<_> = [10, 20, 29, 31].map(|len| (there(&[0; 10]), upload(vec![0; len]))).into();
        cases.push((there(&[1; 10]), upload(vec![0; 30])));
        for (there, upload) in cases {
            let standing = standing(Some(&there), &upload);
            let is_fork = matches!(standing, Standing::Settled(Outcome::Refused { is_fork: true, .. }));
            assert!(is_fork, "{there:?} {upload:?}");
        }
    }

    #[test]
    fn headers_come_back() {
        let headers = HashMap::from(label().headers());
        assert_eq!(headers["Content-Range"], "bytes 10-19/30");
        assert_eq!(read(&headers), Some(label()));
    }

    #[test]
    fn headers_that_cannot_be_are_no_batch() {
        for (name, value) in [
            ("Sealtail-Host", "../etc"),
            ("Sealtail-Host", ""),
            ("Sealtail-Stream", "07"),
            ("Sealtail-First-Seq", "5"),
            ("Sealtail-Last-Seq", "3"),
            ("Sealtail-Name", "web-2/07070707070707070707070707070707/00000000000000000004.ndjson.zst"),
            ("Repr-Digest", "sha-256=:AAAA:"),
            ("Repr-Digest", "md5=:AAAA:"),
            ("Content-Range", "bytes 10-30/30"),
            ("Content-Range", "bytes 20-10/30"),
            ("Content-Range", "bytes 0-18446744073709551615/18446744073709551615"),
            ("Content-Range", "bytes 0-9/999999999999"),
            ("Content-Range", "bytes */30"),
        ] {
            let mut headers = HashMap::from(label().headers());
            headers.insert(name, value.to_owned());
            assert_eq!(read(&headers), None, "{name}: {value}");
            headers.remove(name);
            assert_eq!(read(&headers), None, "without {name}");
        }
    }
}
