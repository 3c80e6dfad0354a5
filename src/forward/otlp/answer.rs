//! What a server's answer means, by the OTLP specification: which are final, and when to come again.

use crate::forward::backend::Outcome;
use crate::tls::said_by;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use prost::Message;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::Deserialize;
use std::time::Duration;
use tonic::Code;

pub(super) const PROTOBUF: &str = "application/x-protobuf";
/// The longest that a server may make us wait.
const AFTER_MAX: Duration = Duration::from_secs(300);

/// `google.rpc.Status`: why, in the body of an HTTP answer and in the details of a gRPC one.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// How an answer over HTTP is written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    Protobuf,
    Json,
    /// For people.
    Page,
    Other,
}

impl Form {
    /// As its Content-Type says, whatever parameters follow.
    pub(super) fn of(headers: &HeaderMap) -> Form {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            PROTOBUF => Form::Protobuf,
            "application/json" => Form::Json,
            "text/html" => Form::Page,
            _ => Form::Other,
        }
    }
}

/// ExportLogsServiceResponse in JSON, by either of the names that its fields may have there.
#[derive(Deserialize)]
struct JsonSuccess {
    #[serde(rename = "partialSuccess", alias = "partial_success")]
    partial: Option<JsonPartial>,
}

#[derive(Deserialize)]
struct JsonPartial {
    #[serde(rename = "rejectedLogRecords", alias = "rejected_log_records")]
    rejected: Option<JsonInteger>,
    #[serde(rename = "errorMessage", alias = "error_message")]
    why: Option<String>,
}

/// An int64 is a string in JSON, and may be a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum JsonInteger {
    Number(i64),
    Text(String),
}

/// Of an answer over HTTP that is a success: what was not taken all the same. `None` if it can't be read.
pub(super) fn of_success(body: &[u8], form: Form) -> Option<ExportLogsPartialSuccess> {
    if body.is_empty() {
        return Some(ExportLogsPartialSuccess::default());
    }
    match form {
        Form::Protobuf => Some(ExportLogsServiceResponse::decode(body).ok()?.partial_success.unwrap_or_default()),
        Form::Json => {
            let JsonSuccess { partial } = serde_json::from_slice(body).ok()?;
            let Some(JsonPartial { rejected, why }) = partial else { return Some(ExportLogsPartialSuccess::default()) };
            let rejected_log_records = match rejected {
                Some(JsonInteger::Number(number)) => number,
                Some(JsonInteger::Text(text)) => text.parse().ok()?,
                None => 0,
            };
            Some(ExportLogsPartialSuccess { rejected_log_records, error_message: why.unwrap_or_default() })
        }
        Form::Page | Form::Other => None,
    }
}

/// Of an answer over HTTP that is no success, or a web page. Only a server that answers in OTLP's own words has a say: a proxy on the way may
/// say 400 for reasons that pass.
pub(super) fn of_failure(status: StatusCode, after: Option<Duration>, body: &[u8], form: Form, url: &str) -> Outcome {
    if status.is_success() {
        let why =
            format!("{status}, but with a web page; is url the base of an OTLP receiver, and no portal on the way?");
        return Outcome::Later { why, after };
    }
    let said = (form == Form::Protobuf).then(|| Status::decode(body).ok()).flatten();
    let text = said.as_ref().map_or(body, |said| said.message.as_bytes());
    let why = format!("{status}: {}", said_by(url, text));
    match (status, said) {
        (StatusCode::BAD_REQUEST, Some(_)) => Outcome::Refused { is_fork: false, why },
        _ => Outcome::Later { why, after },
    }
}

/// Of an answer over gRPC.
pub(super) fn of_grpc(status: &tonic::Status, url: &str) -> Outcome {
    let why = format!("{:?}: {}", status.code(), said_by(url, status.message().as_bytes()));
    match status.code() {
        Code::InvalidArgument => Outcome::Refused { is_fork: false, why },
        _ => Outcome::Later { why, after: retry_delay(status.details()) },
    }
}

/// When the server's RetryInfo said to come again.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let details = Status::decode(details).ok()?.details;
    let info = details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let Delay { seconds, nanos } = RetryInfo::decode(&info.value[..]).ok()?.delay?;
    let delay = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?.min(999_999_999));
    Some(delay.min(AFTER_MAX))
}
