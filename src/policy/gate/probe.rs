//! What stands in a line.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::scan::Scan;
use crate::policy::LineContext;
use crate::policy::format::Kind;

/// The texts that the gates of a set search for. All are searched for together, in one pass over a line; before that, in a
/// faster pass, the few of them that tell which packages are worth a look.
#[derive(Default)]
pub(in crate::policy) struct Parts {
    texts: Vec<String>,
    known: BTreeMap<String, Part>,
    anchors: Mask,
    /// Made when the first line comes.
    search: OnceLock<Search>,
    /// None where too many of them are short.
    scan_anchors: OnceLock<Option<Scan>>,
}

/// A text of [`Parts`], by its index.
pub(in crate::policy) type Part = usize;

/// None where the texts are too many for it, and then every answer is "perhaps".
type Search = Option<AhoCorasick>;

impl Parts {
    /// Adds a text to search for.
    pub(in crate::policy) fn add(&mut self, text: &str) -> Part {
        if let Some(part) = self.known.get(text) {
            return *part;
        }
        self.texts.push(text.to_owned());
        self.known.insert(text.to_owned(), self.texts.len() - 1);
        self.texts.len() - 1
    }

    pub(super) fn add_anchors(&mut self, parts: impl Iterator<Item = Part>) {
        parts.for_each(|part| self.anchors.add(part));
    }

    /// How long a text is.
    pub(super) fn len_of(&self, part: Part) -> usize {
        self.texts.get(part).map_or(0, String::len)
    }

    fn search(&self) -> Option<&AhoCorasick> {
        let make = || AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(&self.texts).ok();
        self.search.get_or_init(make).as_ref()
    }

    fn scan_anchors(&self) -> Option<&Scan> {
        let anchors = || self.texts.iter().enumerate().filter(|(part, _)| self.anchors.has(*part));
        let texts = || anchors().map(|(part, text)| (part, text.as_str()));
        self.scan_anchors.get_or_init(|| Scan::of(texts())).as_ref()
    }
}

/// Which parts were found in a line, as bits; kept from line to line for its memory.
#[derive(Default)]
pub(in crate::policy) struct Seen {
    words: Vec<Cell<u64>>,
    /// Which words have any: a bit each, or for those that are equal modulo 64.
    some: Cell<u64>,
}

impl Seen {
    fn clear(&mut self, parts: usize) -> &Self {
        self.words.clear();
        self.words.resize(parts.div_ceil(64), Cell::new(0));
        self.some.set(0);
        self
    }

    fn add(&self, part: Part) {
        let word = &self.words[part / 64];
        word.set(word.get() | 1 << (part % 64));
        self.some.set(self.some.get() | 1 << (part / 64 % 64));
    }

    fn add_all(&self) {
        self.words.iter().for_each(|word| word.set(u64::MAX));
        self.some.set(u64::MAX);
    }

    fn has(&self, part: Part) -> bool {
        self.words[part / 64].get() >> (part % 64) & 1 == 1
    }

    fn has_any(&self, mask: &Mask) -> bool {
        self.some.get() & mask.some != 0 && mask.words.iter().any(|(word, bits)| self.words[*word].get() & bits != 0)
    }
}

/// A set of parts: words of [`Seen`] that have any of them, and which. Of most rules that is one word.
#[derive(Clone, Debug, Default)]
pub(super) struct Mask {
    words: Vec<(usize, u64)>,
    /// As in [`Seen`].
    some: u64,
}

impl Mask {
    pub(super) fn add(&mut self, part: Part) {
        self.add_bits(part / 64, 1 << (part % 64));
    }

    fn add_bits(&mut self, word: usize, bits: u64) {
        self.some |= 1 << (word % 64);
        match self.words.iter_mut().find(|(known, _)| *known == word) {
            Some((_, known)) => *known |= bits,
            None => self.words.push((word, bits)),
        }
    }

    fn has(&self, part: Part) -> bool {
        self.words.iter().any(|(word, bits)| *word == part / 64 && bits >> (part % 64) & 1 == 1)
    }

    pub(super) fn or(mut self, other: &Self) -> Self {
        other.words.iter().for_each(|(word, bits)| self.add_bits(*word, *bits));
        self
    }
}

/// A line, as gates see it.
pub(in crate::policy) struct Probe<'a> {
    /// The message.
    pub(super) text: &'a str,
    /// What the fields are written in: of most lines the message itself.
    written: &'a str,
    parts: &'a Parts,
    seen: &'a Seen,
    searched: Cell<bool>,
    searched_anchors: Cell<bool>,
    pub(super) line: &'a LineContext<'a>,
    // known once they were asked for
    kind: OnceCell<Kind>,
    has_backslash: OnceCell<bool>,
    has_exponent: OnceCell<bool>,
}

impl<'a> Probe<'a> {
    /// Looks at a line.
    pub(in crate::policy) fn of(
        line: &'a LineContext<'a>,
        text: &'a str,
        parts: &'a Parts,
        seen: &'a mut Seen,
    ) -> Self {
        Self::of_both(line, text, text, parts, seen)
    }

    /// Looks at a line whose message is one of its fields. A text that stands in either is taken to stand in both, which errs
    /// towards "perhaps".
    pub(in crate::policy) fn of_both(
        line: &'a LineContext<'a>,
        text: &'a str,
        written: &'a str,
        parts: &'a Parts,
        seen: &'a mut Seen,
    ) -> Self {
        let (kind, has_backslash, has_exponent, searched, searched_anchors) = Default::default();
        let seen = seen.clear(parts.texts.len());
        Self { text, written, parts, seen, searched, searched_anchors, line, kind, has_backslash, has_exponent }
    }

    pub(in crate::policy) fn kind(&self) -> Kind {
        *self.kind.get_or_init(|| Kind::of(self.line.source.format, self.written))
    }

    pub(super) fn has(&self, part: Part) -> bool {
        self.search();
        self.seen.has(part)
    }

    /// Whether one of these anchors is there.
    pub(super) fn has_any(&self, anchors: &Mask) -> bool {
        if !self.searched_anchors.replace(true) {
            match self.parts.scan_anchors() {
                Some(scan) => self.in_each_text(|text| scan.find(text, |part| self.seen.add(part))),
                None => self.search(),
            }
        }
        self.seen.has_any(anchors)
    }

    fn search(&self) {
        if self.searched.replace(true) {
            return;
        }
        match self.parts.search() {
            Some(search) => self.in_each_text(|text| {
                search.find_overlapping_iter(text).for_each(|found| self.seen.add(found.pattern().as_usize()));
            }),
            None => self.seen.add_all(),
        }
    }

    fn in_each_text(&self, look: impl Fn(&str)) {
        look(self.written);
        if !std::ptr::eq(self.text, self.written) {
            look(self.text);
        }
    }

    /// Whether the message has this, surely; none if that has not been looked for.
    pub(in crate::policy) fn has_in_message(&self, part: Part) -> Option<bool> {
        let is_of_message = std::ptr::eq(self.text, self.written);
        let is_searched = match self.searched.get() {
            true => self.parts.search().is_some(),
            false => self.searched_anchors.get() && self.parts.anchors.has(part),
        };
        (is_of_message && is_searched).then(|| self.seen.has(part))
    }

    pub(super) fn has_backslash(&self) -> bool {
        *self.has_backslash.get_or_init(|| memchr::memchr(b'\\', self.written.as_bytes()).is_some())
    }

    pub(super) fn has_exponent(&self) -> bool {
        *self.has_exponent.get_or_init(|| has_exponent(self.written.as_bytes()))
    }
}

/// Whether a JSON number with an exponent may stand in the text: digits, then `e`, and before them no letter or quote.
fn has_exponent(text: &[u8]) -> bool {
    // `e` is the commonest letter, so what stands before it is looked at for all of them at once: this loop has no branches
    let after = text.get(1..).unwrap_or_default();
    let near = |(before, at): (&u8, &u8)| (before.is_ascii_digit() || *before == b'.') & (at | 0x20 == b'e');
    if !text.iter().zip(after).map(near).fold(false, |found, near| found | near) {
        return false;
    }
    memchr::memchr2_iter(b'e', b'E', text).any(|at| {
        let number = text[..at].iter().rev().take_while(|c| matches!(c, b'0'..=b'9' | b'.' | b'-' | b'+')).count();
        let before = text[..at - number].last();
        number > 0 && before.is_some_and(|c| matches!(c, b':' | b',' | b'[' | b' ' | b'\t' | b'\r' | b'\n'))
    })
}
