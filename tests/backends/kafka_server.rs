//! A real broker that speaks Kafka's protocol: tansu, which keeps records in memory. What speaks TLS and wants client certificates
//! stands in front of it, at the address that the broker gives out as its own.

use crate::conformance::{HOST, Place};
use crate::link::Link;
use crate::nats_server::write_pair;
use crate::pki::Authority;
use crate::terminator::terminate;
use krafka::producer::{Acks, Producer};
use sealtail::forward::{self, ClientFiles, Config, KafkaConfig, Kind, TlsConfig};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) struct KafkaServer {
    pub(crate) folder: TempDir,
    pub(crate) authority: Authority,
    pub(crate) link: Link,
    plain: SocketAddr,
    child: Option<Child>,
}

fn program() -> OsString {
    std::env::var_os("SEALTAIL_TANSU").unwrap_or_else(|| "tansu".into())
}

impl KafkaServer {
    /// With a topic of three partitions; `None` where there is no broker, which CI may not say.
    pub(crate) async fn start() -> Option<KafkaServer> {
        let server = KafkaServer::start_without_topic().await?;
        server.create_topic(&["retention.ms=-1"]);
        Some(server)
    }

    pub(crate) async fn start_without_topic() -> Option<KafkaServer> {
        KafkaServer::start_speaking(&rustls::version::TLS13).await
    }

    pub(crate) async fn start_speaking(tls: &'static rustls::SupportedProtocolVersion) -> Option<KafkaServer> {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        std::fs::write(folder.path().join("ca.pem"), &authority.pem).unwrap();
        for (file, name) in [("client", HOST), ("auditor", "auditor-1")] {
            write_pair(folder.path(), file, &authority.client(&[name]));
        }
        let plain = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let outside = terminate(&authority, folder.path(), tls, &[], plain).await;
        let link = Link::to(outside.port()).await;
        let mut server = KafkaServer { folder, authority, link, plain, child: None };
        if !server.run() {
            assert!(std::env::var_os("CI").is_none(), "CI must have tansu");
            eprintln!("SKIPPED: tansu is not there; tests/run fetches it");
            return None;
        }
        Some(server)
    }

    /// Starts the broker, at the same port as before, and awaits its word that it is ready.
    pub(crate) fn run(&mut self) -> bool {
        let child = Command::new(program())
            .arg("broker")
            .args(["--storage-engine", "memory://tansu/", "--listener-url", &format!("tcp://{}", self.plain)])
            .args(["--advertised-listener-url", &format!("tcp://127.0.0.1:{}", self.link.port)])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else { return false };
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().starts_with("ready")), "tansu ended");
        std::thread::spawn(move || said.for_each(drop));
        self.child = Some(child);
        true
    }

    /// As `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn create_topic(&self, settings: &[&str]) {
        let broker = format!("tcp://{}", self.plain);
        let mut command = Command::new(program());
        command.args(["topic", "create", "audit", "--broker", &broker, "--partitions", "3"]);
        for setting in settings {
            command.args(["--config", setting]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, user: &str) -> KafkaConfig {
        let client = ClientFiles { cert: self.path(&format!("{user}.pem")), key: self.path(&format!("{user}.key")) };
        KafkaConfig {
            brokers: vec![format!("127.0.0.1:{}", self.link.port)],
            topic: "audit".into(),
            tls: TlsConfig { ca: Some(self.path("ca.pem")), client: Some(client), ..TlsConfig::default() },
        }
    }

    fn target_of(&self, user: &str) -> Config {
        Config {
            name: "queue".into(),
            required: true,
            batch_max_size_bytes: 960 << 10,
            batch_max_age: Duration::from_secs(1),
            max_lag_bytes: None,
            kind: Kind::Kafka(self.config(user)),
        }
    }

    /// Somebody else who may write to the topic.
    pub(crate) async fn producer(&self) -> Producer {
        let at = |name: &str| self.path(name).display().to_string();
        let tls = krafka::auth::TlsConfig::new().with_ca_cert(at("ca.pem"));
        let tls = tls.with_client_cert(at("client.pem"), at("client.key"));
        Producer::builder()
            .bootstrap_servers(format!("127.0.0.1:{}", self.link.port))
            .auth(krafka::auth::AuthConfig::ssl(tls))
            .acks(Acks::All)
            .linger(Duration::ZERO)
            .build()
            .await
            .unwrap()
    }

    /// Saves the topic as an auditor, and what was told.
    pub(crate) async fn save(&self, dir: &Path) -> (forward::Saved, Vec<String>) {
        let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let telling = told.clone();
        let target = self.target_of("auditor");
        let saved = forward::save(&target, "auditor-1", dir, move |what| telling.lock().unwrap().push(what)).await;
        (saved.unwrap(), std::mem::take(&mut told.lock().unwrap()))
    }
}

impl Drop for KafkaServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Place for KafkaServer {
    fn target(&self) -> Config {
        self.target_of("client")
    }

    fn holds(&self) -> Vec<(String, Vec<u8>)> {
        let folder = tempfile::tempdir().unwrap();
        let saving = self.save(folder.path());
        let (saved, told) = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(saving));
        assert_eq!((saved.known, told), (0, Vec::new()), "each batch is there once");
        crate::conformance::files(folder.path())
    }
}
