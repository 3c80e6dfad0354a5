//! The https backend: one `PUT` a batch to a server that speaks the protocol of `sealtail receive`.

use super::{Config, Error, tls};
use crate::chain::header::Hash;
use crate::chain::key::sha256;
use crate::chain::receipt::Receipt;
use crate::record::StreamId;
use crate::spool::Frozen;
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

/// What came of an attempt.
pub(crate) enum Outcome {
    /// It is durable there.
    Stored(Box<Receipt>),
    /// Perhaps later; why, and when the server said so.
    Later { why: String, after: Option<Duration> },
    /// Never: the bytes themselves are refused.
    Refused { status: u16, why: String },
}

/// A connection pool to one target.
pub(crate) struct Https {
    config: Config,
    host: String,
    client: reqwest::Client,
    stamp: tls::Stamp,
}

impl Https {
    pub(crate) fn new(config: &Config, host: &str) -> Result<Self, Error> {
        if !config.url.starts_with("https://") {
            return Err(Error::Url {
                url: config.url.clone(),
                reason: "only https:// is sent to: logs cross no wire in the clear".into(),
            });
        }
        let (client, stamp) = client(config, host)?;
        Ok(Self { config: config.clone(), host: host.to_owned(), client, stamp })
    }

    /// Certificates that changed on disk are taken up before the next attempt; bad ones leave the old ones in use.
    pub(crate) fn reload(&mut self) {
        if tls::stamp(&self.config.tls) == self.stamp {
            return;
        }
        match client(&self.config, &self.host) {
            Ok((client, stamp)) => {
                tracing::info!(target_name = %self.config.name, "certificates reloaded");
                (self.client, self.stamp) = (client, stamp);
            }
            Err(error) => {
                tracing::warn!(target_name = %self.config.name, %error, "changed certificates are not usable")
            }
        }
    }

    /// Sends a batch once.
    pub(crate) async fn put(&self, batch: &Frozen, bytes: Vec<u8>) -> Outcome {
        let digest = sha256(&[&bytes]);
        let name = format!("{}/{}/{}", self.host, batch.stream, batch.seq[0]);
        let request = self
            .client
            .put(format!("{}/v1/{name}", self.config.url.trim_end_matches('/')))
            .header(CONTENT_TYPE, "application/x-ndjson")
            .header(CONTENT_ENCODING, "zstd")
            .header("Idempotency-Key", &name)
            .header("Content-Digest", format!("sha-256=:{}:", BASE64_STANDARD.encode(digest)))
            .timeout(ATTEMPT_TIMEOUT + Duration::from_secs(batch.len / SLOWEST_BYTES_A_SECOND))
            .body(bytes);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Later { why: explain(&error), after: None },
        };
        let (status, after) = (response.status(), retry_after(response.headers()));
        let body = match read_answer(response).await {
            Ok(body) => body,
            Err(error) => return Outcome::Later { why: explain(&error), after },
        };
        self.judge(status, after, &body, batch, Hash(digest))
    }

    /// Asks for the list of a stream that does not exist, to see whether the target would take this host's lines.
    pub(crate) async fn probe(&self) -> Result<(), String> {
        let url = format!("{}/v1/{}/{}", self.config.url.trim_end_matches('/'), self.host, StreamId([0; 16]));
        let response = self.client.get(url).timeout(ATTEMPT_TIMEOUT).send().await.map_err(|error| explain(&error))?;
        let status = response.status();
        match status {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(()),
            _ => Err(format!("{status}: {}", said(&read_answer(response).await.unwrap_or_default()))),
        }
    }

    fn judge(&self, status: StatusCode, after: Option<Duration>, body: &[u8], batch: &Frozen, digest: Hash) -> Outcome {
        match status {
            StatusCode::OK | StatusCode::CREATED => match receipt(body, &self.host, batch, digest) {
                Ok(receipt) => Outcome::Stored(Box::new(receipt)),
                Err(why) => Outcome::Later { why: format!("{status} without a receipt for this batch: {why}"), after },
            },
            // only in the protocol's own words: a proxy on the way may say 400 for reasons that pass
            StatusCode::CONFLICT | StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE
                if error_in(body).is_some() =>
            {
                Outcome::Refused { status: status.as_u16(), why: said(body) }
            }
            other => Outcome::Later { why: format!("{other}: {}", said(body)), after },
        }
    }
}

fn client(config: &Config, host: &str) -> Result<(reqwest::Client, tls::Stamp), Error> {
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
    let client = client.map_err(|e| Error::Url { url: config.url.clone(), reason: explain(&e) })?;
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
fn receipt(body: &[u8], host: &str, batch: &Frozen, digest: Hash) -> Result<Receipt, String> {
    let receipt: Receipt = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let stream: StreamId = batch.stream;
    let fits = receipt.host == host && receipt.stream == stream && receipt.seq == batch.seq && receipt.digest == digest;
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
