//! Cuts bytes into lines, in place.

use crate::record::{Batch, End, Item, LineItem, SourceKey};
use memchr::memchr_iter;

/// Bound of a batch's items: a file of newlines only must not cost a hundred times its bytes.
pub(super) const ITEMS_MAX: usize = 16 * 1024;

/// How to cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Whose lines they are.
    pub(super) key: SourceKey,
    /// A longer line is cut into parts of this many bytes.
    pub(super) max_line_bytes: usize,
    /// Nothing comes after these bytes: what has no newline is a line too.
    pub(super) at_end: bool,
}

impl Cut {
    /// Pushes the lines in `batch.bytes[from..]`, which begin at `offset` of the source, and says how many bytes they
    /// take with their newlines. The bytes after them are half a line (or over [`ITEMS_MAX`]) and stay the caller's.
    pub(super) fn lines(self, batch: &mut Batch, from: usize, offset: u64) -> usize {
        let Batch { bytes, items } = batch;
        let mut push = |start: usize, stop: usize, after: usize, end: End| {
            let offset = offset + (after - from) as u64;
            items.push(Item::Line(LineItem { source: self.key, span: start..stop, offset, end }));
            items.len() < ITEMS_MAX
        };
        let mut start = from;
        let newlines = memchr_iter(b'\n', &bytes[from..]).map(|at| (from + at, true));
        for (stop, newline) in newlines.chain(std::iter::once((bytes.len(), false))) {
            // exactly `max_line_bytes` without a newline may still get theirs: only one byte more makes a part
            while stop - start > self.max_line_bytes {
                let part = start..start + self.max_line_bytes;
                start = part.end;
                if !push(part.start, part.end, part.end, End::Part) {
                    return start - from;
                }
            }
            let line = start..stop;
            if newline {
                start = stop + 1;
                if !push(line.start, line.end, start, End::Newline) {
                    return start - from;
                }
            } else if self.at_end && !line.is_empty() {
                start = stop;
                push(line.start, line.end, stop, End::Eof);
            }
        }
        start - from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[u8], max_line_bytes: usize, at_end: bool) -> (Vec<(Vec<u8>, u64, End)>, usize) {
        let mut batch = Batch { bytes: bytes.to_vec(), items: Vec::new() };
        let taken = Cut { key: 1, max_line_bytes, at_end }.lines(&mut batch, 0, 100);
        let lines = batch.items.iter().map(|item| match item {
            Item::Line(line) => (batch.text(line).to_vec(), line.offset, line.end),
            Item::Source(..) => unreachable!("cut makes lines only"),
        });
        (lines.collect(), taken)
    }

    #[test]
    fn half_a_line_waits_unless_it_is_the_end() {
        assert_eq!(
            cut(b"a\n\nbc", 8, false),
            (vec![(b"a".to_vec(), 102, End::Newline), (vec![], 103, End::Newline)], 3)
        );
        assert_eq!(cut(b"bc", 8, true), (vec![(b"bc".to_vec(), 102, End::Eof)], 2));
        assert_eq!(cut(b"", 8, true), (vec![], 0));
    }

    #[test]
    fn a_long_line_comes_in_parts_and_one_of_the_greatest_length_does_not() {
        assert_eq!(cut(b"abcd", 4, false), (vec![], 0));
        assert_eq!(cut(b"abcd\n", 4, false), (vec![(b"abcd".to_vec(), 105, End::Newline)], 5));
        let parts = vec![(b"abcd".to_vec(), 104, End::Part), (b"e".to_vec(), 106, End::Newline)];
        assert_eq!(cut(b"abcde\n", 4, false), (parts, 6));
    }

    #[test]
    fn items_are_bounded() {
        let (lines, taken) = cut(&vec![b'\n'; ITEMS_MAX + 10], 4, true);
        assert_eq!((lines.len(), taken), (ITEMS_MAX, ITEMS_MAX));
    }
}
