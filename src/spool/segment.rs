//! Frames: a segment on disk is one zstd frame.

use std::io::Read;

/// Bound of a segment's decoded bytes: it is closed once it is over `chain::SEGMENT_BYTES`, so one group of lines may
/// take it past that, but not past this.
pub(crate) const DECODED_MAX: u64 = 16 * 1024 * 1024;

/// zstd level: 1 costs half of 3 and gives up little on lines that carry salts and tags.
pub(crate) const LEVEL: i32 = 1;

/// A frame of a spool file and the lines in it.
pub(crate) struct Frame {
    /// Where it begins in the file.
    pub offset: usize,
    /// Its length; for a torn one what is there of it.
    pub len: usize,
    /// Whole lines, each with its newline.
    pub lines: Vec<u8>,
    /// Whether the frame ends as it should.
    pub whole: bool,
}

/// The frames of a file, to its end or to the first that is torn.
pub(crate) fn frames(file: &[u8]) -> impl Iterator<Item = Frame> + '_ {
    let mut offset = 0;
    let mut torn = false;
    std::iter::from_fn(move || {
        if torn || offset >= file.len() {
            return None;
        }
        let frame = read_frame(file, offset);
        offset += frame.len;
        torn = !frame.whole;
        Some(frame)
    })
}

fn read_frame(file: &[u8], offset: usize) -> Frame {
    let rest = &file[offset..];
    let size = zstd::zstd_safe::find_frame_compressed_size(rest).ok();
    let bytes = &rest[..size.unwrap_or(rest.len())];
    let mut lines = Vec::new();
    let decoded = zstd::stream::read::Decoder::with_buffer(bytes)
        .map(|decoder| decoder.single_frame().take(DECODED_MAX))
        .and_then(|mut decoder| decoder.read_to_end(&mut lines));
    let complete = memchr::memrchr(b'\n', &lines).map_or(0, |end| end + 1);
    let whole = size.is_some() && decoded.is_ok() && complete == lines.len() && !lines.is_empty();
    lines.truncate(complete);
    Frame { offset, len: if whole { bytes.len() } else { rest.len() }, lines, whole }
}

/// Lines as a frame.
pub(crate) fn encode(lines: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    std::io::Write::write_all(&mut encoder, lines)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_frame_gives_its_whole_lines() {
        let mut file = encode(b"one\ntwo\n").unwrap();
        let first = file.len();
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), LEVEL).unwrap();
        std::io::Write::write_all(&mut encoder, b"three\nfo").unwrap();
        std::io::Write::flush(&mut encoder).unwrap();
        file.extend_from_slice(encoder.get_ref());
        let frames: Vec<Frame> = frames(&file).collect();
        assert_eq!(frames.len(), 2);
        assert_eq!((frames[0].whole, frames[0].len, frames[0].lines.as_slice()), (true, first, &b"one\ntwo\n"[..]));
        assert_eq!((frames[1].whole, frames[1].offset, frames[1].lines.as_slice()), (false, first, &b"three\n"[..]));
    }

    #[test]
    fn any_cut_and_any_flipped_byte_is_noticed() {
        let file = encode(b"one\ntwo\nthree\n").unwrap();
        for cut in 1..file.len() {
            let torn: Vec<Frame> = frames(&file[..cut]).collect();
            assert!(!torn[0].whole && b"one\ntwo\nthree\n".starts_with(&torn[0].lines), "cut at {cut}");
        }
        for at in 4..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x10;
            let read: Vec<Frame> = frames(&damaged).collect();
            assert!(!read[0].whole || read[0].lines == b"one\ntwo\nthree\n", "byte {at}");
        }
    }
}
