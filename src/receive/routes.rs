//! What a client may ask: to store a batch, and to list what is stored.

use super::client::Client;
use super::metrics::Metrics;
use super::quota::{Accounts, Charge};
use super::refusal::Refusal;
use super::store::{Outcome, Store};
use super::tip::StreamName;
use super::upload::{Uploads, discard};
use crate::chain::key::Bytes32;
use crate::record::Seq;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Extension, Json, Router};
use base64::prelude::*;
use std::sync::Arc;

struct Shared {
    store: Arc<Store>,
    uploads: Uploads,
    accounts: Arc<Accounts>,
    metrics: Arc<Metrics>,
}

/// The service; each request must have its [`Client`] among its extensions.
pub(super) fn router(store: Arc<Store>, uploads: Uploads, accounts: Arc<Accounts>) -> Router {
    let metrics = store.metrics.clone();
    let shared = Arc::new(Shared { store, uploads, accounts, metrics });
    let answer = |status: StatusCode, what: &str| (status, Json(serde_json::json!({ "error": what }))).into_response();
    Router::new()
        .route("/v1/{host}/{stream}/{first}", put(store_batch))
        .route("/v1/{host}/{stream}", get(list_stream))
        .method_not_allowed_fallback(async move || {
            answer(StatusCode::METHOD_NOT_ALLOWED, "batches are PUT and streams are listed with GET; nothing deletes")
        })
        .fallback(async move || {
            answer(StatusCode::NOT_FOUND, "nothing is here; batches are PUT to /v1/<host>/<stream>/<first seq>")
        })
        .with_state(shared)
}

async fn store_batch(
    State(shared): State<Arc<Shared>>,
    Extension(client): Extension<Client>,
    Path((host, stream, first)): Path<(String, String, String)>,
    headers: HeaderMap,
    mut body: Body,
) -> Response {
    let target = format!("{host}/{stream}/{first}");
    match take_batch(&shared, &client, [&host, &stream, &first], &headers, &mut body).await {
        Ok(response) => response,
        Err(refusal) => {
            warn(&shared, &client, &target, &refusal);
            // the answer does not wait for it; who was too slow for the batch is too slow for the rest of it
            if !matches!(refusal, Refusal::Slow(_)) {
                tokio::spawn(discard(body));
            }
            refusal.into_response()
        }
    }
}

async fn take_batch(
    shared: &Shared,
    client: &Client,
    [host, stream, first]: [&str; 3],
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Response, Refusal> {
    let name = stream_name(host, stream)?;
    let first = seq(first)?;
    client.authorise(host)?;
    shared.accounts.request(host)?;
    check_head(headers, &name, first)?;
    let expected = shared.uploads.expected(body)?;
    // an agent that sends again what is stored asks for its receipt, which no quota keeps from it
    let charge = match shared.store.clone().holds(name.clone(), first).await? {
        true => Charge::default(),
        false => shared.accounts.clone().charge(host, expected).await?,
    };
    let upload = shared.uploads.read(host, body, expected, charge).await?;
    check_digest(headers, &upload.digest)?;
    let (outcome, receipt) = shared.store.clone().put(name, first, upload).await?;
    tracing::debug!(peer = %client.peer, host, stream, first, last = receipt.seq[1], ?outcome);
    let status = match outcome {
        Outcome::Stored => StatusCode::CREATED,
        Outcome::AlreadyStored => StatusCode::OK,
    };
    Ok((status, Json(receipt)).into_response())
}

async fn list_stream(
    State(shared): State<Arc<Shared>>,
    Extension(client): Extension<Client>,
    Path((host, stream)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    let list = async {
        let name = stream_name(&host, &stream)?;
        client.authorise(&host)?;
        shared.accounts.request(&host)?;
        let from = match uri.query() {
            None => 0,
            Some(query) => seq(query.strip_prefix("from=").unwrap_or_default())?,
        };
        shared.store.clone().list(name, from).await
    };
    match list.await {
        Ok(listing) => Json(listing).into_response(),
        // asking whether a stream is there is nothing to warn of
        Err(Refusal::NotFound(what)) => Refusal::NotFound(what).into_response(),
        Err(refusal) => {
            warn(&shared, &client, &format!("{host}/{stream}"), &refusal);
            refusal.into_response()
        }
    }
}

/// Tells the operator. What the client chose is quoted, so that it can't write lines of its own into the log.
fn warn(shared: &Shared, client: &Client, target: &str, refusal: &Refusal) {
    let (status, why) = (refusal.status().as_u16(), refusal.to_string());
    tracing::warn!(peer = %client.peer, path = ?target, status, ?why, "refused");
    shared.metrics.refused(refusal.reason());
}

fn stream_name(host: &str, stream: &str) -> Result<StreamName, Refusal> {
    StreamName::parse(host, stream).ok_or_else(|| {
        Refusal::malformed(
            "the path is /v1/<host>/<stream>/<first seq>, with a host of 1 to 64 of A-Z a-z 0-9 . _ - (no dot first) \
             and a stream of 32 lower-case hexadecimal digits",
        )
    })
}

fn seq(text: &str) -> Result<Seq, Refusal> {
    let digits = (1..=20).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
    let seq = digits.then(|| text.parse().ok()).flatten();
    seq.ok_or_else(|| Refusal::malformed("a seq is a number of 1 to 20 decimal digits"))
}

/// What can be said of a request before its body is read.
fn check_head(headers: &HeaderMap, name: &StreamName, first: Seq) -> Result<(), Refusal> {
    for (header, expected) in [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CONTENT_ENCODING, "zstd")] {
        if headers.get(&header).is_some_and(|value| value.as_bytes() != expected.as_bytes()) {
            return Err(Refusal::malformed(format!("{header} must be {expected}")));
        }
    }
    let Some(key) = headers.get("idempotency-key") else { return Ok(()) };
    let key = key.to_str().ok().and_then(|key| key.rsplit_once('/'));
    match key {
        Some((stream, number)) if stream == name.to_string() && seq(number).is_ok_and(|seq| seq == first) => Ok(()),
        _ => Err(Refusal::malformed("Idempotency-Key must be <host>/<stream>/<first seq>, as in the path")),
    }
}

/// Content-Digest (RFC 9530); one that names only other algorithms is as good as none.
fn check_digest(headers: &HeaderMap, came: &Bytes32) -> Result<(), Refusal> {
    for value in headers.get_all("content-digest") {
        let value = value.to_str().map_err(|_| Refusal::malformed("Content-Digest is not text"))?;
        let coded = value.split(',').filter_map(|member| member.trim().strip_prefix("sha-256="));
        for coded in coded {
            let coded = coded.strip_prefix(':').and_then(|coded| coded.strip_suffix(':'));
            let digest = coded.and_then(|coded| BASE64_STANDARD.decode(coded).ok());
            if digest.is_none_or(|digest| digest != came) {
                return Err(Refusal::malformed(
                    "the batch that came does not have the SHA-256 that Content-Digest says",
                ));
            }
        }
    }
    Ok(())
}
