//! Lines of a batch as log records, in requests that every server takes.
//!
//! A log line is a record, and so is a line that says that something is missing: `gap`, `skip`, and `source` lines of what was lost. What else
//! stands in the chain (genesis, checkpoints, heartbeats, notes of policies and alerts) is for verifiers, who need the lines' bytes and
//! find these in other targets; its numbers are missing from `sealtail.seq` here.

use super::severity;
use crate::chain::header::{Header, Log, LogPayload, SourceEventKind, SourceLine, SourcePayload};
use crate::chain::line::{LINE_MAX, RawLine};
use crate::chain::stamp::parse_rfc3339;
use crate::forward::backend::Upload;
use crate::record::{Labels, StreamId, Verdict};
use base64::prelude::*;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

/// Requests are smaller: servers of gRPC take 4 MiB unless they are told otherwise.
pub(super) const REQUEST_MAX_BYTES: usize = 4 << 20;
/// Of a request without records: a host's name is 64 bytes at most.
const AROUND_BYTES: usize = 4096;
/// Around a record: its key and its length.
const RECORD_AROUND_BYTES: usize = 8;
/// Sources whose names are remembered; a record of another says its number only.
const SOURCES_MAX: usize = 65_536;

/// What the lines of a stream said of their sources so far. After a restart of this process nothing is known of those of an older
/// stream whose lines were sent before.
#[derive(Clone, Default)]
pub(super) struct Sources {
    stream: Option<StreamId>,
    known: HashMap<u32, Source>,
}

/// A source of a stream.
#[derive(Clone, Default)]
struct Source {
    name: String,
    path: Option<String>,
    labels: Labels,
}

/// The requests that a batch makes, the same at each attempt.
pub(super) struct Requests<'a> {
    upload: &'a Upload,
    sources: &'a mut Sources,
    lines: BufReader<Frames<'a>>,
    /// What found no room in the request before.
    left: Option<LogRecord>,
}

/// The batch's frames, decompressed as they are read; or why they can't be.
enum Frames<'a> {
    Open(zstd::stream::read::Decoder<'static, &'a [u8]>),
    Damaged(Option<std::io::Error>),
}

impl Read for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Frames::Open(decoder) => decoder.read(buffer),
            Frames::Damaged(error) => error.take().map_or(Ok(0), Err),
        }
    }
}

impl<'a> Requests<'a> {
    pub(super) fn new(upload: &'a Upload, sources: &'a mut Sources) -> Self {
        if sources.stream != Some(upload.batch.stream) {
            *sources = Sources { stream: Some(upload.batch.stream), known: HashMap::new() };
        }
        let opened = zstd::stream::read::Decoder::with_buffer(&upload.bytes[..]);
        let frames = opened.map_or_else(|error| Frames::Damaged(Some(error)), Frames::Open);
        Self { upload, sources, lines: BufReader::new(frames), left: None }
    }

    /// The next request, with at least one record; none at the batch's end.
    pub(super) fn next(&mut self) -> Result<Option<ExportLogsServiceRequest>, String> {
        let (mut records, mut size) = (Vec::new(), AROUND_BYTES);
        while let Some(record) = self.next_record()? {
            size += record.encoded_len() + RECORD_AROUND_BYTES;
            if size > REQUEST_MAX_BYTES && !records.is_empty() {
                self.left = Some(record);
                break;
            }
            records.push(record);
        }
        Ok((!records.is_empty()).then(|| request(&self.upload.host, records)))
    }

    fn next_record(&mut self) -> Result<Option<LogRecord>, String> {
        if let Some(record) = self.left.take() {
            return Ok(Some(record));
        }
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = self.lines.by_ref().take(LINE_MAX as u64).read_until(b'\n', &mut line);
            if read.map_err(|error| error.to_string())? == 0 {
                return Ok(None);
            }
            let raw = RawLine::parse(line.strip_suffix(b"\n").unwrap_or(&line)).map_err(|error| error.to_string())?;
            if let Some(record) = self.record(&raw)? {
                return Ok(Some(record));
            }
        }
    }

    /// A line's record, if it has one.
    fn record(&mut self, raw: &RawLine<'_>) -> Result<Option<LogRecord>, String> {
        let (common, header) = Header::parse(raw.header).map_err(|error| error.to_string())?;
        let mut record = match header {
            Header::Log(log) => self.log(&log, raw.payload)?,
            Header::Source(source) => match self.source(&source, raw.payload) {
                Some(record) => record,
                None => return Ok(None),
            },
            Header::Gap(gap) => {
                lost("sealtail.gap", format!("{} lines were dropped: {}", gap.count, gap.reason), Vec::new())
            }
            Header::Skip(skip) => {
                let what = format!(
                    "target {} was not sent lines {} to {} of stream {}",
                    skip.target, skip.from, skip.to, skip.stream
                );
                lost("sealtail.skip", what, Vec::new())
            }
            _ => return Ok(None),
        };
        let stream = self.upload.batch.stream;
        let observed = parse_rfc3339(&common.time).and_then(|ns| u64::try_from(ns).ok());
        record.observed_time_unix_nano = observed.unwrap_or(0);
        record.attributes.extend([
            attribute("log.record.uid", text(format!("{stream}/{}", common.seq))),
            attribute("sealtail.stream", text(stream.to_string())),
            attribute("sealtail.seq", number(common.seq)),
            attribute("sealtail.tag", text(BASE64_URL_SAFE_NO_PAD.encode(raw.tag))),
        ]);
        Ok(Some(record))
    }

    fn log(&self, log: &Log<'_>, payload: Option<&[u8]>) -> Result<LogRecord, String> {
        let payload = payload.and_then(|payload| serde_json::from_slice::<LogPayload<'_>>(payload).ok());
        let message = payload.as_ref().and_then(LogPayload::message);
        let message = message.ok_or_else(|| format!("line {} has no message", log.seq))?;
        // the bytes of UTF-16 may be UTF-8 by chance
        let utf8 =
            str::from_utf8(&message).ok().filter(|_| !log.end.is_some_and(|end| end.as_str().starts_with("utf16")));
        let said = utf8.map(severity::of).unwrap_or_default();
        let body = match utf8 {
            Some(message) => text(message),
            None => AnyValue { value: Some(Value::BytesValue(message.to_vec())) },
        };
        let mut attributes = self.of_source(log.src);
        attributes.extend(log.end.map(|end| attribute("sealtail.end", text(end.as_str()))));
        let digests = payload.as_ref().and_then(|payload| payload.redacted.as_ref());
        attributes
            .extend(digests.map(|digests| attribute("sealtail.redacted", list(digests.iter().map(|d| text(&**d))))));
        if !log.verdicts.is_empty() {
            attributes.push(attribute("sealtail.verdicts", list(log.verdicts.iter().map(verdict))));
            let worst = log.verdicts.iter().filter_map(|verdict| verdict.severity).max();
            attributes.extend(worst.map(|worst| attribute("sealtail.verdict.severity", word(&worst))));
        }
        Ok(LogRecord {
            time_unix_nano: said.time_unix_ns,
            severity_number: said.number.into(),
            severity_text: said.text,
            body: Some(body),
            attributes,
            ..LogRecord::default()
        })
    }

    /// Takes note of what a source is called; a record if something of it was lost.
    fn source(&mut self, line: &SourceLine<'_>, payload: Option<&[u8]>) -> Option<LogRecord> {
        let payload = payload.and_then(|payload| serde_json::from_slice::<SourcePayload<'_>>(payload).ok());
        let (path, labels) = payload.map_or((None, None), |payload| (payload.path.map(String::from), payload.labels));
        let known = &mut self.sources.known;
        let unknown = known.len() < SOURCES_MAX || known.contains_key(&line.src);
        match (line.event, &line.name) {
            (SourceEventKind::Opened, Some(name)) if unknown => {
                let labels = Arc::new(labels.unwrap_or_default());
                known.insert(line.src, Source { name: name.clone(), path, labels });
            }
            (SourceEventKind::Identified, _) => {
                if let (Some(source), Some(path)) = (known.get_mut(&line.src), path) {
                    source.path = Some(path);
                }
            }
            (SourceEventKind::Ended, _) => drop(known.remove(&line.src)),
            _ => {}
        }
        let event = match line.event {
            SourceEventKind::Truncated => "truncated",
            SourceEventKind::Missed => "missed",
            SourceEventKind::Vanished => "vanished",
            SourceEventKind::Opened | SourceEventKind::Identified | SourceEventKind::Ended => return None,
        };
        let lost_units = line.lost.map_or_else(|| "an unknown amount".to_owned(), |lost| lost.to_string());
        let what =
            format!("a source was {event}: bytes of a file, or entries of a journal, that were lost: {lost_units}");
        Some(lost("sealtail.source", what, self.of_source(line.src)))
    }

    fn of_source(&self, src: u32) -> Vec<KeyValue> {
        let mut attributes = vec![attribute("sealtail.source.number", number(src.into()))];
        let Some(source) = self.sources.known.get(&src) else { return attributes };
        attributes.push(attribute("sealtail.source", text(&source.name)));
        if let Some(path) = &source.path {
            attributes.push(attribute("log.file.path", text(path)));
            attributes.push(attribute("log.file.name", text(path.rsplit('/').next().unwrap_or(path))));
        }
        let labels =
            source.labels.iter().map(|(name, value)| attribute(&format!("sealtail.label.{name}"), text(value)));
        attributes.extend(labels);
        attributes
    }
}

/// Around the records: who had them, and what read them there.
fn request(host: &str, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let attributes = vec![
        attribute("host.name", text(host)),
        attribute("service.name", text("sealtail")),
        attribute("service.version", text(VERSION)),
    ];
    let scope =
        InstrumentationScope { name: "sealtail".into(), version: VERSION.into(), ..InstrumentationScope::default() };
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }] }
}

/// A record that something is missing.
fn lost(event: &str, what: String, attributes: Vec<KeyValue>) -> LogRecord {
    LogRecord {
        severity_number: SeverityNumber::Warn.into(),
        severity_text: "warning".into(),
        body: Some(text(what)),
        event_name: event.into(),
        attributes,
        ..LogRecord::default()
    }
}

fn verdict(verdict: &Verdict) -> AnyValue {
    let mut values = vec![attribute("id", text(&verdict.id)), attribute("decision", word(&verdict.decision))];
    values.extend(verdict.severity.map(|severity| attribute("severity", word(&severity))));
    if !verdict.controls.is_empty() {
        values.push(attribute("controls", list(verdict.controls.iter().map(text))));
    }
    values.extend(verdict.reason.as_ref().map(|reason| attribute("reason", text(reason))));
    AnyValue { value: Some(Value::KvlistValue(KeyValueList { values })) }
}

/// A word of the format, as it stands there.
fn word(word: &impl serde::Serialize) -> AnyValue {
    let word = serde_json::to_value(word).ok();
    text(word.as_ref().and_then(|word| word.as_str()).unwrap_or_default())
}

fn attribute(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn text(text: impl Into<String>) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.into())) }
}

/// What is beyond OTLP's signed numbers no stream reaches.
fn number(number: u64) -> AnyValue {
    AnyValue { value: Some(Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX))) }
}

fn list(values: impl Iterator<Item = AnyValue>) -> AnyValue {
    AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: values.collect() })) }
}
