//! What of a line its verdicts hide: where it stands, wherever it stands. What can't be found hides the whole line.
//!
//! | file | what it does |
//! | --- | --- |
//! | `path` | reads what policies write under `redact` |
//! | `json` | where the texts and numbers of JSON stand, and what each character was written with |
//! | `plain` | texts that can be told to stand as they are |
//! | `words` | takes what was hidden out of what verdicts say |

mod json;
pub(super) mod path;
mod plain;
mod words;

pub(super) use json::text_of;
pub(super) use plain::{has_hex, plain};

use super::PolicySet;
use super::input::Fields;
use super::syntax::{Expr, Form, Syntax, form};
use super::verdict::{self, REDACT};
use crate::record::{Decision, HIDDEN_MAX, Hidden, Hide, Redaction, Step, VALUE_MIN_BYTES, Verdict, Verdicts, settled};
use aho_corasick::AhoCorasick;
use json::{Kind, Map, View};
use regex::{Regex, RegexBuilder};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use words::Words;

/// Bound of a compiled pattern, as the engine has it.
const PATTERN_MAX_BYTES: usize = 100 * 1024;
/// Patterns that are kept from line to line.
const PATTERNS_MAX: usize = 64;
/// Bound of what a pattern matches in one text, and of what is found before overlaps are settled.
const MATCHES_MAX: usize = 4 * HIDDEN_MAX;
/// What stands for hidden text in ids and reasons.
const HIDDEN: &str = "[redacted]";

/// Where a text that policies saw stands in the line that it was taken from.
#[derive(Clone, Debug)]
pub enum Layout {
    /// As it is, after so many bytes.
    After(usize),
    /// After so many bytes JSON begins, in a string of which it stands.
    Escaped(usize, Map),
}

impl Layout {
    /// Where a stretch of the text stands in the line.
    pub fn raw(&self, text: Range<usize>) -> Range<usize> {
        let (before, span) = match self {
            Self::After(before) => (before, text),
            Self::Escaped(before, map) => (before, map.raw(text)),
        };
        before + span.start..before + span.end
    }

    /// A quote in the text, as it is written in the line.
    pub fn quote(&self, quote: &'static str) -> &'static str {
        match self {
            Self::Escaped(..) if !quote.is_empty() => json::quote(1 + json::depth(quote)),
            _ => quote,
        }
    }
}

/// Compiled patterns; `None` is one that can't be compiled.
#[derive(Default)]
pub(super) struct Patterns(HashMap<String, Option<Regex>>);

/// A line whose verdicts ask to hide something.
pub(super) struct Line<'a> {
    /// The line's text as it was written; of a journal's entry all of it.
    pub(super) text: &'a [u8],
    /// What policies see as `input.message`.
    pub(super) message: &'a str,
    pub(super) fields: &'a Fields,
    /// What stands in the policies tells nothing of the line.
    pub(super) set: &'a PolicySet,
}

/// Sorts, bounds and renders verdicts of which some hide something; nothing of that is left in them.
pub(super) fn render(mut verdicts: Vec<Verdict>, line: &Line<'_>, patterns: &mut Patterns) -> Verdicts {
    let found = str::from_utf8(line.text).ok().and_then(|text| Search::of(&verdicts, text, line, patterns));
    verdicts.iter_mut().for_each(|verdict| verdict.redact.clear());
    match &found {
        Some(search) => take_out(&search.values, &search.written, &mut verdicts),
        // where nothing is known of what to hide, text from the line is left out
        None => verdicts.iter_mut().for_each(|verdict| withheld(verdict, line.set)),
    }
    let redaction = found.map_or(Redaction::Whole, |search| Redaction::Spans(search.spans));
    Verdicts { redaction: Some(redaction), ..verdict::render(verdicts) }
}

/// Takes what was hidden in another line out of rendered verdicts.
pub(super) fn clean(json: &[u8], redaction: &Redaction, set: &PolicySet) -> Vec<u8> {
    let mut verdicts: Vec<Verdict> = serde_json::from_slice(json).unwrap_or_default();
    match redaction {
        Redaction::Whole => verdicts.iter_mut().for_each(|verdict| withheld(verdict, set)),
        Redaction::Spans(spans) => {
            let texts = spans.iter().filter_map(|hidden| str::from_utf8(hidden.value.as_deref()?).ok());
            take_out(&texts.map(str::to_owned).collect(), &BTreeSet::new(), &mut verdicts);
        }
    }
    verdict::render(verdicts).json
}

fn take_out(values: &BTreeSet<String>, written: &BTreeSet<String>, verdicts: &mut [Verdict]) {
    let words = Words::of(values, written, verdicts);
    verdicts.iter_mut().for_each(|verdict| words.clean(verdict));
}

/// Leaves of a verdict what a policy says in the same words of every line.
fn withheld(verdict: &mut Verdict, set: &PolicySet) {
    if verdict.decision == Decision::Undecided {
        return;
    }
    verdict.reason = None;
    verdict.controls.retain(|control| set.is_written_control(&verdict.id, control));
    if !set.is_written(&verdict.id) {
        HIDDEN.clone_into(&mut verdict.id);
    }
}

/// What was found to hide.
struct Search {
    spans: Vec<Hidden>,
    /// Values that are hidden wherever they stand.
    values: BTreeSet<String>,
    /// What is hidden, as it is written in the line.
    written: BTreeSet<String>,
}

impl Search {
    /// `None` where the whole line is to be hidden.
    fn of(verdicts: &[Verdict], text: &str, line: &Line<'_>, patterns: &mut Patterns) -> Option<Self> {
        if verdicts.iter().map(|verdict| verdict.redact.len()).sum::<usize>() > HIDDEN_MAX {
            return None;
        }
        let views = json::views(text);
        let mut search = Self { spans: Vec::new(), values: BTreeSet::new(), written: BTreeSet::new() };
        for verdict in verdicts.iter().filter(|verdict| !verdict.redact.is_empty()) {
            let before = search.spans.len();
            for hide in &verdict.redact {
                match hide {
                    Hide::Message => return None,
                    Hide::Text(text) => search.text(&views, text, &[text.as_str()])?,
                    Hide::Pattern(pattern) => search.pattern(&views, patterns.get(pattern)?, text, line.message)?,
                    Hide::Path(path) => search.path(&views, path, text, line.fields)?,
                }
            }
            // what was to be hidden was not found: nobody knows where it is
            if search.spans.len() == before {
                return None;
            }
        }
        search.elsewhere(&views)?;
        for raw in search.spans.iter().filter_map(|hidden| text.get(hidden.span.clone())) {
            words::add_written(raw, &mut search.written);
        }
        search.spans = settled(search.spans);
        (search.spans.len() <= HIDDEN_MAX).then_some(search)
    }

    /// Hides a stretch of a view.
    fn hide(&mut self, view: &View, span: Range<usize>, value: &str) -> Option<()> {
        let span = if view.quote.is_empty() { view.map.raw(span) } else { view.all.clone() };
        self.add(span, value, view.quote)
    }

    fn add(&mut self, span: Range<usize>, value: &str, quote: &'static str) -> Option<()> {
        if value.len() >= VALUE_MIN_BYTES {
            self.values.insert(value.to_owned());
        }
        self.spans.push(Hidden { span, value: Some(Arc::from(value.as_bytes())), quote });
        (self.spans.len() <= MATCHES_MAX && self.values.len() <= HIDDEN_MAX).then_some(())
    }

    /// A text, which may be written in several ways; it must be there. A short one counts where it stands by itself.
    fn text(&mut self, views: &[View], value: &str, written: &[&str]) -> Option<()> {
        let before = self.spans.len();
        for (view, form) in views.iter().flat_map(|view| written.iter().map(move |form| (view, *form))) {
            let is_alone = |at: usize| {
                let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
                !is_part(view.text[..at].chars().next_back()) && !is_part(view.text[at + form.len()..].chars().next())
            };
            for (at, _) in view.text.match_indices(form) {
                if form.len() >= VALUE_MIN_BYTES || is_alone(at) {
                    self.hide(view, at..at + form.len(), value)?;
                }
            }
        }
        (self.spans.len() > before).then_some(())
    }

    /// What a pattern matches in the message; in JSON also in each text and number by itself.
    fn pattern(&mut self, views: &[View], pattern: &Regex, text: &str, message: &str) -> Option<()> {
        for view in views {
            for span in matches(pattern, &view.text)? {
                let value = view.text[span.clone()].to_owned();
                self.hide(view, span, &value)?;
            }
        }
        for span in matches(pattern, message)? {
            let value = &message[span.clone()];
            if message.len() != text.len() {
                // the message is one of the entry's fields
                if !self.spans.iter().any(|hidden| hidden.value.as_deref() == Some(value.as_bytes())) {
                    self.text(views, value, &[value])?;
                }
            } else if !self.spans.iter().any(|hidden| hidden.span.start <= span.start && span.end <= hidden.span.end) {
                self.pieces(views, &span, text)?;
            }
        }
        Some(())
    }

    /// What was matched across texts and numbers of JSON: each of them that is met, as far as it is met.
    fn pieces(&mut self, views: &[View], span: &Range<usize>, text: &str) -> Option<()> {
        let before = self.spans.len();
        for view in views {
            let met = view.all.start.max(span.start)..view.all.end.min(span.end);
            if met.is_empty() {
                continue;
            }
            // an escape that is met in part goes as a whole, and with it the text that it is in
            let is_plain = view.text == text[view.all.clone()];
            let met = if is_plain && view.quote.is_empty() { met } else { view.all.clone() };
            let value = if is_plain { &text[met.clone()] } else { &view.text };
            match view.is_key {
                true => self.spans.push(Hidden { span: met, value: Some(Arc::from(value.as_bytes())), quote: "" }),
                false => self.add(met, value, view.quote)?,
            }
        }
        (self.spans.len() > before).then_some(())
    }

    /// The values at a path. There may be none; what is there must be found in the line.
    fn path(&mut self, views: &[View], path: &[Step], text: &str, fields: &Fields) -> Option<()> {
        let mut found = Vec::new();
        let is_json = json::walk(text, &mut |place, kind, range| {
            if found.len() <= HIDDEN_MAX && !matches!(kind, Kind::Key) && path::fits(path, place) {
                found.push((range, matches!(kind, Kind::Text)));
            }
        });
        if found.len() > HIDDEN_MAX {
            return None;
        }
        // what is in an object or an array is hidden elsewhere too; what was found is in order, none within another
        let is_below = |view: &&View| {
            let at = found.partition_point(|(range, _): &(Range<usize>, bool)| range.end < view.all.end);
            !view.is_key && found.get(at).is_some_and(|(range, _)| within(range, &view.all))
        };
        let values = views.iter().filter(is_below).map(|view| &view.text);
        self.values.extend(values.filter(|value| value.len() >= VALUE_MIN_BYTES).cloned());
        for (range, is_text) in found {
            let decoded = if is_text { decoded(text, &range) } else { text[range.clone()].to_owned() };
            self.add(range, &decoded, if is_text { "" } else { "\"" })?;
        }
        if is_json {
            return Some(());
        }
        let mut leaves = Vec::new();
        match fields {
            Fields::Object(fields) => path::leaves(fields, path, &mut leaves),
            Fields::Absent => {}
            Fields::OverBounds(_) => return None,
        }
        if leaves.len() > HIDDEN_MAX {
            return None;
        }
        leaves.retain(|leaf| !leaf.is_empty());
        if !leaves.is_empty() && text.contains('\\') {
            return None;
        }
        leaves.iter().try_for_each(|leaf| self.leaf(views, leaf, text))
    }

    /// A value that was read from a line that is not JSON; it must be told where it was read.
    fn leaf(&mut self, views: &[View], leaf: &str, text: &str) -> Option<()> {
        // the kernel writes text with spaces or quotes in hexadecimal
        let in_hex = |leaf: &str| {
            let hex = crate::record::hex(leaf.as_bytes());
            [hex.to_ascii_uppercase(), hex]
        };
        let stands = |written: &[String; 2]| written.iter().any(|hex| text.contains(hex));
        let hex = in_hex(leaf);
        // what may be written with escapes stands where it stands in hexadecimal, or who knows where
        let is_plain = leaf.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\'' | b'\\'));
        // arguments that the kernel divides by NUL are read with spaces
        let is_divided = leaf.contains(' ') && stands(&in_hex(&leaf.replace(' ', "\0")));
        if is_divided || !is_plain && !stands(&hex) {
            return None;
        }
        self.text(views, leaf, &[leaf, &hex[0], &hex[1]])
    }

    /// The same values wherever else they stand.
    fn elsewhere(&mut self, views: &[View]) -> Option<()> {
        let values: Vec<String> = self.values.iter().cloned().collect();
        if values.is_empty() || values.len() > HIDDEN_MAX {
            return values.is_empty().then_some(());
        }
        let search = AhoCorasick::new(&values).ok()?;
        for view in views {
            for found in search.find_overlapping_iter(&view.text) {
                self.hide(view, found.range(), &values[found.pattern().as_usize()])?;
            }
        }
        Some(())
    }
}

impl Patterns {
    fn get(&mut self, pattern: &str) -> Option<&Regex> {
        if !self.0.contains_key(pattern) {
            if self.0.len() == PATTERNS_MAX {
                self.0.clear();
            }
            self.0.insert(pattern.to_owned(), compile(pattern));
        }
        self.0.get(pattern)?.as_ref()
    }
}

/// A pattern, if it is one and within bounds.
fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).size_limit(PATTERN_MAX_BYTES).build().ok()
}

/// Whether a package's verdicts may have `redact`: the word, or a key that is not written out, stands in its rules, or in
/// others that it refers to, or its verdicts may come from data.
pub(super) fn may(package: &[&Syntax], all: &[&Syntax]) -> bool {
    let look = |file: &&Syntax| {
        let (mut word, mut refers) = (false, !file.imports.is_empty());
        for rule in &file.rules {
            rule.each_expr(&mut |expr| match form(expr) {
                Form::Text(text) => word |= text == REDACT,
                Form::Path(path) => {
                    refers |= path[0] == "data";
                    word |= path.iter().any(|part| part == REDACT);
                }
                // a key that is not written out may be this one, but for objects that are no verdicts
                Form::Object(fields) => word |= may_be_any(fields.iter().map(|(key, _)| *key)),
                Form::Compr(terms, ..) if terms.len() == 2 => word |= may_be_any([terms[0]]),
                _ => {}
            });
        }
        (word, refers)
    };
    let own: Vec<(bool, bool)> = package.iter().map(look).collect();
    own.iter().any(|(word, _)| *word)
        || (own.iter().any(|(_, refers)| *refers) && all.iter().map(look).any(|(word, _)| word))
}

/// Whether some of an object's keys are not written out, and all others are those of verdicts.
fn may_be_any<'a>(keys: impl IntoIterator<Item = &'a Expr>) -> bool {
    let mut is_any = false;
    let is_of_verdict = |key| match form(key) {
        Form::Text(key) => verdict::KEYS.contains(&key),
        Form::Number(_) => false,
        _ => {
            is_any = true;
            true
        }
    };
    keys.into_iter().all(is_of_verdict) && is_any
}

/// What is wrong with a member of `redact` that is written out.
pub(super) fn check(text: &str) -> Result<(), String> {
    match path::of_text(text)? {
        Hide::Pattern(pattern) if pattern == "message" || pattern.starts_with("fields.") => {
            Err(format!("a path begins with `input.`: write `input.{pattern}`"))
        }
        Hide::Pattern(pattern) if compile(&pattern).is_none() => {
            Err("not a regular expression, or one that is too large; a path begins with `input.`".into())
        }
        _ => Ok(()),
    }
}

/// What a pattern matches: where it has groups, what each of them does. `None` if it matches too often to look at all of it.
fn matches(pattern: &Regex, text: &str) -> Option<Vec<Range<usize>>> {
    let mut spans = Vec::new();
    for (before, found) in pattern.captures_iter(text).enumerate() {
        if before == MATCHES_MAX {
            return None;
        }
        let groups = usize::from(found.len() > 1);
        spans.extend(found.iter().skip(groups).flatten().map(|group| group.range()).filter(|range| !range.is_empty()));
    }
    Some(spans)
}

fn within(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// The text that stands between quotes.
fn decoded(text: &str, inner: &Range<usize>) -> String {
    serde_json::from_str(&text[inner.start - 1..inner.end + 1]).unwrap_or_else(|_| text[inner.clone()].to_owned())
}
