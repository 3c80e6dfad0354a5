//! How characters are written, as far as it tells where lines end.

use memchr::{memchr_iter, memrchr};

/// How the characters of a source are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As the byte order mark at its start says; without one in UTF-8.
    #[default]
    Auto,
    /// In UTF-8, or any other way in which a newline is one byte.
    Utf8,
    /// In UTF-16, little endian.
    Utf16Le,
    /// In UTF-16, big endian.
    Utf16Be,
}

/// What lines are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source) enum Units {
    Bytes,
    /// Two bytes, little endian, the first at an even offset.
    Le,
    /// Two bytes, big endian.
    Be,
}

impl Encoding {
    /// The units of a source that begins with `head`.
    pub(in crate::source) fn units(self, head: &[u8]) -> Units {
        match self {
            Encoding::Utf8 => Units::Bytes,
            Encoding::Utf16Le => Units::Le,
            Encoding::Utf16Be => Units::Be,
            // with two NULs behind it, it is the mark of UTF-32
            Encoding::Auto if head.starts_with(b"\xff\xfe") && !head.starts_with(b"\xff\xfe\0\0") => Units::Le,
            Encoding::Auto if head.starts_with(b"\xfe\xff") => Units::Be,
            Encoding::Auto => Units::Bytes,
        }
    }
}

impl Units {
    /// The end of the last line in `bytes`, which stand at `offset` of their source.
    pub(in crate::source) fn last_end(self, bytes: &[u8], offset: u64) -> Option<usize> {
        match self {
            Units::Bytes => memrchr(b'\n', bytes).map(|at| at + 1),
            Units::Le | Units::Be => self.wide_ends(bytes, 0, offset).last(),
        }
    }

    /// The ends of the lines of UTF-16 in `bytes[from..]`, of which the first byte stands at `offset`.
    pub(super) fn wide_ends(self, bytes: &[u8], from: usize, offset: u64) -> impl Iterator<Item = usize> {
        memchr_iter(b'\n', &bytes[from..]).filter_map(move |at| {
            let is_even = (offset + at as u64).is_multiple_of(2);
            let at = from + at;
            match self {
                Units::Le => (is_even && bytes.get(at + 1) == Some(&0)).then_some(at + 2),
                Units::Be => (!is_even && at > from && bytes[at - 1] == 0).then_some(at + 1),
                Units::Bytes => Some(at + 1),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_at_the_start_tells() {
        for (head, units) in [
            (b"\xff\xfea\0".as_slice(), Units::Le),
            (b"\xfe\xff\0a", Units::Be),
            (b"\xff\xfe\0\0", Units::Bytes),
            (b"\xff", Units::Bytes),
            (b"", Units::Bytes),
        ] {
            assert_eq!(Encoding::Auto.units(head), units, "{head:?}");
        }
        assert_eq!(Encoding::Utf16Be.units(b"\xff\xfe"), Units::Be);
    }

    #[test]
    fn only_whole_units_are_newlines() {
        // U+0A00, U+000A, U+0A0A, U+000A in both orders
        let (be, le) = (b"\x0a\0\0\x0a\x0a\x0a\0\x0a", b"\0\x0a\x0a\0\x0a\x0a\x0a\0");
        assert_eq!(Units::Be.wide_ends(be, 0, 0).collect::<Vec<_>>(), [4, 8]);
        assert_eq!(Units::Le.wide_ends(le, 0, 0).collect::<Vec<_>>(), [4, 8]);
        assert_eq!(Units::Le.last_end(&le[..7], 100), Some(4));
        // from an odd offset the first byte is the second half of a unit
        assert_eq!(Units::Le.wide_ends(&le[1..], 0, 1).collect::<Vec<_>>(), [3, 7]);
    }
}
