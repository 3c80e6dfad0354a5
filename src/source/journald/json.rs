//! Values as `journalctl -o json --all` writes them.

use std::io::Write;

/// A string where the value is text that can be printed, else an array of its bytes.
pub(super) fn value(value: &[u8], json: &mut Vec<u8>) {
    match std::str::from_utf8(value) {
        Ok(text) if is_printable(text) => string(text, json),
        _ => {
            json.push(b'[');
            for (index, byte) in value.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                // writing to memory does not fail
                let _ = write!(json, "{byte}");
            }
            json.push(b']');
        }
    }
}

/// Text between quotes.
pub(super) fn string(text: &str, json: &mut Vec<u8>) {
    json.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escaped: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\t' => b"\\t",
            b'\r' => b"\\r",
            0..0x20 | 0x7f => {
                json.extend_from_slice(&bytes[done..at]);
                let _ = write!(json, "\\u{byte:04x}");
                done = at + 1;
                continue;
            }
            _ => continue,
        };
        json.extend_from_slice(&bytes[done..at]);
        json.extend_from_slice(escaped);
        done = at + 1;
    }
    json.extend_from_slice(&bytes[done..]);
    json.push(b'"');
}

/// As systemd sees it: no control characters but tab and newline, no noncharacters.
fn is_printable(text: &str) -> bool {
    let bytes = text.as_bytes();
    let plain = |byte: &u8| (0x20..0x7f).contains(byte) || matches!(byte, b'\t' | b'\n');
    if bytes.iter().all(plain) {
        return true;
    }
    text.chars().all(|c| {
        let noncharacter = matches!(c, '\u{fdd0}'..='\u{fdef}') || (c as u32) & 0xfffe == 0xfffe;
        !noncharacter && (matches!(c, '\t' | '\n') || !c.is_control())
    })
}

#[cfg(test)]
mod tests {
    fn json(value: &[u8]) -> String {
        let mut json = Vec::new();
        super::value(value, &mut json);
        String::from_utf8(json).unwrap()
    }

    #[test]
    fn text_is_a_string_and_the_rest_an_array() {
        for (value, expected) in [
            (b"a \"b\" \\ c".as_slice(), r#""a \"b\" \\ c""#),
            (b"", r#""""#),
            ("a\tb\nä€".as_bytes(), "\"a\\tb\\nä€\""),
            (b"a\rb", "[97,13,98]"),
            (b"\x1b[1m", "[27,91,49,109]"),
            (b"\xff", "[255]"),
            ("\u{85}".as_bytes(), "[194,133]"),
            ("\u{ffff}".as_bytes(), "[239,191,191]"),
        ] {
            assert_eq!(json(value), expected);
        }
    }
}
