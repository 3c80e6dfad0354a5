//! Statements of erasure: who took the payloads of which lines out of an archive, and why.

use super::host_key::{HostKey, HostPublic};
use super::key::{label, sha256};
use super::stamp::parse_rfc3339;
use crate::record::{Seq, StreamId, hex};
use base64::prelude::*;
use serde::{Deserialize, Serialize};

/// How the names of statements end; they stand in their stream's folder.
pub const EXTENSION: &str = ".erasure.json";
/// Bound of a statement in bytes.
pub const STATEMENT_MAX: usize = 1024 * 1024;
/// Bound of a reason in bytes.
pub const REASON_MAX: usize = 4096;
/// Keys that a genesis can name.
pub const KEYS_MAX: usize = 16;

/// A statement, as its file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Whose lines.
    pub host: String,
    /// In which stream.
    pub stream: StreamId,
    /// The first and the last of each run of lines, in order.
    pub lines: Vec<(Seq, Seq)>,
    /// Why.
    pub reason: String,
    /// When: RFC 3339, UTC, nanoseconds.
    pub time: String,
    /// Who says so: SPKI DER in base64.
    pub key: String,
    /// The signature in base64.
    pub sig: String,
}

impl Statement {
    /// A signed statement; `lines` are in order and apart from each other.
    pub fn sign(host: &str, stream: StreamId, lines: Vec<(Seq, Seq)>, reason: &str, time: &str, key: &HostKey) -> Self {
        let mut statement = Self {
            host: host.to_owned(),
            stream,
            lines,
            reason: reason.to_owned(),
            time: time.to_owned(),
            key: named(&key.public()),
            sig: String::new(),
        };
        statement.sig = BASE64_STANDARD.encode(key.sign(&statement.signed()));
        statement
    }

    /// Reads a statement and checks its signature, by whoever it is; the key comes with it.
    pub fn read(bytes: &[u8]) -> Option<(Self, HostPublic)> {
        let statement: Self = serde_json::from_slice(bytes).ok()?;
        parse_rfc3339(&statement.time)?;
        let key = key_named(&statement.key)?;
        let signature = BASE64_STANDARD.decode(&statement.sig).ok()?;
        let in_order = statement.lines.iter().all(|(first, last)| first <= last)
            && statement.lines.windows(2).all(|pair| pair[0].1 < pair[1].0);
        (in_order && key.verify(&statement.signed(), &signature)).then_some((statement, key))
    }

    /// What its file is called, by its content.
    pub fn file_name(bytes: &[u8], first: Seq) -> String {
        format!("{first:020}-{}{EXTENSION}", hex(&sha256(&[bytes])[..16]))
    }

    fn signed(&self) -> Vec<u8> {
        let mut message = label!("erase").to_vec();
        let mut text = |text: &str| {
            message.extend_from_slice(&(text.len() as u32).to_be_bytes());
            message.extend_from_slice(text.as_bytes());
        };
        text(&self.host);
        text(&self.reason);
        text(&self.time);
        message.extend_from_slice(&self.stream.0);
        message.extend_from_slice(&(self.lines.len() as u32).to_be_bytes());
        for (first, last) in &self.lines {
            message.extend_from_slice(&first.to_be_bytes());
            message.extend_from_slice(&last.to_be_bytes());
        }
        message
    }
}

/// How a genesis names a key that may sign erasures.
pub fn named(key: &HostPublic) -> String {
    BASE64_STANDARD.encode(key.to_spki_der())
}

/// The key that is named so.
pub fn key_named(name: &str) -> Option<HostPublic> {
    HostPublic::from_spki_der(&BASE64_STANDARD.decode(name).ok()?)
}
