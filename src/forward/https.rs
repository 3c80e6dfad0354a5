//! The https backend: one `PUT` a batch to a server that speaks the protocol of `sealtail receive`.

use super::backend::{Backend, Outcome, Pending, Upload};
use super::http::{self, read_answer, retry_after};
use super::{Error, HttpsConfig, Proxy, tls};
use crate::chain::receipt::Receipt;
use crate::record::StreamId;
use crate::tls::{explain, origin, said_by};
use base64::prelude::*;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use std::time::Duration;

/// A connection pool to one target.
pub(super) struct Https {
    url: String,
    host: String,
    proxy: Option<Proxy>,
    client: reqwest::Client,
    certificates: tls::Watch,
}

impl Https {
    pub(super) fn new(name: &str, config: &HttpsConfig, host: &str) -> Result<Self, Error> {
        if !config.url.starts_with("https://") {
            return Err(Error::Place {
                place: origin(&config.url),
                reason: "only https:// is sent to: logs cross no wire in the clear".into(),
            });
        }
        let (certificates, tls) = tls::Watch::load(name, &config.tls, host)?;
        let client = http::client(&config.url, tls, config.proxy.as_ref())?;
        let (url, proxy) = (config.url.trim_end_matches('/').to_owned(), config.proxy.clone());
        Ok(Self { url, host: host.to_owned(), proxy, client, certificates })
    }

    async fn put(&self, upload: &Upload) -> Outcome {
        let batch = &upload.batch;
        let name = format!("{}/{}/{}", self.host, batch.stream, batch.seq[0]);
        let request = self
            .client
            .put(format!("{}/v1/{name}", self.url))
            .header(CONTENT_TYPE, "application/x-ndjson")
            .header(CONTENT_ENCODING, "zstd")
            .header("Idempotency-Key", &name)
            .header("Content-Digest", format!("sha-256=:{}:", BASE64_STANDARD.encode(upload.digest.0)))
            .timeout(http::time_for(batch.len))
            .body(upload.bytes.clone());
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Later { why: explain(error), after: None },
        };
        let (status, after) = (response.status(), retry_after(response.headers()));
        let body = match read_answer(response, http::ANSWER_MAX_BYTES).await {
            Ok(body) => body,
            Err(error) => return Outcome::Later { why: explain(error), after },
        };
        self.judge(status, after, &body, upload)
    }

    /// Asks for the list of a stream that does not exist, to see whether the target would take this host's lines.
    async fn ask(&self) -> Result<(), String> {
        let url = format!("{}/v1/{}/{}", self.url, self.host, StreamId([0; 16]));
        let response = self.client.get(url).timeout(http::time_for(0)).send().await.map_err(explain)?;
        let status = response.status();
        match status {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(()),
            _ => Err(format!(
                "{status}: {}",
                self.said(&read_answer(response, http::ANSWER_MAX_BYTES).await.unwrap_or_default())
            )),
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
                Outcome::Refused {
                    is_fork: status == StatusCode::CONFLICT,
                    why: format!("{status}: {}", self.said(body)),
                }
            }
            other => Outcome::Later { why: format!("{other}: {}", self.said(body)), after },
        }
    }

    /// What the server said, in one line.
    fn said(&self, body: &[u8]) -> String {
        said_by(&self.url, error_in(body).as_ref().map_or(body, String::as_bytes))
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
        let make = |tls| http::client(&self.url, tls, self.proxy.as_ref());
        self.certificates.renew(&mut self.client, make);
    }
}

/// A receipt that is for these very bytes. Its signature is the auditor's to check, who knows the receiver's key.
fn receipt(body: &[u8], upload: &Upload) -> Result<Receipt, String> {
    let receipt: Receipt = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let (host, stream, seq) = (&upload.host, upload.batch.stream, upload.batch.seq);
    let fits =
        receipt.host == *host && receipt.stream == stream && receipt.seq == seq && receipt.digest == upload.digest;
    if fits { Ok(receipt) } else { Err("it is for another batch".into()) }
}

/// The protocol's `{"error":…}`.
fn error_in(body: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(answer.get("error")?.as_str()?.to_owned())
}
