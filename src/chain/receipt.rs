//! A target's signed word that a batch is durable.

use super::header::Hash;
use super::key::{Bytes32, label};
use crate::record::{Seq, StreamId};
use base64::prelude::*;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// A receipt: these bytes are stored, and the stream's tree was this when they were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Whose lines.
    pub host: String,
    /// Of which stream.
    pub stream: StreamId,
    /// First and last line of the batch.
    pub seq: [Seq; 2],
    /// Lines of the stream that are stored now.
    pub size: u64,
    /// The tree's root over them.
    pub root: Hash,
    /// SHA-256 of the batch's bytes.
    pub digest: Hash,
    /// RFC 3339.
    pub stored_at: String,
    /// Ed25519 by the target's receipt key, 64 bytes in base64.
    pub signature: String,
}

impl Receipt {
    /// Signs the receipt; what `signature` held before doesn't matter.
    pub fn sign(mut self, key: &SigningKey) -> Self {
        self.signature = BASE64_STANDARD.encode(key.sign(&self.signed_bytes()).to_bytes());
        self
    }

    /// Whether `key` signed it.
    pub fn verify(&self, key: &VerifyingKey) -> bool {
        let signature = BASE64_STANDARD.decode(&self.signature).ok().and_then(|b| Signature::from_slice(&b).ok());
        signature.is_some_and(|s| key.verify_strict(&self.signed_bytes(), &s).is_ok())
    }

    /// What the signature covers: fields in order, those of variable length with their length before them.
    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = label!("receipt").to_vec();
        let sized = |bytes: &mut Vec<u8>, text: &str| {
            bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        };
        sized(&mut bytes, &self.host);
        bytes.extend_from_slice(&self.stream.0);
        [self.seq[0], self.seq[1], self.size].iter().for_each(|n| bytes.extend_from_slice(&n.to_be_bytes()));
        let hashes: [&Bytes32; 2] = [&self.root.0, &self.digest.0];
        hashes.iter().for_each(|h| bytes.extend_from_slice(*h));
        sized(&mut bytes, &self.stored_at);
        bytes
    }
}
