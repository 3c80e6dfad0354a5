//! Regular expressions of policies, searched only where they can match.
//!
//! A match is made of bytes that stand in the pattern, and has a least length. So it lies in a run of such bytes that is
//! as long as that at least, and where there is none there is no match. Where the bytes are few and the length is
//! long, as in patterns of numbers, such runs are rare, and to see that there is none takes a look at every n-th byte.
//! Inside a run the whole line stays in sight of `\b` and its like, and the first way to match from a place is the same, as all ways lie inside.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

use regex::{Regex, RegexBuilder};
use regex_automata::{Input, meta};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::Seen;
use super::call::part_of;

/// The engine's own bound of a pattern.
const PATTERN_MAX: usize = 100 * 1024;
/// More different bytes than this make runs too common.
const ALPHABET_MAX: usize = 48;
/// Runs shorter than this are too common.
const RUN_MIN: usize = 8;

thread_local! {
    /// What most searches find.
    static NONE: Rc<[Cow<'static, str>]> = Rc::default();
}

/// A regular expression that is written out.
pub(super) struct Pattern {
    regex: Regex,
    runs: Option<Runs>,
}

impl Pattern {
    /// Compiles it as the engine does. None where the engine has something to say of it.
    pub(super) fn of(pattern: &str) -> Option<Self> {
        let regex = RegexBuilder::new(pattern).size_limit(PATTERN_MAX).build().ok()?;
        Some(Self { regex, runs: Runs::of(pattern) })
    }

    /// Whether it may match somewhere; no is sure.
    pub(super) fn may_match(&self, text: &str) -> bool {
        self.runs.as_ref().is_none_or(|runs| runs.runs(text.as_bytes()).next().is_some())
    }

    /// Whether it matches somewhere.
    pub(super) fn matches(&self, text: &str) -> bool {
        match &self.runs {
            Some(runs) => runs.find(text).next().is_some(),
            None => self.regex.is_match(text),
        }
    }

    /// The first `n` matches.
    pub(super) fn find<'a>(&self, text: &Cow<'a, str>, n: usize) -> Seen<'a> {
        let part = |range: Range<usize>| part_of(text, range.start, range.end);
        let found: Vec<Cow<'a, str>> = match &self.runs {
            Some(runs) => runs.find(text).take(n).map(part).collect(),
            None => self.regex.find_iter(text).take(n).map(|found| part(found.range())).collect(),
        };
        Seen::Texts(if found.is_empty() { NONE.with(Rc::clone) } else { found.into() })
    }
}

/// What a pattern's matches are made of.
struct Runs {
    regex: meta::Regex,
    /// Which bytes.
    alphabet: [bool; 256],
    /// How many of them at least.
    min: usize,
}

impl Runs {
    /// None if the pattern could match in too many runs.
    fn of(pattern: &str) -> Option<Self> {
        let hir = regex_syntax::parse(pattern).ok()?;
        let min = hir.properties().minimum_len().filter(|min| *min >= RUN_MIN)?;
        let mut alphabet = [false; 256];
        add_bytes(&hir, &mut alphabet);
        let is_small = alphabet.iter().filter(|is_in| **is_in).count() <= ALPHABET_MAX;
        let regex = is_small.then(|| meta::Regex::builder().build_from_hir(&hir).ok())??;
        Some(Self { regex, alphabet, min })
    }

    fn find<'r>(&'r self, text: &'r str) -> impl Iterator<Item = Range<usize>> + 'r {
        self.runs(text.as_bytes())
            .flat_map(move |run| self.regex.find_iter(Input::new(text).span(run)).map(|found| found.range()))
    }

    /// Runs that are long enough, in their order.
    fn runs<'r>(&'r self, text: &'r [u8]) -> impl Iterator<Item = Range<usize>> + 'r {
        let (mut from, half) = (0, self.min / 2);
        std::iter::from_fn(move || {
            // the last byte of the shortest run that could begin here; if it is not one, no run has it
            while let Some(byte) = text.get(from + self.min - 1) {
                let at = from + self.min - 1;
                if !self.is_in(byte) {
                    from = at + 1;
                    continue;
                }
                // a run between these two is too short
                if !self.is_in(&text[at - half]) && text.get(at + half).is_none_or(|byte| !self.is_in(byte)) {
                    from = at + half + 1;
                    continue;
                }
                let begin = at - text[from..at].iter().rev().take_while(|byte| self.is_in(byte)).count();
                let end = at + text[at..].iter().take_while(|byte| self.is_in(byte)).count();
                from = end;
                if end - begin >= self.min {
                    return Some(begin..end);
                }
            }
            None
        })
    }

    fn is_in(&self, byte: &u8) -> bool {
        self.alphabet[usize::from(*byte)]
    }
}

/// Adds every byte that can stand in a match. Bytes of characters beyond ASCII come all or none, so that runs have whole characters.
fn add_bytes(hir: &Hir, alphabet: &mut [bool; 256]) {
    let mut add = |from: u32, to: u32| {
        (from..=to.min(0x7f)).for_each(|byte| alphabet[byte as usize] = true);
        if to > 0x7f {
            alphabet[0x80..].fill(true);
        }
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => literal.0.iter().for_each(|byte| add(u32::from(*byte), u32::from(*byte))),
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().for_each(|range| add(u32::from(range.start()), u32::from(range.end())));
        }
        HirKind::Class(Class::Bytes(class)) => {
            class.ranges().iter().for_each(|range| add(u32::from(range.start()), u32::from(range.end())));
        }
        HirKind::Repetition(repetition) => add_bytes(&repetition.sub, alphabet),
        HirKind::Capture(capture) => add_bytes(&capture.sub, alphabet),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().for_each(|part| add_bytes(part, alphabet)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Patterns of packs, and texts made of what they are made of.
    #[test]
    fn in_runs_the_same_is_found_as_in_the_whole() {
        let patterns = [
            r"\b[2-6][0-9]{3}(?:[ -]?[0-9]{4}){2}[ -]?[0-9]{1,7}\b|\b3[0-9]{3}[ -]?[0-9]{6}[ -]?[0-9]{4,5}\b",
            r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
            r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b",
            r"^[0-9]{8,}",
            r"[0-9]{8,9}$",
            r"(?:1|12){7}2",
            r"\B[0-9]{9}\B",
        ];
        let pieces =
            ["1", "4111", "DE89", "A", " ", "-", "x", "é", "_", "22", "219-09-9999", "\n", "12345678", "\"", "ß"];
        let mut state = 7_u64;
        let mut below = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % bound
        };
        let mut found = 0;
        for pattern in patterns {
            let pattern = Pattern::of(pattern).unwrap();
            let runs = pattern.runs.as_ref().unwrap();
            for _ in 0..3000 {
                let text: String = (0..below(14)).map(|_| pieces[below(pieces.len())]).collect();
                let whole: Vec<Range<usize>> = pattern.regex.find_iter(&text).map(|found| found.range()).collect();
                assert_eq!(runs.find(&text).collect::<Vec<_>>(), whole, "{} in {text:?}", pattern.regex);
                found += whole.len();
            }
        }
        assert!(found > 1000, "{found}");
    }

    #[test]
    fn patterns_that_match_in_most_runs_are_searched_as_a_whole() {
        for pattern in ["a", "[0-9]{1,20}", r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,24}", ".{20}"] {
            assert!(Pattern::of(pattern).unwrap().runs.is_none(), "{pattern}");
        }
    }
}
