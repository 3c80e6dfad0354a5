//! Line 0: whose stream it is, who vouches for it, and its first key.

use super::archive::StreamFiles;
use super::finding::{Found, Word};
use super::{Options, key_advice};
use crate::chain::erasure::key_named;
use crate::chain::genesis::{Opened, UnsealError};
use crate::chain::header::Prev;
use crate::chain::host_key::HostPublic;
use crate::chain::key::{SealError, SegmentKey};
use crate::chain::line::RawLine;
use crate::record::StreamId;
use ed25519_dalek::VerifyingKey;

/// What a genesis says.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) host: String,
    pub(super) stream: StreamId,
    /// Signs the checkpoints.
    pub(super) key: VerifyingKey,
    pub(super) prev: Option<Prev>,
    /// The targets that begin or rejoin with this stream.
    pub(super) targets: Vec<String>,
    /// Who may sign erasures.
    pub(super) erasure: Vec<HostPublic>,
    pub(super) time_ns: i128,
    /// Somebody who may vouches for it, so that what it says of other streams counts.
    pub(super) counts: bool,
    /// It is as it was endorsed, whoever did.
    pub(super) sound: bool,
}

/// Reads line 0 and opens the stream's key, if there is an identity for it.
pub(super) fn open(
    line: &[u8],
    time_ns: i128,
    files: &StreamFiles,
    options: &Options,
    found: &mut Found,
) -> Option<(Start, Option<SegmentKey>)> {
    let raw = RawLine::parse(line).ok()?;
    let opened = match Opened::parse(&raw) {
        Ok(opened) => opened,
        Err(error) => {
            found.add(Word::Malformed, 0, error.to_string());
            return None;
        }
    };
    let sound = opened.endorser.is_some();
    if sound {
        place(&opened, files, found);
    }
    let counts = endorsed(&opened, time_ns, options, found);
    let key = unseal(&opened, options, found);
    let header = opened.header;
    // what was changed after it was endorsed names nothing
    let start = Start {
        host: if sound || !files.host_claimed { header.host } else { files.host.clone() },
        stream: if sound || !files.stream_claimed { header.stream } else { files.stream },
        key: opened.key,
        prev: header.prev,
        targets: header.targets,
        erasure: header.erasure.iter().filter_map(|name| key_named(name)).collect(),
        time_ns,
        counts,
        sound,
    };
    Some((start, key))
}

/// Whether the folders agree with the genesis.
fn place(opened: &Opened<'_>, files: &StreamFiles, found: &mut Found) {
    let (host, stream) = (&opened.header.host, opened.header.stream);
    let host_fits = !files.host_claimed || *host == files.host;
    if !host_fits || (files.stream_claimed && stream != files.stream) {
        let detail = format!("the folder is that of {}/{}, the lines are of {host}/{stream}", files.host, files.stream);
        found.add(Word::WrongStream, 0, detail);
    }
}

/// Whether a trusted key vouches for the stream. Where nobody is trusted, a good signature counts for links between
/// streams, so that one missing argument does not hide what they show.
fn endorsed(opened: &Opened<'_>, time_ns: i128, options: &Options, found: &mut Found) -> bool {
    let host = &opened.header.host;
    let Some(key) = &opened.endorser else {
        found.add(Word::Unendorsed, 0, "the signature of the host key does not fit the genesis");
        return false;
    };
    let Some(trust) = &options.trust else {
        let detail = format!("signed by {}, and no key was given to trust: {}", short(key), key_advice());
        found.add(Word::Unendorsed, 0, detail);
        return true;
    };
    let trusted = trust.allows(host, key, time_ns);
    if !trusted {
        let detail = format!("signed by {}, which is not trusted for {host} at the time of the genesis", short(key));
        found.add(Word::Unendorsed, 0, detail);
    }
    trusted
}

fn unseal(opened: &Opened<'_>, options: &Options, found: &mut Found) -> Option<SegmentKey> {
    if options.identities.is_empty() {
        return None;
    }
    match opened.unseal(&options.identities) {
        Ok(sealed) => return Some(SegmentKey::first(&sealed.k0)),
        Err(error @ UnsealError::Commitment) => found.add(Word::KeyCommitMismatch, 0, error.to_string()),
        Err(UnsealError::Seal(SealError::NotForUs)) => found.unchecked(
            "its key is not sealed to the given identity, so that no tag can be checked; give the identity of an \
             auditor whose recipient stood in [auditors] when this stream began",
        ),
        Err(error) => found.add(Word::SealMismatch, 0, error.to_string()),
    }
    None
}

/// A key's name for people: the end of its public part.
fn short(key: &HostPublic) -> String {
    let hex = crate::record::hex(&key.to_spki_der());
    format!("a key ending in {}", &hex[hex.len().saturating_sub(16)..])
}
