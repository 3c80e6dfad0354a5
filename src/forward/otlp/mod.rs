//! The otlp backend: log lines as OpenTelemetry log records, over HTTP or gRPC.
//!
//! | file | what it does |
//! | --- | --- |
//! | `records` | lines -> records, and these in requests of bounded size |
//! | `severity` | what a line says of its severity and time |
//! | `channel` | calls over gRPC |
//! | `answer` | what a server's answer means |
//!
//! What the contract of [`Backend`] asks and OTLP can't give: an answer is no receipt (a collector may hold what it took in memory), and there
//! is no idempotence: after a lost answer a request is sent again, and its records are there twice, with one `log.record.uid`. So such
//! a target is never the only one that is required.

mod answer;
mod channel;
mod records;
mod severity;

use super::backend::{Backend, Outcome, Pending, Upload};
use super::http::{self, read_answer, retry_after};
use super::{Error, OtlpConfig, Protocol, Seldom, tls};
use crate::record::{Seq, StreamId};
use crate::tls::{explain, said_by};
use answer::Form;
use channel::{Channel, Unreadable};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceRequest};
use prost::Message;
use records::{Requests, Sources};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use tonic::codegen::http as wire;

/// An answer may name what is wrong with each record of a request.
const ANSWER_MAX_BYTES: usize = 4 << 20;

/// A connection pool to one target.
pub(super) struct Otlp {
    name: String,
    config: OtlpConfig,
    headers: HeaderMap,
    client: reqwest::Client,
    certificates: tls::Watch,
    sources: Sources,
    /// Of the batch that begins there so many requests were taken already.
    taken: Option<(StreamId, Seq, usize)>,
    /// What a server may say of each request alike.
    unread: Seldom,
    warned: Seldom,
}

impl Otlp {
    pub(super) fn new(name: &str, config: &OtlpConfig, host: &str) -> Result<Self, Error> {
        let (certificates, tls) = tls::Watch::load(name, &config.tls, host)?;
        Ok(Self {
            name: name.to_owned(),
            headers: http::headers(&config.url, &config.headers)?,
            client: client(config, tls)?,
            config: config.clone(),
            certificates,
            sources: Sources::default(),
            taken: None,
            unread: Seldom::default(),
            warned: Seldom::default(),
        })
    }

    /// Request after request; those that were taken at an earlier attempt are not sent again.
    async fn send_all(&mut self, upload: &Upload) -> Outcome {
        let begin = (upload.batch.stream, upload.batch.seq[0]);
        let taken = self.taken.filter(|(stream, first, _)| (*stream, *first) == begin).map_or(0, |(_, _, taken)| taken);
        // each attempt begins with what was known before the batch, so that its requests are those of the attempt before
        let mut sources = self.sources.clone();
        let mut requests = Requests::new(upload, &mut sources);
        let mut count = 0;
        let outcome = loop {
            let request = match requests.next() {
                Ok(Some(request)) => request,
                Ok(None) => break Outcome::Stored(None),
                Err(why) => break Outcome::Later { why: format!("the spooled batch is damaged: {why}"), after: None },
            };
            count += 1;
            if count <= taken {
                continue;
            }
            match self.send(request).await {
                Ok(partial) => self.tell_rejected(&partial),
                Err(outcome) => break outcome,
            }
            self.taken = Some((begin.0, begin.1, count));
        };
        if matches!(outcome, Outcome::Stored(_)) {
            self.sources = sources;
        }
        outcome
    }

    async fn send(&mut self, request: ExportLogsServiceRequest) -> Result<ExportLogsPartialSuccess, Outcome> {
        match self.config.protocol {
            Protocol::Http => self.post(request).await,
            Protocol::Grpc => self.call(request).await,
        }
    }

    async fn post(&mut self, request: ExportLogsServiceRequest) -> Result<ExportLogsPartialSuccess, Outcome> {
        let body = request.encode_to_vec();
        let request = self
            .client
            .post(format!("{}/v1/logs", self.config.url))
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, answer::PROTOBUF)
            .timeout(http::time_for(body.len() as u64))
            .body(body);
        let later = |error, after| Outcome::Later { why: explain(error), after };
        let response = request.send().await.map_err(|error| later(error, None))?;
        let (status, after) = (response.status(), retry_after(response.headers()));
        let form = Form::of(response.headers());
        let body = read_answer(response, ANSWER_MAX_BYTES).await.map_err(|error| later(error, after))?;
        if status.is_success() && form != Form::Page {
            return Ok(self.taken(&body, form));
        }
        Err(answer::of_failure(status, after, &body, form, &self.config.url))
    }

    async fn call(&mut self, request: ExportLogsServiceRequest) -> Result<ExportLogsPartialSuccess, Outcome> {
        let origin =
            self.config.url.parse::<wire::Uri>().map_err(|e| Outcome::Later { why: e.to_string(), after: None })?;
        let timeout = http::time_for(request.encoded_len() as u64);
        let channel = Channel { client: self.client.clone(), headers: self.headers.clone(), timeout };
        let answer = LogsServiceClient::with_origin(channel, origin).export(request).await;
        let answer = answer.map_err(|status| answer::of_grpc(&status, &self.config.url))?;
        if let Some(Unreadable(bytes)) = answer.extensions().get() {
            self.tell_unreadable(*bytes);
        }
        Ok(answer.into_inner().partial_success.unwrap_or_default())
    }

    /// A success is one whatever else was said; what the server's own words add is read if it can be.
    fn taken(&mut self, body: &[u8], form: Form) -> ExportLogsPartialSuccess {
        answer::of_success(body, form).unwrap_or_else(|| {
            self.tell_unreadable(body.len());
            ExportLogsPartialSuccess::default()
        })
    }

    fn tell_unreadable(&mut self, bytes: usize) {
        if self.unread.is_due() {
            tracing::warn!(target_name = %self.name, bytes, "taken, with an answer that can't be read: whether records were rejected is unknown");
        }
    }

    /// Records that the server took note of and will never store. They stand in the required targets.
    fn tell_rejected(&mut self, partial: &ExportLogsPartialSuccess) {
        let why = said_by(&self.config.url, partial.error_message.as_bytes());
        match partial.rejected_log_records {
            0 if why.is_empty() || !self.warned.is_due() => {}
            0 => tracing::warn!(target_name = %self.name, "the target took all log records with a warning: {why}"),
            rejected => {
                tracing::warn!(target_name = %self.name, rejected, "the target rejected log records for good: {why}")
            }
        }
    }
}

impl Backend for Otlp {
    fn store<'a>(&'a mut self, upload: &'a Upload) -> Pending<'a, Outcome> {
        Box::pin(self.send_all(upload))
    }

    /// A request without records is answered as any other.
    fn probe(&mut self) -> Pending<'_, Result<(), String>> {
        Box::pin(async {
            match self.send(ExportLogsServiceRequest::default()).await {
                Ok(_) => Ok(()),
                Err(Outcome::Later { why, .. } | Outcome::Refused { why, .. }) => Err(why),
                Err(Outcome::Stored(_)) => Ok(()),
            }
        })
    }

    fn reload(&mut self) {
        self.certificates.renew(&mut self.client, |tls| client(&self.config, tls));
    }
}

fn client(config: &OtlpConfig, tls: rustls::ClientConfig) -> Result<reqwest::Client, Error> {
    let builder = http::builder(tls, config.proxy.as_ref())?;
    let builder = if config.protocol == Protocol::Grpc { builder.http2_prior_knowledge() } else { builder };
    http::built(&config.url, builder)
}
