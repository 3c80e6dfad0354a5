//! gRPC over the same client as all else, so that certificates, proxies and bounds are the same.

use super::records::REQUEST_MAX_BYTES;
use crate::tls::explain;
use http_body_util::BodyExt;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message;
use reqwest::header::HeaderMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::codegen::http as wire;

/// What stands before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// A way to the server.
pub(super) struct Channel {
    pub client: reqwest::Client,
    pub headers: HeaderMap,
    pub timeout: Duration,
}

/// Among an answer's extensions: it is a success, and its so many bytes could not be read.
#[derive(Clone, Copy)]
pub(super) struct Unreadable(pub usize);

/// Why a call didn't get through, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failed(String);

impl tonic::codegen::Service<wire::Request<tonic::body::Body>> for Channel {
    type Response = wire::Response<reqwest::Body>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: wire::Request<tonic::body::Body>) -> Self::Future {
        let (client, headers, timeout) = (self.client.clone(), self.headers.clone(), self.timeout);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            parts.headers.extend(headers);
            // as large as a request is at most
            let body = axum::body::to_bytes(axum::body::Body::new(body), REQUEST_MAX_BYTES + 1024).await;
            let body = body.map_err(|error| Failed(error.to_string()))?;
            let request = wire::Request::from_parts(parts, reqwest::Body::from(body));
            let mut request = reqwest::Request::try_from(request).map_err(|error| Failed(explain(error)))?;
            *request.timeout_mut() = Some(timeout);
            let response = client.execute(request).await.map_err(|error| Failed(explain(error)))?;
            read(response).await.map_err(|error| Failed(explain(error)))
        })
    }
}

/// Reads an answer to its end, where its status stands, and gives it with that in front. To tonic one that it can't read is a
/// failure whatever its status, and the request would be sent again for ever: where the status is a success, an answer that says
/// nothing comes in its place.
async fn read(response: reqwest::Response) -> Result<wire::Response<reqwest::Body>, reqwest::Error> {
    let (mut parts, mut body) = wire::Response::<reqwest::Body>::from(response).into_parts();
    let (mut said, mut len) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                len += data.len();
                let room = PREFIX_BYTES + super::ANSWER_MAX_BYTES - said.len();
                said.extend_from_slice(&data[..data.len().min(room)]);
            }
            Err(frame) => parts.headers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let status = tonic::Status::from_header_map(&parts.headers);
    let is_success = status.is_some_and(|status| status.code() == tonic::Code::Ok);
    if is_success && (len > said.len() || !is_readable(&said)) {
        said = vec![0; PREFIX_BYTES];
        parts.headers.remove("grpc-encoding");
        parts.extensions.insert(Unreadable(len));
    }
    Ok(wire::Response::from_parts(parts, reqwest::Body::from(said)))
}

/// Whether this is one message, not compressed, of the type that is expected.
fn is_readable(said: &[u8]) -> bool {
    let Some(([0, len @ ..], message)) = said.split_first_chunk::<PREFIX_BYTES>() else { return false };
    u32::from_be_bytes(*len) as usize == message.len() && ExportLogsServiceResponse::decode(message).is_ok()
}
