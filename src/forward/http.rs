//! HTTP clients of targets: how they connect, how long they wait, how their failures read.

use super::{Error, Proxy};
use crate::record::Secret;
use crate::tls::{explain, origin};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use std::time::Duration;

/// Most answers are a receipt or a short error; more is not read.
pub(super) const ANSWER_MAX_BYTES: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An attempt is over after this, and a second more for each of so many bytes: the slowest link that is worth it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
const SLOWEST_BYTES_A_SECOND: u64 = 8 * 1024;

/// How long an attempt with so many bytes may take.
pub(super) fn time_for(bytes: u64) -> Duration {
    ATTEMPT_TIMEOUT + Duration::from_secs(bytes / SLOWEST_BYTES_A_SECOND)
}

/// A connection pool to one target.
pub(super) fn client(url: &str, tls: rustls::ClientConfig, proxy: Option<&Proxy>) -> Result<reqwest::Client, Error> {
    built(url, builder(tls, proxy)?)
}

/// As all connect. The environment's proxies are no matter of ours: what isn't in the configuration isn't on the way.
pub(super) fn builder(tls: rustls::ClientConfig, proxy: Option<&Proxy>) -> Result<reqwest::ClientBuilder, Error> {
    let mut client = reqwest::Client::builder().no_proxy();
    if let Some(Proxy { url, login }) = proxy {
        let failed = |e| Error::Place { place: url.clone(), reason: explain(e) };
        let mut proxy = reqwest::Proxy::all(url).map_err(failed)?;
        if let Some((user, password)) = login {
            proxy = proxy.basic_auth(user, password.expose());
        }
        client = client.proxy(proxy);
    }
    let client = client
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("sealtail/", env!("CARGO_PKG_VERSION")));
    Ok(client)
}

/// The client of `url`.
pub(super) fn built(url: &str, builder: reqwest::ClientBuilder) -> Result<reqwest::Client, Error> {
    builder.build().map_err(|e| Error::Place { place: origin(url), reason: explain(e) })
}

/// Headers of the configuration, whose values are never shown.
pub(super) fn headers(url: &str, configured: &[(String, Secret)]) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in configured {
        let header = HeaderName::try_from(name).ok().zip(HeaderValue::from_str(value.expose()).ok());
        let Some((header, mut value)) = header else {
            let reason = format!("the header {name:?} can't be sent; use ASCII, and no line breaks");
            return Err(Error::Place { place: origin(url), reason });
        };
        value.set_sensitive(true);
        headers.append(header, value);
    }
    Ok(headers)
}

/// An answer's body, up to a limit.
pub(super) async fn read_answer(mut response: reqwest::Response, max_bytes: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > max_bytes {
            body.truncate(max_bytes);
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
