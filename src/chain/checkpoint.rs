//! Checkpoints: a signed tree head as a C2SP signed note (<https://c2sp.org/signed-note>, <https://c2sp.org/tlog-checkpoint>).

use super::key::{Bytes32, sha256};
use base64::prelude::*;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// What a checkpoint says: this stream had `size` lines and this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// `<host>/<stream>`.
    pub origin: String,
    /// Lines before the checkpoint line.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Bytes32,
}

/// Why a note is none, or not this stream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not the shape of a signed note with a checkpoint.
    #[error("not a C2SP checkpoint")]
    Shape,
    /// No signature by the stream's key.
    #[error("no good signature by the stream's key")]
    Signature,
}

impl Checkpoint {
    /// The signed note.
    pub fn sign(&self, key: &SigningKey) -> String {
        let text = self.text();
        let mut signature = key_id(&self.origin, &key.verifying_key()).to_vec();
        signature.extend_from_slice(&key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n\u{2014} {} {}\n", self.origin, BASE64_STANDARD.encode(signature))
    }

    /// Takes a note apart without checking its signature.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let (text, _) = note.split_once("\n\n").ok_or(NoteError::Shape)?;
        let mut lines = text.split('\n');
        let mut next = || lines.next().ok_or(NoteError::Shape);
        let (origin, size, root) = (next()?, next()?, next()?);
        let size: u64 = size.parse().map_err(|_| NoteError::Shape)?;
        let root = BASE64_STANDARD.decode(root).ok().and_then(|r| r.try_into().ok()).ok_or(NoteError::Shape)?;
        let checkpoint = Self { origin: origin.to_owned(), size, root };
        // one spelling only: no leading zeros or signs, no further lines
        match note.starts_with(&format!("{}\n", checkpoint.text())) {
            true => Ok(checkpoint),
            false => Err(NoteError::Shape),
        }
    }

    /// Takes a note apart and demands that its only signature is a good one by `key`.
    pub fn open(note: &str, key: &VerifyingKey) -> Result<Self, NoteError> {
        let checkpoint = Self::parse(note)?;
        let text = checkpoint.text();
        let line = note.strip_prefix(&format!("{text}\n\u{2014} {} ", checkpoint.origin));
        let coded = line.and_then(|l| l.strip_suffix('\n')).ok_or(NoteError::Shape)?;
        let bytes = BASE64_STANDARD.decode(coded).map_err(|_| NoteError::Shape)?;
        let (id, signature) = bytes.split_at_checked(4).ok_or(NoteError::Shape)?;
        let signature = Signature::from_slice(signature).map_err(|_| NoteError::Shape)?;
        let good = id == key_id(&checkpoint.origin, key) && key.verify_strict(text.as_bytes(), &signature).is_ok();
        if good { Ok(checkpoint) } else { Err(NoteError::Signature) }
    }

    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64_STANDARD.encode(self.root))
    }
}

/// The first four bytes of SHA-256(name, newline, algorithm 1, key).
fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let digest = sha256(&[name.as_bytes(), b"\n\x01", key.as_bytes()]);
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (Checkpoint, SigningKey) {
        let checkpoint = Checkpoint { origin: "web-1/00ff".into(), size: 42, root: [7; 32] };
        (checkpoint, SigningKey::from_bytes(&[3; 32]))
    }

    #[test]
    fn other_implementations_open_the_note() {
        let (checkpoint, key) = example();
        let note = checkpoint.sign(&key);
        let mut keyed = vec![1u8];
        keyed.extend_from_slice(key.verifying_key().as_bytes());
        let id = key_id(&checkpoint.origin, &key.verifying_key());
        let id = crate::record::hex(&id);
        let vkey = format!("{}+{id}+{}", checkpoint.origin, BASE64_STANDARD.encode(keyed));
        let verifier = signed_note::StandardVerifier::new(&vkey).unwrap();
        let list = signed_note::VerifierList::new(vec![Box::new(verifier)]);
        let opened = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
        let (good, unknown) = opened.verify(&list).unwrap();
        assert_eq!((good.len(), unknown.len()), (1, 0));
        let theirs = tlog_tiles::Checkpoint::from_bytes(opened.text()).unwrap();
        assert_eq!((theirs.origin(), theirs.size(), theirs.hash().0), ("web-1/00ff", 42, [7; 32]));
    }

    #[test]
    fn every_changed_byte_is_found() {
        let (checkpoint, key) = example();
        let note = checkpoint.sign(&key);
        assert_eq!(Checkpoint::open(&note, &key.verifying_key()), Ok(checkpoint));
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(Checkpoint::open(&changed, &key.verifying_key()).is_err(), "byte {at}");
            }
        }
    }
}
