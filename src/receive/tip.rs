//! Where a stream stands: all that a receiver must know of it to judge the next batch.

use super::refusal::Refusal;
use crate::chain::genesis::Opened;
use crate::chain::tree::Edge;
use crate::record::{Seq, StreamId, is_name};
use ed25519_dalek::VerifyingKey;
use std::fmt;

/// A stream of a host; both parts name folders.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct StreamName {
    /// The host, a valid name.
    pub(super) host: String,
    /// Its stream.
    pub(super) stream: StreamId,
}

/// What a stream's first line says.
#[derive(Clone, Debug)]
pub(super) struct Genesis {
    /// What its checkpoints are called.
    pub(super) origin: String,
    /// The key that signs them.
    pub(super) key: VerifyingKey,
}

/// Where a stream stands after the lines that are stored. The default is a stream of which nothing is stored.
#[derive(Clone, Debug, Default)]
pub(super) struct Tip {
    /// Known from line 0 on.
    pub(super) genesis: Option<Genesis>,
    /// The tree over all lines.
    pub(super) edge: Edge,
    /// The number of the segment that comes next.
    pub(super) segment: u64,
    /// Its first line.
    pub(super) segment_first: Seq,
    /// Whether it takes nothing more.
    pub(super) ended: Option<Ended>,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ended {
    /// With a close line and its checkpoint.
    Closed,
    /// With a segment that has no checkpoint.
    CutOff,
}

impl StreamName {
    /// Takes the two parts of a URL; `None` unless both may name a folder.
    pub(super) fn parse(host: &str, stream: &str) -> Option<Self> {
        let stream = stream.parse().ok()?;
        is_name(host).then(|| Self { host: host.to_owned(), stream })
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.stream)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "it was closed",
            Self::CutOff => "its last segment has no checkpoint",
        })
    }
}

impl Genesis {
    /// Takes what is needed from a genesis line that stands in the stream `name`.
    pub(super) fn of(name: &StreamName, opened: &Opened<'_>) -> Result<Self, Refusal> {
        let header = &opened.header;
        if header.host != name.host || header.stream != name.stream {
            let origin = format!("{}/{}", header.host, header.stream);
            return Err(Refusal::malformed(format!("WRONG-STREAM: the genesis is that of {origin}, not of {name}")));
        }
        Ok(Self { origin: name.to_string(), key: opened.key })
    }
}

impl Tip {
    /// The seq of the line that comes next.
    pub(super) fn next(&self) -> Seq {
        self.edge.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folders_within_the_archive() {
        let stream = "00112233445566778899aabbccddeeff";
        assert_eq!(StreamName::parse("web-1", stream).unwrap().to_string(), format!("web-1/{stream}"));
        for host in ["", ".", "..", ".lock", ".tmp-1-0", "a/b", "a\\0", "../a", "a b", "ä"] {
            assert_eq!(StreamName::parse(host, stream), None, "{host}");
        }
        for stream in ["", "..", "../../etc", &stream[1..], &stream.to_uppercase(), &format!("{stream}00")] {
            assert_eq!(StreamName::parse("web-1", stream), None, "{stream}");
        }
    }
}
