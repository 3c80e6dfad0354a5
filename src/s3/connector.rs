//! AWS' client on our HTTP client.

use aws_sdk_s3::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_s3::error::ConnectorError;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use std::fmt;

/// How a failure of the HTTP client reads.
type Explain = fn(&reqwest::Error) -> String;

/// What requests are sent with.
#[derive(Clone)]
pub(crate) struct Http {
    store: reqwest::Client,
    credentials: reqwest::Client,
    explain: Explain,
}

impl Http {
    /// `store` speaks to the store; credentials are asked for with the same certificates.
    pub(crate) fn new(
        store: reqwest::Client,
        tls: rustls::ClientConfig,
        explain: Explain,
    ) -> Result<Self, reqwest::Error> {
        let credentials = reqwest::Client::builder()
            // plain http is what the metadata services of instances and containers speak, at addresses of the link itself
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { store, credentials, explain })
    }

    pub(super) fn for_store(&self) -> SharedHttpClient {
        SharedHttpClient::new(Connector { client: self.store.clone(), explain: self.explain })
    }

    pub(super) fn for_credentials(&self) -> SharedHttpClient {
        SharedHttpClient::new(Connector { client: self.credentials.clone(), explain: self.explain })
    }
}

#[derive(Clone)]
struct Connector {
    client: reqwest::Client,
    explain: Explain,
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
        let Self { client, explain } = self.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap));
            let request = request.map_err(|error| ConnectorError::user(explain(&error).into()))?;
            let answer = client.execute(request).await.map_err(|error| match error.is_timeout() {
                true => ConnectorError::timeout(explain(&error).into()),
                false => ConnectorError::io(explain(&error).into()),
            })?;
            let answer = http_response(answer).map(SdkBody::from_body_1_x);
            HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

fn http_response(answer: reqwest::Response) -> hyper::Response<reqwest::Body> {
    answer.into()
}
