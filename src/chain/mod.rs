//! The chain: what makes a line evidence.
//!
//! [`Chain`] turns records and verdicts into the final bytes of lines. FORMAT.md is the specification; the order here is
//! prepare, then advance: a line's bytes are complete before a key is used up, and a line that could not be made durable
//! ends the stream (its owner drops the chain), so that no seq is ever tagged twice.

mod alert;
pub mod auditor_key;
mod changed;
pub mod checkpoint;
pub mod erasure;
pub mod genesis;
pub mod header;
pub mod host_key;
pub mod key;
pub mod key_file;
pub mod line;
pub(crate) mod memory;
mod random;
pub mod receipt;
pub mod redact;
mod salt;
mod skip;
pub mod stamp;
pub mod tree;
pub mod trust;

pub use random::new_stream;

use crate::record::{Cursor, End, Redaction, Seq, SourceEvent, SourceKey, StreamId, Verdicts};
use base64::prelude::*;
use checkpoint::Checkpoint;
use ed25519_dalek::SigningKey;
use header::{Hash, HeaderCursor, LogEnd, Prev, SourceEventKind};
use host_key::HostKey;
use key::{Bytes32, Ratchet, SealError, Sealed, hmac, label, sha256};
use random::random;
use redact::{Digest, Redacted, RedactionKey};
use salt::Salts;
use serde::Serialize;
use stamp::Stamp;
use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};
use tree::Edge;
use zeroize::Zeroize;

/// Lines of a segment, its checkpoint included, at most.
pub const SEGMENT_LINES: u64 = 4096;
/// Encoded bytes of a segment after which it is closed.
pub const SEGMENT_BYTES: usize = 768 * 1024;

/// `[chain]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// A segment is closed this long after its first line.
    pub flush_interval: Duration,
    /// A new stream begins after this.
    pub max_stream_age: Duration,
}

/// Why a stream can't begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream's key can't be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// No memory for keys.
    #[error("cannot lock memory for keys: {0}; raise RLIMIT_MEMLOCK (systemd: LimitMEMLOCK=) to at least 64 KiB")]
    Memory(std::io::Error),
    /// No randomness.
    #[error("the kernel gives no random bytes: {0}")]
    Random(String),
}

/// What the genesis line says besides what the chain makes itself.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The stream, which was begun in the spool: what else is said here is as it was then.
    pub stream: StreamId,
    /// The host's name.
    pub host: String,
    /// SHA-256 of the configuration file.
    pub config: Bytes32,
    /// Digest of the policies.
    pub policy: Bytes32,
    /// Who may sign erasures, as the genesis names them.
    pub erasure: Vec<String>,
    /// Targets that begin or rejoin with this stream.
    pub targets: Vec<String>,
    /// The stream before.
    pub prev: Option<Prev>,
}

/// Where a stream stands: what its successor's genesis names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The stream.
    pub stream: StreamId,
    /// Its lines.
    pub size: u64,
    /// The root over them.
    pub root: Bytes32,
    /// The last line's leaf.
    pub leaf: Bytes32,
}

/// A running stream.
pub struct Chain {
    origin: String,
    stream: StreamId,
    ratchet: Ratchet,
    redaction: RedactionKey,
    signing: SigningKey,
    genesis: Instant,
    next: Seq,
    leaf: Bytes32,
    edge: Edge,
    segment: u64,
    segment_first: Seq,
    log_lines: u64,
    log_bytes: u64,
    salts: Salts,
}

/// The tag of a line.
pub fn tag(key: &Bytes32, stream: StreamId, seq: Seq, leaf_prev: &Bytes32, header: &[u8], c: &Bytes32) -> [u8; 16] {
    let (seq, len) = (seq.to_be_bytes(), (header.len() as u32).to_be_bytes());
    let mac = hmac(key, &[label!("line"), &stream.0, &seq, leaf_prev, &len, header, c]);
    let mut tag = [0; 16];
    tag.copy_from_slice(&mac[..16]);
    tag
}

impl Chain {
    /// Begins a stream: appends its genesis line to `out`.
    pub fn begin(
        facts: &Facts,
        recipients: &[age::x25519::Recipient],
        endorser: &HostKey,
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        let stream = facts.stream;
        let mut seed: Bytes32 = random()?;
        let signing = SigningKey::from_bytes(&seed);
        seed.zeroize();
        let verification = signing.verifying_key().to_bytes();
        let mut secret = Sealed { k0: random()?, stream: stream.0, key_digest: sha256(&[&verification]) };
        let sealed = secret.seal(recipients)?;
        let ratchet = Ratchet::begin(&secret.k0).map_err(Error::Memory)?;
        let redaction = RedactionKey::of(&secret.k0).map_err(Error::Memory)?;
        let commit = Hash(key::key_commitment(&secret.k0));
        secret.zeroize();
        let mut chain = Self {
            origin: format!("{}/{stream}", facts.host),
            stream,
            ratchet,
            redaction,
            signing,
            genesis: Instant::now(),
            next: 0,
            leaf: [0; 32],
            edge: Edge::default(),
            segment: 0,
            segment_first: 0,
            log_lines: 0,
            log_bytes: 0,
            salts: Salts::new()?,
        };
        chain.genesis_line(facts, Hash(verification), commit, &sealed, endorser, out);
        Ok(chain)
    }

    fn genesis_line(
        &mut self,
        facts: &Facts,
        key: Hash,
        commit: Hash,
        sealed: &[u8],
        endorser: &HostKey,
        out: &mut Vec<u8>,
    ) {
        let stamp = self.stamp();
        let header = json(&header::Genesis {
            seq: 0,
            kind: Cow::Borrowed("genesis"),
            time: Cow::Borrowed(&stamp.time),
            mono: stamp.mono_ns,
            v: 1,
            suite: header::SUITE.to_owned(),
            host: facts.host.clone(),
            stream: self.stream,
            key,
            commit,
            config: Hash(facts.config),
            policy: Hash(facts.policy),
            erasure: facts.erasure.clone(),
            targets: facts.targets.clone(),
            prev: facts.prev,
        });
        let public = endorser.public();
        let endorsement = header::Endorsement {
            alg: public.alg().to_owned(),
            key: BASE64_STANDARD.encode(public.to_spki_der()),
            sig: BASE64_STANDARD.encode(endorser.sign(&genesis::endorsed_bytes(&header, sealed))),
        };
        let payload = json(&header::GenesisPayload { sealed: BASE64_STANDARD.encode(sealed), endorsement });
        self.append(out, |h| h.extend_from_slice(&header), |p| p.extend_from_slice(&payload));
    }

    /// Now, by the stream's clocks.
    pub fn stamp(&self) -> Stamp {
        Stamp::now(self.genesis)
    }

    /// How long ago the stream began.
    pub fn age(&self) -> Duration {
        self.genesis.elapsed()
    }

    /// The stream's id.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The seq of the next line.
    pub fn next_seq(&self) -> Seq {
        self.next
    }

    /// Lines of the present segment so far.
    pub fn segment_len(&self) -> u64 {
        self.next - self.segment_first
    }

    /// The first seq of the present segment.
    pub fn segment_first(&self) -> Seq {
        self.segment_first
    }

    /// Where the stream stands.
    pub fn tip(&self) -> Tip {
        Tip { stream: self.stream, size: self.next, root: self.edge.root(), leaf: self.leaf }
    }

    /// The tree's right edge.
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// A message without what verdicts hide of it: the one to be chained, and to be shown to anybody.
    pub fn redacted(&self, message: &[u8], redaction: &Redaction) -> Redacted {
        Redacted::of(message, redaction, &self.redaction)
    }

    /// Appends a log line.
    pub fn log(&mut self, out: &mut Vec<u8>, at: &Stamp, record: &LogRecord<'_>, verdicts: &Verdicts) -> Seq {
        self.log_lines += 1;
        self.log_bytes += record.message.len() as u64;
        let salt = self.salts.next();
        let seq = self.next;
        self.append(
            out,
            |h| {
                common(h, seq, "log", at);
                h.extend_from_slice(br#","src":"#);
                line::decimal(h, record.source.into());
                h.extend_from_slice(br#","off":"#);
                line::decimal(h, record.offset);
                if let Some(end) = LogEnd::of(record.end) {
                    h.extend_from_slice(br#","end":""#);
                    h.extend_from_slice(end.as_str().as_bytes());
                    h.push(b'"');
                }
                h.extend_from_slice(br#","verdicts":"#);
                h.extend_from_slice(if verdicts.json.is_empty() { b"[]" } else { &verdicts.json });
                h.push(b'}');
            },
            |p| {
                p.extend_from_slice(br#"{"salt":""#);
                line::base64_into(p, &salt, &BASE64_URL_SAFE_NO_PAD);
                text_field(p, "msg", record.message);
                if let Some(digests) = record.redacted {
                    p.extend_from_slice(br#","redacted":["#);
                    for (n, digest) in digests.iter().enumerate() {
                        p.extend_from_slice(if n == 0 { &b"\""[..] } else { b",\"" });
                        line::base64_into(p, digest, &BASE64_URL_SAFE_NO_PAD);
                        p.push(b'"');
                    }
                    p.push(b']');
                }
                p.push(b'}');
            },
        )
    }

    /// Appends a `source` line.
    pub fn source(&mut self, out: &mut Vec<u8>, at: &Stamp, key: SourceKey, event: &SourceEvent) -> Seq {
        let labels = match event {
            SourceEvent::Opened { labels, .. } if !labels.is_empty() => Some(json(&**labels)),
            _ => None,
        };
        let (event, name, cursor, lost) = match event {
            SourceEvent::Opened { name, cursor, .. } => (SourceEventKind::Opened, Some(name), Some(cursor), None),
            SourceEvent::Identified { cursor } => (SourceEventKind::Identified, None, Some(cursor), None),
            SourceEvent::Truncated { lost } => (SourceEventKind::Truncated, None, None, *lost),
            SourceEvent::Missed { lost } => (SourceEventKind::Missed, None, None, *lost),
            SourceEvent::Vanished { lost } => (SourceEventKind::Vanished, None, None, *lost),
            SourceEvent::Ended => (SourceEventKind::Ended, None, None, None),
        };
        let salt = self.salts.next();
        let header = header::SourceLine {
            seq: self.next,
            kind: Cow::Borrowed("source"),
            time: Cow::Borrowed(&at.time),
            mono: at.mono_ns,
            src: key,
            event,
            name: name.cloned(),
            cursor: cursor.map(HeaderCursor::from),
            lost,
        };
        let header = json(&header);
        self.append(
            out,
            |h| h.extend_from_slice(&header),
            |p| {
                p.extend_from_slice(br#"{"salt":""#);
                line::base64_into(p, &salt, &BASE64_URL_SAFE_NO_PAD);
                match cursor {
                    Some(Cursor::File { path, .. } | Cursor::Journal { dir: path, .. }) => {
                        text_field(p, "path", path.as_os_str().as_bytes());
                    }
                    _ => p.push(b'"'),
                }
                if let Some(labels) = &labels {
                    p.extend_from_slice(br#","labels":"#);
                    p.extend_from_slice(labels);
                }
                p.push(b'}');
            },
        )
    }

    /// Appends a heartbeat.
    pub fn heartbeat(
        &mut self,
        out: &mut Vec<u8>,
        at: &Stamp,
        spool_bytes: u64,
        receipts: Vec<header::NamedReceipt>,
    ) -> Seq {
        let header = json(&header::Heartbeat {
            seq: self.next,
            kind: Cow::Borrowed("hb"),
            time: Cow::Borrowed(&at.time),
            mono: at.mono_ns,
            lines: self.log_lines,
            bytes: self.log_bytes,
            spool: spool_bytes,
        });
        let payload = json(&header::HeartbeatPayload { receipts });
        self.append(out, |h| h.extend_from_slice(&header), |p| p.extend_from_slice(&payload))
    }

    /// Ends the segment: appends its checkpoint and goes on to the next segment's key.
    pub fn checkpoint(&mut self, out: &mut Vec<u8>, at: &Stamp) -> Seq {
        let note = Checkpoint { origin: self.origin.clone(), size: self.next, root: self.edge.root() };
        let payload = json(&header::CheckpointPayload { note: Cow::Owned(note.sign(&self.signing)) });
        let header = json(&header::CheckpointLine {
            seq: self.next,
            kind: Cow::Borrowed("checkpoint"),
            time: Cow::Borrowed(&at.time),
            mono: at.mono_ns,
            segment: self.segment,
            first: self.segment_first,
            edge: self.edge.roots().iter().copied().map(Hash).collect(),
        });
        let seq = self.append(out, |h| h.extend_from_slice(&header), |p| p.extend_from_slice(&payload));
        self.ratchet.next_segment();
        self.segment += 1;
        self.segment_first = self.next;
        seq
    }

    /// Ends the stream: a close line and its checkpoint. Returns where it ended, and the tree's right edge there.
    pub fn close(mut self, out: &mut Vec<u8>, reason: &str) -> (Tip, Edge) {
        let at = self.stamp();
        let header = json(&header::Close {
            seq: self.next,
            kind: Cow::Borrowed("close"),
            time: Cow::Borrowed(&at.time),
            mono: at.mono_ns,
            reason: reason.to_owned(),
            lines: self.log_lines,
            bytes: self.log_bytes,
        });
        self.append(out, |h| h.extend_from_slice(&header), |p| p.extend_from_slice(b"{}"));
        self.checkpoint(out, &at);
        (self.tip(), self.edge)
    }

    /// Prepares a line at the end of `out`, tags it, and only then moves on.
    fn append(
        &mut self,
        out: &mut Vec<u8>,
        header: impl FnOnce(&mut Vec<u8>),
        payload: impl FnOnce(&mut Vec<u8>),
    ) -> Seq {
        let start = out.len();
        out.extend_from_slice(line::OPEN);
        let header_at = out.len();
        header(out);
        let header_end = out.len();
        out.extend_from_slice(line::MIDDLE);
        let payload_at = out.len();
        payload(out);
        let commitment = line::commit(&out[payload_at..]);
        out.extend_from_slice(b"}\n");
        let header = &out[header_at..header_end];
        debug_assert!(
            header.len() <= line::HEADER_MAX && serde_json::from_slice::<serde::de::IgnoredAny>(header).is_ok()
        );

        let seq = self.next;
        let key = self.ratchet.next_line();
        let tag = tag(&key, self.stream, seq, &self.leaf, header, &commitment);
        self.leaf = tree::leaf_hash(header, &commitment, &tag);
        let slot = &mut out[start + line::TAG_AT..][..line::TAG_LEN];
        BASE64_URL_SAFE_NO_PAD.encode_slice(tag, slot).expect("16 bytes take 22 characters");
        self.edge.push(self.leaf);
        self.next += 1;
        seq
    }
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chain({} at {})", self.origin, self.next)
    }
}

/// A line of a source as the chain takes it.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// Where it was read.
    pub source: SourceKey,
    /// The source's offset after it.
    pub offset: u64,
    /// How it ended.
    pub end: End,
    /// Its bytes.
    pub message: &'a [u8],
    /// Where something of it was redacted: the digests that stand in it.
    pub redacted: Option<&'a [Digest]>,
}

fn common(out: &mut Vec<u8>, seq: Seq, kind: &str, at: &Stamp) {
    out.extend_from_slice(br#"{"seq":"#);
    line::decimal(out, seq);
    out.extend_from_slice(br#","type":""#);
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(br#"","time":""#);
    out.extend_from_slice(at.time.as_bytes());
    out.extend_from_slice(br#"","mono":"#);
    line::decimal(out, at.mono_ns);
}

/// Closes the string before it and appends `"name":"text"`, or `"name_b64"` where the bytes are not UTF-8 or where that is
/// shorter.
fn text_field(out: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    let start = out.len();
    let field = |out: &mut Vec<u8>, suffix: &[u8]| {
        out.extend_from_slice(br#"",""#);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(suffix);
        out.extend_from_slice(br#"":""#);
    };
    if let Ok(text) = std::str::from_utf8(bytes) {
        field(out, b"");
        let text_at = out.len();
        line::escape(out, text);
        let coded_len = bytes.len().div_ceil(3) * 4 + "_b64".len();
        if out.len() - text_at <= coded_len {
            return out.push(b'"');
        }
        out.truncate(start);
    }
    field(out, b"_b64");
    line::base64_into(out, bytes, &BASE64_STANDARD);
    out.push(b'"');
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data with string keys is always JSON")
}
