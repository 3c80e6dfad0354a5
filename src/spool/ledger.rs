//! The ledger: which streams the spool holds, how far each target got, and where the sources were when a file was rolled.
//!
//! One JSON document, replaced as a whole (`durable::replace`), so that a crash leaves the old or the new one. It is
//! written before what it permits: before a stream's first byte, before a batch is sent, before a file is deleted.

use super::Error;
use super::cursors::KnownSource;
use crate::chain::header::{Hash, Prev};
use crate::chain::receipt::Receipt;
use crate::chain::tree::Edge;
use crate::record::{HashKey, Seq, StreamId, hex, unhex};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Everything that must survive a restart besides the lines themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ledger {
    /// Version of this document; 1.
    pub version: u32,
    /// Whose spool it is.
    pub host: String,
    /// What the hashes in cursors are keyed with; without it files would not be known again.
    #[serde(with = "stored_key")]
    pub hash_key: HashKey,
    /// Streams that have files here, oldest first.
    pub streams: Vec<StreamId>,
    /// How far each target got.
    pub targets: BTreeMap<String, TargetState>,
    /// The state of the sources and of the chain after the last line that recovery need not read again.
    pub snapshot: Option<Snapshot>,
}

/// How far a target got.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetState {
    /// The stream it is in; none before its first.
    pub stream: Option<StreamId>,
    /// The first seq of that stream that it has not stored.
    pub next: Seq,
    /// It begins or rejoins with this stream, and has no line of it yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joined: bool,
    /// A batch whose bounds are settled because it may have been sent.
    pub frozen: Option<Frozen>,
    /// A stream it refused for good: the rest of it goes to quarantine.
    pub refused: Option<StreamId>,
    /// Its last receipt.
    pub receipt: Option<Receipt>,
    /// What it was not sent, being skipped, as far as it does not have the line that says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Lack>,
}

/// Lines of a stream that a target was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lack {
    /// The stream.
    pub stream: StreamId,
    /// First seq.
    pub from: Seq,
    /// Last seq; not known before the stream's end.
    pub to: Option<Seq>,
    /// Where a durable line says so that the target is still to get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
}

/// Where `skip` lines stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    /// The stream.
    pub stream: StreamId,
    /// The last of these lines.
    pub last: Seq,
}

/// A batch as it was first sent; every retry sends the same bytes under the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    /// The stream.
    pub stream: StreamId,
    /// First and last seq.
    pub seq: [Seq; 2],
    /// First seq of the spool file that holds it.
    pub file: Seq,
    /// Where in the file.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
}

/// The state after a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The stream of the line.
    pub stream: StreamId,
    /// Lines up to and with it.
    pub size: u64,
    /// Its leaf.
    pub leaf: Hash,
    /// The tree's right edge.
    pub edge: Vec<Hash>,
    /// Whether the stream ended there as it should.
    pub closed: bool,
    /// The sources.
    pub sources: Vec<KnownSource>,
}

/// Its name in the spool's folder.
pub(crate) const FILE: &str = "ledger.json";

/// A random key for the hashes in cursors.
pub(crate) fn new_key(dir: &Path) -> Result<HashKey, Error> {
    let mut key = HashKey::default();
    let failed = |e| Error::Ledger { path: dir.join(FILE), reason: format!("no random numbers for a new one: {e}") };
    getrandom::fill(&mut key.0).map_err(failed)?;
    Ok(key)
}

impl Ledger {
    /// That of the spool in `dir`, if there is one.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join(FILE);
        let bad = |reason| Error::Ledger { path: path.clone(), reason };
        let ledger: Self = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::Io { what: "read", path, error }),
        };
        match ledger.version {
            1 => Ok(Some(ledger)),
            version => Err(Error::Version { path, version }),
        }
    }

    /// Of a new spool; `hash_key` is random.
    pub(crate) fn new(host: &str, hash_key: HashKey) -> Self {
        let (streams, targets) = (Vec::new(), BTreeMap::new());
        Self { version: 1, host: host.to_owned(), hash_key, streams, targets, snapshot: None }
    }

    /// The document's bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data with string keys is always JSON")
    }
}

mod stored_key {
    use super::{Deserialize, HashKey, hex, unhex};
    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(key: &HashKey, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex(&key.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<HashKey, D::Error> {
        let bytes = unhex(&String::deserialize(d)?).and_then(|bytes| bytes.try_into().ok());
        bytes.map(HashKey).ok_or_else(|| de::Error::custom("hash_key is not 64 hexadecimal digits"))
    }
}

impl Snapshot {
    /// The tree as it was.
    pub fn tree(&self) -> Option<Edge> {
        Edge::from_parts(self.size, self.edge.iter().map(|hash| hash.0).collect())
    }

    /// What a successor's genesis says of the stream.
    pub fn prev(&self) -> Option<Prev> {
        let root = Hash(self.tree()?.root());
        Some(Prev { stream: self.stream, size: self.size, root, leaf: self.leaf, clean: self.closed })
    }
}
