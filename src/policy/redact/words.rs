//! Takes what was hidden out of what verdicts say.

use super::{HIDDEN, json};
use crate::record::{VALUE_MIN_BYTES, Verdict, hex};
use aho_corasick::AhoCorasick;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

/// What is looked for; `None` if it is too much to look for.
pub(super) struct Words(Option<AhoCorasick>);

impl Words {
    /// For these verdicts: values in all their forms, and texts as the line writes them.
    pub(super) fn of(values: &BTreeSet<String>, written: &BTreeSet<String>, verdicts: &[Verdict]) -> Self {
        let len = |verdict: &Verdict| {
            let words = verdict.controls.iter().chain([&verdict.id]).chain(&verdict.reason);
            words.map(String::len).max().unwrap_or_default()
        };
        let longest = verdicts.iter().map(len).max().unwrap_or_default();
        let values = values.iter().filter(|value| value.len() >= VALUE_MIN_BYTES);
        let all = values.flat_map(|value| forms(value)).chain(written.iter().cloned());
        let looked_for: BTreeSet<String> =
            all.filter(|form| (VALUE_MIN_BYTES..=longest).contains(&form.len())).collect();
        Self(AhoCorasick::new(&looked_for).ok())
    }

    /// Takes it out of a verdict.
    pub(super) fn clean(&self, verdict: &mut Verdict) {
        verdict
            .controls
            .iter_mut()
            .chain([&mut verdict.id])
            .chain(&mut verdict.reason)
            .for_each(|word| self.hide(word));
    }

    fn hide(&self, word: &mut String) {
        let Some(search) = &self.0 else { return HIDDEN.clone_into(word) };
        let mut spans: Vec<Range<usize>> = Vec::new();
        for found in search.find_overlapping_iter(word.as_str()) {
            let mut span = found.range();
            // they come in the order of their ends
            while let Some(last) = spans.pop_if(|last| last.end > span.start) {
                span.start = span.start.min(last.start);
            }
            spans.push(span);
        }
        spans.into_iter().rev().for_each(|span| word.replace_range(span, HIDDEN));
    }
}

/// A value; as digits without what groups them, in JSON, in JSON in JSON, and in hexadecimal.
fn forms(value: &str) -> Vec<String> {
    let compact = value.replace([' ', '-'], "");
    let (plain, ascii) = (in_json(value), in_ascii(&in_json(value)));
    let hex = hex(value.as_bytes());
    vec![value.to_owned(), compact, in_json(&plain), in_json(&ascii), plain, ascii, hex.to_ascii_uppercase(), hex]
}

/// A text between the quotes of JSON.
fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The same with escapes for all that is not ASCII.
fn in_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        match character.is_ascii() {
            true => ascii.push(character),
            false => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(ascii, "\\u{unit:04x}");
            }),
        }
    }
    ascii
}

/// Adds a stretch of the line, and what is read in it as JSON, as JSON in JSON, and so on.
pub(super) fn add_written(raw: &str, written: &mut BTreeSet<String>) {
    let mut text = raw.to_owned();
    for _ in 0..json::DEPTH_MAX {
        let decoded = text.contains('\\').then(|| json::unescaped(&text));
        written.insert(text);
        match decoded {
            Some(decoded) => text = decoded,
            None => return,
        }
    }
    written.insert(text);
}
