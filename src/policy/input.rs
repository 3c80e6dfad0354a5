//! A line as the document that policies see: `{"message", "fields", "source", "host", "time"}`.
//!
//! It is built once a line and shared by all packages; what stays the same from line to line is kept.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use regorus::Value;
use regorus::value::Object;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Bound of nesting in `fields`; below serde_json's own, so that it is this one that is met.
const DEPTH_MAX: usize = 64;
/// Bound of the keys that are kept from line to line.
const KEYS_MAX: usize = 1024;
/// Keys longer than this are not kept.
const KEY_LEN_MAX: usize = 64;

/// The kind of a source whose lines are a journal's entries.
pub(super) const JOURNALD: &str = "journald";

/// What a policy is told of a line.
#[derive(Clone, Copy, Debug)]
pub struct LineContext<'a> {
    /// The line's bytes, without the newline.
    pub message: &'a [u8],
    /// Where it was read.
    pub source: &'a SourceContext,
    /// The configured name of this host.
    pub host: &'a str,
    /// When it was read, in RFC 3339.
    pub time: &'a str,
}

/// What a policy is told of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceContext {
    /// `file`, `journald` or `stdin`; `input.source.type`.
    pub kind: &'static str,
    /// The configured name.
    pub name: String,
    /// The file's path, where there is one.
    pub path: Option<String>,
}

/// Whether a line is a JSON object.
#[derive(Debug, PartialEq)]
pub(super) enum Fields {
    /// It is one.
    Object(Value),
    /// It is none.
    Absent,
    /// It is one that goes over the bounds; policies can't see into it and must not look decided.
    OverBounds,
}

impl Fields {
    /// The MESSAGE of a journal's entry: text, or its bytes as an array of numbers; the first if there are several.
    pub(super) fn journal_message(&self) -> String {
        let Fields::Object(fields) = self else { return String::new() };
        let mut value = &fields["MESSAGE"];
        if let Value::Array(several) = value
            && let Some(first @ (Value::String(_) | Value::Array(_))) = several.first()
        {
            value = first;
        }
        match value {
            Value::String(text) => text.as_ref().to_owned(),
            Value::Array(bytes) => {
                let bytes: Vec<u8> = bytes.iter().filter_map(|byte| byte.as_u8().ok()).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            _ => String::new(),
        }
    }
}

/// Builds input documents, and keeps what comes again.
pub(super) struct InputBuilder {
    keys: Keys,
    source: Option<(SourceContext, Value)>,
    host: Value,
}

/// Interned object keys: audit logs repeat a few dozen on every line.
#[derive(Default)]
struct Keys(HashMap<Box<str>, Value>);

impl InputBuilder {
    pub(super) fn new() -> Self {
        Self { keys: Keys::default(), source: None, host: Value::Null }
    }

    /// The document of a line whose text and fields are known.
    pub(super) fn document(&mut self, line: &LineContext<'_>, message: &str, fields: &Fields) -> Value {
        if !matches!(&self.host, Value::String(host) if host.as_ref() == line.host) {
            self.host = line.host.into();
        }
        let mut document = BTreeMap::new();
        document.insert(self.keys.get("message"), message.into());
        let mut source = self.source(line.source);
        if line.source.kind == JOURNALD
            && let Fields::Object(fields) = fields
            && let (Ok(source), unit @ Value::String(_)) = (source.as_object_mut(), &fields["_SYSTEMD_UNIT"])
        {
            source.insert("unit".into(), unit.clone());
        }
        document.insert(self.keys.get("source"), source);
        document.insert(self.keys.get("host"), self.host.clone());
        document.insert(self.keys.get("time"), line.time.into());
        if let Fields::Object(fields) = fields {
            document.insert(self.keys.get("fields"), fields.clone());
        }
        document.into()
    }

    /// The fields of a line, if it is a JSON object. White space around it is allowed.
    pub(super) fn fields(&mut self, message: &str) -> Fields {
        let text = message.trim_matches([' ', '\t', '\r', '\n']);
        if !text.starts_with('{') {
            return Fields::Absent;
        }
        let mut over = false;
        let mut json = serde_json::Deserializer::from_str(text);
        let seed = Seed { keys: &mut self.keys, over: &mut over, depth: 0 };
        match seed.deserialize(&mut json).and_then(|value| json.end().map(|()| value)) {
            Ok(value) => Fields::Object(value),
            // serde_json has no other way to tell a number that no f64 holds from text that is no JSON
            Err(error) if over || error.to_string().starts_with("number out of range") => Fields::OverBounds,
            Err(_) => Fields::Absent,
        }
    }

    fn source(&mut self, source: &SourceContext) -> Value {
        if let Some((known, value)) = &self.source
            && known == source
        {
            return value.clone();
        }
        let mut fields: Vec<(Value, Value)> =
            vec![("type".into(), source.kind.into()), ("name".into(), source.name.as_str().into())];
        fields.extend(source.path.as_ref().map(|path| ("path".into(), path.as_str().into())));
        let value = Value::from(Object::from_iter(fields));
        self.source = Some((source.clone(), value.clone()));
        value
    }
}

impl Keys {
    fn get(&mut self, key: &str) -> Value {
        if let Some(known) = self.0.get(key) {
            return known.clone();
        }
        let value = Value::from(key);
        if self.0.len() < KEYS_MAX && key.len() <= KEY_LEN_MAX {
            self.0.insert(key.into(), value.clone());
        }
        value
    }
}

/// Reads JSON straight into the engine's values.
struct Seed<'k> {
    keys: &'k mut Keys,
    over: &'k mut bool,
    depth: usize,
}

impl<'k> Seed<'k> {
    fn inner(&mut self) -> Seed<'_> {
        Seed { keys: self.keys, over: self.over, depth: self.depth + 1 }
    }

    fn check_depth<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.depth < DEPTH_MAX {
            return Ok(());
        }
        *self.over = true;
        Err(E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner())? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut object = BTreeMap::new();
        while let Some(key) = fields.next_key_seed(KeySeed(self.keys))? {
            object.insert(key, fields.next_value_seed(self.inner())?);
        }
        Ok(object.into())
    }
}

struct KeySeed<'k>(&'k mut Keys);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Value, E> {
        Ok(self.0.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        InputBuilder::new().fields(text)
    }

    #[test]
    fn fields_are_what_serde_json_reads() {
        let text = r#" {"a":[1,-2,3.5,true,null,"é\u0041"],"b":{"c":"d"},"a2":18446744073709551615} "#;
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(fields(text), Fields::Object(expected));
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for text in ["", "plain", "[1]", "{", r#"{"a":1} x"#, "{'a':1}", r#"{"a":1,}"#] {
            assert_eq!(fields(text), Fields::Absent, "{text}");
        }
    }

    #[test]
    fn objects_over_the_bounds_are_told_apart() {
        let deep = |n: usize| format!(r#"{{"a":{}1{}}}"#, "[".repeat(n), "]".repeat(n));
        assert!(matches!(fields(&deep(DEPTH_MAX - 1)), Fields::Object(_)));
        assert_eq!(fields(&deep(DEPTH_MAX)), Fields::OverBounds);
        assert_eq!(fields(&deep(10_000)), Fields::OverBounds);
        assert_eq!(fields(r#"{"a":1e999}"#), Fields::OverBounds);
    }

    #[test]
    fn the_document_has_what_the_contract_says() {
        let source = SourceContext { kind: "file", name: "auth".into(), path: Some("/var/log/auth.log".into()) };
        let line = LineContext { message: b"x", source: &source, host: "web-1", time: "2026-01-01T00:00:00Z" };
        let mut builder = InputBuilder::new();
        let empty = builder.fields("{}");
        let document = builder.document(&line, "{}", &empty);
        assert_eq!(
            document.to_string(),
            r#"{"fields":{},"host":"web-1","message":"{}","source":{"name":"auth","path":"/var/log/auth.log","type":"file"},"time":"2026-01-01T00:00:00Z"}"#
        );
        let stdin = SourceContext { kind: "stdin", name: "pipe".into(), path: None };
        let document = builder.document(&LineContext { source: &stdin, ..line }, "x", &Fields::Absent);
        assert!(document["fields"] == Value::Undefined && document["source"]["path"] == Value::Undefined);
    }
}
