//! A running hash of all that was read from a file, so that a copy of it is known again once the file is gone or was
//! truncated.
//!
//! The hash goes block by block (see [`Prefix`]), so that a restart goes on from the last whole block that a cursor
//! has and reads again the piece after it only.

use super::identity;
use crate::record::{Fingerprint, HashKey, Prefix};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};

/// A block; FORMAT.md section 4.
const BLOCK_BYTES: u64 = 1 << 20;
/// What is shorter is covered by the fingerprint well enough.
const LEAST_BYTES: u64 = 1024;
/// A head that many logs share can't tell them apart; from this length on it does.
pub(super) const TELLING_BYTES: u32 = 256;
/// How much is read again at most to go on hashing after a restart; of longer files all whole blocks are believed.
const AGAIN_BYTES: u64 = 256 * BLOCK_BYTES;
/// Bytes of a copy that are looked at at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// The hash of the bytes so far.
#[derive(Clone, Debug)]
pub(super) struct PrefixHash {
    /// P of the whole blocks.
    whole: [u8; 32],
    /// The block that is being filled, with `whole` before it.
    block: Sha256,
    len: u64,
}

impl PrefixHash {
    /// Of nothing.
    pub(super) fn new(key: HashKey) -> Self {
        Self::after(key.0, 0)
    }

    /// Begins again at the start, or goes on from what the cursor of a long file has.
    pub(super) fn resume(key: HashKey, known: Option<Prefix>) -> Self {
        match known.filter(|known| known.len > AGAIN_BYTES && known.len.is_multiple_of(BLOCK_BYTES)) {
            Some(known) => Self::after(known.digest, known.len),
            None => Self::new(key),
        }
    }

    fn after(whole: [u8; 32], len: u64) -> Self {
        Self { whole, block: Sha256::new_with_prefix(whole), len }
    }

    /// Takes the bytes that come next.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = BLOCK_BYTES - self.len % BLOCK_BYTES;
            let (now, later) = bytes.split_at(bytes.len().min(room as usize));
            self.block.update(now);
            self.len += now.len() as u64;
            if self.len.is_multiple_of(BLOCK_BYTES) {
                *self = Self::after(self.block.finalize_reset().into(), self.len);
            }
            bytes = later;
        }
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The hash of all bytes so far.
    pub(super) fn get(&self) -> Prefix {
        let whole = self.len.is_multiple_of(BLOCK_BYTES);
        let digest = if whole { self.whole } else { self.block.clone().finalize().into() };
        Prefix { len: self.len, digest }
    }

    /// What a cursor should have now, if it is worth a line: each time twice as much, later each block.
    pub(super) fn due(&self, published: Option<Prefix>) -> Option<Prefix> {
        let before = published.map_or(0, |published| published.len);
        if self.len < BLOCK_BYTES {
            return (self.len >= LEAST_BYTES.max(2 * before)).then(|| self.get());
        }
        let len = self.len - self.len % BLOCK_BYTES;
        (len > before).then_some(Prefix { len, digest: self.whole })
    }

    /// What a cursor should have when nothing more is read for now.
    pub(super) fn last(&self) -> Prefix {
        let whole = self.len - self.len % BLOCK_BYTES;
        if self.len > AGAIN_BYTES { Prefix { len: whole, digest: self.whole } } else { self.get() }
    }

    /// Takes the file's bytes up to `offset`, unless they are too many. False if they are not those that the cursor knew.
    pub(super) fn catch_up(&mut self, file: &File, offset: u64, known: Option<Prefix>) -> io::Result<bool> {
        if offset.saturating_sub(self.len) > AGAIN_BYTES {
            return Ok(true);
        }
        let stop = known.map_or(offset, |known| known.len.clamp(self.len, offset));
        if !self.take(file, stop)? {
            return Ok(true);
        }
        if known.is_some_and(|known| known.len == self.len && known != self.get()) {
            return Ok(false);
        }
        self.take(file, offset).map(|_| true)
    }

    /// Takes the file's bytes up to `stop`; false if it ends before.
    fn take(&mut self, file: &File, stop: u64) -> io::Result<bool> {
        let mut piece = vec![0; PIECE_BYTES];
        while self.len < stop {
            let want = (stop - self.len).min(PIECE_BYTES as u64) as usize;
            let got = identity::read_at(file, &mut piece[..want], self.len)?;
            if got == 0 {
                return Ok(false);
            }
            self.update(&piece[..got]);
        }
        Ok(true)
    }
}

/// How sure it is that a file is a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// All that was read is the same.
    Whole,
    /// So is what the cursor knew, after a crash, and a line ends at the offset. The lines between are not known.
    Part,
}

/// What is known of the bytes that were read from a file.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) key: HashKey,
    pub(super) offset: u64,
    pub(super) fingerprint: Fingerprint,
    pub(super) prefix: Option<Prefix>,
    /// The bytes before the offset, as far as they are remembered.
    pub(super) before: Vec<u8>,
}

impl Trace {
    /// Nothing was read, and the head is too short to tell one log from another.
    pub(super) fn is_vague(&self) -> bool {
        self.offset == 0 && self.fingerprint.len < TELLING_BYTES
    }

    /// Whether `content` begins with what was read; of a file of which nothing was read, with its head.
    pub(super) fn begins(&self, content: &mut impl Read) -> io::Result<Option<Proof>> {
        // the head may reach beyond the offset, into a line that was not complete
        let mut head = vec![0; self.fingerprint.len as usize];
        let got = fill(content, &mut head)?;
        if got < head.len() || !identity::fits(self.key, &self.fingerprint, &head) {
            return Ok(None);
        }
        let covered = self.prefix.map_or(0, |prefix| prefix.len).max(got as u64);
        if self.offset.saturating_sub(covered) > covered {
            return Ok(None);
        }
        let Some(last) = self.goes_on(&mut head.as_slice().chain(content))? else { return Ok(None) };
        if covered >= self.offset {
            return Ok(Some(Proof::Whole));
        }
        // lines end where lines ended
        Ok((last == Some(b'\n')).then_some(Proof::Part))
    }

    /// Whether `content` begins as what was read did and ends before the offset.
    pub(super) fn is_longer_than(&self, content: &mut impl Read) -> io::Result<bool> {
        let mut head = vec![0; self.fingerprint.len as usize];
        let got = fill(content, &mut head)? as u64;
        if self.fingerprint.len < TELLING_BYTES
            || got >= self.offset
            || !identity::fits(self.key, &self.fingerprint, &head)
        {
            return Ok(false);
        }
        let rest = io::copy(&mut content.take(self.offset - got), &mut io::sink())?;
        Ok(got + rest < self.offset)
    }

    /// Whether the content is what was read, as far as that is known, and its last byte before the offset.
    fn goes_on(&self, content: &mut impl Read) -> io::Result<Option<Option<u8>>> {
        let (mut hash, mut last, mut piece) = (PrefixHash::new(self.key), Vec::new(), vec![0; PIECE_BYTES]);
        while hash.len() < self.offset {
            let stops = [self.prefix.map_or(self.offset, |prefix| prefix.len), self.offset];
            let stop = stops.into_iter().find(|stop| *stop > hash.len()).unwrap_or(self.offset);
            let want = (stop - hash.len()).min(PIECE_BYTES as u64) as usize;
            if fill(content, &mut piece[..want])? < want {
                return Ok(None);
            }
            hash.update(&piece[..want]);
            last.extend_from_slice(&piece[..want]);
            last.drain(..last.len().saturating_sub(self.before.len().max(1)));
            if self.prefix.is_some_and(|prefix| prefix.len == hash.len() && prefix != hash.get()) {
                return Ok(None);
            }
        }
        Ok(last.ends_with(&self.before).then_some(last.last().copied()))
    }
}

/// Reads until `bytes` is full or the content ends.
fn fill(content: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match content.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: HashKey = HashKey([7; 32]);

    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n * 7 + n / 251) as u8).collect()
    }

    fn hash(bytes: &[u8]) -> PrefixHash {
        let mut hash = PrefixHash::new(KEY);
        bytes.chunks(70_001).for_each(|piece| hash.update(piece));
        hash
    }

    #[test]
    fn blocks_are_chained_as_the_format_says() {
        let bytes = text(BLOCK_BYTES as usize + 5);
        let first = Sha256::new_with_prefix(KEY.0).chain_update(&bytes[..BLOCK_BYTES as usize]).finalize();
        let all = Sha256::new_with_prefix(first).chain_update(&bytes[BLOCK_BYTES as usize..]).finalize();
        assert_eq!(hash(&bytes).get().digest, <[u8; 32]>::from(all));
        let published = hash(&bytes).due(None).unwrap();
        assert_eq!((published.len, published.digest), (BLOCK_BYTES, first.into()));
        let mut resumed = PrefixHash::after(published.digest, published.len);
        resumed.update(&bytes[BLOCK_BYTES as usize..]);
        assert_eq!(resumed.get(), hash(&bytes).get());
    }

    #[test]
    fn cursors_get_it_a_dozen_times_and_then_once_a_block() {
        let bytes = text(3 * BLOCK_BYTES as usize);
        let (mut hash, mut published, mut times) = (PrefixHash::new(KEY), None, 0);
        for piece in bytes.chunks(100) {
            hash.update(piece);
            if let Some(due) = hash.due(published) {
                (published, times) = (Some(due), times + 1);
            }
        }
        assert_eq!((times, published.unwrap().len), (10 + 3, 3 * BLOCK_BYTES));
    }

    #[test]
    fn a_copy_is_told_from_what_only_begins_alike() {
        let bytes = text(3 * BLOCK_BYTES as usize);
        for read in [100, 1024, 5000, BLOCK_BYTES as usize, 2 * BLOCK_BYTES as usize + 77] {
            let all = hash(&bytes[..read]);
            let fingerprint = identity::fingerprint(KEY, &bytes[..read.min(identity::HEAD_BYTES)]);
            for prefix in [Some(all.get()), all.due(None)] {
                let sure = prefix.is_none_or(|prefix| prefix.len == read as u64);
                // after a restart what stood before the offset is not remembered
                let before = if sure { bytes[read.saturating_sub(64)..read].to_vec() } else { Vec::new() };
                let trace = Trace { key: KEY, offset: read as u64, fingerprint, prefix, before };
                let begins = |bytes: &[u8]| trace.begins(&mut &bytes[..]).unwrap();
                let proof = if sure { Some(Proof::Whole) } else { None };
                assert_eq!((begins(&bytes), begins(&bytes[..read])), (proof, proof), "{read}");
                assert_eq!(begins(&bytes[..read - 1]), None, "shorter than what was read");
                let mut other = bytes.clone();
                other[read / 2] ^= 1;
                assert_eq!(begins(&other), None, "{read}");
                let mut lines = bytes.clone();
                lines[read - 1] = b'\n';
                assert_eq!(begins(&lines).is_some(), !sure, "a line ends there: {read}");
            }
        }
    }
}
