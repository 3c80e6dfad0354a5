//! The outside of a zstd frame (RFC 8878 section 3.1.1), to tell a frame that is still being written from a cut one.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Whether the frame at `start` has at least one block and the file ends where a block ends that is not its last: how a
/// frame looks that was flushed and is to be continued.
pub(super) fn ends_after_a_block(file: &mut File, start: u64) -> io::Result<bool> {
    let size = file.seek(SeekFrom::End(0))?;
    let mut head = [0; 5];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut head)?;
    if head[..4] != MAGIC {
        return Ok(false);
    }
    let mut at = start + 5 + fields_len(head[4]);
    let mut blocks = 0u64;
    while at < size {
        let mut header = [0; 4];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut header[..3])?;
        let header = u32::from_le_bytes(header);
        let (last, kind, len) = (header & 1 == 1, header >> 1 & 3, u64::from(header >> 3));
        if last {
            return Ok(false);
        }
        // kind 1 is one byte, repeated
        at += 3 + if kind == 1 { 1 } else { len };
        blocks += 1;
    }
    Ok(blocks > 0 && at == size)
}

/// Bytes of the frame header after its descriptor.
fn fields_len(descriptor: u8) -> u64 {
    let single_segment = descriptor >> 5 & 1;
    let window = u64::from(1 - single_segment);
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_size = match descriptor >> 6 {
        0 => u64::from(single_segment),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    window + dictionary + content_size
}
