//! `type = "https"` against the embedded receiver.

use crate::conformance::{HOST, Place, conforms, files, is_put_off, next};
use crate::pki::Authority;
use crate::stream::Stream;
use sealtail::forward::{self, ClientFiles, Config, HttpsConfig, Kind, Proxy};
use sealtail::receive::{self, Server};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) struct Receiver {
    folder: TempDir,
    pub(crate) authority: Authority,
    pub(crate) url: String,
    /// What is asked of it besides its certificates.
    pub(crate) tls: forward::TlsConfig,
    pub(crate) proxy: Option<Proxy>,
}

impl Receiver {
    /// Certificates, and nobody who listens.
    pub(crate) fn prepare() -> Receiver {
        // both ends may be in this process
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.write_server_files(folder.path());
        let (tls, proxy) = (forward::TlsConfig::default(), None);
        let receiver = Receiver { folder, authority, url: String::new(), tls, proxy };
        receiver.write_client(&receiver.authority.client(&[HOST]));
        receiver
    }

    pub(crate) async fn start() -> Receiver {
        let mut receiver = Receiver::prepare();
        receiver.listen().await;
        receiver
    }

    /// Serves, in this process, until the test's runtime ends.
    pub(crate) async fn listen(&mut self) {
        let folder = &self.folder;
        let at = |name: &str| folder.path().join(name);
        let tls = receive::TlsConfig { ca: at("ca.pem"), cert: at("server.pem"), key: at("server.key"), crls: vec![] };
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = receive::Config {
            listen,
            dir: at("archive"),
            tls,
            trust: None,
            receipt_key: at("receipt.key"),
            limits: receive::Limits::default(),
            quota: receive::Quota::default(),
        };
        let server = Server::bind(&config).await.unwrap();
        self.url = format!("https://{}", server.local_addr());
        tokio::spawn(server.run(std::future::pending()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Certificate and key of the agent.
    pub(crate) fn write_client(&self, pem: &str) {
        write_client(self.folder.path(), pem);
    }
}

/// Writes client.pem and client.key.
pub(crate) fn write_client(folder: &Path, pem: &str) {
    let (certificate, key) = pem.split_at(pem.find("-----BEGIN PRIVATE").unwrap());
    std::fs::write(folder.join("client.pem"), certificate).unwrap();
    std::fs::write(folder.join("client.key"), key).unwrap();
    std::fs::set_permissions(folder.join("client.key"), PermissionsExt::from_mode(0o600)).unwrap();
}

impl Place for Receiver {
    fn target(&self) -> Config {
        let client = ClientFiles { cert: self.path("client.pem"), key: self.path("client.key") };
        let tls = forward::TlsConfig { ca: Some(self.path("ca.pem")), client: Some(client), ..self.tls.clone() };
        Config {
            name: "archive".into(),
            required: true,
            max_lag_bytes: None,
            batch_max_size_bytes: 4 << 20,
            batch_max_age: Duration::from_secs(1),
            kind: Kind::Https(HttpsConfig { url: self.url.clone(), tls, proxy: self.proxy.clone() }),
        }
    }

    fn holds(&self) -> Vec<(String, Vec<u8>)> {
        files(&self.path("archive"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_to_the_contract() {
    conforms(&Receiver::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authoritys_certificate_is_refused_and_the_right_one_taken_up() {
    let receiver = Receiver::start().await;
    let upload = next(&mut Stream::begin(HOST), 2);
    receiver.write_client(&Authority::new().client(&[HOST]));
    let mut target = forward::open(&receiver.target(), HOST).unwrap();
    let why = is_put_off(&mut target, &upload).await;
    // both authorities have one name
    assert!(why.contains("its CA is another of the same name"), "{why}");
    assert_eq!(receiver.holds(), []);
    receiver.write_client(&receiver.authority.client(&[HOST]));
    target.reload();
    crate::conformance::is_stored(&mut target, &upload).await;
}
