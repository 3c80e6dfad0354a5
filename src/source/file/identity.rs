//! Which file is it? Names change, inode numbers are used again and heads are alike, so three things are compared:
//! device and inode number, the time of birth, and a hash of what the file begins with.

use crate::record::{FileId, Fingerprint, HashKey};
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of a file's head that a fingerprint covers at most.
pub(super) const HEAD_BYTES: usize = 1024;

/// What one look at a file tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) id: FileId,
    pub(super) size: u64,
    /// Time of the last write in nanoseconds since 1970.
    pub(super) written_ns: i128,
    /// A file with bytes, not a folder, a pipe, a socket or a device.
    pub(super) regular: bool,
    /// It has no name any more.
    pub(super) unlinked: bool,
}

impl Look {
    /// At a path, symbolic links followed.
    pub(super) fn at(path: &Path) -> io::Result<Look> {
        path.metadata().map(|metadata| Look::from(&metadata))
    }

    /// At an open file.
    pub(super) fn of(file: &File) -> io::Result<Look> {
        file.metadata().map(|metadata| Look::from(&metadata))
    }

    /// How long ago it was written to; a time to come is now.
    pub(super) fn written_since(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos().cast_signed());
        u64::try_from(now.saturating_sub(self.written_ns)).map_or(Duration::ZERO, Duration::from_nanos)
    }
}

impl From<&Metadata> for Look {
    /// One statx(2) answers all of it; the birth is absent where the file system has none.
    fn from(metadata: &Metadata) -> Look {
        let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        let born_ns = born.and_then(|born| u64::try_from(born.as_nanos()).ok()).filter(|born| *born > 0);
        Look {
            id: FileId { dev: metadata.dev(), ino: metadata.ino(), born_ns },
            size: metadata.size(),
            written_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
            regular: metadata.is_file(),
            unlinked: metadata.nlink() == 0,
        }
    }
}

/// Whether both can be one file. A birth that only one of them has (another kernel wrote the cursor) tells nothing.
pub(super) fn same(one: &FileId, other: &FileId) -> bool {
    let births_differ = matches!((one.born_ns, other.born_ns), (Some(one), Some(other)) if one != other);
    one.dev == other.dev && one.ino == other.ino && !births_differ
}

/// Opens a file for reading without waiting for anything: a pipe put in its place must not block the source.
pub(super) fn open(path: &Path) -> io::Result<(File, Look)> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let look = Look::of(&file)?;
    Ok((file, look))
}

/// The first bytes of a file, at most [`HEAD_BYTES`].
pub(super) fn head(file: &File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD_BYTES];
    let got = read_at(file, &mut head, 0)?;
    head.truncate(got);
    Ok(head)
}

/// Fills `bytes` from `offset` as far as the file goes, and says how far.
pub(super) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Where a file's first byte stands that was written. A writer that does not append goes on at its old place after a
/// copytruncate, and the file begins with a hole: zeros that nobody wrote.
pub(super) fn after_hole(file: &File, size: u64) -> io::Result<u64> {
    let mut first = [0];
    if read_at(file, &mut first, 0)? == 0 || first != [0] {
        return Ok(0);
    }
    // not every file system knows its holes
    let Ok(data @ 1..) = rustix::fs::seek(file, rustix::fs::SeekFrom::Data(0)) else { return Ok(0) };
    // the hole ends inside a page, of which the rest is zeros too
    let mut page = vec![0; 64 * 1024];
    let got = read_at(file, &mut page, data)?;
    let zeros = page[..got].iter().take_while(|byte| **byte == 0).count();
    Ok((data + zeros as u64).min(size))
}

/// The fingerprint of a file that begins with `head`; FORMAT.md section 4.
pub(super) fn fingerprint(key: HashKey, head: &[u8]) -> Fingerprint {
    let covered = &head[..head.len().min(HEAD_BYTES)];
    let mut digest = [0; 16];
    digest.copy_from_slice(&Sha256::new_with_prefix(key.0).chain_update(covered).finalize()[..16]);
    Fingerprint { len: covered.len() as u32, digest }
}

/// Whether a file that begins with `head` is one that had the fingerprint: it may have grown since.
pub(super) fn fits(key: HashKey, print: &Fingerprint, head: &[u8]) -> bool {
    head.get(..print.len as usize).is_some_and(|covered| fingerprint(key, covered) == *print)
}

/// Whether a file that begins with `head` deserves a longer fingerprint. Each at least doubles, so that a file has no
/// more than a dozen in its life.
pub(super) fn outgrown(print: &Fingerprint, head: &[u8]) -> bool {
    let len = print.len as usize;
    len < HEAD_BYTES && head.len() > len && (head.len() == HEAD_BYTES || head.len() >= 2 * len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_fitting_while_it_grows_and_not_when_it_is_another() {
        let (key, other) = (HashKey([1; 32]), HashKey([2; 32]));
        let print = fingerprint(key, b"head");
        assert!(fits(key, &print, b"head") && fits(key, &print, b"head and more"));
        assert!(!fits(key, &print, b"hea") && !fits(key, &print, b"heap of lines") && !fits(other, &print, b"head"));
        assert!(fits(key, &fingerprint(key, b""), b"anything"));
    }

    #[test]
    fn fingerprints_are_renewed_a_dozen_times_at_most() {
        let text = vec![b'x'; 4 * HEAD_BYTES];
        let (mut print, mut renewals) = (fingerprint(HashKey::default(), b""), 0);
        for len in 1..text.len() {
            let head = &text[..len.min(HEAD_BYTES)];
            if outgrown(&print, head) {
                print = fingerprint(HashKey::default(), head);
                renewals += 1;
            }
        }
        assert_eq!((renewals, print.len as usize), (11, HEAD_BYTES));
    }
}
