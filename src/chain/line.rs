//! The bytes of a line: `{"t":"<tag>","h":<header>,"p":<payload>}` and a newline.
//!
//! The MAC covers the bytes of header and payload as they stand, so a line is taken apart by scanning, never by parsing and
//! writing it again. What the scanner lets through has one spelling only: no spare white space, a canonical tag.

use super::key::{Bytes32, label, sha256};
use super::tree::leaf_hash;
use base64::prelude::*;

/// Bound of a header, in bytes.
pub const HEADER_MAX: usize = 8 * 1024;
/// Bound of a line with its newline, in bytes: the largest `max_line` (512 KiB) in base64, and its header.
pub const LINE_MAX: usize = 1024 * 1024;

pub(crate) const OPEN: &[u8] = br#"{"t":"......................","h":"#;
pub(crate) const TAG_AT: usize = 6;
pub(crate) const TAG_LEN: usize = 22;
pub(crate) const MIDDLE: &[u8] = br#","p":"#;

/// A line taken apart; nothing of it has been checked but its shape.
#[derive(Clone, Copy, Debug)]
pub struct RawLine<'a> {
    /// The tag.
    pub tag: [u8; 16],
    /// The header's bytes, a JSON object.
    pub header: &'a [u8],
    /// The payload's bytes, a JSON object; `None` when it was erased.
    pub payload: Option<&'a [u8]>,
    /// The commitment to the payload: computed, or as it stands where the payload was erased.
    pub commitment: Bytes32,
}

/// A line has not the one shape that it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    /// What is wrong.
    pub what: &'static str,
    /// Where in the line.
    pub at: usize,
}

/// The commitment to a payload.
pub fn commit(payload: &[u8]) -> Bytes32 {
    sha256(&[label!("payload"), payload])
}

impl<'a> RawLine<'a> {
    /// Takes a line apart; `line` is without its newline.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        let mut scan = Scan { line, at: 0 };
        scan.expect(&OPEN[..TAG_AT])?;
        let tag = scan.base64::<16>(TAG_LEN)?;
        scan.expect(&OPEN[TAG_AT + TAG_LEN..])?;
        let header = scan.object()?;
        if header.len() > HEADER_MAX {
            return Err(scan.fault("the header is longer than 8 KiB"));
        }
        scan.expect(MIDDLE)?;
        let (payload, commitment) = if scan.line[scan.at..].starts_with(b"null") {
            scan.expect(br#"null,"c":""#)?;
            let commitment = scan.base64::<32>(43)?;
            scan.expect(b"\"")?;
            (None, commitment)
        } else {
            let payload = scan.object()?;
            (Some(payload), commit(payload))
        };
        scan.expect(b"}")?;
        match scan.at == line.len() {
            true => Ok(Self { tag, header, payload, commitment }),
            false => Err(scan.fault("something stands after the line's end")),
        }
    }

    /// Appends the line without its payload, with a newline. Tag, leaf and all that follows from them stay.
    pub fn erased_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&OPEN[..TAG_AT]);
        base64_into(out, &self.tag, &BASE64_URL_SAFE_NO_PAD);
        out.extend_from_slice(&OPEN[TAG_AT + TAG_LEN..]);
        out.extend_from_slice(self.header);
        out.extend_from_slice(MIDDLE);
        out.extend_from_slice(br#"null,"c":""#);
        base64_into(out, &self.commitment, &BASE64_URL_SAFE_NO_PAD);
        out.extend_from_slice(b"\"}\n");
    }

    /// The line's leaf in the stream's tree.
    pub fn leaf(&self) -> Bytes32 {
        leaf_hash(self.header, &self.commitment, &self.tag)
    }
}

struct Scan<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn fault(&self, what: &'static str) -> Malformed {
        Malformed { what, at: self.at }
    }

    fn expect(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        if !self.line[self.at..].starts_with(bytes) {
            return Err(self.fault("not the shape of a line"));
        }
        self.at += bytes.len();
        Ok(())
    }

    fn base64<const N: usize>(&mut self, len: usize) -> Result<[u8; N], Malformed> {
        let text = self.line.get(self.at..self.at + len);
        let bytes = text.and_then(|t| BASE64_URL_SAFE_NO_PAD.decode(t).ok()?.try_into().ok());
        let bytes = bytes.ok_or(self.fault("not canonical base64url of the right length"))?;
        self.at += len;
        Ok(bytes)
    }

    /// A JSON object, by its brackets and strings; whether it is JSON all through is its parser's to say.
    fn object(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        if self.line.get(start) != Some(&b'{') {
            return Err(self.fault("an object should begin here"));
        }
        let mut depth = 0u32;
        while let Some(&byte) = self.line.get(self.at) {
            match byte {
                b'"' => self.string()?,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                0..=b' ' | 0x7f.. => return Err(self.fault("a byte that may not stand outside a string")),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(&self.line[start..self.at]);
            }
        }
        Err(self.fault("an object without its end"))
    }

    /// Leaves `at` on the closing quote.
    fn string(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        loop {
            self.at += 1;
            let rest = self.line.get(self.at..).unwrap_or_default();
            let Some(next) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = start;
                return Err(self.fault("a string without its end"));
            };
            self.at += next;
            if self.line[self.at] == b'"' {
                return Ok(());
            }
            self.at += 1;
        }
    }
}

/// Appends `text` as the inside of a JSON string (RFC 8259 section 7).
///
/// Eight bytes are copied at a time and those after the first that needs an escape are taken back: JSON within a line has a
/// quote every few bytes, so that runs are too short for copies of their own.
pub(crate) fn escape(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + rest.len() / 4);
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        out.extend_from_slice(eight);
        let plain = plain_bytes(*eight);
        if plain == 8 {
            rest = after;
        } else {
            out.truncate(out.len() - 8 + plain);
            escape_byte(out, eight[plain]);
            rest = &rest[plain + 1..];
        }
    }
    for &byte in rest {
        if is_plain(byte) { out.push(byte) } else { escape_byte(out, byte) }
    }
}

fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// How many bytes stand before the first that is not plain.
fn plain_bytes(eight: [u8; 8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let word = u64::from_le_bytes(eight);
    // sets the high bit of each byte that is below `bound`, for bytes and bounds up to 0x80; a borrow can set it wrongly
    // only in bytes after a byte where it is right, and the first is what counts
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGHS;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let found = below(word, 0x20) | is(b'"') | is(b'\\');
    found.trailing_zeros() as usize / 8
}

#[cold]
fn escape_control(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let (high, low) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
}

fn escape_byte(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        other => escape_control(out, other),
    }
}

/// Appends `bytes` in base64, in place.
pub(crate) fn base64_into(out: &mut Vec<u8>, bytes: &[u8], engine: &base64::engine::GeneralPurpose) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = engine.encode_slice(bytes, &mut out[start..]).expect("base64 takes four bytes for each three");
    out.truncate(start + written);
}

/// Appends a decimal number.
pub(crate) fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "AAAAAAAAAAAAAAAAAAAAAA";

    fn line(rest: &str) -> String {
        format!(r#"{{"t":"{TAG}",{rest}"#)
    }

    #[test]
    fn takes_a_line_apart() {
        let text = line(r#""h":{"a":[1,"}\"{"]},"p":{"msg":"\\"}}"#);
        let raw = RawLine::parse(text.as_bytes()).unwrap();
        assert_eq!(raw.header, br#"{"a":[1,"}\"{"]}"#);
        assert_eq!(raw.payload, Some(&br#"{"msg":"\\"}"#[..]));
        let erased = line(&format!(r#""h":{{}},"p":null,"c":"{}"}}"#, "A".repeat(43)));
        assert_eq!(RawLine::parse(erased.as_bytes()).unwrap().payload, None);
    }

    #[test]
    fn refuses_every_other_spelling() {
        for rest in [
            r#""h":{},"p":{}} "#,
            r#""h":{ },"p":{}}"#,
            r#""h":{},"p":{}"#,
            r#""h":{},"p":{"a":"b}}"#,
            r#""p":{},"h":{}}"#,
            r#""h":{},"p":{},"c":"x"}"#,
            r#""h":[],"p":{}}"#,
            r#""h":{},"p":null}"#,
            r#""h":{},"p":nul"#,
            "",
        ] {
            assert!(RawLine::parse(line(rest).as_bytes()).is_err(), "{rest}");
        }
        // the last character of a tag has four bits to spare, which must be zero
        let odd = line(r#""h":{},"p":{}}"#).replace(TAG, "AAAAAAAAAAAAAAAAAAAAAB");
        assert!(RawLine::parse(odd.as_bytes()).is_err());
    }

    #[test]
    fn escapes_as_serde_json_does() {
        let text: String = (0..0x90u8).map(char::from).chain("“\u{2028}😀".chars()).collect();
        let mut out = vec![b'"'];
        escape(&mut out, &text);
        out.push(b'"');
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }

    #[test]
    fn each_byte_is_escaped_wherever_it_stands() {
        for byte in (0..0x80u8).map(char::from).chain(['é', '\u{7ff}', '😀']) {
            for (before, after) in (0..20).flat_map(|before| [(before, 0), (before, 3), (before, 9)]) {
                for around in ['a', '"', '\u{1f}', 'ÿ'] {
                    let text = format!("{}{byte}{}", around.to_string().repeat(before), "a!#[]".repeat(after));
                    let mut out = b"x".to_vec();
                    escape(&mut out, &text);
                    let expected: String = text.chars().map(escaped).collect();
                    assert_eq!(std::str::from_utf8(&out[1..]).unwrap(), expected, "{text:?}");
                }
            }
        }
    }

    /// By the book: a byte at a time.
    fn escaped(character: char) -> String {
        match character {
            '"' => "\\\"".into(),
            '\\' => "\\\\".into(),
            '\n' => "\\n".into(),
            '\r' => "\\r".into(),
            '\t' => "\\t".into(),
            control @ '\0'..'\x20' => format!("\\u{:04x}", u32::from(control)),
            other => other.into(),
        }
    }
}
