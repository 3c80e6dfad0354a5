//! A batch's bytes taken apart: zstd frames into lines, a little at a time, so that a small body which decodes to very
//! much (a zip bomb) costs no memory.

use super::refusal::Refusal;
use crate::chain::line::LINE_MAX;
use std::io::BufRead;
use zstd::stream::raw::{DParameter, Decoder, Operation};

/// Bound of a batch's decoded lines, in bytes.
pub(super) const DECODED_MAX: u64 = 512 * 1024 * 1024;
/// Bound of what a frame may ask the decoder to remember: 2^23 bytes.
const WINDOW_LOG_MAX: u32 = 23;
/// Bytes that are decoded at a time.
const CHUNK: usize = 128 * 1024;

/// Reads a batch front to back.
pub(super) struct Frames<R> {
    input: R,
    decoder: Decoder<'static>,
    decoded: Vec<u8>,
    /// Where in `decoded` the next line begins, and how far its end was looked for.
    line_at: usize,
    scanned: usize,
    frame: Frame,
    decoded_total: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Frame {
    None,
    Open,
    /// Decoded to its end, of which the reader hasn't been told.
    Ended,
}

/// What a batch consists of.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// A line without its newline.
    Line(&'a [u8]),
    /// The end of a frame.
    FrameEnd,
}

impl<R: BufRead> Frames<R> {
    /// A reader of `input`.
    pub(super) fn new(input: R) -> Result<Self, Refusal> {
        let unavailable = |error| Refusal::later(format!("cannot decode zstd: {error}"));
        let mut decoder = Decoder::new().map_err(unavailable)?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(unavailable)?;
        let decoded = Vec::with_capacity(2 * CHUNK);
        Ok(Self { input, decoder, decoded, line_at: 0, scanned: 0, frame: Frame::None, decoded_total: 0 })
    }

    /// The next piece; `None` at the end of the batch.
    pub(super) fn next(&mut self) -> Result<Option<Piece<'_>>, Refusal> {
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.decoded[self.scanned..]) {
                let (start, end) = (self.line_at, self.scanned + length);
                self.line_at = end + 1;
                self.scanned = end + 1;
                if end + 1 - start > LINE_MAX {
                    return Err(too_long());
                }
                return Ok(Some(Piece::Line(&self.decoded[start..end])));
            }
            self.scanned = self.decoded.len();
            let unfinished = self.scanned - self.line_at;
            if unfinished >= LINE_MAX {
                return Err(too_long());
            }
            match self.frame {
                Frame::Ended if unfinished > 0 => {
                    return Err(Refusal::malformed("a zstd frame ends in the middle of a line"));
                }
                Frame::Ended => {
                    self.frame = Frame::None;
                    return Ok(Some(Piece::FrameEnd));
                }
                Frame::None if self.input.fill_buf().map_err(|error| Refusal::disk(&error))?.is_empty() => {
                    return Ok(None);
                }
                Frame::None | Frame::Open => self.decode()?,
            }
        }
    }

    fn decode(&mut self) -> Result<(), Refusal> {
        self.decoded.drain(..self.line_at);
        self.scanned -= self.line_at;
        self.line_at = 0;
        let held = self.decoded.len();
        self.decoded.resize(held + CHUNK, 0);
        let input = self.input.fill_buf().map_err(|error| Refusal::disk(&error))?;
        let run = self.decoder.run_on_buffers(input, &mut self.decoded[held..]);
        let status = run.map_err(|error| Refusal::malformed(format!("not zstd as sealtail writes it: {error}")))?;
        self.decoded.truncate(held + status.bytes_written);
        self.input.consume(status.bytes_read);
        self.decoded_total += status.bytes_written as u64;
        if self.decoded_total > DECODED_MAX {
            return Err(Refusal::TooLarge(format!(
                "the batch decodes to more than {} MiB; send fewer segments at once",
                DECODED_MAX >> 20
            )));
        }
        if status.remaining == 0 {
            self.frame = Frame::Ended;
            return self.decoder.reinit().map_err(|error| Refusal::later(format!("cannot decode zstd: {error}")));
        }
        if status.bytes_read == 0 && status.bytes_written == 0 {
            return Err(Refusal::malformed("the last zstd frame is cut off"));
        }
        self.frame = Frame::Open;
        Ok(())
    }
}

fn too_long() -> Refusal {
    Refusal::malformed("a line is longer than 1 MiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 1).unwrap()
    }

    /// Lines, and "|" for the end of a frame.
    fn pieces(batch: &[u8]) -> Result<Vec<String>, String> {
        let mut frames = Frames::new(batch).unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = frames.next().map_err(|refusal| refusal.to_string())? {
            pieces.push(match piece {
                Piece::Line(line) => String::from_utf8(line.to_vec()).unwrap(),
                Piece::FrameEnd => "|".to_owned(),
            });
        }
        Ok(pieces)
    }

    #[test]
    fn gives_lines_and_the_ends_of_frames() {
        let batch = [frame(b"a\nbb\n"), frame(b"c\n")].concat();
        assert_eq!(pieces(&batch).unwrap(), ["a", "bb", "|", "c", "|"]);
        assert_eq!(pieces(&[]).unwrap(), [""; 0]);
        let large = format!("{}\n", "x".repeat(LINE_MAX - 1));
        let many = large.repeat(5);
        assert_eq!(pieces(&frame(many.as_bytes())).unwrap().len(), 6);
    }

    #[test]
    fn every_cut_but_one_between_frames_is_found() {
        let (one, two) = (frame(b"a\nbb\n"), frame(b"c\n"));
        let batch = [one.clone(), two].concat();
        for cut in 1..batch.len() {
            assert_eq!(pieces(&batch[..cut]).is_ok(), cut == one.len(), "cut at {cut}");
        }
    }

    #[test]
    fn refuses_what_is_too_long_or_torn() {
        let long = "x".repeat(LINE_MAX);
        for (text, why) in [(long + "\n", "longer than 1 MiB"), ("a\nb".to_owned(), "middle of a line")] {
            let error = pieces(&frame(text.as_bytes())).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(pieces(b"plain text\n").unwrap_err().contains("not zstd"));
        let trailing = [frame(b"a\n"), b"junk".to_vec()].concat();
        assert!(pieces(&trailing).is_err());
        // 528 MiB of lines in a few KiB
        let lines = format!("{}\n", "x".repeat(LINE_MAX / 2 - 1)).repeat(32);
        let bomb = frame(lines.as_bytes()).repeat(33);
        assert!(bomb.len() < 1 << 20);
        let mut frames = Frames::new(&bomb[..]).unwrap();
        let refusal = loop {
            match frames.next() {
                Ok(piece) => assert!(piece.is_some()),
                Err(refusal) => break refusal,
            }
        };
        assert!(matches!(refusal, Refusal::TooLarge(_)), "{refusal}");
        assert!(frames.decoded.capacity() < 8 * CHUNK);
    }
}
