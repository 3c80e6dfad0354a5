//! The bytes of a journal file: <https://systemd.io/JOURNAL_FILE_FORMAT>, written down here as far as it is read.
//!
//! ```text
//! header    0 magic  8 compatible  12 incompatible flags  16 state  24 file id  72 seqnum id  88 header size  96 arena size
//!           152 entries  160 tail seqnum  168 head seqnum  176 first entry array  184 head, 192 tail realtime  256 tail entry array (32 bits)
//! object    0 type  1 flags  8 size with this header; objects begin at multiples of 8
//! data      40 first entry  48 its entry arrays  56 entries that hold it  64 (compact: 72) FIELD=value, maybe compressed
//! entry     16 seqnum  24 realtime  32 monotonic  40 boot  56 xor hash  64 items: offset and hash, 16 bytes (compact: offset, 4)
//! array     16 next array  24 offsets of entries, 8 bytes (compact: 4)
//! ```
//! All numbers are little endian. Everything is untrusted.

/// Bytes of the header that are read; older files have fewer.
pub(super) const HEADER_BYTES: usize = 272;
/// The header of the first published format ends here.
const HEADER_LEAST: u64 = 208;
/// What every object begins with.
pub(super) const OBJECT_BYTES: u64 = 16;
/// An entry without items.
pub(super) const ENTRY_BYTES: u64 = 64;
/// An entry array without items.
pub(super) const ARRAY_BYTES: u64 = 24;

pub(super) const DATA: u8 = 1;
pub(super) const ENTRY: u8 = 3;
pub(super) const ENTRY_ARRAY: u8 = 6;
/// The highest type there is.
pub(super) const TYPE_MAX: u8 = 7;

pub(super) const XZ: u8 = 1;
pub(super) const LZ4: u8 = 2;
pub(super) const ZSTD: u8 = 4;

const COMPACT: u32 = 1 << 4;
/// XZ, LZ4, keyed hash, ZSTD, compact.
const UNDERSTOOD: u32 = 1 | 2 | 4 | 8 | COMPACT;
const MAGIC: &[u8; 8] = b"LPKSHHRH";
/// The state of a file that is never written again.
const ARCHIVED: u8 = 2;

/// Sixteen random bytes that name a file, a sequence or a boot.
pub(super) type Id = [u8; 16];

/// What is wrong at a place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// Bytes from the start of the file.
    pub(super) at: u64,
    pub(super) what: String,
}

impl Damage {
    pub(super) fn new(at: u64, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }
}

/// The header, as far as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) compact: bool,
    pub(super) archived: bool,
    pub(super) file_id: Id,
    /// The `seqnum_id`.
    pub(super) sequence: Id,
    pub(super) size: u64,
    pub(super) entries: u64,
    pub(super) head_seqnum: u64,
    pub(super) tail_seqnum: u64,
    pub(super) head_realtime_us: u64,
    pub(super) tail_realtime_us: u64,
    /// The first of the entry arrays.
    pub(super) array: u64,
    /// The last of them, where the file says it.
    pub(super) tail_array: u64,
}

/// Why a file can't be read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is being made: the header is not written yet.
    NotYet,
    /// It is none, or damaged where it begins.
    Damaged(String),
    /// It needs a younger sealtail.
    Unknown(u32),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::NotYet => f.write_str("it is not written yet"),
            Refusal::Damaged(what) => f.write_str(what),
            Refusal::Unknown(flags) => {
                write!(
                    f,
                    "it is written in a way that this sealtail does not know (flags {flags:#x}); a younger one may"
                )
            }
        }
    }
}

impl Header {
    /// Reads the first bytes of a file.
    pub(super) fn parse(bytes: &[u8]) -> Result<Header, Refusal> {
        if bytes.len() < HEADER_LEAST as usize || bytes.iter().all(|byte| *byte == 0) {
            return Err(Refusal::NotYet);
        }
        if &bytes[..8] != MAGIC {
            return Err(Refusal::Damaged("it does not begin as a journal file".to_owned()));
        }
        let incompatible = le32(bytes, 12);
        if incompatible & !UNDERSTOOD != 0 {
            return Err(Refusal::Unknown(incompatible & !UNDERSTOOD));
        }
        let size = le64(bytes, 88);
        if size < HEADER_LEAST || !size.is_multiple_of(8) || size > 64 * 1024 {
            return Err(Refusal::Damaged(format!("its header says it has {size} bytes")));
        }
        let later = |at: usize| bytes.len() >= at + 8 && size >= at as u64 + 8;
        Ok(Header {
            compact: incompatible & COMPACT != 0,
            archived: bytes[16] == ARCHIVED,
            file_id: id(bytes, 24),
            sequence: id(bytes, 72),
            size,
            entries: le64(bytes, 152),
            tail_seqnum: le64(bytes, 160),
            head_seqnum: le64(bytes, 168),
            array: le64(bytes, 176),
            head_realtime_us: le64(bytes, 184),
            tail_realtime_us: le64(bytes, 192),
            tail_array: if later(256) { u64::from(le32(bytes, 256)) } else { 0 },
        })
    }

    /// Whether its first and last seqnum can be true; else neither is gone by.
    pub(super) fn bounds_hold(&self) -> bool {
        self.entries > 0
            && self.head_seqnum > 0
            && self.tail_seqnum >= self.head_seqnum
            && self.tail_seqnum - self.head_seqnum >= self.entries - 1
    }

    /// Bytes of an item of an entry array.
    pub(super) fn array_item(&self) -> u64 {
        if self.compact { 4 } else { 8 }
    }

    /// Bytes of an item of an entry.
    pub(super) fn entry_item(&self) -> u64 {
        if self.compact { 4 } else { 16 }
    }

    /// Where the payload of a data object begins.
    pub(super) fn data_bytes(&self) -> u64 {
        if self.compact { 72 } else { 64 }
    }
}

/// The number at `at`; the caller has made sure that it is there.
pub(super) fn le64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_le_bytes)
}

pub(super) fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, u32::from_le_bytes)
}

pub(super) fn id(bytes: &[u8], at: usize) -> Id {
    bytes.get(at..at + 16).and_then(|part| part.try_into().ok()).unwrap_or_default()
}
