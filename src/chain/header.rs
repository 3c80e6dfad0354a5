//! Headers by type: what is written, and what a verifier demands. Unknown and repeated keys are refused.

use super::key::Bytes32;
use crate::record::{Cursor, End, Seq, StreamId, Verdict, hex};
use base64::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// 32 bytes, written as 43 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub Bytes32);

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(d)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.as_bytes()).ok().and_then(|b| b.try_into().ok());
        bytes.map(Hash).ok_or_else(|| de::Error::custom("not 32 bytes of base64url"))
    }
}

impl Serialize for StreamId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(d)?;
        text.parse().map_err(|()| de::Error::custom("not a stream id of 32 hexadecimal digits"))
    }
}

/// The four keys that every header begins with, in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Common<'a> {
    /// Place in the stream.
    pub seq: Seq,
    /// The line's type.
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    /// RFC 3339, UTC, nanoseconds.
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    /// Nanoseconds since the genesis line, by a clock that can't be set.
    pub mono: u64,
}

/// Declares a header type with the common keys first.
macro_rules! headers {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {
        $($(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs, reason = "the common keys are those of Common")]
        pub struct $name<'a> {
            pub seq: Seq,
            #[serde(borrow, rename = "type")]
            pub kind: Cow<'a, str>,
            #[serde(borrow)]
            pub time: Cow<'a, str>,
            pub mono: u64,
            $($(#[$field_meta])* pub $field: $type,)*
        })*
    };
}

headers! {
    /// Line 0: what the stream is.
    Genesis {
        /// Version of the format; 1.
        v: u32,
        /// The algorithms; [`SUITE`].
        suite: String,
        /// Whose stream it is.
        host: String,
        /// The stream's id.
        stream: StreamId,
        /// The Ed25519 key that signs this stream's checkpoints.
        key: Hash,
        /// Commitment to K0.
        commit: Hash,
        /// SHA-256 of the configuration file.
        config: Hash,
        /// Digest of the policies.
        policy: Hash,
        /// Who may sign erasures.
        erasure: Vec<String>,
        /// Targets that begin or rejoin here.
        targets: Vec<String>,
        /// The stream before; null on a host's very first start.
        prev: Option<Prev>,
    }
    /// A line of a source.
    Log {
        /// The source, as its `source` line named it.
        src: u32,
        /// The source's offset after the line.
        off: u64,
        /// How the line ended, where not by a newline.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end: Option<LogEnd>,
        /// What the policies say.
        verdicts: Vec<Verdict>,
    }
    /// Something happened to a source.
    SourceLine {
        /// Its number in this stream.
        src: u32,
        /// What happened.
        event: SourceEventKind,
        /// The configured name; with `opened` only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The kind of source; with `opened` and `identified`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<HeaderCursor>,
        /// Bytes (entries of a journal) lost, where known; with `truncated`, `missed` and `vanished`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<u64>,
    }
    /// Each 60 seconds.
    Heartbeat {
        /// Log lines so far.
        lines: u64,
        /// Their bytes.
        bytes: u64,
        /// Bytes in the spool.
        spool: u64,
    }
    /// Lines dropped by the operator's leave.
    Gap {
        /// How many.
        count: u64,
        /// Why.
        reason: String,
    }
    /// What an optional target was not sent.
    Skip {
        /// The target.
        target: String,
        /// The stream.
        stream: StreamId,
        /// First seq.
        from: Seq,
        /// Last seq.
        to: Seq,
    }
    /// The policies changed.
    Changed {
        /// Digest before.
        old: Hash,
        /// Digest after.
        new: Hash,
    }
    /// The configuration changed.
    Configured {
        /// Digest of the file before.
        old: Hash,
        /// Digest of the file after.
        new: Hash,
        /// What is other: the tables, and where they have names these.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        changed: Option<Vec<String>>,
    }
    /// An alert was raised.
    Alert {
        /// For this line.
        line: Seq,
        /// To this alert target.
        alert: String,
    }
    /// The last line of a segment.
    CheckpointLine {
        /// The segment's number, from 0.
        segment: u64,
        /// Its first line.
        first: Seq,
        /// The tree's right edge, largest subtree first.
        edge: Vec<Hash>,
    }
    /// The stream ends as it should; one checkpoint follows.
    Close {
        /// Why.
        reason: String,
        /// Log lines in the stream.
        lines: u64,
        /// Their bytes.
        bytes: u64,
    }
}

/// The algorithms of version 1.
pub const SUITE: &str = "sha256-hmac-ed25519-age";

/// The stream before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prev {
    /// Its id.
    pub stream: StreamId,
    /// Its durable lines.
    pub size: u64,
    /// Their root.
    pub root: Hash,
    /// The last line's leaf.
    pub leaf: Hash,
    /// Whether it ended in a close line.
    pub clean: bool,
}

/// How a log line ended, where not by a newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogEnd {
    /// By the end of the file.
    Eof,
    /// The next line of the same source goes on with it.
    Part,
    /// UTF-16, little endian; its newline, if it had one, is in the message.
    Utf16le,
    /// UTF-16, big endian.
    Utf16be,
}

impl LogEnd {
    /// How a line that ended so says it; nothing where a newline ended it.
    pub fn of(end: End) -> Option<Self> {
        match end {
            End::Newline => None,
            End::Eof => Some(Self::Eof),
            End::Part => Some(Self::Part),
            End::Utf16Le => Some(Self::Utf16le),
            End::Utf16Be => Some(Self::Utf16be),
        }
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eof => "eof",
            Self::Part => "part",
            Self::Utf16le => "utf16le",
            Self::Utf16be => "utf16be",
        }
    }
}

/// What happened to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "those of record::SourceEvent")]
pub enum SourceEventKind {
    Opened,
    Identified,
    Truncated,
    Missed,
    Vanished,
    Ended,
}

/// A cursor as a header has it; its path stands in the payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "kind")]
#[allow(missing_docs, reason = "those of record::Cursor")]
pub enum HeaderCursor {
    File {
        dev: u64,
        ino: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        born: Option<u64>,
        fp_len: u32,
        fp: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pre_len: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pre: Option<String>,
        off: u64,
    },
    Journal {
        sequence: String,
        boot: String,
        boot_us: u64,
        real_us: u64,
        off: u64,
    },
    Stdin {
        off: u64,
    },
}

impl From<&Cursor> for HeaderCursor {
    fn from(cursor: &Cursor) -> Self {
        match cursor {
            Cursor::File { id, fingerprint, prefix, offset, .. } => Self::File {
                dev: id.dev,
                ino: id.ino,
                born: id.born_ns,
                fp_len: fingerprint.len,
                fp: hex(&fingerprint.digest),
                pre_len: prefix.map(|prefix| prefix.len),
                pre: prefix.map(|prefix| hex(&prefix.digest)),
                off: *offset,
            },
            Cursor::Journal { sequence, at, seqnum, .. } => Self::Journal {
                sequence: hex(sequence),
                boot: hex(&at.boot),
                boot_us: at.monotonic_us,
                real_us: at.realtime_us,
                off: *seqnum,
            },
            Cursor::Stdin { offset } => Self::Stdin { off: *offset },
        }
    }
}

/// A header of any type.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "one for each type of line")]
pub enum Header<'a> {
    Genesis(Box<Genesis<'a>>),
    Log(Log<'a>),
    Source(Box<SourceLine<'a>>),
    Heartbeat(Heartbeat<'a>),
    Gap(Gap<'a>),
    Skip(Box<Skip<'a>>),
    Policy(Changed<'a>),
    Config(Configured<'a>),
    Alert(Alert<'a>),
    Checkpoint(CheckpointLine<'a>),
    Close(Close<'a>),
}

impl<'a> Header<'a> {
    /// Parses a header; whatever is not of version 1 to the letter is an error.
    pub fn parse(bytes: &'a [u8]) -> Result<(Common<'a>, Self), serde_json::Error> {
        let common: Common<'a> = serde_json::from_slice(bytes)?;
        let header = match &*common.kind {
            "genesis" => Header::Genesis(serde_json::from_slice(bytes)?),
            "log" => Header::Log(serde_json::from_slice(bytes)?),
            "source" => Header::Source(serde_json::from_slice(bytes)?),
            "hb" => Header::Heartbeat(serde_json::from_slice(bytes)?),
            "gap" => Header::Gap(serde_json::from_slice(bytes)?),
            "skip" => Header::Skip(serde_json::from_slice(bytes)?),
            "policy" => Header::Policy(serde_json::from_slice(bytes)?),
            "config" => Header::Config(serde_json::from_slice(bytes)?),
            "alert" => Header::Alert(serde_json::from_slice(bytes)?),
            "checkpoint" => Header::Checkpoint(serde_json::from_slice(bytes)?),
            "close" => Header::Close(serde_json::from_slice(bytes)?),
            other => return Err(de::Error::custom(format!("unknown type of line {other:?}"))),
        };
        Ok((common, header))
    }
}

/// The payload of a log line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPayload<'a> {
    /// 16 random bytes, so that a short message can't be guessed from its commitment.
    #[serde(borrow)]
    pub salt: Cow<'a, str>,
    /// The text.
    #[serde(borrow, default)]
    pub msg: Option<Cow<'a, str>>,
    /// Or its bytes.
    #[serde(borrow, default)]
    pub msg_b64: Option<Cow<'a, str>>,
    /// Where something of the message was redacted: the digests that stand in it.
    #[serde(borrow, default)]
    pub redacted: Option<Vec<Cow<'a, str>>>,
}

impl LogPayload<'_> {
    /// The exact bytes of the message; `None` where the payload is not as the format says.
    pub fn message(&self) -> Option<Cow<'_, [u8]>> {
        match (&self.msg, &self.msg_b64) {
            (Some(text), None) => Some(Cow::Borrowed(text.as_bytes())),
            (None, Some(coded)) => BASE64_STANDARD.decode(coded.as_bytes()).ok().map(Cow::Owned),
            _ => None,
        }
    }
}

/// The payload of a `source` line.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcePayload<'a> {
    /// As in [`LogPayload`].
    #[serde(borrow)]
    pub salt: Cow<'a, str>,
    /// The path.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Cow<'a, str>>,
    /// Or its bytes, where they are not UTF-8.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub path_b64: Option<Cow<'a, str>>,
    /// What else is known of the source; only with `opened`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "no_key_twice")]
    pub labels: Option<BTreeMap<String, String>>,
}

/// A map of which no key is silently dropped.
fn no_key_twice<'de, D: Deserializer<'de>>(d: D) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    struct Pairs;
    impl<'de> de::Visitor<'de> for Pairs {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut pairs: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = pairs.next_entry()? {
                if map.insert(key, value).is_some() {
                    return Err(de::Error::custom("a label twice"));
                }
            }
            Ok(map)
        }
    }
    d.deserialize_map(Pairs).map(Some)
}

/// The payload of a genesis line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisPayload {
    /// K0, the stream's id and the digest of its key, as an age file in base64.
    pub sealed: String,
    /// Who vouches for the stream.
    pub endorsement: Endorsement,
}

/// A signature over the genesis header and the sealed key by the host's key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endorsement {
    /// `ed25519` or `ecdsa-p256`.
    pub alg: String,
    /// The host's public key: SPKI DER in base64.
    pub key: String,
    /// The signature in base64.
    pub sig: String,
}

/// The payload of a checkpoint line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointPayload<'a> {
    /// A C2SP signed note.
    #[serde(borrow)]
    pub note: Cow<'a, str>,
}

/// The payload of a heartbeat.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatPayload {
    /// The last receipt of each target.
    pub receipts: Vec<NamedReceipt>,
}

/// A receipt with its target's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedReceipt {
    /// The target.
    pub target: String,
    /// What it signed.
    pub receipt: crate::chain::receipt::Receipt,
}
