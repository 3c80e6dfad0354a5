//! What a receiver can say of a batch without any secret: that its lines are the next ones of their stream, whole
//! segments, and under the checkpoints of the key that the stream's genesis names.

use super::frames::{Frames, Piece};
use super::refusal::Refusal;
use super::tip::{Ended, Genesis, StreamName, Tip};
use crate::chain::checkpoint::Checkpoint;
use crate::chain::genesis::Opened;
use crate::chain::header::{CheckpointLine, CheckpointPayload, Hash, Header};
use crate::chain::line::RawLine;
use crate::chain::trust::Trust;
use crate::chain::{SEGMENT_LINES, tree::Edge};
use serde::de::IgnoredAny;
use std::fmt::Display;
use std::io::BufRead;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Reads a batch that goes on where `tip` stands, and says where the stream stands after it. `trust` says who may endorse
/// streams; without it anyone may whose signature is good.
pub(super) fn advance(name: &StreamName, trust: Option<&Trust>, tip: Tip, batch: impl BufRead) -> Result<Tip, Refusal> {
    let first = tip.next();
    let mut check = Check { name, trust, tip, place: Place::InSegment };
    let mut frames = Frames::new(batch)?;
    while let Some(piece) = frames.next()? {
        match piece {
            Piece::Line(line) => check.line(line)?,
            Piece::FrameEnd => check.segment_end()?,
        }
    }
    match check.tip.next() > first {
        true => Ok(check.tip),
        false => Err(Refusal::malformed("the batch holds no line")),
    }
}

/// What may come next within a frame.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    InSegment,
    /// Only a checkpoint.
    AfterClose,
    /// Only the frame's end.
    AfterCheckpoint,
    /// As before, and no further frame.
    AfterLastCheckpoint,
}

struct Check<'a> {
    name: &'a StreamName,
    trust: Option<&'a Trust>,
    tip: Tip,
    place: Place,
}

impl Check<'_> {
    fn line(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let seq = self.tip.next();
        let fault = |what: &dyn Display| Refusal::malformed(format!("line {seq}: {what}"));
        if let Some(ended) = self.tip.ended {
            return Err(fault(&format_args!("stands after the end of its stream ({ended})")));
        }
        std::str::from_utf8(bytes).map_err(|error| fault(&error))?;
        let line = RawLine::parse(bytes).map_err(|error| fault(&error))?;
        if let Some(payload) = line.payload {
            serde_json::from_slice::<IgnoredAny>(payload).map_err(|error| fault(&error))?;
        }
        let (common, header) = Header::parse(line.header).map_err(|error| fault(&error))?;
        if common.seq != seq {
            return Err(fault(&format_args!("is expected here, and line {} is there", common.seq)));
        }
        if self.place == Place::AfterCheckpoint || self.place == Place::AfterLastCheckpoint {
            return Err(fault(&"stands after a checkpoint in the same zstd frame; a frame holds one segment"));
        }
        if seq - self.tip.segment_first >= SEGMENT_LINES {
            return Err(fault(&format_args!("a segment has more than {SEGMENT_LINES} lines")));
        }
        match header {
            Header::Genesis(_) if seq == 0 => self.tip.genesis = Some(self.genesis(&line)?),
            Header::Genesis(_) => return Err(fault(&"a genesis stands elsewhere than at the stream's start")),
            _ if seq == 0 => return Err(fault(&"a stream starts with a genesis")),
            Header::Checkpoint(header) => self.checkpoint(&line, &header)?,
            _ if self.place == Place::AfterClose => {
                return Err(fault(&"only a checkpoint may follow a close line"));
            }
            Header::Close(_) => self.place = Place::AfterClose,
            _ => {}
        }
        self.tip.edge.push(line.leaf());
        Ok(())
    }

    fn segment_end(&mut self) -> Result<(), Refusal> {
        if self.tip.ended.is_some() || self.tip.next() == self.tip.segment_first {
            return Err(Refusal::malformed("a zstd frame holds no line; a frame holds one segment"));
        }
        match self.place {
            Place::AfterCheckpoint | Place::AfterLastCheckpoint => {
                self.tip.segment += 1;
                self.tip.segment_first = self.tip.next();
                self.tip.ended = (self.place == Place::AfterLastCheckpoint).then_some(Ended::Closed);
                self.place = Place::InSegment;
            }
            Place::InSegment | Place::AfterClose => self.tip.ended = Some(Ended::CutOff),
        }
        Ok(())
    }

    fn genesis(&self, line: &RawLine<'_>) -> Result<Genesis, Refusal> {
        let opened = Opened::parse(line).map_err(|error| Refusal::malformed(format!("line 0: {error}")))?;
        let genesis = Genesis::of(self.name, &opened)?;
        let Some(endorser) = opened.endorser else {
            return Err(Refusal::malformed("line 0: the endorsement's signature or key is bad"));
        };
        let Some(trust) = self.trust else { return Ok(genesis) };
        let began = OffsetDateTime::parse(&opened.header.time, &Rfc3339)
            .map_err(|_| Refusal::malformed("line 0: its time is not in RFC 3339"))?;
        match trust.allows(&self.name.host, &endorser, began.unix_timestamp_nanos()) {
            true => Ok(genesis),
            false => Err(Refusal::Forbidden(format!(
                "UNENDORSED: the key that endorses this stream is not trusted for {} at {}; \
                 add the host's public key to the receiver's trust file",
                self.name.host, opened.header.time
            ))),
        }
    }

    fn checkpoint(&mut self, line: &RawLine<'_>, header: &CheckpointLine<'_>) -> Result<(), Refusal> {
        let genesis = self.tip.genesis.as_ref().ok_or_else(|| Refusal::malformed("a stream starts with a genesis"))?;
        let edge = checkpoint_edge(genesis, line, header)?;
        let bad = |what| Err(Refusal::malformed(format!("line {}: BAD-CHECKPOINT: {what}", header.seq)));
        if edge != self.tip.edge {
            return bad("its root is not that of the lines before it");
        }
        if header.segment != self.tip.segment || header.first != self.tip.segment_first {
            return bad("its segment's number or first line is not that of its segment");
        }
        self.place = match self.place {
            Place::AfterClose => Place::AfterLastCheckpoint,
            _ => Place::AfterCheckpoint,
        };
        Ok(())
    }
}

/// The tree's edge before a checkpoint line as the stream's key signed it.
pub(super) fn checkpoint_edge(
    genesis: &Genesis,
    line: &RawLine<'_>,
    header: &CheckpointLine<'_>,
) -> Result<Edge, Refusal> {
    let bad = |what: &dyn Display| Refusal::malformed(format!("line {}: BAD-CHECKPOINT: {what}", header.seq));
    let payload = line.payload.ok_or_else(|| bad(&"its payload was erased"))?;
    let payload: CheckpointPayload<'_> = serde_json::from_slice(payload).map_err(|error| bad(&error))?;
    let note = Checkpoint::open(&payload.note, &genesis.key).map_err(|error| bad(&error))?;
    if note.origin != genesis.origin {
        return Err(bad(&"it is another stream's"));
    }
    let hashes = header.edge.iter().map(|Hash(hash)| *hash).collect();
    match Edge::from_parts(header.seq, hashes) {
        Some(edge) if note.size == header.seq && note.root == edge.root() => Ok(edge),
        _ => Err(bad(&"its size, root and edge don't fit each other")),
    }
}
