//! Cuts bytes into lines, in place.

use super::Shape;
use super::encoding::Units;
use super::multiline::Group;
use crate::record::{Batch, End, Item, LineItem, SourceKey};
use memchr::memchr_iter;
use std::ops::Range;

/// Bound of a batch's items: a file of newlines only must not cost a hundred times its bytes.
pub(in crate::source) const ITEMS_MAX: usize = 4 * 1024;

/// How to cut.
#[derive(Clone, Copy, Debug)]
pub(in crate::source) struct Cut<'a> {
    /// Whose lines they are.
    pub(in crate::source) key: SourceKey,
    pub(in crate::source) shape: &'a Shape,
    pub(in crate::source) units: Units,
    /// Nothing comes after these bytes: what has no newline is a line too.
    pub(in crate::source) at_end: bool,
    /// Nothing came for long enough: lines are not held back because others may belong to them.
    pub(in crate::source) is_quiet: bool,
}

/// What was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source) struct Taken {
    /// The lines' bytes, with their newlines.
    pub(in crate::source) bytes: usize,
    /// Whole lines come after them that may go on.
    pub(in crate::source) held: bool,
}

impl Cut<'_> {
    /// Pushes the lines in `batch.bytes[from..]`, which begin at `offset` of the source. The bytes after them are half a
    /// line, held back (or over [`ITEMS_MAX`]) and stay the caller's.
    pub(in crate::source) fn lines(self, batch: &mut Batch, from: usize, offset: u64) -> Taken {
        let Batch { bytes, items } = batch;
        let cutting = Cutting { cut: self, bytes, items, from, offset, start: from, group: Group::Whole };
        match self.units {
            Units::Bytes => cutting.all(memchr_iter(b'\n', &bytes[from..]).map(|at| from + at + 1)),
            units => cutting.all(units.wide_ends(bytes, from, offset)),
        }
    }
}

struct Cutting<'a> {
    cut: Cut<'a>,
    bytes: &'a [u8],
    items: &'a mut Vec<Item>,
    from: usize,
    offset: u64,
    /// Where that begins which is not pushed yet.
    start: usize,
    /// What the lines from there on are known by, if there are any.
    group: Group<'a>,
}

impl Cutting<'_> {
    /// `ends` are where lines end, after their newlines.
    fn all(mut self, ends: impl Iterator<Item = usize>) -> Taken {
        let mut line = self.from;
        for end in ends {
            if !self.line(line..end, true) {
                return self.taken(false);
            }
            line = end;
        }
        let rest = line..self.bytes.len();
        let is_part = rest.len() > self.cut.shape.max_line_bytes;
        if !rest.is_empty() && (self.cut.at_end || is_part) {
            let stop = rest.end;
            if self.line(rest, false) && self.cut.at_end && self.start < stop {
                self.push(self.start..stop, stop, End::Eof);
            }
            return self.taken(false);
        }
        let is_held = self.start < line;
        if is_held && (self.cut.at_end || self.cut.is_quiet) {
            self.close(line);
            return self.taken(false);
        }
        self.taken(is_held)
    }

    fn taken(&self, held: bool) -> Taken {
        Taken { bytes: self.start - self.from, held }
    }

    /// Takes a line, or half of one, to those that are held back, or hands it on. False if no more fit.
    fn line(&mut self, line: Range<usize>, is_whole: bool) -> bool {
        let Cut { shape, units, .. } = self.cut;
        let text = &self.bytes[line.clone()];
        let joined = if self.start < line.start { shape.grouping.join(self.group, text, units) } else { None };
        match joined {
            Some(group) => self.group = group,
            None => {
                if self.start < line.start && !self.close(line.start) {
                    return false;
                }
                self.group = shape.grouping.of(text, units);
            }
        }
        let stop = if is_whole { self.stop(line.end) } else { line.end };
        // exactly `max_line_bytes` without a newline may still get theirs: only one byte more makes a part
        while stop - self.start > shape.max_line_bytes {
            let part = self.start..self.part_end();
            let end = part.end;
            if !self.push(part, end, End::Part) {
                return false;
            }
        }
        if is_whole && self.group == Group::Whole { self.push(self.start..stop, line.end, End::Newline) } else { true }
    }

    /// Hands on the lines that were held back, up to where the last of them ends.
    fn close(&mut self, end: usize) -> bool {
        self.push(self.start..self.stop(end), end, End::Newline)
    }

    /// Where the message of a line ends; the newline of UTF-16 stays in it.
    fn stop(&self, end: usize) -> usize {
        if self.cut.units == Units::Bytes { end - 1 } else { end }
    }

    /// A part never ends within a unit.
    fn part_end(&self) -> usize {
        let end = self.start + self.cut.shape.max_line_bytes;
        let is_odd = !(self.offset + (end - self.from) as u64).is_multiple_of(2);
        let end = if self.cut.units != Units::Bytes && is_odd { end - 1 } else { end };
        end.max(self.start + 1)
    }

    fn push(&mut self, span: Range<usize>, after: usize, end: End) -> bool {
        let end = match (self.cut.units, end) {
            (Units::Bytes, end) | (_, end @ End::Part) => end,
            (Units::Le, _) => End::Utf16Le,
            (Units::Be, _) => End::Utf16Be,
        };
        let offset = self.offset + (after - self.from) as u64;
        self.items.push(Item::Line(LineItem { source: self.cut.key, span, offset, end }));
        self.start = after;
        self.items.len() < ITEMS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Encoding, Multiline, Opens, TextConfig};
    use proptest::prelude::*;
    use std::time::Duration;

    type Line = (Vec<u8>, u64, End);

    /// Lines cut from `bytes` at offset 100, how many bytes they are, and whether others are held back.
    fn cut_as(text: &TextConfig, bytes: &[u8], max: usize, at_end: bool, is_quiet: bool) -> (Vec<Line>, Taken) {
        let mut batch = Batch { bytes: bytes.to_vec(), items: Vec::new() };
        let shape = Shape::new("x", max, text).unwrap();
        let units = text.encoding.units(bytes);
        let taken = Cut { key: 1, shape: &shape, units, at_end, is_quiet }.lines(&mut batch, 0, 100);
        let lines = batch.items.iter().map(|item| match item {
            Item::Line(line) => (batch.text(line).to_vec(), line.offset, line.end),
            Item::Source(..) => unreachable!("cut makes lines only"),
        });
        (lines.collect(), taken)
    }

    fn cut(bytes: &[u8], max: usize, at_end: bool) -> (Vec<Line>, usize) {
        let (lines, taken) = cut_as(&TextConfig::default(), bytes, max, at_end, false);
        assert!(!taken.held);
        (lines, taken.bytes)
    }

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|(text, ..)| std::str::from_utf8(text).unwrap()).collect()
    }

    fn starting(pattern: &str) -> TextConfig {
        let multiline = Multiline { opens: Opens::Start(pattern.into()), timeout: Duration::from_secs(1) };
        TextConfig { multiline: Some(multiline), ..TextConfig::default() }
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

    #[test]
    fn lines_that_may_go_on_are_held_back_until_it_is_quiet() {
        let bytes = b" orphan\n1 a\n b\n\n2 c\n d\nhalf";
        let (lines, taken) = cut_as(&starting(r"^\d"), bytes, 99, false, false);
        assert_eq!(texts(&lines), [" orphan", "1 a\n b\n"]);
        assert_eq!(taken, Taken { bytes: 16, held: true });
        let (lines, taken) = cut_as(&starting(r"^\d"), bytes, 99, false, true);
        assert_eq!((texts(&lines)[2], taken), ("2 c\n d", Taken { bytes: 23, held: false }));
        let (lines, _) = cut_as(&starting(r"^\d"), bytes, 99, true, false);
        assert_eq!((texts(&lines)[2], lines[2].2), ("2 c\n d\nhalf", End::Eof));
    }

    #[test]
    fn lines_that_are_too_long_together_come_in_parts() {
        let (lines, taken) = cut_as(&starting("^1"), b"1 a\n b\n c\n1\n", 5, false, false);
        assert_eq!(texts(&lines), ["1 a\n ", "b\n c"]);
        assert_eq!((lines[0].2, taken), (End::Part, Taken { bytes: 10, held: true }));
    }

    #[test]
    fn a_line_too_long_that_does_not_go_on_leaves_those_before_it() {
        let (lines, taken) = cut_as(&starting("^1"), b"1 a\n b\n1 longer", 6, false, false);
        assert_eq!(texts(&lines), ["1 a\n b", "1 long"]);
        assert_eq!(taken, Taken { bytes: 13, held: false });
    }

    #[test]
    fn records_of_one_event_are_one_line_and_other_lines_wait_for_nothing() {
        let text = "type=SYSCALL msg=audit(1.2:3): a\ntype=CWD msg=audit(1.2:3): b\n\
                    type=PROCTITLE msg=audit(1.2:3): c\ntype=SYSCALL msg=audit(1.2:4): d\nplain\n";
        let (lines, taken) = cut_as(&TextConfig::default(), text.as_bytes(), 999, false, false);
        let (event, rest) = text.split_at(text.find("\ntype=SYSCALL msg=audit(1.2:4)").unwrap());
        let rest: Vec<&str> = rest.trim().lines().collect();
        assert_eq!(texts(&lines), [&[event], rest.as_slice()].concat());
        assert_eq!(taken, Taken { bytes: text.len(), held: false });
        let (lines, taken) = cut_as(&TextConfig::default(), &text.as_bytes()[..33], 999, false, false);
        assert_eq!((lines.len(), taken), (0, Taken { bytes: 0, held: true }));
    }

    #[test]
    fn utf_16_keeps_its_newlines_and_parts_never_cut_a_unit() {
        let text = TextConfig { encoding: Encoding::Utf16Le, ..TextConfig::default() };
        let (lines, taken) = cut_as(&text, b"a\0\n\0b\0c\0d\0\n\0e\0f", 5, true, false);
        let texts: Vec<&[u8]> = lines.iter().map(|(text, ..)| text.as_slice()).collect();
        assert_eq!(texts, [b"a\0\n\0".as_slice(), b"b\0c\0", b"d\0\n\0", b"e\0f"]);
        assert_eq!(lines.iter().map(|line| line.2).collect::<Vec<_>>()[..2], [End::Utf16Le, End::Part]);
        assert_eq!((lines[3].1, taken.bytes), (115, 15));
    }

    fn any_text() -> impl Strategy<Value = TextConfig> {
        let multiline = |opens| TextConfig {
            multiline: Some(Multiline { opens, timeout: Duration::ZERO }),
            ..TextConfig::default()
        };
        let encoded = |encoding| TextConfig { encoding, ..TextConfig::default() };
        prop_oneof![
            Just(TextConfig::default()),
            Just(encoded(Encoding::Utf16Le)),
            Just(encoded(Encoding::Utf16Be)),
            Just(multiline(Opens::Start("^[12]".into()))),
            Just(multiline(Opens::Continue("^ ".into()))),
            Just(TextConfig { encoding: Encoding::Utf16Le, ..multiline(Opens::Start("^1".into())) }),
        ]
    }

    /// Starts and continuations, newlines of all kinds, records of two events.
    const PIECE: &str = "(1|2| |a|\\n|\\r|\0|\n\0|\0\n|type=SYSCALL msg=audit\\(1\\.2:[34]\\): x\n|type=EOE msg=audit\\(1\\.2:3\\): \n){0,9}";

    proptest! {
        /// However a source grows, and whenever it is quiet: its bytes come back, each once, and every part moves on.
        #[test]
        fn all_bytes_come_back(
            text in any_text(),
            pieces in proptest::collection::vec((PIECE, any::<bool>()), 1..8),
            max in 4usize..40,
        ) {
            let shape = Shape::new("x", max, &text).unwrap();
            let units = text.encoding.units(b"");
            let (mut unread, mut offset, mut back, mut all) = (Vec::new(), 0u64, Vec::new(), Vec::new());
            let last = pieces.len() - 1;
            for (number, (piece, is_quiet)) in pieces.iter().enumerate() {
                unread.extend_from_slice(piece.as_bytes());
                all.extend_from_slice(piece.as_bytes());
                let mut batch = Batch { bytes: std::mem::take(&mut unread), items: Vec::new() };
                let cut = Cut { key: 1, shape: &shape, units, at_end: number == last, is_quiet: *is_quiet };
                let taken = cut.lines(&mut batch, 0, offset);
                prop_assert!(!(taken.held && (cut.at_end || cut.is_quiet)));
                for item in &batch.items {
                    let Item::Line(line) = item else { unreachable!("cut makes lines only") };
                    back.extend_from_slice(batch.text(line));
                    if line.end == End::Newline {
                        back.push(b'\n');
                    }
                    prop_assert!(line.span.len() <= max && line.offset > offset);
                    prop_assert_eq!(line.offset, back.len() as u64);
                    offset = line.offset;
                }
                unread = batch.bytes.split_off(taken.bytes);
                // what stays is a group and half a line at most
                prop_assert!(unread.len() <= 2 * max + 2);
            }
            prop_assert_eq!(back, all);
            prop_assert!(unread.is_empty());
        }
    }
}
