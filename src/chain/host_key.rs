//! The key of a host, which endorses its streams, and its public half, which verifiers and receivers hold.

use super::key_file::{self, PUBLIC, SECRET};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes};
use ed25519_dalek::{Signer, Verifier};
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

/// Why a host key could not be loaded, made or saved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its file.
    #[error(transparent)]
    File(#[from] key_file::Error),
    /// The file holds something else.
    #[error("{path}: {what}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What it holds, and how to mend it.
        what: &'static str,
    },
    /// The system gave no random bytes.
    #[error("cannot make a key: the system's random number generator failed: {0}")]
    Random(getrandom::Error),
    /// The public key would be written over the secret one.
    #[error(
        "{path}: the public key goes beside the secret one with the extension .pub; choose a name such as host.key"
    )]
    PublicName {
        /// The name that was asked for.
        path: PathBuf,
    },
}

/// The secret half. Erased when dropped; never printed.
pub enum HostKey {
    /// Ed25519.
    Ed25519(ed25519_dalek::SigningKey),
    /// ECDSA on P-256 over SHA-256.
    P256(p256::ecdsa::SigningKey),
}

/// The public half.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum HostPublic {
    /// Ed25519.
    Ed25519(ed25519_dalek::VerifyingKey),
    /// ECDSA on P-256 over SHA-256.
    P256(p256::ecdsa::VerifyingKey),
}

impl HostKey {
    /// A new Ed25519 key.
    pub fn generate_ed25519() -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(Error::Random)?;
        Ok(Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&seed)))
    }

    /// A new P-256 key.
    pub fn generate_p256() -> Result<Self, Error> {
        let mut scalar = Zeroizing::new([0; 32]);
        loop {
            getrandom::fill(&mut *scalar).map_err(Error::Random)?;
            // one draw in 2^32 lies outside the group's order and is drawn again
            if let Ok(key) = p256::ecdsa::SigningKey::from_slice(&*scalar) {
                return Ok(Self::P256(key));
            }
        }
    }

    /// Reads PKCS#8 PEM from a file that only its owner can read.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let pem = key_file::read_secret(path)?;
        if let Ok(mut parts) = KeypairBytes::from_pkcs8_pem(&pem) {
            let key = ed25519_dalek::SigningKey::try_from(&parts);
            // these bytes don't erase themselves
            parts.secret_key.zeroize();
            if let Ok(key) = key {
                return Ok(Self::Ed25519(key));
            }
        }
        if let Ok(key) = p256::ecdsa::SigningKey::from_pkcs8_pem(&pem) {
            return Ok(Self::P256(key));
        }
        Err(Error::Malformed { path: path.to_owned(), what: what_is_wrong(&pem) })
    }

    /// Writes the key to `path` as PKCS#8 PEM, mode 0600, and the public key beside it with the extension `.pub`, and
    /// returns the latter's name. Neither may exist already.
    pub fn save_new(&self, path: &Path) -> Result<PathBuf, Error> {
        let public_path = path.with_extension("pub");
        if public_path == path {
            return Err(Error::PublicName { path: path.to_owned() });
        }
        // the public half first: should the other fail, no secret without a public key is left behind
        key_file::create(&public_path, self.public().to_spki_pem().as_bytes(), PUBLIC)?;
        if let Err(error) = key_file::create(path, self.to_pkcs8_pem().as_bytes(), SECRET) {
            drop(std::fs::remove_file(&public_path));
            return Err(error.into());
        }
        Ok(public_path)
    }

    /// Signs `message`: 64 bytes, for P-256 r and s.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
        }
    }

    /// The public half.
    pub fn public(&self) -> HostPublic {
        match self {
            Self::Ed25519(key) => HostPublic::Ed25519(key.verifying_key()),
            Self::P256(key) => HostPublic::P256(*key.verifying_key()),
        }
    }

    fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        let pem = match self {
            // without the public key, which makes it version 2 of the format: OpenSSL reads version 1 only
            Self::Ed25519(key) => {
                let mut parts = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
                let pem = parts.to_pkcs8_pem(LineEnding::LF);
                parts.secret_key.zeroize();
                pem
            }
            Self::P256(key) => key.to_pkcs8_pem(LineEnding::LF),
        };
        pem.expect("a key of fixed size always encodes")
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({:?})", self.public())
    }
}

impl HostPublic {
    /// Reads SPKI PEM, such as `host.pub`.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let pem = key_file::read_public(path)?;
        let what = match ed25519_dalek::pkcs8::Document::from_pem(&pem) {
            Ok(("PUBLIC KEY", document)) => match Self::from_spki_der(document.as_bytes()) {
                Some(key) => return Ok(key),
                None => "this public key is neither Ed25519 nor P-256; give the one that `sealtail keys host` made",
            },
            Ok((label, _)) if label.ends_with("PRIVATE KEY") => {
                "this is a secret key; give the public one beside it (host.pub)"
            }
            Ok(("CERTIFICATE", _)) => {
                "this is a certificate; take the key out of it with: openssl x509 -in FILE -pubkey -noout"
            }
            _ => "no public key in PEM (BEGIN PUBLIC KEY) here; give the one that `sealtail keys host` made",
        };
        Err(Error::Malformed { path: path.to_owned(), what })
    }

    /// Decodes a SubjectPublicKeyInfo; `None` unless it is a sound Ed25519 or P-256 key.
    pub fn from_spki_der(der: &[u8]) -> Option<Self> {
        if let Ok(key) = ed25519_dalek::VerifyingKey::from_public_key_der(der) {
            // a key of small order lets one signature fit many messages
            return (!key.is_weak()).then_some(Self::Ed25519(key));
        }
        p256::ecdsa::VerifyingKey::from_public_key_der(der).ok().map(Self::P256)
    }

    /// Encodes a SubjectPublicKeyInfo.
    pub fn to_spki_der(&self) -> Vec<u8> {
        let document = match self {
            Self::Ed25519(key) => key.to_public_key_der(),
            Self::P256(key) => key.to_public_key_der(),
        };
        document.expect("a key of fixed size always encodes").into_vec()
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Self::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }

    /// What the format calls the algorithm.
    pub fn alg(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "ed25519",
            Self::P256(_) => "ecdsa-p256",
        }
    }

    fn to_spki_pem(self) -> String {
        let pem = match self {
            Self::Ed25519(key) => key.to_public_key_pem(LineEnding::LF),
            Self::P256(key) => key.to_public_key_pem(LineEnding::LF),
        };
        pem.expect("a key of fixed size always encodes")
    }
}

impl fmt::Debug for HostPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostPublic({} {})", self.alg(), crate::record::hex(&self.to_spki_der()))
    }
}

fn what_is_wrong(pem: &str) -> &'static str {
    if pem.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        "this key is encrypted, and an agent cannot ask for its password; decrypt it with: openssl pkcs8 -in FILE"
    } else if pem.contains("BEGIN EC PRIVATE KEY") {
        "this key is in SEC1, not PKCS#8; convert it with: openssl pkcs8 -topk8 -nocrypt -in FILE"
    } else if pem.contains("BEGIN PUBLIC KEY") {
        "this is a public key; give the secret one (host.key)"
    } else if pem.contains("BEGIN PRIVATE KEY") {
        "this key is neither Ed25519 nor P-256, or it is damaged; make one with: sealtail keys host --out FILE"
    } else {
        "no secret key in PKCS#8 PEM (BEGIN PRIVATE KEY) here; make one with: sealtail keys host --out FILE"
    }
}
