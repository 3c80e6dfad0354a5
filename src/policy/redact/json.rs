//! JSON as it stands: where its texts and numbers are, and which bytes each character of them was written with.

use crate::record::Step;
use serde::de::IgnoredAny;
use std::ops::Range;
use std::rc::Rc;

/// Text in JSON in text in JSON: so deep is looked.
pub(super) const DEPTH_MAX: usize = 3;

/// What stands in a JSON text.
pub(super) enum Kind {
    /// The key of an object; the range is between the quotes.
    Key,
    /// A text; the range is between the quotes.
    Text,
    /// A number, `true`, `false` or `null`.
    Bare,
    /// An object or an array.
    Whole,
}

/// What is told of each thing that stands in JSON: its path, its kind, its range.
type Visit<'v> = dyn FnMut(&[Step], Kind, Range<usize>) + 'v;

/// Calls `visit` with the path, kind and range of everything in a JSON object or array; false if `text` is none.
pub(super) fn walk(text: &str, visit: &mut Visit<'_>) -> bool {
    let is_container = text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with(['{', '[']);
    if !is_container || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return false;
    }
    // it is JSON, so that brackets, commas and quotes are all that has to be told apart
    let (bytes, mut at) = (text.as_bytes(), 0);
    let mut path: Vec<Step> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut is_key = false;
    while at < bytes.len() {
        let start = at;
        at += 1;
        match bytes[start] {
            b'{' | b'[' => {
                is_key = bytes[start] == b'{';
                open.push(start);
                path.push(if is_key { Step::Key(String::new()) } else { Step::Index(0) });
            }
            b'}' | b']' => {
                path.pop();
                is_key = false;
                visit(&path, Kind::Whole, open.pop().unwrap_or_default()..at);
            }
            b',' => match path.last_mut() {
                Some(Step::Index(index)) => *index += 1,
                _ => is_key = true,
            },
            b'"' => {
                let inner = at..string_end(bytes, at);
                at = inner.end + 1;
                if std::mem::take(&mut is_key) {
                    if let Some(key) = path.last_mut() {
                        *key = Step::Key(decode(&text[inner.clone()]).0);
                    }
                    visit(&path, Kind::Key, inner);
                } else {
                    visit(&path, Kind::Text, inner);
                }
            }
            b':' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => {
                let end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
                at = bytes[at..].iter().position(end).map_or(bytes.len(), |len| at + len);
                visit(&path, Kind::Bare, start..at);
            }
        }
    }
    true
}

/// Where the closing quote is.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'"' {
        at += 1 + usize::from(bytes[at] == b'\\');
    }
    at.min(bytes.len())
}

/// Which bytes a decoded text was written with: stretches that stand as they are, and escapes.
#[derive(Clone, Debug, Default)]
pub struct Map(Vec<Rc<Vec<Run>>>);

#[derive(Clone, Debug)]
struct Run {
    decoded: usize,
    decoded_len: usize,
    raw: usize,
    raw_len: usize,
}

impl Map {
    /// Where a stretch of the decoded text stands in what it was decoded from; of an escape it is all.
    pub fn raw(&self, span: Range<usize>) -> Range<usize> {
        let within = |span: Range<usize>, runs: &Rc<Vec<Run>>| {
            let run = |at: usize| runs[..runs.partition_point(|run| run.decoded <= at)].last();
            let start = run(span.start).map_or(0, |run| match run.decoded_len == run.raw_len {
                true => run.raw + (span.start - run.decoded),
                false => run.raw,
            });
            let end = run(span.end.saturating_sub(1)).map_or(start, |run| match run.decoded_len == run.raw_len {
                true => run.raw + (span.end - run.decoded),
                false => run.raw + run.raw_len,
            });
            start..end.max(start)
        };
        self.0.iter().rev().fold(span, within)
    }

    /// The text between the quotes at `inner`, decoded, and its map to what `self` maps to.
    fn below(&self, text: &str, inner: Range<usize>) -> (String, Self) {
        let (decoded, mut runs) = decode(&text[inner.clone()]);
        runs.iter_mut().for_each(|run| run.raw += inner.start);
        let mut map = self.clone();
        map.0.push(Rc::new(runs));
        (decoded, map)
    }
}

/// The text of the last string at this key of a JSON object, and where it stands.
pub(in crate::policy) fn text_of(line: &str, key: &str) -> Option<(String, Map)> {
    let mut found = None;
    walk(line, &mut |path, kind, range| {
        if matches!((path, kind), ([Step::Key(at)], Kind::Text) if at == key) {
            found = Some(range);
        }
    });
    found.map(|inner| Map::default().below(line, inner))
}

/// A stretch of a text in JSON with what its escapes stand for.
pub(super) fn unescaped(raw: &str) -> String {
    decode(raw).0
}

/// What escapes stand for, and where each stood.
fn decode(raw: &str) -> (String, Vec<Run>) {
    let (mut text, mut runs) = (String::with_capacity(raw.len()), Vec::new());
    let mut at = 0;
    while at < raw.len() {
        let plain = memchr::memchr(b'\\', &raw.as_bytes()[at..]).unwrap_or(raw.len() - at);
        if plain > 0 {
            runs.push(Run { decoded: text.len(), decoded_len: plain, raw: at, raw_len: plain });
            text.push_str(&raw[at..at + plain]);
            at += plain;
            continue;
        }
        let (character, len) = escape(&raw[at..]);
        runs.push(Run { decoded: text.len(), decoded_len: character.len_utf8(), raw: at, raw_len: len });
        text.push(character);
        at += len;
    }
    (text, runs)
}

/// The character of the escape that `raw` begins with, and the escape's length.
fn escape(raw: &str) -> (char, usize) {
    let unit = |at: usize| {
        let digits = raw.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let character = match raw.as_bytes().get(1) {
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => {
            let units = [unit(0), unit(6)];
            let mut characters = char::decode_utf16(units.into_iter().flatten());
            return match characters.next() {
                Some(Ok(character)) => (character, 6 * character.len_utf16()),
                _ => (char::REPLACEMENT_CHARACTER, raw.len().min(6)),
            };
        }
        Some(other) if other.is_ascii() => char::from(*other),
        _ => char::REPLACEMENT_CHARACTER,
    };
    (character, raw.len().min(2))
}

/// Quotes in JSON, in a text in JSON, and so on.
const QUOTES: [&str; DEPTH_MAX + 2] = [r#"""#, r#"\""#, r#"\\\""#, r#"\\\\\\\""#, r#"\\\\\\\\\\\\\\\""#];

/// A quote, so deep.
pub(super) fn quote(depth: usize) -> &'static str {
    QUOTES[depth.min(QUOTES.len() - 1)]
}

/// How deep it is.
pub(super) fn depth(quote: &str) -> usize {
    QUOTES.iter().position(|known| *known == quote).unwrap_or_default()
}

/// A stretch of a line that is read by itself: of JSON each text and number, of anything else all of it.
pub(super) struct View {
    /// Decoded.
    pub(super) text: String,
    pub(super) map: Map,
    /// A number or the like: it goes as a whole, and a text takes its place.
    pub(super) quote: &'static str,
    pub(super) is_key: bool,
    /// All of it, in the line.
    pub(super) all: Range<usize>,
}

/// The views of a line.
pub(super) fn views(text: &str) -> Vec<View> {
    let mut views = Vec::new();
    let map = Map(vec![Rc::new(vec![Run { decoded: 0, decoded_len: text.len(), raw: 0, raw_len: text.len() }])]);
    collect(text.to_owned(), &map, 0, false, &mut views);
    views
}

fn collect(text: String, map: &Map, depth: usize, is_key: bool, views: &mut Vec<View>) {
    let quote = quote(depth);
    let mut below = Vec::new();
    let mut visit = |_: &[Step], kind: Kind, range: Range<usize>| match kind {
        Kind::Key | Kind::Text => {
            let (text, map) = map.below(&text, range);
            below.push((text, map, "", matches!(kind, Kind::Key)));
        }
        Kind::Bare => {
            let one = Run { decoded: 0, decoded_len: range.len(), raw: range.start, raw_len: range.len() };
            let mut map = map.clone();
            map.0.push(Rc::new(vec![one]));
            below.push((text[range].to_owned(), map, quote, false));
        }
        Kind::Whole => {}
    };
    if depth == DEPTH_MAX || !walk(&text, &mut visit) {
        let all = map.raw(0..text.len());
        return views.push(View { text, map: map.clone(), quote: "", is_key, all });
    }
    for (text, map, quote, is_key) in below {
        match quote.is_empty() {
            true => collect(text, &map, depth + 1, is_key, views),
            false => {
                let all = map.raw(0..text.len());
                views.push(View { text, map, quote, is_key, all });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_those_of_json_in_json() {
        for depth in 1..QUOTES.len() {
            assert_eq!(format!("\"{}\"", quote(depth)), serde_json::to_string(quote(depth - 1)).unwrap());
            assert_eq!(super::depth(quote(depth)), depth);
        }
    }

    #[test]
    fn everything_is_found_where_it_stands() {
        let text = r#" {"a\u0062":[1, "x\ny", {"c":null}], "d" : -2.5e3} "#;
        let mut found = Vec::new();
        assert!(walk(text, &mut |path, _, range| found.push((format!("{path:?}"), text[range].to_owned()))));
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        let array = r#"[1, "x\ny", {"c":null}]"#;
        assert_eq!(texts, [r"a\u0062", "1", r"x\ny", "c", "null", r#"{"c":null}"#, array, "d", "-2.5e3", text.trim()]);
        assert_eq!(found[1].0, r#"[Key("ab"), Index(0)]"#);
        assert_eq!(found[4].0, r#"[Key("ab"), Index(2), Key("c")]"#);
        assert!(!walk("{\"a\":", &mut |_, _, _| {}) && !walk("7", &mut |_, _, _| {}));
    }

    #[test]
    fn a_decoded_stretch_is_found_in_what_it_was_written_with() {
        let line = r#"{"log":"{\"n\":\"\\u0041lice \ud83d\ude00!\"}"}"#;
        let views = views(line);
        let view = views.iter().find(|view| view.text.starts_with("Alice")).unwrap();
        assert_eq!(view.text, "Alice 😀!");
        let raw = |text: &str| {
            let at = view.text.find(text).unwrap();
            &line[view.map.raw(at..at + text.len())]
        };
        assert_eq!((raw("Al"), raw("lice"), raw("😀"), raw("!")), (r"\\u0041l", "lice", r"\ud83d\ude00", "!"));
        assert_eq!(&line[view.all.clone()], r"\\u0041lice \ud83d\ude00!");
        let (text, map) = text_of(r#"{"log":"a\nb","x":1}"#, "log").unwrap();
        assert_eq!((text.as_str(), map.raw(2..3)), ("a\nb", 11..12));
    }
}
