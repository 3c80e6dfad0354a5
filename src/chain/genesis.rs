//! Reading a genesis line: what receivers and verifiers check of it.

use super::header::{Genesis, GenesisPayload, Header, SUITE};
use super::host_key::HostPublic;
use super::key::{Bytes32, key_commitment, label, sha256};
use super::key::{SealError, Sealed};
use super::line::RawLine;
use crate::record::is_name;
use base64::prelude::*;
use ed25519_dalek::VerifyingKey;

/// What the endorser signs: the genesis header and the sealed key.
pub fn endorsed_bytes(header: &[u8], sealed: &[u8]) -> Vec<u8> {
    let mut message = label!("endorse").to_vec();
    message.extend_from_slice(&(header.len() as u32).to_be_bytes());
    message.extend_from_slice(header);
    message.extend_from_slice(&sha256(&[sealed]));
    message
}

/// A genesis line that has the right shape. Whether its endorser is trusted is the reader's to say.
#[derive(Debug)]
pub struct Opened<'a> {
    /// Its header.
    pub header: Genesis<'a>,
    /// The key of the stream's checkpoints.
    pub key: VerifyingKey,
    /// Whoever endorsed it, with a good signature; `None` where the signature or the key is bad.
    pub endorser: Option<HostPublic>,
    /// The age file.
    pub sealed: Vec<u8>,
}

/// Why a line is no genesis.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON as the format has it.
    #[error("malformed genesis: {0}")]
    Json(#[from] serde_json::Error),
    /// Anything else.
    #[error("malformed genesis: {0}")]
    Shape(&'static str),
}

/// Why a sealed key does not give the stream's keys.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// It can't be opened with these identities.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It was sealed for another stream.
    #[error("the sealed key is that of another stream")]
    Mismatch,
    /// It is not the key that the genesis commits to.
    #[error("the sealed key is not the one that the genesis commits to")]
    Commitment,
}

impl<'a> Opened<'a> {
    /// Reads line 0.
    pub fn parse(line: &RawLine<'a>) -> Result<Self, Error> {
        let (_, Header::Genesis(header)) = Header::parse(line.header)? else {
            return Err(Error::Shape("the first line is of another type"));
        };
        let payload = line.payload.ok_or(Error::Shape("its payload was erased"))?;
        let payload: GenesisPayload = serde_json::from_slice(payload)?;
        if header.v != 1 || header.suite != SUITE || header.seq != 0 {
            return Err(Error::Shape("version, suite or seq is not that of version 1"));
        }
        if !is_name(&header.host) {
            return Err(Error::Shape("not a host name"));
        }
        let key = VerifyingKey::from_bytes(&header.key.0).map_err(|_| Error::Shape("not an Ed25519 key"))?;
        let decode = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| Error::Shape("not base64"));
        let sealed = decode(&payload.sealed)?;
        let (public, signature) = (decode(&payload.endorsement.key)?, decode(&payload.endorsement.sig)?);
        let message = endorsed_bytes(line.header, &sealed);
        let endorser = HostPublic::from_spki_der(&public)
            .filter(|key| key.alg() == payload.endorsement.alg && key.verify(&message, &signature));
        Ok(Self { header: *header, key, endorser, sealed })
    }

    /// Opens the stream's first key and checks that it is this stream's.
    pub fn unseal(&self, identities: &[age::x25519::Identity]) -> Result<Sealed, UnsealError> {
        let sealed = Sealed::open(&self.sealed, identities)?;
        let key_digest: Bytes32 = sha256(&[self.key.as_bytes()]);
        if sealed.stream != self.header.stream.0 || sealed.key_digest != key_digest {
            return Err(UnsealError::Mismatch);
        }
        match key_commitment(&sealed.k0) == self.header.commit.0 {
            true => Ok(sealed),
            false => Err(UnsealError::Commitment),
        }
    }
}
