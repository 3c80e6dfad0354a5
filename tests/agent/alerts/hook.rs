//! A server that is told of alerts.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::world::{PATIENCE, World};

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) at: Instant,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Call {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// What is answered next; afterwards 200.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    Status(u16),
    RetryAfter(u16, u64),
    /// Nothing, for so long.
    Silence(Duration),
}

#[derive(Default)]
struct Heard {
    calls: Mutex<Vec<Call>>,
    came: Condvar,
    answers: Mutex<VecDeque<Answer>>,
}

pub(super) struct Hook {
    heard: Arc<Heard>,
    pub(super) address: SocketAddr,
    _runtime: Runtime,
}

impl Hook {
    pub(super) fn start() -> Self {
        Self::answering([])
    }

    /// One at an address that was free a moment ago.
    pub(super) fn at(address: SocketAddr) -> Self {
        Self::listening(address, [])
    }

    pub(super) fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::listening(([127, 0, 0, 1], 0).into(), answers)
    }

    /// One that speaks TLS with quickstart's certificate, and wants one of quickstart's authority.
    pub(super) fn tls(world: &World) -> Self {
        let chain = CertificateDer::pem_file_iter(world.path("q/server.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(world.path("q/server.key")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(world.path("q/ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_client_cert_verifier(clients.build().unwrap()).with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = Runtime::new().unwrap();
        let heard = Arc::<Heard>::default();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(hear).with_state(Arc::clone(&heard));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, routes) = (acceptor.clone(), routes.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = TowerToHyperService::new(routes);
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    drop(server.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { heard, address, _runtime: runtime }
    }

    fn listening(address: SocketAddr, answers: impl IntoIterator<Item = Answer>) -> Self {
        let runtime = Runtime::new().unwrap();
        let heard = Arc::new(Heard { answers: Mutex::new(answers.into_iter().collect()), ..Heard::default() });
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(hear).with_state(Arc::clone(&heard));
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { heard, address, _runtime: runtime }
    }

    /// A `[[alert]]` that tells this server of denied lines.
    pub(super) fn webhook(&self, more: &str) -> String {
        let url = format!("http://{}/hook", self.address);
        format!(
            "[[alert]]\nname = \"oncall\"\ntype = \"webhook\"\nurl = \"{url}\"\nsecret = \"s3cret\"\ndecision = \"deny\"\n{more}\n"
        )
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.heard.calls.lock().unwrap().clone()
    }

    /// Awaits so many calls.
    pub(super) fn await_calls(&self, count: usize) -> Vec<Call> {
        let calls = self.heard.calls.lock().unwrap();
        let (calls, over) = self.heard.came.wait_timeout_while(calls, PATIENCE, |calls| calls.len() < count).unwrap();
        assert!(!over.timed_out(), "{count} calls never came: {calls:#?}");
        calls.clone()
    }
}

async fn hear(
    State(heard): State<Arc<Heard>>,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, &'static str) {
    let call = Call { at: Instant::now(), path: uri.path().to_owned(), headers, body: body.to_vec() };
    heard.calls.lock().unwrap().push(call);
    heard.came.notify_all();
    let answer = heard.answers.lock().unwrap().pop_front();
    let mut headers = HeaderMap::new();
    let status = match answer {
        None => 200,
        Some(Answer::Status(status)) => status,
        Some(Answer::RetryAfter(status, seconds)) => {
            headers.insert("retry-after", seconds.into());
            status
        }
        Some(Answer::Silence(time)) => {
            tokio::time::sleep(time).await;
            200
        }
    };
    (StatusCode::from_u16(status).unwrap(), headers, "{}")
}
