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
