//! A line's bytes as policies see them.

use crate::record::End;
use std::borrow::Cow;

/// The text of a line that ended so: without a byte order mark, a newline, and the carriage return before it; UTF-16 in
/// UTF-8. Bytes that are no characters stay what they are, or become U+FFFD.
pub(super) fn decoded(bytes: &[u8], end: End) -> Cow<'_, [u8]> {
    let units = |unit: fn([u8; 2]) -> u16| {
        bytes.chunks(2).map(move |pair| {
            // half a character at the end of a file
            pair.try_into().map_or(0xfffd, unit)
        })
    };
    match end {
        End::Utf16Le => Cow::Owned(utf16(units(u16::from_le_bytes))),
        End::Utf16Be => Cow::Owned(utf16(units(u16::from_be_bytes))),
        End::Newline | End::Eof | End::Part => {
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            Cow::Borrowed(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
        }
    }
}

/// How many bytes stand before the text in a line that ended so; None where the text stands in it in another encoding.
pub(super) fn before(bytes: &[u8], end: End) -> Option<usize> {
    match end {
        End::Utf16Le | End::Utf16Be => None,
        End::Newline | End::Eof | End::Part => Some(if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }),
    }
}

fn utf16(units: impl Iterator<Item = u16>) -> Vec<u8> {
    let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_ends_are_left_out_and_utf_16_becomes_utf_8() {
        for (bytes, end, expected) in [
            (b"\xef\xbb\xbfa\r".as_slice(), End::Newline, b"a".as_slice()),
            (b"a\r\r", End::Newline, b"a\r"),
            (b"\xff", End::Eof, b"\xff"),
            (b"\xff\xfea\0\r\0\n\0", End::Utf16Le, b"a"),
            (b"\xfe\xff\xd8\x3d\xde\x00\0\n", End::Utf16Be, "\u{1f600}".as_bytes()),
            (b"a\0\x00\xd8b\0\x63", End::Utf16Le, "a\u{fffd}b\u{fffd}".as_bytes()),
            (b"", End::Utf16Le, b""),
        ] {
            assert_eq!(&*decoded(bytes, end), expected, "{}", bytes.escape_ascii());
        }
    }
}
