//! The https backend: one `PUT` a batch to a server that speaks the protocol of `sealtail receive`.

use super::backend::{Backend, Outcome, Pending, Upload};
use super::{Error, HttpsConfig, tls};
use crate::chain::receipt::Receipt;
use crate::record::StreamId;
use base64::prelude::*;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use std::time::Duration;

/// An answer is a receipt or a short error; more is not read.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An attempt is over after this, and a second more for each of so many bytes: the slowest link that is worth it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
const SLOWEST_BYTES_A_SECOND: u64 = 8 * 1024;

/// A connection pool to one target.
pub(super) struct Https {
    /// The target's name.
    name: String,
    config: HttpsConfig,
    host: String,
    client: reqwest::Client,
    stamp: tls::Stamp,
}

impl Https {
    pub(super) fn new(name: &str, config: &HttpsConfig, host: &str) -> Result<Self, Error> {
        if !config.url.starts_with("https://") {
            return Err(Error::Place {
                place: config.url.clone(),
                reason: "only https:// is sent to: logs cross no wire in the clear".into(),
            });
        }
        let (client, stamp) = client(config, host)?;
        Ok(Self { name: name.to_owned(), config: config.clone(), host: host.to_owned(), client, stamp })
    }

    async fn put(&self, upload: &Upload) -> Outcome {
        let batch = &upload.batch;
        let name = format!("{}/{}/{}", self.host, batch.stream, batch.seq[0]);
        let request = self
            .client
            .put(format!("{}/v1/{name}", self.config.url.trim_end_matches('/')))
            .header(CONTENT_TYPE, "application/x-ndjson")
            .header(CONTENT_ENCODING, "zstd")
            .header("Idempotency-Key", &name)
            .header("Content-Digest", format!("sha-256=:{}:", BASE64_STANDARD.encode(upload.digest.0)))
            .timeout(ATTEMPT_TIMEOUT + Duration::from_secs(batch.len / SLOWEST_BYTES_A_SECOND))
            .body(upload.bytes.clone());
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Later { why: explain(&error), after: None },
        };
        let (status, after) = (response.status(), retry_after(response.headers()));
        let body = match read_answer(response).await {
            Ok(body) => body,
            Err(error) => return Outcome::Later { why: explain(&error), after },
        };
        self.judge(status, after, &body, upload)
    }

    /// Asks for the list of a stream that does not exist, to see whether the target would take this host's lines.
    async fn ask(&self) -> Result<(), String> {
        let url = format!("{}/v1/{}/{}", self.config.url.trim_end_matches('/'), self.host, StreamId([0; 16]));
        let response = self.client.get(url).timeout(ATTEMPT_TIMEOUT).send().await.map_err(|error| explain(&error))?;
        let status = response.status();
        match status {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(()),
            _ => Err(format!("{status}: {}", said(&read_answer(response).await.unwrap_or_default()))),
        }
    }

    fn judge(&self, status: StatusCode, after: Option<Duration>, body: &[u8], upload: &Upload) -> Outcome {
        match status {
            StatusCode::OK | StatusCode::CREATED => match receipt(body, upload) {
                Ok(receipt) => Outcome::Stored(Some(Box::new(receipt))),
                Err(why) => Outcome::Later { why: format!("{status} without a receipt for this batch: {why}"), after },
            },
            // only in the protocol's own words: a proxy on the way may say 400 for reasons that pass
            StatusCode::CONFLICT | StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE
                if error_in(body).is_some() =>
            {
                Outcome::Refused { is_fork: status == StatusCode::CONFLICT, why: format!("{status}: {}", said(body)) }
            }
            other => Outcome::Later { why: format!("{other}: {}", said(body)), after },
        }
    }
}

impl Backend for Https {
    fn store<'a>(&'a mut self, upload: &'a Upload) -> Pending<'a, Outcome> {
        Box::pin(self.put(upload))
    }

    fn probe(&mut self) -> Pending<'_, Result<(), String>> {
        Box::pin(self.ask())
    }

    fn reload(&mut self) {
        if tls::stamp(&self.config.tls) == self.stamp {
            return;
        }
        match client(&self.config, &self.host) {
            Ok((client, stamp)) => {
                tracing::info!(target_name = %self.name, "certificates reloaded");
                (self.client, self.stamp) = (client, stamp);
            }
            Err(error) => {
                tracing::warn!(target_name = %self.name, %error, "changed certificates are not usable")
            }
        }
    }
}

fn client(config: &HttpsConfig, host: &str) -> Result<(reqwest::Client, tls::Stamp), Error> {
    let credentials = tls::load(&config.tls, host)?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(credentials.config)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("sealtail/", env!("CARGO_PKG_VERSION")))
        .build();
    let client = client.map_err(|e| Error::Place { place: config.url.clone(), reason: explain(&e) })?;
    Ok((client, credentials.stamp))
}

async fn read_answer(mut response: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX_BYTES {
            body.truncate(ANSWER_MAX_BYTES);
            break;
        }
    }
    Ok(body)
}

/// A receipt that is for these very bytes. Its signature is the auditor's to check, who knows the receiver's key.
fn receipt(body: &[u8], upload: &Upload) -> Result<Receipt, String> {
    let receipt: Receipt = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let (host, stream, seq) = (&upload.host, upload.batch.stream, upload.batch.seq);
    let fits =
        receipt.host == *host && receipt.stream == stream && receipt.seq == seq && receipt.digest == upload.digest;
    if fits { Ok(receipt) } else { Err("it is for another batch".into()) }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    const LONGEST_S: u64 = 300;
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_S)))
}

/// The protocol's `{"error":…}`.
fn error_in(body: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(answer.get("error")?.as_str()?.to_owned())
}

/// What the server said, in one line.
fn said(body: &[u8]) -> String {
    let text = error_in(body).unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned());
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}

/// The whole chain of causes, since reqwest's own words stop at "error sending request", and what to do about those that an
/// operator meets.
fn explain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = if text.is_empty() { words } else { format!("{text}: {words}") };
        }
        cause = error.source();
    }
    let hints = [
        ("CertificateRequired", "the server wants a client certificate"),
        ("UnknownCA", "the server does not know the CA of our client certificate"),
        (
            "DecryptError",
            "the server's check of our client certificate failed: its CA is another of the same name, or the key is",
        ),
        ("UnknownIssuer", "the server's certificate is not from the CA in tls.ca"),
        ("CertificateExpired", "the server says that our client certificate has expired"),
        ("ProtocolVersion", "the server does not speak TLS 1.3"),
        ("PeerIncompatible", "the server does not speak TLS 1.3"),
        ("InvalidContentType", "the server does not speak TLS on this port; is it plain http?"),
        ("NotValidForName", "the server's certificate is for another name than the url's"),
    ];
    match hints.iter().find(|(sign, _)| text.contains(sign)) {
        Some((_, hint)) => format!("{hint} ({text})"),
        None => text,
    }
}
