//! A receiver that listens, with a certificate authority and an archive of its own.

use crate::pki::Authority;
use crate::stream::Stream;
use ed25519_dalek::VerifyingKey;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Method};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sealtail::chain::host_key::HostPublic;
use sealtail::chain::receipt::Receipt;
use sealtail::durable::{Disk, FileSystem};
use sealtail::receive::{Config, Error, Limits, Quota, Server, TlsConfig};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) config: Config,
    folder: TempDir,
    /// Where the receiver listens, whether in this process or another.
    pub(crate) address: Option<SocketAddr>,
    running: Option<Running>,
}

struct Running {
    metrics: Box<dyn Fn() -> String + Send>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), Error>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn receipt(&self) -> Receipt {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Demands this status and this text in the error.
    pub(crate) fn expect(&self, status: u16, why: &str) {
        let error: serde_json::Value = serde_json::from_str(&self.text).unwrap_or_default();
        let error = error["error"].as_str().unwrap_or_default();
        assert!(self.status == status && error.contains(why), "expected {status} {why}, got {self:?}");
    }
}

impl World {
    /// Everything but the running server.
    pub(crate) fn prepare() -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.write_server_files(folder.path());
        let at = |name: &str| folder.path().join(name);
        let tls = TlsConfig { ca: at("ca.pem"), cert: at("server.pem"), key: at("server.key"), crls: vec![] };
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = Config {
            listen,
            dir: at("archive"),
            tls,
            trust: None,
            receipt_key: at("receipt.key"),
            limits: Limits::default(),
            quota: Quota::default(),
        };
        Self { authority, config, folder, address: None, running: None }
    }

    pub(crate) async fn start() -> Self {
        Self::start_on(Arc::new(Disk)).await
    }

    pub(crate) async fn start_on(fs: Arc<dyn FileSystem>) -> Self {
        let mut world = Self::prepare();
        world.run(fs).await;
        world
    }

    pub(crate) async fn run(&mut self, fs: Arc<dyn FileSystem>) {
        let server = Server::bind_on(&self.config, fs).await.unwrap();
        self.address = Some(server.local_addr());
        let metrics = Box::new(server.metrics());
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.run(async { drop(stopped.await) }));
        self.running = Some(Running { metrics, stop, ended });
    }

    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        running.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(15), running.ended).await.unwrap().unwrap().unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.run(Arc::new(Disk)).await;
    }

    pub(crate) fn metrics(&self) -> String {
        (self.running.as_ref().unwrap().metrics)()
    }

    /// Batches that are on their way.
    pub(crate) fn incoming(&self) -> usize {
        let names = std::fs::read_dir(&self.config.dir).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| sealtail::durable::is_temporary(name)).count()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address())
    }

    /// A client that trusts the receiver; what it shows is up to the caller.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let ca = Certificate::from_pem(self.authority.pem.as_bytes()).unwrap();
        Client::builder().tls_certs_only([ca]).no_proxy().timeout(Duration::from_secs(30))
    }

    pub(crate) fn client_with(&self, identity: &str) -> Client {
        self.builder().identity(Identity::from_pem(identity.as_bytes()).unwrap()).build().unwrap()
    }

    pub(crate) fn client(&self, host: &str) -> Client {
        self.client_with(&self.authority.client(&[host]))
    }

    /// A connection over which the caller speaks HTTP/1.1 itself.
    pub(crate) async fn raw_connection(&self, host: &str) -> TlsStream<TcpStream> {
        let identity = self.authority.client(&[host]);
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(identity.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(identity.as_bytes()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem.as_bytes()).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder().with_root_certificates(roots);
        let config = config.with_client_auth_cert(chain.unwrap(), key).unwrap();
        let tcp = TcpStream::connect(self.address()).await.unwrap();
        TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), tcp).await.unwrap()
    }

    pub(crate) async fn put(&self, client: &Client, path: &str, body: &[u8]) -> Answer {
        let request = client.put(self.url(path)).header("content-type", "application/x-ndjson");
        answer(request.header("content-encoding", "zstd").body(body.to_vec())).await
    }

    /// Sends a batch of `stream` that begins with `first`, as the stream's host.
    pub(crate) async fn send(&self, stream: &Stream, first: u64, batch: &[u8]) -> Answer {
        self.put(&self.client(&stream.host), &stream.path(first), batch).await
    }

    pub(crate) async fn ask(&self, client: &Client, method: Method, path: &str) -> Answer {
        answer(client.request(method, self.url(path))).await
    }

    /// The names of all files in the archive but the lock.
    pub(crate) fn archived(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.config.dir, &mut found);
        let relative = |path: PathBuf| path.strip_prefix(&self.config.dir).unwrap().display().to_string();
        let mut names: Vec<String> = found.into_iter().map(relative).filter(|name| name != ".lock").collect();
        names.sort();
        names
    }

    pub(crate) fn receipt_key(&self) -> VerifyingKey {
        match HostPublic::load(&self.config.receipt_key.with_extension("pub")).unwrap() {
            HostPublic::Ed25519(key) => key,
            HostPublic::P256(_) => panic!("receipts are signed with Ed25519"),
        }
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap_or_else(|error| panic!("no answer: {error:?}"));
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    Answer { status, retry_after, text: response.text().await.unwrap() }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => walk(&path, found),
            false => found.push(path),
        }
    }
}
