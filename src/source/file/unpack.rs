//! Compressed logs: gzip, zstd and bzip2, told by their first bytes.
//!
//! What they unpack to is read from the start, in order; an offset counts unpacked bytes, and going back to one means to
//! unpack again up to there.

use super::identity;
use std::fs::File;
use std::io::{self, Read};

/// zstd's window at most, as a power of two: what unpacking one file may cost in memory (`zstd --long` needs 27).
const WINDOW_LOG_MAX: u32 = 27;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Zstd,
    Bzip2,
}

impl Codec {
    /// By the first bytes.
    pub(super) fn of(head: &[u8]) -> Option<Codec> {
        if head.starts_with(b"\x1f\x8b\x08") {
            Some(Codec::Gzip)
        } else if head.starts_with(b"\x28\xb5\x2f\xfd") {
            Some(Codec::Zstd)
        } else if head.starts_with(b"BZh") && head.get(4..10) == Some(b"1AY&SY") {
            Some(Codec::Bzip2)
        } else {
            None
        }
    }

    /// What the file unpacks to.
    pub(super) fn unpack(self, file: &File) -> io::Result<Unpacked> {
        let bytes = FromStart { file: file.try_clone()?, at: 0 };
        let reader: Box<dyn Read + Send> = match self {
            Codec::Gzip => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
            Codec::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(bytes)),
            Codec::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(bytes)?;
                decoder.window_log_max(WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
        };
        Ok(Unpacked { reader, at: 0 })
    }
}

/// A stream of unpacked bytes.
pub(super) struct Unpacked {
    reader: Box<dyn Read + Send>,
    /// Bytes it gave so far.
    pub(super) at: u64,
}

impl Unpacked {
    /// Goes on to an offset; false if the end comes before it.
    pub(super) fn skip_to(&mut self, offset: u64) -> io::Result<bool> {
        let mut rest = offset.saturating_sub(self.at);
        let mut piece = vec![0; 64 * 1024];
        while rest > 0 {
            let want = rest.min(piece.len() as u64) as usize;
            match self.read(&mut piece[..want]) {
                Ok(0) => return Ok(false),
                Ok(got) => rest -= got as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Read for Unpacked {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let got = self.reader.read(bytes)?;
        self.at += got as u64;
        Ok(got)
    }
}

impl std::fmt::Debug for Unpacked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unpacked({})", self.at)
    }
}

/// A file from its first byte on, whoever else reads from the same descriptor.
pub(super) struct FromStart {
    pub(super) file: File,
    pub(super) at: u64,
}

impl Read for FromStart {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let got = identity::read_at(&self.file, bytes, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}
