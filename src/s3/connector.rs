//! AWS' client on our HTTP client.

use crate::tls::{self, explain};
use aws_sdk_s3::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_s3::error::ConnectorError;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use std::fmt;

/// Of an answer that is no object: a page of a listing has 1000 keys of 1 KiB, each with what is told of it.
const ANSWER_MAX_BYTES: usize = 8 << 20;
/// Of an answer of a service that gives credentials.
const CREDENTIALS_MAX_BYTES: usize = 256 << 10;

/// What requests are sent with.
#[derive(Clone)]
pub(crate) struct Http {
    store: reqwest::Client,
    metadata: reqwest::Client,
}

impl Http {
    /// `store` speaks https to whom it may concern.
    pub(crate) fn new(store: reqwest::Client) -> Result<Self, String> {
        // the metadata services of instances and containers speak plain http, at addresses of the link itself
        let metadata = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::plain().map_err(|fault| fault.to_string())?)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Ok(Self { store, metadata: metadata.map_err(explain)? })
    }

    pub(super) fn for_store(&self) -> SharedHttpClient {
        SharedHttpClient::new(Connector { https: self.store.clone(), plain: None })
    }

    pub(super) fn for_credentials(&self) -> SharedHttpClient {
        SharedHttpClient::new(Connector { https: self.store.clone(), plain: Some(self.metadata.clone()) })
    }
}

#[derive(Clone)]
struct Connector {
    https: reqwest::Client,
    plain: Option<reqwest::Client>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { https, plain } = self.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap));
            let request = request.map_err(|error| ConnectorError::user(explain(error).into()))?;
            let is_for_credentials = plain.is_some();
            let is_object = is_object(&request);
            let client = plain.filter(|_| request.url().scheme() == "http").unwrap_or(https);
            let answer = client.execute(request).await.map_err(|error| match error.is_timeout() {
                true => ConnectorError::timeout(explain(error).into()),
                false => ConnectorError::io(explain(error).into()),
            })?;
            let limit = match is_for_credentials {
                true => Some(CREDENTIALS_MAX_BYTES),
                // read as it comes, up to the length that is expected
                false if is_object && answer.status().is_success() => None,
                false => Some(ANSWER_MAX_BYTES),
            };
            let answer = match limit {
                None => http_response(answer).map(SdkBody::from_body_1_x),
                Some(limit) => whole(answer, limit).await?,
            };
            HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Whether the answer is an object's bytes: AWS' client names the operation.
fn is_object(request: &reqwest::Request) -> bool {
    request.url().query_pairs().any(|(name, value)| name == "x-id" && value == "GetObject")
}

/// An answer that is read to its end before anybody has it, up to a limit.
async fn whole(mut answer: reqwest::Response, limit: usize) -> Result<hyper::Response<SdkBody>, ConnectorError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| ConnectorError::io(explain(error).into()))? {
        if body.len() + chunk.len() > limit {
            let why = format!(
                "the answer has more than {limit} bytes, as no store's has; is that a store, and what is on the way?"
            );
            return Err(ConnectorError::other(why.into(), None));
        }
        body.extend_from_slice(&chunk);
    }
    let (parts, _) = http_response(answer).into_parts();
    Ok(hyper::Response::from_parts(parts, SdkBody::from(body)))
}

fn http_response(answer: reqwest::Response) -> hyper::Response<reqwest::Body> {
    answer.into()
}
