//! `type = "otlp"` against a collector that keeps what it is sent, over both protocols, behind TLS that demands a client certificate.

use crate::conformance::{HOST, is_put_off, is_stored, next};
use crate::log::Log;
use crate::pki::Authority;
use crate::receiver::write_client;
use crate::stream::Stream;
use crate::terminator::terminate;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::routing::post;
use http_body_util::BodyExt;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use rustls::version::TLS13;
use sealtail::chain;
use sealtail::forward::{self, Backend, ClientFiles, Config, Kind, OtlpConfig, Outcome, Protocol, TlsConfig, Upload};
use sealtail::record::{Cursor, End, Secret, SourceEvent, Verdicts};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tonic::{Code, Request, Response, Status};

const BOTH: [Protocol; 2] = [Protocol::Http, Protocol::Grpc];

/// A target of TLS in front of a server that speaks OTLP without it.
pub(crate) struct Front {
    folder: TempDir,
    address: SocketAddr,
    protocol: Protocol,
}

impl Front {
    pub(crate) async fn of(plain: SocketAddr, protocol: Protocol) -> Front {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let alpn = if protocol == Protocol::Grpc { "h2" } else { "http/1.1" };
        let address = terminate(&authority, folder.path(), &TLS13, &[alpn], plain).await;
        write_client(folder.path(), &authority.client(&[HOST]));
        Front { folder, address, protocol }
    }

    pub(crate) fn target(&self) -> Box<dyn Backend> {
        let at = |name: &str| self.folder.path().join(name);
        let client = ClientFiles { cert: at("client.pem"), key: at("client.key") };
        let tls = TlsConfig { ca: Some(at("ca.pem")), client: Some(client), ..TlsConfig::default() };
        let url = format!("https://{}", self.address);
        let headers = vec![("api-key".to_owned(), Secret::new("s3cret"))];
        let config = Config {
            name: "otel".into(),
            required: false,
            max_lag_bytes: None,
            batch_max_size_bytes: 64 << 20,
            batch_max_age: Duration::from_secs(1),
            kind: Kind::Otlp(OtlpConfig { url, protocol: self.protocol, headers, tls, proxy: None }),
        };
        forward::open(&config, HOST).unwrap()
    }

    /// Another authority's certificate is shown from now on.
    pub(crate) fn forge(&self) {
        write_client(self.folder.path(), &Authority::named("another").client(&[HOST]));
    }
}

/// What a collector says next.
enum Answer {
    Rejected(i64, &'static str),
    Http(u16, &'static str, Vec<u8>),
    Grpc(Status),
}

/// A collector that keeps requests, and answers as it is told; when it is told nothing, well.
#[derive(Clone, Default)]
struct Collector {
    requests: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Collector {
    async fn start(self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let http = self.clone();
        let take = move |headers: axum::http::HeaderMap, body: Bytes| async move { http.take(&headers, &body) };
        let router = axum::Router::new()
            .route("/v1/logs", post(take).layer(axum::extract::DefaultBodyLimit::disable()))
            .route_service(
                "/opentelemetry.proto.collector.logs.v1.LogsService/{*method}",
                LogsServiceServer::new(self),
            );
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn take(&self, headers: &axum::http::HeaderMap, body: &[u8]) -> impl axum::response::IntoResponse + use<> {
        assert!(headers["content-type"] == "application/x-protobuf" && headers["api-key"] == "s3cret", "{headers:?}");
        let (status, kind, body) = match self.answers.lock().unwrap().pop_front() {
            Some(Answer::Http(status, kind, body)) => (status, kind, body),
            other => {
                self.requests.lock().unwrap().push(ExportLogsServiceRequest::decode(body).unwrap());
                (200, "application/x-protobuf", success(other).encode_to_vec())
            }
        };
        (StatusCode::from_u16(status).unwrap(), [("content-type", kind), ("retry-after", "7")], body)
    }

    fn records(&self) -> Vec<LogRecord> {
        let requests = self.requests.lock().unwrap();
        let scopes = requests.iter().flat_map(|request| &request.resource_logs).flat_map(|logs| &logs.scope_logs);
        scopes.flat_map(|scope| scope.log_records.clone()).collect()
    }
}

fn success(answer: Option<Answer>) -> ExportLogsServiceResponse {
    let partial_success = match answer {
        Some(Answer::Rejected(rejected_log_records, why)) => {
            Some(ExportLogsPartialSuccess { rejected_log_records, error_message: why.into() })
        }
        _ => None,
    };
    ExportLogsServiceResponse { partial_success }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        assert_eq!(request.metadata().get("api-key").unwrap(), "s3cret");
        match self.answers.lock().unwrap().pop_front() {
            Some(Answer::Grpc(status)) => Err(status),
            other => {
                self.requests.lock().unwrap().push(request.into_inner());
                Ok(Response::new(success(other)))
            }
        }
    }
}

async fn collector(protocol: Protocol, answers: impl IntoIterator<Item = Answer>) -> (Collector, Front) {
    let collector = Collector::default();
    collector.answers.lock().unwrap().extend(answers);
    let front = Front::of(collector.clone().start().await, protocol).await;
    (collector, front)
}

/// What stands in an attribute, as `Debug` would have it without the types.
fn shown(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BytesValue(bytes)) => format!("{bytes:?}"),
        Some(Value::ArrayValue(list)) => {
            format!("[{}]", list.values.iter().map(|value| shown(Some(value))).collect::<Vec<_>>().join(","))
        }
        Some(Value::KvlistValue(list)) => format!("{:?}", attributes(&list.values)),
        other => panic!("{other:?}"),
    }
}

fn attributes(values: &[KeyValue]) -> BTreeMap<&str, String> {
    let map: BTreeMap<&str, String> = values.iter().map(|kv| (kv.key.as_str(), shown(kv.value.as_ref()))).collect();
    assert_eq!(map.len(), values.len(), "no attribute twice");
    map
}

fn log(stream: &mut Stream, message: &[u8], end: End, verdicts: &str) {
    let verdicts = Verdicts { json: verdicts.as_bytes().to_vec(), ..Verdicts::default() };
    stream.add(|chain, out, at| {
        let record = chain::LogRecord { source: 3, offset: 9, end, message, redacted: None };
        chain.log(out, at, &record, &verdicts);
    });
}

fn source(stream: &mut Stream, event: &SourceEvent) {
    stream.add(|chain, out, at| {
        chain.source(out, at, 3, event);
    });
}

/// A batch of all that matters to a collector, and some that doesn't.
fn rich(stream: &mut Stream) -> Upload {
    let labels = Arc::new(BTreeMap::from([("env".to_owned(), "prod".to_owned())]));
    source(stream, &SourceEvent::Opened { name: "app".into(), cursor: Cursor::Stdin { offset: 0 }, labels });
    let verdict = r#"[{"id":"a","decision":"deny","severity":"high","controls":["C-1"],"reason":"r"},{"id":"b","decision":"flag"}]"#;
    log(stream, b"<34>su: failed", End::Newline, verdict);
    log(stream, b"not UTF-8 \xff", End::Newline, "");
    log(stream, b"h\0i\0", End::Utf16Le, "");
    log(stream, b"the first part", End::Part, "");
    source(stream, &SourceEvent::Truncated { lost: Some(12) });
    next(stream, 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_become_records_with_all_that_is_known_of_them() {
    for protocol in BOTH {
        let (collector, front) = collector(protocol, []).await;
        let mut target = front.target();
        target.probe().await.unwrap();
        collector.requests.lock().unwrap().clear();
        let mut stream = Stream::begin(HOST);
        is_stored(&mut target, &rich(&mut stream)).await;
        // what the source is called is remembered
        is_stored(&mut target, &{
            log(&mut stream, br#"{"level":"warn"}"#, End::Newline, "");
            next(&mut stream, 0)
        })
        .await;
        let request = collector.requests.lock().unwrap()[0].clone();
        let resource = attributes(&request.resource_logs[0].resource.as_ref().unwrap().attributes).clone();
        assert_eq!((resource["host.name"].as_str(), resource["service.name"].as_str()), (HOST, "sealtail"));
        let scope = request.resource_logs[0].scope_logs[0].scope.as_ref().unwrap();
        assert_eq!((scope.name.as_str(), scope.version.as_str()), ("sealtail", env!("CARGO_PKG_VERSION")));
        let records = collector.records();
        let of =
            |record: &LogRecord| (shown(record.body.as_ref()), record.severity_number, record.severity_text.clone());
        let expected = [
            ("<34>su: failed", 18, "crit"),
            ("[110, 111, 116, 32, 85, 84, 70, 45, 56, 32, 255]", 0, ""),
            ("[104, 0, 105, 0]", 0, ""),
            ("the first part", 0, ""),
            ("a source was truncated: bytes of a file, or entries of a journal, that were lost: 12", 13, "warning"),
            (r#"{"level":"warn"}"#, 13, "warn"),
        ];
        let expected = expected.map(|(body, number, text)| (body.to_owned(), number, text.to_owned()));
        assert_eq!(records.iter().map(of).collect::<Vec<_>>(), expected);
        let (first, part, last) = (attributes(&records[0].attributes), attributes(&records[3].attributes), &records[5]);
        let verdicts = r#"[{"controls": "[C-1]", "decision": "deny", "id": "a", "reason": "r", "severity": "high"},{"decision": "flag", "id": "b"}]"#;
        assert_eq!(
            (first["sealtail.verdicts"].as_str(), first["sealtail.verdict.severity"].as_str()),
            (verdicts, "high")
        );
        assert_eq!((first["sealtail.seq"].as_str(), first["sealtail.stream"].clone()), ("2", stream.id.to_string()));
        assert_eq!((first["log.record.uid"].clone(), first["sealtail.tag"].len()), (format!("{}/2", stream.id), 22));
        assert_eq!(part["sealtail.end"], "part");
        assert_eq!(records[4].event_name, "sealtail.source");
        let last_attributes = attributes(&last.attributes);
        assert_eq!(
            (last_attributes["sealtail.source"].as_str(), last_attributes["sealtail.label.env"].as_str()),
            ("app", "prod")
        );
        assert!(last.observed_time_unix_nano > 1_700_000_000_000_000_000 && last.time_unix_nano == 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_is_divided_and_goes_on_where_it_was_interrupted() {
    for protocol in BOTH {
        let (collector, front) = collector(protocol, []).await;
        let (mut target, mut stream) = (front.target(), Stream::begin(HOST));
        for n in 0..24u8 {
            log(&mut stream, &vec![b'a' + n; 512 << 10], End::Newline, "");
        }
        let upload = next(&mut stream, 1);
        let fault = match protocol {
            Protocol::Http => Answer::Http(503, "text/plain", b"tired".to_vec()),
            Protocol::Grpc => Answer::Grpc(Status::unavailable("tired")),
        };
        collector.answers.lock().unwrap().extend([Answer::Rejected(0, ""), fault]);
        assert!(is_put_off(&mut target, &upload).await.contains("tired"));
        assert_eq!(collector.requests.lock().unwrap().len(), 1);
        is_stored(&mut target, &upload).await;
        let sizes: Vec<usize> = collector.requests.lock().unwrap().iter().map(Message::encoded_len).collect();
        assert!(sizes.len() > 3 && sizes.iter().all(|size| *size <= 4 << 20), "{sizes:?}");
        assert_eq!(collector.records().len(), 25, "none twice");
    }
}

// what an attempt that failed had read of the batch is read again by the next
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_ends_in_an_interrupted_batch_is_known_to_the_end() {
    for protocol in BOTH {
        let (collector, front) = collector(protocol, []).await;
        let (mut target, mut stream) = (front.target(), Stream::begin(HOST));
        is_stored(&mut target, &rich(&mut stream)).await;
        let before = collector.records().len();
        for n in 0..24u8 {
            log(&mut stream, &vec![b'a' + n; 512 << 10], End::Newline, "");
        }
        source(&mut stream, &SourceEvent::Ended);
        let upload = next(&mut stream, 0);
        let fault = match protocol {
            Protocol::Http => Answer::Http(503, "text/plain", b"tired".to_vec()),
            Protocol::Grpc => Answer::Grpc(Status::unavailable("tired")),
        };
        let taken = [(); 3].map(|()| Answer::Rejected(0, ""));
        collector.answers.lock().unwrap().extend(taken.into_iter().chain([fault]));
        assert!(is_put_off(&mut target, &upload).await.contains("tired"));
        is_stored(&mut target, &upload).await;
        let records = collector.records().split_off(before);
        let named = |record: &LogRecord| {
            attributes(&record.attributes).get("sealtail.source").map(String::as_str) == Some("app")
        };
        assert_eq!((records.len(), records.iter().filter(|record| named(record)).count()), (24, 24));
    }
}

/// `google.rpc.Status` with a RetryInfo of 9 seconds.
fn in_nine_seconds() -> Vec<u8> {
    let kind = b"type.googleapis.com/google.rpc.RetryInfo";
    let delay = [0x0a, 2, 0x08, 9];
    let mut any = vec![0x0a, kind.len() as u8];
    any.extend_from_slice(kind);
    any.extend_from_slice(&[0x12, delay.len() as u8]);
    any.extend_from_slice(&delay);
    [vec![0x1a, any.len() as u8], any].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_and_only_a_servers_own_word_is_final() {
    const PROTOBUF: &str = "application/x-protobuf";
    let said = [&[0x12, 3][..], b"bad"].concat();
    let http = |status, kind, body: &[u8]| (Protocol::Http, Answer::Http(status, kind, body.to_vec()));
    let grpc = |status| (Protocol::Grpc, Answer::Grpc(status));
    // what is said, whether for good, and after how many seconds to come again
    let cases = [
        (http(429, "text/plain", b"slowly"), "429", false, Some(7)),
        (http(502, "text/html", b"<html>"), "502", false, Some(7)),
        (http(404, "text/html", b"no such\npage"), "404 Not Found: no such page", false, Some(7)),
        (http(400, "text/html", b"a proxy's"), "400", false, Some(7)),
        (http(400, PROTOBUF, &said), "400 Bad Request: bad", true, None),
        (http(200, "text/html; charset=utf-8", b"<html>"), "a web page", false, Some(7)),
        (http(307, "text/plain", b""), "307", false, Some(7)),
        (grpc(Status::unavailable("later")), "Unavailable: later", false, None),
        (grpc(Status::with_details(Code::ResourceExhausted, "full", in_nine_seconds().into())), "full", false, Some(9)),
        (grpc(Status::unauthenticated("who?")), "Unauthenticated: who?", false, None),
        (grpc(Status::invalid_argument("bad")), "InvalidArgument: bad", true, None),
    ];
    for ((protocol, answer), what, is_final, seconds) in cases {
        let (collector, front) = collector(protocol, [answer]).await;
        let (mut target, upload) = (front.target(), next(&mut Stream::begin(HOST), 2));
        match target.store(&upload).await {
            Outcome::Refused { is_fork: false, why } => assert!(is_final && why.contains(what), "{what}: {why}"),
            Outcome::Later { why, after } => {
                assert!(!is_final && why.contains(what), "{what}: {why}");
                assert_eq!(after, seconds.map(Duration::from_secs), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
        is_stored(&mut target, &upload).await;
        assert_eq!(collector.records().len(), 2);
    }
}

#[tokio::test]
async fn a_2xx_is_success_whatever_else_is_said() {
    const PROTOBUF: &str = "application/x-protobuf";
    let partial = |why: &str| {
        let partial = ExportLogsPartialSuccess { rejected_log_records: 2, error_message: why.to_owned() };
        ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    };
    // each with what is told of it
    let cases = [
        (200, PROTOBUF, partial(&"too old ".repeat(16 << 10)), "rejected log records for good: too old too old"),
        (200, PROTOBUF, partial(&"x".repeat(8 << 20)), "taken, with an answer that can't be read"),
        (200, PROTOBUF, b"\xff\xff".to_vec(), "taken, with an answer that can't be read"),
        (202, "text/plain", b"ok".to_vec(), "taken, with an answer that can't be read"),
        (200, "Application/X-Protobuf; charset=utf-8", partial("too old"), "rejected=2"),
        (200, "application/json", br#"{"partialSuccess":{}}"#.to_vec(), ""),
        (200, "application/json", b"{}".to_vec(), ""),
        (
            200,
            "application/json; charset=utf-8",
            br#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"},"more":1}"#.to_vec(),
            "rejected log records for good: too old",
        ),
        (200, "application/json", br#"{"partialSuccess":{"rejectedLogRecords":2}}"#.to_vec(), "rejected=2"),
        (200, "application/json", br#"{"partial_success":{"rejected_log_records":2}}"#.to_vec(), "rejected=2"),
        (200, "application/json", br#"{"partialSuccess":{"errorMessage":"slow"}}"#.to_vec(), "with a warning: slow"),
        (200, "application/json", br#"{"partialSuccess":7}"#.to_vec(), "taken, with an answer that can't be read"),
        (204, "", Vec::new(), ""),
    ];
    for (status, kind, body, told) in cases {
        let (_, front) = collector(Protocol::Http, [Answer::Http(status, kind, body)]).await;
        let (log, _listening) = Log::listen();
        is_stored(&mut front.target(), &next(&mut Stream::begin(HOST), 2)).await;
        let text = log.text();
        assert!(text.contains(told) && text.contains("WARN") != told.is_empty(), "{status} {kind}: {text}");
        assert!(text.len() < 2000, "{}", text.len());
    }
}

#[tokio::test]
async fn what_each_answer_says_anew_is_told_once_a_minute_and_rejected_records_always() {
    let unread = || Answer::Http(200, "text/plain", b"ok".to_vec());
    let answers = [unread(), Answer::Rejected(0, "slow"), Answer::Rejected(1, "old"), unread()];
    let answers = answers.into_iter().chain([Answer::Rejected(0, "slow"), Answer::Rejected(1, "old"), unread()]);
    let (collector, front) = collector(Protocol::Http, answers).await;
    let (mut target, mut stream) = (front.target(), Stream::begin(HOST));
    let (log, _listening) = Log::listen();
    while !collector.answers.lock().unwrap().is_empty() {
        is_stored(&mut target, &next(&mut stream, 1)).await;
    }
    let text = log.text();
    let counts = ["can't be read", "with a warning: slow", "rejected log records for good: old"];
    assert_eq!(counts.map(|what| text.matches(what).count()), [1, 1, 2], "{text}");
}

/// A server of gRPC that answers each call with these bytes and this status.
async fn raw_grpc(body: Vec<u8>, status: Code) -> Front {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move || async move {
        let mut trailers = axum::http::HeaderMap::new();
        trailers.insert("grpc-status", (status as i32).into());
        trailers.insert("grpc-message", "in the trailers".parse().unwrap());
        let body = http_body_util::Full::new(Bytes::from(body)).with_trailers(async { Some(Ok(trailers)) });
        axum::http::Response::builder().header("content-type", "application/grpc").body(Body::new(body)).unwrap()
    };
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Front::of(address, Protocol::Grpc).await
}

// over gRPC the status that comes after the answer is the server's word, and an answer that can't be read had the batch sent for ever
#[tokio::test]
async fn a_grpc_status_of_ok_is_success_whatever_else_is_said() {
    let framed = |message: &[u8]| [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat();
    let partial = |why: &str| {
        let partial = ExportLogsPartialSuccess { rejected_log_records: 2, error_message: why.to_owned() };
        framed(&ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec())
    };
    let unreadable = "taken, with an answer that can't be read";
    let large = partial(&"x".repeat(8 << 20));
    let cases = [
        (partial(&"too old ".repeat(16 << 10)), "rejected log records for good: too old too old"),
        (large.clone(), unreadable),
        (framed(b"\xff\xff"), unreadable),
        (b"\x00\x00".to_vec(), unreadable),
        (b"\x01\x00\x00\x00\x01z".to_vec(), unreadable),
        (Vec::new(), unreadable),
        (framed(b""), ""),
    ];
    for (body, told) in cases {
        let size = body.len();
        let front = raw_grpc(body, Code::Ok).await;
        let (log, _listening) = Log::listen();
        is_stored(&mut front.target(), &next(&mut Stream::begin(HOST), 2)).await;
        let text = log.text();
        assert!(text.contains(told) && text.contains("WARN") != told.is_empty(), "{size} bytes: {text}");
        assert!(text.len() < 2000, "{}", text.len());
    }
    // and no answer, however it is, makes a success of another status
    for body in [large, framed(b""), b"\xff".to_vec()] {
        let why =
            is_put_off(&mut raw_grpc(body, Code::Unavailable).await.target(), &next(&mut Stream::begin(HOST), 2)).await;
        assert!(why.contains("Unavailable: in the trailers"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_rejected_hold_up_nothing() {
    for protocol in BOTH {
        let (collector, front) = collector(protocol, [Answer::Rejected(2, "too old")]).await;
        let mut target = front.target();
        is_stored(&mut target, &next(&mut Stream::begin(HOST), 2)).await;
        assert_eq!(collector.requests.lock().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_batch_and_a_stranger_get_nowhere() {
    for protocol in BOTH {
        let (collector, front) = collector(protocol, []).await;
        let mut target = front.target();
        let mut upload = next(&mut Stream::begin(HOST), 2);
        upload.bytes.truncate(upload.bytes.len() / 2);
        assert!(is_put_off(&mut target, &upload).await.contains("damaged"));
        front.forge();
        target.reload();
        let upload = next(&mut Stream::begin(HOST), 2);
        let why = is_put_off(&mut target, &upload).await;
        assert!(why.contains("our client certificate"), "{why}");
        assert!(!why.contains("s3cret"));
        assert_eq!(collector.records().len(), 0);
    }
}
