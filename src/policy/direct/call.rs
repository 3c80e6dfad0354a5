//! The engine's functions that are done here, on arguments of the types that they want; on others the answer is unknown.

use std::borrow::Cow;
use std::rc::Rc;

use regorus::Value;

use super::Seen;

/// A builtin function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Concat,
    Contains,
    Count,
    EndsWith,
    IndexOf,
    Lower,
    ObjectGet,
    Replace,
    Split,
    StartsWith,
    Substring,
    ToNumber,
    Trim,
}

impl Function {
    /// The function of that name, if it is known with so many arguments.
    pub(super) fn of(name: &str, arguments: usize) -> Option<Self> {
        Some(match (name, arguments) {
            ("concat", 2) => Self::Concat,
            ("contains", 2) => Self::Contains,
            ("count", 1) => Self::Count,
            ("endswith", 2) => Self::EndsWith,
            ("indexof", 2) => Self::IndexOf,
            ("lower", 1) => Self::Lower,
            ("object.get", 3) => Self::ObjectGet,
            ("replace", 3) => Self::Replace,
            ("split", 2) => Self::Split,
            ("startswith", 2) => Self::StartsWith,
            ("substring", 3) => Self::Substring,
            ("to_number", 1) => Self::ToNumber,
            ("trim", 2) => Self::Trim,
            _ => return None,
        })
    }

    /// Its value.
    pub(super) fn call<'a>(self, arguments: &[Seen<'a>]) -> Seen<'a> {
        // the engine looks at undefined arguments before it calls a function
        if arguments.iter().any(|argument| matches!(argument, Seen::Unknown)) {
            return Seen::Unknown;
        }
        if arguments.iter().any(|argument| matches!(argument, Seen::Undefined)) {
            return Seen::Undefined;
        }
        match (self, arguments) {
            // in OPA and with us a function that can't answer is undefined; a number, a list or an object is no text
            (
                Self::Contains | Self::StartsWith | Self::EndsWith,
                [Seen::Value(_) | Seen::Bool(_) | Seen::Texts(_), _]
                | [_, Seen::Value(_) | Seen::Bool(_) | Seen::Texts(_)],
            )
            | (Self::Lower, [Seen::Value(_) | Seen::Bool(_) | Seen::Texts(_)])
            | (
                Self::IndexOf | Self::Trim | Self::Split,
                [Seen::Value(_) | Seen::Bool(_) | Seen::Texts(_), _]
                | [_, Seen::Value(_) | Seen::Bool(_) | Seen::Texts(_)],
            ) => Seen::Undefined,
            (Self::Concat, [Seen::Text(delimiter), Seen::Texts(texts)]) => owned(texts.join(&**delimiter)),
            (Self::Contains, [Seen::Text(text), Seen::Text(part)]) => Seen::Bool(finds(text, part)),
            (Self::StartsWith, [Seen::Text(text), Seen::Text(start)]) => Seen::Bool(text.starts_with(&**start)),
            (Self::EndsWith, [Seen::Text(text), Seen::Text(end)]) => Seen::Bool(text.ends_with(&**end)),
            (Self::Count, [Seen::Texts(texts)]) => Seen::number(texts.len() as i64),
            (Self::Count, [Seen::Text(text)]) => Seen::number(text.encode_utf16().count() as i64),
            (Self::Count, [Seen::Value(value)]) => match value.as_ref() {
                Value::Array(items) => Seen::number(items.len() as i64),
                Value::Set(items) => Seen::number(items.len() as i64),
                Value::Object(fields) => Seen::number(fields.len() as i64),
                _ => Seen::Unknown,
            },
            (Self::IndexOf, [Seen::Text(text), Seen::Text(part)]) => index_of(text, part),
            (Self::Lower, [Seen::Text(text)]) => owned(text.to_lowercase()),
            (Self::ObjectGet, [Seen::Value(object), Seen::Text(key), default]) => object_get(object, key, default),
            (Self::Replace, [Seen::Text(text), Seen::Text(old), Seen::Text(new)]) => owned(text.replace(&**old, new)),
            (Self::Split, [Seen::Text(text), Seen::Text(delimiter)]) => split(text, delimiter),
            (Self::Substring, [Seen::Text(text), Seen::Value(offset), Seen::Value(length)]) => {
                match (offset.as_i64(), length.as_i64()) {
                    (Ok(offset), Ok(length)) => substring(text, offset, length),
                    _ => Seen::Unknown,
                }
            }
            (Self::ToNumber, [Seen::Text(text)]) => to_number(text),
            (Self::Trim, [Seen::Text(text), Seen::Text(chars)]) => trim(text, chars),
            _ => Seen::Unknown,
        }
    }
}

fn owned<'a>(text: String) -> Seen<'a> {
    Seen::Text(Cow::Owned(text))
}

/// Whether `part` stands in `text`.
fn finds(text: &str, part: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some()
}

/// A part of a text, borrowed if the text is.
pub(super) fn part_of<'a>(text: &Cow<'a, str>, from: usize, to: usize) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[from..to]),
        Cow::Owned(text) => Cow::Owned(text[from..to].to_owned()),
    }
}

/// In characters. The engine looks at the places where a character begins, so it finds nothing in an empty text.
fn index_of<'a>(text: &str, part: &str) -> Seen<'a> {
    let at = if text.is_empty() { None } else { memchr::memmem::find(text.as_bytes(), part.as_bytes()) };
    Seen::number(at.map_or(-1, |at| text[..at].chars().count() as i64))
}

fn object_get<'a>(object: &Cow<'a, Value>, key: &str, default: &Seen<'a>) -> Seen<'a> {
    let Value::Object(fields) = object.as_ref() else { return Seen::Unknown };
    match fields.get(&Value::from(key)) {
        Some(value) => Seen::owned(value.clone()),
        None => default.clone(),
    }
}

fn split<'a>(text: &Cow<'a, str>, delimiter: &str) -> Seen<'a> {
    if delimiter.is_empty() {
        return Seen::Unknown;
    }
    let texts: Rc<[Cow<'a, str>]> = match text {
        Cow::Borrowed(text) => text.split(delimiter).map(Cow::Borrowed).collect(),
        Cow::Owned(text) => text.split(delimiter).map(|part| Cow::Owned(part.to_owned())).collect(),
    };
    Seen::Texts(texts)
}

fn substring<'a>(text: &Cow<'a, str>, offset: i64, length: i64) -> Seen<'a> {
    let Ok(offset) = usize::try_from(offset) else { return Seen::Undefined };
    let at = |text: &str, n: usize| match text.is_ascii() {
        true => n.min(text.len()),
        false => text.char_indices().nth(n).map_or(text.len(), |(at, _)| at),
    };
    let from = at(text, offset);
    let to = usize::try_from(length).map_or(text.len(), |length| from + at(&text[from..], length));
    Seen::Text(part_of(text, from, to))
}

/// Plain whole numbers; the engine reads whatever is a number in JSON.
fn to_number<'a>(text: &str) -> Seen<'a> {
    let is_plain = (1..=15).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    match text.parse::<i64>() {
        Ok(number) if is_plain && (text == "0" || !text.starts_with('0')) => Seen::number(number),
        _ => Seen::Unknown,
    }
}

fn trim<'a>(text: &Cow<'a, str>, chars: &str) -> Seen<'a> {
    let is_one = |c: char| chars.contains(c);
    let from = text.len() - text.trim_start_matches(is_one).len();
    let to = from + text[from..].trim_end_matches(is_one).len();
    Seen::Text(part_of(text, from, to))
}
