//! The lines of one file, one at a time: whatever the file holds, memory stays bounded.
//!
//! Bounds: a window of 8 MiB for the decoder, a buffer of one line and one decoded piece. A file that breaks them is given
//! up where it does.

use super::frame;
use crate::chain::line::LINE_MAX;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// A frame that needs a larger window (2^23 bytes) is refused: the writer's need 2 MiB at most.
const WINDOW_LOG_MAX: u32 = 23;
const PIECE: usize = 128 * 1024;

/// Why a file's lines end before the file does.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The disk.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Not a file that can be read from its start to its end.
    #[error("is not a regular file")]
    Special,
    /// Nothing in it.
    #[error("is empty")]
    Empty,
    /// The last frame lacks its end.
    #[error("ends inside the zstd frame that begins at byte {frame}")]
    Torn {
        /// Where the frame begins in the file.
        frame: u64,
        /// Whether it ends as a frame does that is still being written: after a flush, at the end of a line.
        flushed: bool,
    },
    /// A frame can't be decoded.
    #[error("cannot be decoded in the zstd frame that begins at byte {frame}: {what}")]
    Damaged {
        /// Where the frame begins in the file.
        frame: u64,
        /// What the decoder says.
        what: String,
    },
    /// Too long for a line of the format.
    #[error("holds a line longer than 1 MiB, which no line of the format is; the rest of it was not read")]
    LongLine,
    /// The last line has no newline.
    #[error("ends inside a line")]
    NoNewline,
}

/// Reads the lines of an archive file (zstd frames, or plain NDJSON).
pub struct Lines {
    file: File,
    /// `None`: the file is plain.
    decoder: Option<Decoder<'static>>,
    input: Vec<u8>,
    /// Input from here on is not decoded yet.
    input_at: usize,
    /// File bytes handed to the decoder.
    taken: u64,
    /// Where the present frame begins in the file.
    frame: u64,
    in_frame: bool,
    /// Decoded bytes; those before `at` were given out.
    out: Vec<u8>,
    at: usize,
    /// No newline stands before this.
    searched: usize,
    ended: bool,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lines(at byte {} of {:?})", self.taken, self.file)
    }
}

impl Lines {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        // not to wait for a writer, should somebody have put a named pipe there
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(Fault::Special);
        }
        let mut lines = Self {
            file,
            decoder: None,
            input: Vec::new(),
            input_at: 0,
            taken: 0,
            frame: 0,
            in_frame: false,
            out: Vec::new(),
            at: 0,
            searched: 0,
            ended: false,
        };
        match lines.read_input()? {
            0 => return Err(Fault::Empty),
            // a line can't be mistaken for a frame: a frame's first byte is never a brace
            _ if lines.input[0] == b'{' => {}
            _ => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
                lines.decoder = Some(decoder);
            }
        }
        Ok(lines)
    }

    /// File bytes that were read so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The next line, without its newline. After a fault there is none.
    pub fn next_line(&mut self) -> Option<Result<&[u8], Fault>> {
        match self.advance() {
            Ok(Some(line)) => Some(Ok(&self.out[line])),
            Ok(None) => None,
            Err(fault) => {
                self.ended = true;
                Some(Err(fault))
            }
        }
    }

    fn advance(&mut self) -> Result<Option<std::ops::Range<usize>>, Fault> {
        while !self.ended {
            if let Some(newline) = memchr::memchr(b'\n', &self.out[self.searched..]) {
                let line = self.at..self.searched + newline;
                self.at = line.end + 1;
                self.searched = self.at;
                if line.len() >= LINE_MAX {
                    return Err(Fault::LongLine);
                }
                return Ok(Some(line));
            }
            self.searched = self.out.len();
            if self.out.len() - self.at >= LINE_MAX {
                return Err(Fault::LongLine);
            }
            self.out.drain(..self.at);
            self.searched -= self.at;
            self.at = 0;
            self.ended = !self.decode()?;
        }
        if self.at < self.out.len() {
            self.at = self.out.len();
            self.searched = self.at;
            return Err(Fault::NoNewline);
        }
        Ok(None)
    }

    /// Decodes a piece onto `out`; false at the end of the file.
    fn decode(&mut self) -> Result<bool, Fault> {
        let exhausted = self.input_at == self.input.len() && self.read_input()? == 0;
        let Some(decoder) = &mut self.decoder else {
            self.out.extend_from_slice(&self.input[self.input_at..]);
            self.input_at = self.input.len();
            return Ok(!exhausted);
        };
        if exhausted && !self.in_frame {
            return Ok(false);
        }
        let start = self.out.len();
        self.out.resize(start + PIECE, 0);
        let mut input = InBuffer::around(&self.input[self.input_at..]);
        let mut output = OutBuffer::around(&mut self.out[start..]);
        let result = decoder.run(&mut input, &mut output);
        let (used, made) = (input.pos(), output.pos());
        self.out.truncate(start + made);
        self.input_at += used;
        let hint = match result {
            Ok(hint) => hint,
            Err(error) => return Err(Fault::Damaged { frame: self.frame, what: error.to_string() }),
        };
        self.in_frame = hint != 0;
        if hint == 0 {
            self.frame = self.taken - (self.input.len() - self.input_at) as u64;
            decoder.reinit()?;
        } else if exhausted && made == 0 {
            return Err(self.torn());
        }
        Ok(true)
    }

    fn torn(&mut self) -> Fault {
        // what is left in `out` here is a line that has no newline yet
        let flushed = self.out.is_empty() && frame::ends_after_a_block(&mut self.file, self.frame).unwrap_or(false);
        Fault::Torn { frame: self.frame, flushed }
    }

    fn read_input(&mut self) -> io::Result<usize> {
        self.input.resize(PIECE, 0);
        self.input_at = 0;
        let read = loop {
            match self.file.read(&mut self.input) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.input.truncate(*read.as_ref().unwrap_or(&0));
        self.taken += self.input.len() as u64;
        read
    }
}
