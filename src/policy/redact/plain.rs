//! Hides texts on lines that write nothing in two ways, without looking at what each part of a line is: most redactions are of
//! this kind, and the search through JSON in JSON costs tens of microseconds.
//!
//! # Why the result is that of the whole search
//! The search looks for a text in each key, text and number of JSON, decoded, and in JSON that stands in these; a line that is not
//! JSON is one text. Without a backslash in the line, each text of JSON is what stands between its quotes, and JSON within a
//! text has no texts of its own, only brackets, commas and bare values. A value that has no byte of JSON's structure, no space
//! and no quote, but one byte at least that no bare value has, thus stands in texts and keys alone, of JSON that is not in
//! JSON; where the bytes of the line are those of the value, they are in one of these as a whole. There the map to the line is
//! the identity, and nothing but the bytes themselves gives way.
//! What verdicts say is searched for the value's other forms: in JSON these are the value itself, as it has nothing to escape;
//! without hyphens, and in hexadecimal, where it is eight digits long or longer.

use crate::record::{Hidden, Redaction, VALUE_MIN_BYTES, settled};
use memchr::memmem::{self, Finder};
use std::sync::Arc;

/// More than this is for the whole search to bound.
const PLACES_MAX: usize = 64;

/// Hides these texts wherever they stand in a line whose verdicts are rendered already, and have no [`has_hex`]. None if that
/// takes the whole search.
pub(in crate::policy) fn plain<'t>(
    line: &str,
    texts: impl Iterator<Item = &'t str>,
    verdicts: &[u8],
) -> Option<Redaction> {
    let mut spans = Vec::new();
    if memchr::memchr(b'\\', line.as_bytes()).is_some() {
        return None;
    }
    for text in texts {
        let search = Finder::new(text);
        if !stands_as_it_is(text) || search.find(verdicts).is_some() || is_said_compactly(text, verdicts) {
            return None;
        }
        let (value, before, mut from) = (Arc::<[u8]>::from(text.as_bytes()), spans.len(), 0);
        while let Some(at) = search.find(&line.as_bytes()[from..]) {
            let start = from + at;
            spans.push(Hidden { span: start..start + text.len(), value: Some(value.clone()), quote: "" });
            // it may overlap with itself
            from = start + 1;
            if spans.len() > PLACES_MAX {
                return None;
            }
        }
        if spans.len() == before {
            return None;
        }
    }
    Some(Redaction::Spans(settled(spans)))
}

/// Whether a value can only stand in a text, and written in one way.
fn stands_as_it_is(value: &str) -> bool {
    let is_structure = |byte| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b'[' | b']' | b',' | b':');
    let is_bare = |byte| {
        matches!(
            byte,
            b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E' | b't' | b'r' | b'u' | b'f' | b'a' | b'l' | b's' | b'n'
        )
    };
    value.len() >= VALUE_MIN_BYTES
        && value.bytes().all(|byte| byte.is_ascii_graphic() && !is_structure(byte))
        && !value.bytes().all(is_bare)
}

/// Whether verdicts say it without what groups it.
fn is_said_compactly(value: &str, verdicts: &[u8]) -> bool {
    let compact = || value.replace('-', "");
    value.contains('-')
        && Some(compact())
            .is_some_and(|value| value.len() >= VALUE_MIN_BYTES && memmem::find(verdicts, value.as_bytes()).is_some())
}

/// Whether verdicts have a stretch that could be a value in hexadecimal.
pub(in crate::policy) fn has_hex(verdicts: &[u8]) -> bool {
    let mut digits = 0;
    verdicts.iter().any(|byte| {
        digits = if byte.is_ascii_hexdigit() { digits + 1 } else { 0 };
        digits >= 2 * VALUE_MIN_BYTES
    })
}

#[cfg(test)]
mod tests {
    use crate::policy::{Config, Evaluator, LineContext, PolicySet, SourceContext};
    use crate::record::Redaction;
    use std::sync::Arc;

    /// The packs that hide texts; without the trees every line goes to the engine, and what it hides to the whole search.
    fn set(with_trees: bool) -> PolicySet {
        let pack = |name| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/personal").join(name);
        let mut set = PolicySet::load(&Config::of(vec![pack("email.rego"), pack("numbers.rego")])).unwrap();
        if !with_trees {
            let packages = &mut Arc::get_mut(&mut set.inner).unwrap().packages;
            packages.iter_mut().for_each(|package| package.direct = None);
        }
        set
    }

    #[test]
    fn what_is_hidden_at_a_glance_is_what_the_whole_search_hides() {
        let pieces = [
            "alice@example.com",
            "bob-b@mail-1.example.org",
            "me@e.de",
            "e@e.tr",
            "personal-email@example.com",
            "@",
            "a@b",
            "4111111111111111",
            "4111 1111 1111 1111",
            "DE89370400440532013000",
            "219-09-9999",
            " ",
            " ",
            ",",
            ":",
            "\"",
            "\"",
            "{",
            "}",
            "[",
            "]",
            "\\",
            "\\u0040",
            "é",
            "1",
            "true",
            "{\"to\":\"",
            "\"}",
            "[\"",
            "\"]",
            "{\"alice@example.com\":",
            "[1,",
            "root@localhost",
            "user@1000.service",
        ];
        let mut state = 11_u64;
        let mut below = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % bound
        };
        let (mut fast, mut whole) = (Evaluator::new(&set(true)), Evaluator::new(&set(false)));
        let source = SourceContext::default();
        let mut with_spans = 0;
        for _ in 0..6000 {
            let mut line: String = (0..=below(7)).map(|_| pieces[below(pieces.len())]).collect();
            if below(2) == 0 {
                line = serde_json::json!({"to": line, "n": below(3), "in": [line.clone()]}).to_string();
            }
            let message = line.as_bytes();
            let line = LineContext { message, earlier: b"", is_piece: false, source: &source, host: "h", time: "" };
            let expected = whole.verdicts(&line);
            assert_eq!(fast.verdicts(&line), expected, "{}", String::from_utf8_lossy(message));
            with_spans += usize::from(matches!(expected.redaction, Some(Redaction::Spans(_))));
        }
        assert!(with_spans > 1000, "{with_spans}");
    }
}
