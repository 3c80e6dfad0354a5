//! Data objects: one `FIELD=value` each, kept where many entries hold it.

use super::format::{DATA, Damage, Header, LZ4, XZ, ZSTD, le64};
use super::json;
use super::pages::Pages;
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

/// Bytes of a field. Who is not root can send journald 32 MiB at most.
const FIELD_MAX: u64 = 64 << 20;
/// Fields of one file that are kept, and how long they are at most.
const KEPT: usize = 4096;
const KEPT_BYTES: usize = 4096;

/// A field, ready to be written.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: Box<str>,
    /// The value's bytes.
    pub(super) value: Box<[u8]>,
    /// The value as journalctl's JSON has it.
    pub(super) json: Box<[u8]>,
}

/// The fields of one file that came more than once.
#[derive(Debug, Default)]
pub(super) struct Fields {
    kept: HashMap<u64, Arc<Field>>,
}

impl Fields {
    /// The field at an offset.
    pub(super) fn get(&mut self, pages: &mut Pages, header: &Header, at: u64) -> Result<Arc<Field>, Damage> {
        if let Some(field) = self.kept.get(&at) {
            return Ok(Arc::clone(field));
        }
        let (flags, size) = pages.object(at, DATA, header.data_bytes())?;
        let stored = size - header.data_bytes();
        if stored > FIELD_MAX {
            return Err(Damage::new(at, format!("a field of {stored} bytes, more than is read")));
        }
        let entries = le64(pages.get(at, 64)?, 56);
        let payload = pages.get(at + header.data_bytes(), stored)?;
        let field = match flags & (XZ | LZ4 | ZSTD) {
            0 => field(payload),
            compression => field(&unpacked(payload, compression).map_err(|what| Damage::new(at, what))?),
        };
        let field = Arc::new(field.ok_or_else(|| Damage::new(at, "a field without a name"))?);
        if entries > 1 && field.value.len() <= KEPT_BYTES {
            if self.kept.len() >= KEPT {
                self.kept.clear();
            }
            self.kept.insert(at, Arc::clone(&field));
        }
        Ok(field)
    }
}

fn field(payload: &[u8]) -> Option<Field> {
    let equals = memchr::memchr(b'=', payload)?;
    let (name, value) = (&payload[..equals], &payload[equals + 1..]);
    if name.is_empty() {
        return None;
    }
    let mut json = Vec::with_capacity(value.len() + 2);
    json::value(value, &mut json);
    Some(Field { name: String::from_utf8_lossy(name).into(), value: value.into(), json: json.into() })
}

/// What was compressed, `FIELD_MAX` bytes of it at most.
fn unpacked(payload: &[u8], compression: u8) -> Result<Vec<u8>, String> {
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("its {what} can't be unpacked: {error}");
    let too_long = || format!("a field that unpacks to more than {FIELD_MAX} bytes");
    let read = |reader: &mut dyn Read, what: &str| {
        let mut bytes = Vec::new();
        reader.take(FIELD_MAX + 1).read_to_end(&mut bytes).map_err(|error| failed(what, &error))?;
        Ok::<_, String>(bytes)
    };
    let bytes = match compression {
        ZSTD => {
            let mut decoder = zstd::Decoder::new(payload).map_err(|error| failed("zstd", &error))?;
            read(&mut decoder, "zstd")?
        }
        XZ => read(&mut lzma_rust2::XzReader::new(payload, false), "xz")?,
        LZ4 => {
            // the length stands before the block
            let size = if payload.len() < 8 { 0 } else { le64(payload, 0) };
            if size > FIELD_MAX {
                return Err(too_long());
            }
            let block = payload.get(8..).unwrap_or_default();
            // a block unpacks to 255 times its size at most, so that a wrong length reserves no more than that
            let size = size.min(block.len() as u64 * 255 + 64) as usize;
            lz4_flex::block::decompress(block, size).map_err(|error| failed("lz4", &error))?
        }
        _ => return Err("it is compressed in two ways at once".to_owned()),
    };
    if bytes.len() as u64 > FIELD_MAX { Err(too_long()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As liblzma makes it, without a check, as systemd asks it to.
    const XZ_OF_TEXT: &str = "fd377a585a000000ff12d9410200210116000000742fe5a3e00bbf001d5d00269146c0d19457e495dbf96e3f26df58d52f85436f6aea93269dca2d6800000000000131c0170000002887a828a8000afc020000000000595a";

    #[test]
    fn what_is_compressed_is_unpacked_and_what_is_damaged_is_told() {
        let text = b"MESSAGE=".iter().chain([b'x'; 3000].iter()).copied().collect::<Vec<u8>>();
        let zstd = zstd::encode_all(text.as_slice(), 1).unwrap();
        assert_eq!(unpacked(&zstd, ZSTD).unwrap(), text);
        let mut lz4 = (text.len() as u64).to_le_bytes().to_vec();
        // made by lz4 of a run: literals "MESSAGE=x", a match of 2,986 at distance 1, literals "xxxxx"
        lz4.extend(b"\x9fMESSAGE=x\x01\x00");
        let match_len = text.len() - 9 - 5;
        let mut more = match_len - 4 - 15;
        while more >= 255 {
            lz4.push(255);
            more -= 255;
        }
        lz4.push(more as u8);
        lz4.extend(b"\x50xxxxx");
        assert_eq!(unpacked(&lz4, LZ4).unwrap(), text);
        let xz = crate::record::unhex(XZ_OF_TEXT).unwrap();
        assert_eq!(unpacked(&xz, super::XZ).unwrap(), text);
        for (bytes, kind) in [(&zstd, ZSTD), (&lz4, LZ4), (&xz, super::XZ)] {
            assert!(unpacked(&bytes[..bytes.len() / 2], kind).is_err());
        }
        assert!(unpacked(&u64::MAX.to_le_bytes(), LZ4).unwrap_err().contains("more than"));
        assert!(unpacked(b"nothing like it", XZ).unwrap_err().contains("xz"));
        assert!(unpacked(&zstd, XZ | ZSTD).unwrap_err().contains("two ways"));
    }

    #[test]
    fn a_bomb_is_bounded() {
        let zeros = std::io::repeat(0).take(FIELD_MAX + 10);
        let bomb = zstd::encode_all(zeros, 1).unwrap();
        assert!(bomb.len() < 100_000);
        assert!(unpacked(&bomb, ZSTD).unwrap_err().contains("more than"));
    }
}
