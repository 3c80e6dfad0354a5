//! The YAML of a METADATA comment or of `data.yaml` as a small tree, each part with its line.
//!
//! Aliases are refused: with them a few lines grow into gigabytes.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::Value;

/// Bound of nesting.
const DEPTH_MAX: usize = 16;

/// A part of a YAML document.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    /// Its line, from 1.
    pub(super) line: u32,
    /// What it is.
    pub(super) kind: Kind,
    /// A scalar without quotes, which may be no text.
    is_plain: bool,
}

/// The kinds of parts. A scalar stays the text that was written.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    /// Text, a number, a boolean or nothing.
    Scalar(String),
    /// `- a`.
    List(Vec<Node>),
    /// `key: value`, in order.
    Map(Vec<(String, Node)>),
}

/// Reads one document. An error is the line and what is wrong there.
pub(super) fn parse(text: &str) -> Result<Option<Node>, (u32, String)> {
    let mut reader = Reader { parser: Parser::new_from_str(text) };
    loop {
        let (event, line) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(None),
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event => return reader.node(event, line, 0).map(Some),
        }
    }
}

/// Reads one document as JSON, by YAML 1.2's core schema. Nothing is null, as in OPA.
pub(super) fn to_json(text: &str) -> Result<Value, (u32, String)> {
    parse(text)?.map_or(Ok(Value::Null), json)
}

fn json(node: Node) -> Result<Value, (u32, String)> {
    let line = node.line;
    Ok(match node.kind {
        Kind::Scalar(text) if node.is_plain => plain(text).map_err(|what| (line, what))?,
        Kind::Scalar(text) => Value::String(text),
        Kind::List(items) => items.into_iter().map(json).collect::<Result<_, _>>()?,
        Kind::Map(fields) => {
            let mut object = serde_json::Map::new();
            for (key, value) in fields {
                if object.contains_key(&key) {
                    return Err((value.line, format!("{key:?} stands there twice")));
                }
                object.insert(key, json(value)?);
            }
            Value::Object(object)
        }
    })
}

fn plain(text: String) -> Result<Value, String> {
    Ok(match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        word if ["yes", "no", "on", "off", "y", "n"].contains(&word.to_ascii_lowercase().as_str()) => {
            // true or false in YAML 1.1, which OPA reads, and text in 1.2
            return Err(format!("{word:?} means different things to different readers; write true, false or quotes"));
        }
        _ if text.starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c)) => number(text),
        _ => Value::String(text),
    })
}

/// What JSON takes for a number; `0x1F`, `1_000` or a date stay text.
fn number(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(number @ Value::Number(_)) => number,
        _ => Value::String(text),
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, u32), (u32, String)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, line(span.start.line()))),
            Some(Err(error)) => Err((line(error.marker().line()), error.info().to_owned())),
            None => Ok((Event::StreamEnd, 1)),
        }
    }

    fn node(&mut self, event: Event<'a>, line: u32, depth: usize) -> Result<Node, (u32, String)> {
        if depth > DEPTH_MAX {
            return Err((line, format!("nested more than {DEPTH_MAX} deep")));
        }
        let is_plain = matches!(event, Event::Scalar(_, ScalarStyle::Plain, ..));
        let kind = match event {
            Event::Scalar(text, ..) => Kind::Scalar(text.into_owned()),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Kind::List(items),
                        (event, line) => items.push(self.node(event, line, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut fields = Vec::new();
                loop {
                    let key = match self.next()? {
                        (Event::MappingEnd, _) => break Kind::Map(fields),
                        (Event::Scalar(key, ..), _) => key.into_owned(),
                        (_, line) => return Err((line, "a key must be plain text".to_owned())),
                    };
                    let (event, line) = self.next()?;
                    fields.push((key, self.node(event, line, depth + 1)?));
                }
            }
            Event::Alias(_) => return Err((line, "aliases (`*name`) are not allowed; write the value out".to_owned())),
            _ => return Err((line, "ends too early".to_owned())),
        };
        Ok(Node { line, kind, is_plain })
    }
}

fn line(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_know_their_lines() {
        let Some(Node { kind: Kind::Map(fields), .. }) = parse(" a: x\n b:\n - 1\n - [2, 3]\n").unwrap() else {
            panic!("a mapping");
        };
        let x = Node { line: 1, kind: Kind::Scalar("x".to_owned()), is_plain: true };
        assert_eq!(fields[0], ("a".to_owned(), x));
        let Kind::List(items) = &fields[1].1.kind else { panic!("a list") };
        assert_eq!((items[0].line, items[1].line), (3, 4));
        assert_eq!(parse("").unwrap(), None);
    }

    #[test]
    fn data_is_read_as_json() {
        let text = "a: [1, -2.5, true, ~, x y, '1', \"no\", 2026-01-02]\nb:\n  c: |\n    7\n";
        let expected = serde_json::json!({
            "a": [1, -2.5, true, null, "x y", "1", "no", "2026-01-02"], "b": {"c": "7\n"}
        });
        assert_eq!(to_json(text).unwrap(), expected);
        assert_eq!(to_json("").unwrap(), Value::Null);
        assert_eq!(to_json("a: 1\nb: yes").unwrap_err().0, 2);
        assert_eq!(to_json("a: 1\nb: 2\na: 3").unwrap_err().0, 3);
    }

    #[test]
    fn bombs_and_nonsense_are_refused_with_their_line() {
        assert_eq!(parse("a: &x [1]\nb: *x").unwrap_err().0, 2);
        assert_eq!(parse("a: 1\nb: [").unwrap_err().0.clamp(2, 3), parse("a: 1\nb: [").unwrap_err().0);
        assert!(parse(&"[".repeat(100)).is_err());
    }
}
