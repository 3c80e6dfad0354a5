//! A server of bundles for one test: real TLS, which asks for a client certificate.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio_rustls::TlsAcceptor;

/// What it gives, and what it was asked.
#[derive(Default)]
pub(crate) struct Shelf {
    bundle: Option<Vec<u8>>,
    /// The `If-None-Match` and `Authorization` of each request.
    pub(crate) asked: Vec<(Option<String>, Option<String>)>,
}

/// Serves until it is dropped.
pub(crate) struct BundleServer {
    pub(crate) shelf: Arc<Mutex<Shelf>>,
    pub(crate) port: u16,
    runtime: Option<tokio::runtime::Runtime>,
}

impl BundleServer {
    /// With quickstart's certificates, on `port`, or on a free one.
    pub(crate) fn start(certificates: &Path, port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (shelf, acceptor) = (Arc::default(), acceptor(certificates));
        let app = Router::new().route("/policies/bundle.tar.gz", get(answer)).with_state(Arc::clone(&shelf));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(serve(listener, acceptor, app));
        Self { shelf, port, runtime: Some(runtime) }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/policies/bundle.tar.gz", self.port)
    }

    pub(crate) fn put(&self, bundle: Vec<u8>) {
        self.shelf.lock().unwrap().bundle = Some(bundle);
    }

    /// How often it was asked for something else than what it has.
    pub(crate) fn asked_again(&self) -> usize {
        let shelf = self.shelf.lock().unwrap();
        let etag = shelf.bundle.as_deref().map(etag);
        shelf.asked.iter().filter(|(given, _)| *given == etag).count()
    }
}

impl Drop for BundleServer {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

fn etag(bundle: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bundle);
    format!("\"{}\"", sealtail::record::hex(digest.as_ref()))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, app: Router) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(app.clone()));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            // a client that goes away is no fault of the test
            drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(State(shelf): State<Arc<Mutex<Shelf>>>, headers: HeaderMap) -> Response<Body> {
    let mut shelf = shelf.lock().unwrap();
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let given = header(IF_NONE_MATCH);
    shelf.asked.push((given.clone(), header(AUTHORIZATION)));
    let response = Response::builder();
    let Some(bundle) = &shelf.bundle else {
        return response.status(StatusCode::SERVICE_UNAVAILABLE).body(Body::empty()).unwrap();
    };
    let (etag, bundle) = (etag(bundle), bundle.clone());
    let (status, body) = match given == Some(etag.clone()) {
        true => (StatusCode::NOT_MODIFIED, Vec::new()),
        false => (StatusCode::OK, bundle),
    };
    response.status(status).header(ETAG, etag).body(Body::from(body)).unwrap()
}

fn acceptor(certificates: &Path) -> TlsAcceptor {
    let pem = |name: &str| CertificateDer::pem_file_iter(certificates.join(name)).unwrap().map(Result::unwrap);
    let mut roots = RootCertStore::empty();
    pem("ca.pem").for_each(|certificate| roots.add(certificate).unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates.join("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(pem("server.pem").collect(), key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
