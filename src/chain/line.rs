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
pub(crate) fn escape(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[done..at]);
        done = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let (high, low) = (DIGITS[usize::from(other >> 4)], DIGITS[usize::from(other & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
    }
    out.extend_from_slice(&bytes[done..]);
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
}
