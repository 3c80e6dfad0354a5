//! The HTTP client of webhooks and Alertmanagers. No address is ever shown: it may hold a secret.

use super::deliver::Outcome;
use crate::tls::{self, Watched, explain, said_by};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use std::time::{Duration, SystemTime};

/// What of an answer is read when it is a refusal; less is told.
const SAID_MAX_BYTES: usize = 4096;
/// The longest that a server may make us wait.
const AFTER_MAX: Duration = Duration::from_secs(300);

/// A client of one server.
pub(super) struct Http {
    url: Url,
    tls: tls::Config,
    timeout: Duration,
    client: reqwest::Client,
    watched: Watched,
}

impl Http {
    pub(super) fn new(url: &str, tls: &tls::Config, timeout: Duration) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|_| "its url is none".to_owned())?;
        let watched = Watched::new(tls.files());
        let client = client(&url, tls, timeout)?;
        Ok(Self { url, tls: tls.clone(), timeout, client, watched })
    }

    /// Sends a JSON body once.
    pub(super) async fn post(&mut self, headers: HeaderMap, body: Vec<u8>) -> Outcome {
        self.reload();
        let request = self.client.post(self.url.clone()).headers(headers);
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Later { why: explain(error), after: None },
        };
        let (status, after) = (response.status(), retry_after(response.headers()));
        match status {
            _ if status.is_success() => Outcome::Delivered,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Outcome::Later { why: status.to_string(), after }
            }
            _ if status.is_server_error() => Outcome::Later { why: status.to_string(), after },
            _ => Outcome::Refused { why: format!("{status}: {}", said(&self.url, response).await) },
        }
    }

    /// Certificates that changed on disk are taken up; bad ones leave the old ones in use.
    fn reload(&mut self) {
        let Some(versions) = self.watched.changed() else { return };
        match client(&self.url, &self.tls, self.timeout) {
            Ok(client) => {
                self.client = client;
                self.watched.take_up(versions);
            }
            Err(error) if self.watched.refuse(versions) => {
                tracing::warn!(%error, "changed certificates of an alert target are not usable");
            }
            Err(_) => {}
        }
    }
}

fn client(url: &Url, tls: &tls::Config, timeout: Duration) -> Result<reqwest::Client, String> {
    let config = if url.scheme() == "https" { tls::client(tls)? } else { tls::plain()? };
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("sealtail/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(explain)
}

/// The beginning of an answer's body, in one line.
async fn said(url: &Url, mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    while body.len() < SAID_MAX_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk[..chunk.len().min(SAID_MAX_BYTES)]);
    }
    body.truncate(SAID_MAX_BYTES);
    said_by(url.as_str(), &body)
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).unwrap_or_default(),
    };
    Some(wait.min(AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_when_in_seconds_or_by_a_date() {
        let after = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("99999"), Some(AFTER_MAX));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        assert!(after(&soon).is_some_and(|wait| (Duration::from_secs(50)..=Duration::from_secs(60)).contains(&wait)));
        assert_eq!(after("soon"), None);
    }
}
