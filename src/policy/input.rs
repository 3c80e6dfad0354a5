//! A line as the document that policies see: `{"message", "fields", "source", "host", "time", "labels"}`.
//!
//! It is built once a line and shared by all packages; what stays the same from line to line is kept.

use std::collections::BTreeMap;

use super::fields::{self, Keys, Wanted};
use super::format::{Kind, auditd, syslog};
use crate::record::{Format, Labels};
use regorus::Value;
use regorus::value::Object;

/// Sources whose values are kept from line to line.
const SOURCES_MAX: usize = 16;

/// The kind of a source whose lines are a journal's entries.
pub(super) const JOURNALD: &str = "journald";
/// What is read of an entry besides what policies read.
pub(super) const JOURNAL_KEYS: [&str; 2] = ["MESSAGE", "_SYSTEMD_UNIT"];

/// What a policy is told of a line.
#[derive(Clone, Copy, Debug)]
pub struct LineContext<'a> {
    /// The line's text, without the newline.
    pub message: &'a [u8],
    /// Of auditd: the records of the same event that came in lines before.
    pub earlier: &'a [u8],
    /// It is a piece of a line that is too long to be looked at as one.
    pub is_piece: bool,
    /// Where it was read.
    pub source: &'a SourceContext,
    /// The configured name of this host.
    pub host: &'a str,
    /// When it was read, in RFC 3339.
    pub time: &'a str,
}

/// What a policy is told of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceContext {
    /// `file`, `journald` or `stdin`; `input.source.type`.
    pub kind: &'static str,
    /// The configured name.
    pub name: String,
    /// The file's path, where there is one.
    pub path: Option<String>,
    /// What its lines look like.
    pub format: Format,
    /// What else is known of it.
    pub labels: Labels,
}

/// The fields of a line.
#[derive(Debug, PartialEq)]
pub(super) enum Fields {
    /// It has these.
    Object(Value),
    /// It has none.
    Absent,
    /// It goes over the bounds, as said; policies can't see into it and must not look decided.
    OverBounds(&'static str),
}

const TOO_DEEP: Fields = Fields::OverBounds("the line is JSON nested too deep, or has a number too large");
const TOO_LONG: Fields = Fields::OverBounds("the line is too long to be looked at as a whole");
const TOO_MANY: Fields = Fields::OverBounds("the event has too many fields");

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
    /// Sources with their values and those of their labels.
    sources: Vec<(SourceContext, Value, Value)>,
    host: Value,
    /// Documents have labels: a key more costs each line that a policy runs on.
    with_labels: bool,
}

impl InputBuilder {
    pub(super) fn new(with_labels: bool) -> Self {
        Self { keys: Keys::default(), sources: Vec::new(), host: Value::Null, with_labels }
    }

    /// The document of a line whose text and fields are known.
    pub(super) fn document(&mut self, line: &LineContext<'_>, message: &str, fields: &Fields) -> Value {
        if !matches!(&self.host, Value::String(host) if host.as_ref() == line.host) {
            self.host = line.host.into();
        }
        let mut document = BTreeMap::new();
        let (source, labels) = self.source(line.source);
        document.insert(self.keys.get("message"), message.into());
        let mut source = source;
        if line.source.kind == JOURNALD
            && let Fields::Object(fields) = fields
            && let (Ok(source), unit @ Value::String(_)) = (source.as_object_mut(), &fields["_SYSTEMD_UNIT"])
        {
            source.insert("unit".into(), unit.clone());
        }
        document.insert(self.keys.get("source"), source);
        if self.with_labels {
            document.insert(self.keys.get("labels"), labels);
        }
        document.insert(self.keys.get("host"), self.host.clone());
        document.insert(self.keys.get("time"), line.time.into());
        if let Fields::Object(fields) = fields {
            document.insert(self.keys.get("fields"), fields.clone());
        }
        document.into()
    }

    /// The fields of a line whose text is known, those at least that are wanted.
    pub(super) fn fields(&mut self, line: &LineContext<'_>, message: &str, wanted: &Wanted) -> Fields {
        match Kind::of(line.source.format, message) {
            Kind::Object if line.is_piece => TOO_LONG,
            Kind::Object => self.json(message, wanted),
            Kind::Syslog => self.syslog(message, wanted),
            Kind::Audit => self.audit(&String::from_utf8_lossy(line.earlier), message),
            Kind::Text => Fields::Absent,
        }
    }

    /// A JSON object. White space around it is allowed.
    fn json(&mut self, message: &str, wanted: &Wanted) -> Fields {
        match fields::read(message, wanted, &mut self.keys) {
            Ok(Some(object)) => Fields::Object(object),
            Ok(None) => Fields::Absent,
            Err(fields::TooDeep) => TOO_DEEP,
        }
    }

    fn syslog(&mut self, message: &str, wanted: &Wanted) -> Fields {
        let Some(line) = syslog::parse(message) else { return Fields::Absent };
        let mut fields = BTreeMap::new();
        let mut put = |keys: &mut Keys, key: &str, value: &mut dyn FnMut(&mut Keys) -> Option<Value>| {
            if wanted.below(key).is_some()
                && let Some(value) = value(keys)
            {
                fields.insert(keys.get(key), value);
            }
        };
        for (key, value) in [
            ("facility", line.facility()),
            ("severity", line.severity()),
            ("timestamp", line.timestamp),
            ("hostname", line.hostname),
            ("appname", line.appname),
            ("procid", line.procid),
            ("msgid", line.msgid),
            ("msg", Some(line.msg)),
        ] {
            put(&mut self.keys, key, &mut |_| value.map(Value::from));
        }
        put(&mut self.keys, "priority", &mut |_| line.priority.map(|priority| Value::from(u64::from(priority))));
        put(&mut self.keys, "structured_data", &mut |keys| {
            let elements = line.structured_data.iter().map(|element| (Value::from(element.id), params(keys, element)));
            let elements: BTreeMap<Value, Value> = elements.collect();
            (!elements.is_empty()).then(|| elements.into())
        });
        // `@cee:` is how programs say that JSON follows; many don't say it
        let json = line.msg.strip_prefix("@cee:").unwrap_or(line.msg);
        match self.json(json, wanted.below("json").unwrap_or(&Wanted::NONE)) {
            Fields::Object(json) if wanted.below("json").is_some() => drop(fields.insert(self.keys.get("json"), json)),
            Fields::Object(_) | Fields::Absent => {}
            over => return over,
        }
        Fields::Object(fields.into())
    }

    fn audit(&mut self, earlier: &str, message: &str) -> Fields {
        let event = match auditd::parse([earlier, message]) {
            Ok(Some(event)) => event,
            Ok(None) => return Fields::Absent,
            Err(auditd::TooMany) => return TOO_MANY,
        };
        let (mut fields, mut records, mut types) = (BTreeMap::new(), Vec::new(), Vec::new());
        for record in &event.records {
            let kind = Value::from(record.kind);
            let mut pairs = BTreeMap::new();
            for (key, value) in &record.pairs {
                let (key, value) = (self.keys.get(key), Value::from(&**value));
                pairs.entry(key.clone()).or_insert_with(|| value.clone());
                fields.entry(key).or_insert(value);
            }
            pairs.insert(self.keys.get("type"), kind.clone());
            if !types.contains(&kind) {
                types.push(kind);
            }
            records.push(Value::from(pairs));
        }
        // what a record calls by these names stays in the record
        auditd::KEYS.iter().for_each(|key| drop(fields.remove(&self.keys.get(key))));
        fields.extend(event.serial.map(|serial| (self.keys.get("serial"), Value::from(serial))));
        fields.extend(event.time.map(|time| (self.keys.get("time"), Value::from(time))));
        fields.extend(event.node.map(|node| (self.keys.get("node"), Value::from(node))));
        fields.extend(types.first().map(|first| (self.keys.get("type"), first.clone())));
        fields.insert(self.keys.get("types"), types.into());
        fields.insert(self.keys.get("records"), records.into());
        if !event.argv.is_empty() {
            let argv: Vec<Value> = event.argv.into_iter().map(Value::from).collect();
            fields.insert(self.keys.get("argv"), argv.into());
        }
        Fields::Object(fields.into())
    }

    /// The values of a source and of its labels.
    fn source(&mut self, source: &SourceContext) -> (Value, Value) {
        if let Some((_, value, labels)) = self.sources.iter().find(|(known, ..)| known == source) {
            return (value.clone(), labels.clone());
        }
        let mut fields: Vec<(Value, Value)> =
            vec![("type".into(), source.kind.into()), ("name".into(), source.name.as_str().into())];
        fields.extend(source.path.as_ref().map(|path| ("path".into(), path.as_str().into())));
        let value = Value::from(Object::from_iter(fields));
        let labels =
            source.labels.iter().map(|(name, value)| (Value::from(name.as_str()), Value::from(value.as_str())));
        let labels = Value::from(labels.collect::<BTreeMap<Value, Value>>());
        if self.sources.len() == SOURCES_MAX {
            self.sources.remove(0);
        }
        self.sources.push((source.clone(), value.clone(), labels.clone()));
        (value, labels)
    }
}

/// A parameter that stands there several times has a list of values.
fn params(keys: &mut Keys, element: &syslog::Element<'_>) -> Value {
    let mut params: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (name, value) in &element.params {
        params.entry(name).or_default().push(Value::from(&**value));
    }
    let single = |mut values: Vec<Value>| if values.len() == 1 { values.remove(0) } else { values.into() };
    let params = params.into_iter().map(|(name, values)| (keys.get(name), single(values)));
    Value::from(params.collect::<BTreeMap<Value, Value>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::fields::DEPTH_MAX;

    fn line<'a>(message: &'a [u8], source: &'a SourceContext) -> LineContext<'a> {
        LineContext { message, earlier: b"", is_piece: false, source, host: "web-1", time: "2026-01-01T00:00:00Z" }
    }

    fn fields(text: &str) -> Fields {
        let source = SourceContext::default();
        InputBuilder::new(true).fields(&line(text.as_bytes(), &source), text, &Wanted::ALL)
    }

    /// The fields as JSON.
    fn shown(format: Format, earlier: &str, text: &str) -> String {
        let source = SourceContext { format, ..SourceContext::default() };
        let line = LineContext { earlier: earlier.as_bytes(), ..line(text.as_bytes(), &source) };
        match InputBuilder::new(true).fields(&line, text, &Wanted::ALL) {
            Fields::Object(value) => value.to_string(),
            other => format!("{other:?}"),
        }
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
        assert_eq!(fields(&deep(DEPTH_MAX)), TOO_DEEP);
        assert_eq!(fields(&deep(10_000)), TOO_DEEP);
        assert_eq!(fields(r#"{"a":1e999}"#), TOO_DEEP);
    }

    #[test]
    fn syslog_gives_what_the_contract_says() {
        let text = r#"<165>1 2003-10-11T22:14:15Z web-1 shop 7 ID47 [a@1 k="v" k="w" l="\]"] @cee: {"n":1}"#;
        assert_eq!(
            shown(Format::Auto, "", text),
            r#"{"appname":"shop","facility":"local4","hostname":"web-1","json":{"n":1},"msg":"@cee: {\"n\":1}","msgid":"ID47","priority":165,"procid":"7","severity":"notice","structured_data":{"a@1":{"k":["v","w"],"l":"]"}},"timestamp":"2003-10-11T22:14:15Z"}"#
        );
        assert_eq!(shown(Format::Json, "", text), "Absent");
        assert_eq!(shown(Format::Plain, "", text), "Absent");
        assert_eq!(shown(Format::Syslog, "", r#"{"a":1}"#), "Absent");
    }

    #[test]
    fn auditd_gives_what_the_contract_says() {
        let earlier = "type=SYSCALL msg=audit(1364481363.243:24287): a0=7f pid=7 type=x";
        let text = "type=EXECVE msg=audit(1364481363.243:24287): argc=2 a0=\"ls\" a1=2D6C";
        assert_eq!(
            shown(Format::Auditd, earlier, text),
            r#"{"a0":"7f","a1":"-l","argc":"2","argv":["ls","-l"],"pid":"7","records":[{"a0":"7f","pid":"7","type":"SYSCALL"},{"a0":"ls","a1":"-l","argc":"2","type":"EXECVE"}],"serial":24287,"time":"2013-03-28T14:36:03.243Z","type":"SYSCALL","types":["SYSCALL","EXECVE"]}"#
        );
    }

    #[test]
    fn a_piece_of_an_object_is_undecided_and_one_of_text_is_text() {
        let source = SourceContext::default();
        let piece = |text: &'static str| {
            let line = LineContext { is_piece: true, ..line(text.as_bytes(), &source) };
            InputBuilder::new(true).fields(&line, text, &Wanted::ALL)
        };
        assert_eq!((piece("{\"a\":"), piece("a")), (TOO_LONG, Fields::Absent));
    }

    #[test]
    fn the_document_has_what_the_contract_says() {
        let labels: BTreeMap<String, String> = [("pod".to_owned(), "web".to_owned())].into();
        let path = Some("/var/log/auth.log".into());
        let source =
            SourceContext { kind: "file", name: "auth".into(), path, labels: labels.into(), ..Default::default() };
        let line = line(b"x", &source);
        let mut builder = InputBuilder::new(true);
        let empty = builder.fields(&line, "{}", &Wanted::ALL);
        let document = builder.document(&line, "{}", &empty);
        assert_eq!(
            document.to_string(),
            r#"{"fields":{},"host":"web-1","labels":{"pod":"web"},"message":"{}","source":{"name":"auth","path":"/var/log/auth.log","type":"file"},"time":"2026-01-01T00:00:00Z"}"#
        );
        let stdin = SourceContext { kind: "stdin", name: "pipe".into(), ..SourceContext::default() };
        let document = builder.document(&LineContext { source: &stdin, ..line }, "x", &Fields::Absent);
        assert!(document["fields"] == Value::Undefined && document["source"]["path"] == Value::Undefined);
    }
}
