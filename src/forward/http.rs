//! HTTP clients of targets: how they connect, how long they wait, how their failures read.

use super::Error;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::Duration;

/// An answer is a receipt or a short error; more is not read.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An attempt is over after this, and a second more for each of so many bytes: the slowest link that is worth it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
const SLOWEST_BYTES_A_SECOND: u64 = 8 * 1024;

/// How long an attempt with so many bytes may take.
pub(super) fn time_for(bytes: u64) -> Duration {
    ATTEMPT_TIMEOUT + Duration::from_secs(bytes / SLOWEST_BYTES_A_SECOND)
}

/// A connection pool to one target.
pub(super) fn client(url: &str, tls: rustls::ClientConfig) -> Result<reqwest::Client, Error> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("sealtail/", env!("CARGO_PKG_VERSION")))
        .build();
    client.map_err(|e| Error::Place { place: url.to_owned(), reason: explain(&e) })
}

/// An answer's body, up to a limit.
pub(super) async fn read_answer(mut response: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
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

/// When the server said to come again.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    const LONGEST_S: u64 = 300;
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_S)))
}

/// The whole chain of causes, since clients' own words stop at "error sending request", and what to do about those that an
/// operator meets.
pub(super) fn explain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut cause = Some(error);
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
        (
            "certificate not valid yet",
            "the server's certificate is not valid yet; mend the clock, this host's or the server's",
        ),
        ("certificate expired", "the server's certificate has expired, or this host's clock is wrong"),
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
