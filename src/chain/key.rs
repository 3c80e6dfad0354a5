//! The keys of a stream: the ratchet, and the sealing of its first key.
//!
//! `S_j` is the segment key, `R` the key of the next line in the segment. Each is overwritten by its successor; a line's
//! MAC key exists only while the line is tagged. Whoever takes the host over finds the keys of lines to come, never of
//! lines that were.

use super::memory::Locked;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use zeroize::{Zeroize, Zeroizing};

type HmacSha256 = Hmac<Sha256>;

/// 32 bytes of SHA-256, HMAC or key.
pub type Bytes32 = [u8; 32];

macro_rules! label {
    ($name:literal) => {
        concat!("sealtail/v1 ", $name, "\0").as_bytes()
    };
}
pub(crate) use label;

/// HMAC-SHA-256 with a 32-byte key.
pub(crate) fn hmac(key: &Bytes32, parts: &[&[u8]]) -> Bytes32 {
    let mut mac = keyed(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn keyed(key: &Bytes32) -> HmacSha256 {
    HmacSha256::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// SHA-256 of the parts, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> Bytes32 {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// The keys of a running stream. Layout of the locked page: `S_j`, then `R`.
pub struct Ratchet {
    page: Locked<64>,
}

impl Ratchet {
    /// Starts at segment 0 with `K0`, which the caller erases.
    pub fn begin(k0: &Bytes32) -> std::io::Result<Self> {
        let mut page = Locked::<64>::zeroed()?;
        page[..32].copy_from_slice(k0);
        let mut ratchet = Self { page };
        ratchet.open_segment();
        Ok(ratchet)
    }

    /// The key of the next line; the key it came from is erased.
    pub fn next_line(&mut self) -> Zeroizing<Bytes32> {
        let (key, next) = line_step(&self.line_key());
        self.page[32..].copy_from_slice(&*next);
        key
    }

    /// Goes on to the next segment; the old segment's key is erased.
    pub fn next_segment(&mut self) {
        let next = segment_next(&self.segment_key());
        self.page[..32].copy_from_slice(&*next);
        self.open_segment();
    }

    fn open_segment(&mut self) {
        let root = line_root(&self.segment_key());
        self.page[32..].copy_from_slice(&*root);
    }

    fn segment_key(&self) -> Zeroizing<Bytes32> {
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&self.page[..32]);
        key
    }

    fn line_key(&self) -> Zeroizing<Bytes32> {
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&self.page[32..]);
        key
    }
}

impl std::fmt::Debug for Ratchet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ratchet(secret)")
    }
}

/// S_(j+1) from S_j.
fn segment_next(segment: &Bytes32) -> Zeroizing<Bytes32> {
    Zeroizing::new(hmac(segment, &[label!("segment-next")]))
}

/// R_(j,0) from S_j.
fn line_root(segment: &Bytes32) -> Zeroizing<Bytes32> {
    Zeroizing::new(hmac(segment, &[label!("line-root")]))
}

/// The line's key and the next R, from R.
fn line_step(line: &Bytes32) -> (Zeroizing<Bytes32>, Zeroizing<Bytes32>) {
    let mac = keyed(line);
    let mut key = mac.clone();
    key.update(label!("mac"));
    let mut next = mac;
    next.update(label!("next"));
    (Zeroizing::new(key.finalize().into_bytes().into()), Zeroizing::new(next.finalize().into_bytes().into()))
}

/// A segment's key in the hands of an auditor, who checks segments side by side. Unlike the [`Ratchet`] of a running
/// stream it is not in locked memory: whoever verifies holds the identity that opens K0 anyway.
#[derive(Clone)]
pub struct SegmentKey(Zeroizing<Bytes32>);

impl SegmentKey {
    /// That of segment 0.
    pub fn first(k0: &Bytes32) -> Self {
        Self(Zeroizing::new(*k0))
    }

    /// That of the next segment.
    pub fn next(&self) -> Self {
        Self(segment_next(&self.0))
    }

    /// The keys of its lines.
    pub fn lines(&self) -> LineKeys {
        LineKeys(line_root(&self.0))
    }
}

impl std::fmt::Debug for SegmentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SegmentKey(secret)")
    }
}

/// The keys of a segment's lines, one after the other.
pub struct LineKeys(Zeroizing<Bytes32>);

impl LineKeys {
    /// The next line's key.
    pub fn next_line(&mut self) -> Zeroizing<Bytes32> {
        let (key, next) = line_step(&self.0);
        self.0 = next;
        key
    }
}

/// What the genesis says of K0 without giving it away.
pub fn key_commitment(k0: &Bytes32) -> Bytes32 {
    hmac(k0, &[label!("key-commit")])
}

/// Why a key could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// age failed.
    #[error("cannot seal the stream's key: {0}")]
    Seal(String),
    /// The identity file can't be used.
    #[error("{path}: {reason}")]
    Identity {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The identity does not fit.
    #[error("the key of this stream is not sealed to the given identity")]
    NotForUs,
    /// The sealed text is damaged.
    #[error("the sealed key is damaged: {0}")]
    Damaged(String),
}

/// What is sealed: the key, and what binds it to its stream, so that it can't be moved to another one.
#[derive(Zeroize)]
#[zeroize(drop)]
pub struct Sealed {
    /// K0.
    pub k0: Bytes32,
    /// The stream's id.
    pub stream: [u8; 16],
    /// SHA-256 of the stream's verification key.
    pub key_digest: Bytes32,
}

impl Sealed {
    /// The age file, readable by every recipient.
    pub fn seal(&self, recipients: &[age::x25519::Recipient]) -> Result<Vec<u8>, SealError> {
        let failed = |e: &dyn std::fmt::Display| SealError::Seal(e.to_string());
        let all = recipients.iter().map(|r| r as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(all).map_err(|e| failed(&e))?;
        let mut sealed = Vec::with_capacity(512);
        let mut writer = encryptor.wrap_output(&mut sealed).map_err(|e| failed(&e))?;
        let mut text = Zeroizing::new([0u8; 80]);
        text[..32].copy_from_slice(&self.k0);
        text[32..48].copy_from_slice(&self.stream);
        text[48..].copy_from_slice(&self.key_digest);
        writer.write_all(&*text).and_then(|()| writer.finish().map(drop)).map_err(|e| failed(&e))?;
        Ok(sealed)
    }

    /// Opens a sealed key with the first identity that fits.
    pub fn open(sealed: &[u8], identities: &[age::x25519::Identity]) -> Result<Self, SealError> {
        let damaged = |e: &dyn std::fmt::Display| SealError::Damaged(e.to_string());
        let decryptor = age::Decryptor::new(sealed).map_err(|e| damaged(&e))?;
        let reader = decryptor.decrypt(identities.iter().map(|i| i as &dyn age::Identity));
        let reader = reader.map_err(|e| match e {
            age::DecryptError::NoMatchingKeys => SealError::NotForUs,
            other => damaged(&other),
        })?;
        let mut text = Zeroizing::new(Vec::with_capacity(81));
        reader.take(81).read_to_end(&mut text).map_err(|e| damaged(&e))?;
        let fields: &[u8; 80] = text.as_slice().try_into().map_err(|_| damaged(&"wrong length"))?;
        let mut opened = Self { k0: [0; 32], stream: [0; 16], key_digest: [0; 32] };
        opened.k0.copy_from_slice(&fields[..32]);
        opened.stream.copy_from_slice(&fields[32..48]);
        opened.key_digest.copy_from_slice(&fields[48..]);
        Ok(opened)
    }
}

/// Reads an auditor's identity file: lines of `AGE-SECRET-KEY-1…`, comments with `#`.
pub fn load_identities(path: &std::path::Path) -> Result<Vec<age::x25519::Identity>, SealError> {
    let fault = |reason: String| SealError::Identity { path: path.display().to_string(), reason };
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|e| fault(e.to_string()))?);
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    // the parser's own words could quote the secret, so they stay out of the error
    let identities: Result<Vec<_>, _> = lines.map(|l| l.parse::<age::x25519::Identity>()).collect();
    match identities {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(fault("holds no age identity (AGE-SECRET-KEY-1…); `sealtail keys auditor` makes one".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::hex;

    /// RFC 4231, test cases 1 and 2, with keys shorter than 32 bytes padded as HMAC itself pads them.
    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let mut key = [0u8; 32];
        key[..20].fill(0x0b);
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert_eq!(hex(&hmac(&key, &[b"Hi There"])), expected);
        let mut key = [0u8; 32];
        key[..4].copy_from_slice(b"Jefe");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&hmac(&key, &[b"what do ya want ", b"for nothing?"])), expected);
    }

    #[test]
    fn a_later_segment_is_reached_by_its_number() {
        let mut walked = Ratchet::begin(&[1; 32]).unwrap();
        walked.next_line();
        walked.next_segment();
        walked.next_segment();
        let mut jumped = SegmentKey::first(&[1; 32]).next().next().lines();
        assert_eq!(*walked.next_line(), *jumped.next_line());
        assert_eq!(*walked.next_line(), *jumped.next_line());
        assert_ne!(*walked.next_line(), *SegmentKey::first(&[1; 32]).lines().next_line());
    }
}
