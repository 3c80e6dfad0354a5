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
            let client = plain.filter(|_| request.url().scheme() == "http").unwrap_or(https);
            let answer = client.execute(request).await.map_err(|error| match error.is_timeout() {
                true => ConnectorError::timeout(explain(error).into()),
                false => ConnectorError::io(explain(error).into()),
            })?;
            let answer = http_response(answer).map(SdkBody::from_body_1_x);
            HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

fn http_response(answer: reqwest::Response) -> hyper::Response<reqwest::Body> {
    answer.into()
}
