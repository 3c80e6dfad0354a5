//! One line, taken apart and held against the format: shape, header, payload. Tags are not this module's.

use crate::chain::header::{CheckpointPayload, Hash};
use crate::chain::header::{
    Header, HeaderCursor, HeartbeatPayload, LogPayload, NamedReceipt, SourceEventKind, SourceLine, SourcePayload,
};
use crate::chain::key::Bytes32;
use crate::chain::line::{self, RawLine};
use crate::chain::stamp::parse_rfc3339;
use crate::record::{Seq, StreamId};
use base64::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// A line of the format.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) seq: Seq,
    /// Nanoseconds since 1970 by the clock that can be set.
    pub(super) time_ns: i128,
    pub(super) mono_ns: u64,
    pub(super) tag: [u8; 16],
    pub(super) commitment: Bytes32,
    pub(super) leaf: Bytes32,
    /// Where the header stands in the line's buffer.
    pub(super) header: Range<usize>,
    /// The whole line there.
    pub(super) line: Range<usize>,
    /// The payload was erased.
    pub(super) erased: bool,
    pub(super) body: Body,
}

/// What a verifier needs of a line's type.
#[derive(Debug)]
pub(super) enum Body {
    Genesis,
    Log,
    Source { event: SourceEventKind, lost: Option<u64> },
    Heartbeat(Vec<NamedReceipt>),
    Gap { count: u64, reason: String },
    Skip(Box<SkipBody>),
    Checkpoint(Box<CheckpointBody>),
    Close,
    Other,
}

#[derive(Debug)]
pub(super) struct SkipBody {
    pub(super) target: String,
    pub(super) stream: StreamId,
    pub(super) from: Seq,
    pub(super) to: Seq,
}

#[derive(Debug)]
pub(super) struct CheckpointBody {
    pub(super) segment: u64,
    pub(super) first: Seq,
    pub(super) edge: Vec<Bytes32>,
    /// Empty where the payload was erased.
    pub(super) note: String,
}

impl Parsed {
    /// Takes apart the line that stands at `span` of `buffer`; the error says what is wrong with it.
    pub(super) fn new(buffer: &[u8], span: Range<usize>) -> Result<Self, String> {
        let raw = RawLine::parse(&buffer[span.clone()]).map_err(|e| e.to_string())?;
        let (common, header) = Header::parse(raw.header).map_err(|e| format!("its header: {e}"))?;
        let time_ns = parse_rfc3339(&common.time).ok_or("its time is not RFC 3339 in UTC with nine digits")?;
        if !begins_in_order(raw.header, common.seq, &common.kind, &common.time, common.mono) {
            return Err("its header does not begin with seq, type, time and mono".into());
        }
        let header_at = raw.header.as_ptr() as usize - buffer.as_ptr() as usize;
        Ok(Self {
            seq: common.seq,
            time_ns,
            mono_ns: common.mono,
            tag: raw.tag,
            commitment: raw.commitment,
            leaf: raw.leaf(),
            header: header_at..header_at + raw.header.len(),
            line: span,
            erased: raw.payload.is_none(),
            body: body(header, raw.payload).map_err(|e| format!("its payload: {e}"))?,
        })
    }

    pub(super) fn checkpoint(&self) -> Option<&CheckpointBody> {
        match &self.body {
            Body::Checkpoint(body) => Some(body),
            _ => None,
        }
    }
}

/// The seq that a line seems to have, by its first bytes; whether the line is sound is another question.
pub(super) fn glance_seq(line: &[u8]) -> Option<Seq> {
    glance(line).map(|(seq, _)| seq)
}

/// Whether a line seems to be a checkpoint.
pub(super) fn looks_like_checkpoint(line: &[u8]) -> bool {
    glance(line).is_some_and(|(_, rest)| rest.starts_with(br#","type":"checkpoint""#))
}

fn glance(line: &[u8]) -> Option<(Seq, &[u8])> {
    let rest = line.get(line::OPEN.len()..)?.strip_prefix(br#"{"seq":"#)?;
    let digits = rest.iter().take(20).take_while(|b| b.is_ascii_digit()).count();
    let seq = str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    Some((seq, &rest[digits..]))
}

/// The four common keys have one order and one spelling.
fn begins_in_order(header: &[u8], seq: Seq, kind: &str, time: &str, mono: u64) -> bool {
    let mut model = Vec::with_capacity(128);
    model.extend_from_slice(br#"{"seq":"#);
    line::decimal(&mut model, seq);
    for part in [r#","type":""#, kind, r#"","time":""#, time, r#"","mono":"#] {
        model.extend_from_slice(part.as_bytes());
    }
    line::decimal(&mut model, mono);
    header.strip_prefix(model.as_slice()).is_some_and(|rest| matches!(rest.first(), Some(b',' | b'}')))
}

fn body(header: Header<'_>, payload: Option<&[u8]>) -> Result<Body, String> {
    Ok(match header {
        // the genesis payload is read where the stream is opened
        Header::Genesis(_) => Body::Genesis,
        Header::Log(_) => {
            payload.map_or(Ok(()), log_payload)?;
            Body::Log
        }
        Header::Source(source) => {
            source_payload(&source, payload)?;
            Body::Source { event: source.event, lost: source.lost }
        }
        Header::Heartbeat(_) => {
            let read = payload.map(json::<HeartbeatPayload>).transpose()?;
            Body::Heartbeat(read.map(|p| p.receipts).unwrap_or_default())
        }
        Header::Checkpoint(checkpoint) => {
            let read = payload.map(json::<CheckpointPayload<'_>>).transpose()?;
            Body::Checkpoint(Box::new(CheckpointBody {
                segment: checkpoint.segment,
                first: checkpoint.first,
                edge: checkpoint.edge.iter().map(|Hash(root)| *root).collect(),
                note: read.map(|p| p.note.into_owned()).unwrap_or_default(),
            }))
        }
        Header::Gap(gap) => {
            empty(payload)?;
            Body::Gap { count: gap.count, reason: gap.reason }
        }
        Header::Skip(skip) => {
            empty(payload)?;
            let body = SkipBody { target: skip.target, stream: skip.stream, from: skip.from, to: skip.to };
            Body::Skip(Box::new(body))
        }
        Header::Close(_) => {
            empty(payload)?;
            Body::Close
        }
        Header::Policy(_) | Header::Config(_) | Header::Alert(_) => {
            empty(payload)?;
            Body::Other
        }
    })
}

fn json<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|e| e.to_string())
}

fn empty(payload: Option<&[u8]>) -> Result<(), String> {
    match payload {
        None | Some(b"{}") => Ok(()),
        Some(_) => Err("this type of line has none, so it must be {}".into()),
    }
}

fn log_payload(payload: &[u8]) -> Result<(), String> {
    let read: LogPayload<'_> = json(payload)?;
    salt(&read.salt)?;
    let sound = |digest: &Cow<'_, str>| sixteen_bytes(digest);
    match read.message() {
        Some(_) if read.redacted.iter().flatten().all(sound) => Ok(()),
        Some(_) => Err("a digest of what was redacted is not 16 bytes".into()),
        None => Err("neither one msg nor one sound msg_b64".into()),
    }
}

fn source_payload(header: &SourceLine<'_>, payload: Option<&[u8]>) -> Result<(), String> {
    use SourceEventKind::{Ended, Identified, Missed, Opened, Truncated, Vanished};
    let sound = match header.event {
        Opened => header.name.is_some() && header.cursor.is_some() && header.lost.is_none(),
        Identified => header.name.is_none() && header.cursor.is_some() && header.lost.is_none(),
        Truncated | Missed | Vanished => header.name.is_none() && header.cursor.is_none(),
        Ended => header.name.is_none() && header.cursor.is_none() && header.lost.is_none(),
    };
    if !sound {
        return Err("its header has not the keys that this event has".into());
    }
    let Some(payload) = payload else { return Ok(()) };
    let read: SourcePayload<'_> = json(payload)?;
    salt(&read.salt)?;
    let coded = read.path_b64.as_ref().map(|coded| BASE64_STANDARD.decode(coded.as_bytes()));
    let paths = usize::from(read.path.is_some()) + usize::from(matches!(coded, Some(Ok(_))));
    if read.labels.is_some() && header.event != Opened {
        return Err("labels stand with opened only".into());
    }
    let expected = usize::from(matches!(header.cursor, Some(HeaderCursor::File { .. } | HeaderCursor::Journal { .. })));
    match paths == expected && !matches!(coded, Some(Err(_))) {
        true => Ok(()),
        false => Err("a file or journal has one path, anything else has none".into()),
    }
}

fn salt(text: &str) -> Result<(), String> {
    match sixteen_bytes(text) {
        true => Ok(()),
        false => Err("its salt is not 16 bytes".into()),
    }
}

fn sixteen_bytes(text: &str) -> bool {
    BASE64_URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 16)
}
