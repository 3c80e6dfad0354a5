//! A real nats-server with JetStream, certificates both ways, and a user for each certificate.

use crate::conformance::{HOST, Place};
use crate::pki::Authority;
use async_nats::jetstream::{self, stream};
use sealtail::forward::{self, ClientFiles, Config, Kind, NatsConfig, TlsConfig, Upload};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const STREAM: &str = "AUDIT";

pub(crate) struct NatsServer {
    pub(crate) folder: TempDir,
    pub(crate) authority: Authority,
    /// Where targets connect: the server, or what a test put before it.
    pub(crate) port: u16,
    pub(crate) batch_max_size_bytes: u64,
    child: Option<Child>,
    server_port: u16,
}

impl NatsServer {
    /// With a stream that is fit; `None` where there is no nats-server, which CI may not say.
    pub(crate) async fn start() -> Option<NatsServer> {
        NatsServer::start_with("", fit()).await
    }

    pub(crate) async fn start_with(settings: &str, stream: stream::Config) -> Option<NatsServer> {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.write_server_files(folder.path());
        let mut server =
            NatsServer { folder, authority, port: 0, batch_max_size_bytes: 1 << 20, child: None, server_port: 0 };
        server.write_client("client", HOST);
        server.write_client("admin", "admin");
        server.write_client("auditor", "auditor-1");
        server.configure(settings);
        if !server.run() {
            assert!(std::env::var_os("CI").is_none(), "CI must have nats-server");
            eprintln!("SKIPPED: nats-server is not there; tests/run fetches it");
            return None;
        }
        server.port = server.server_port;
        server.admin().await.create_stream(stream).await.unwrap();
        Some(server)
    }

    fn configure(&self, settings: &str) {
        let at = |name: &str| self.path(name).display().to_string();
        let (ca, cert, key, store) = (at("ca.pem"), at("server.pem"), at("server.key"), at("jetstream"));
        let config = format!(
            r#"
            host: 127.0.0.1, port: 0
            jetstream {{ store_dir: "{store}", max_file_store: 64MB }}
            tls {{ ca_file: "{ca}", cert_file: "{cert}", key_file: "{key}", verify_and_map: true }}
            authorization {{ users: [
              {{ user: "admin" }}
              {{ user: "{HOST}", permissions: {{
                publish: [ "audit.{HOST}", "$JS.API.STREAM.INFO.AUDIT", "$JS.API.DIRECT.GET.AUDIT", "$JS.API.DIRECT.GET.AUDIT.audit.{HOST}" ]
                subscribe: "_INBOX.{HOST}.>" }} }}
              {{ user: "auditor-1", permissions: {{
                publish: [ "$JS.API.STREAM.INFO.AUDIT", "$JS.API.DIRECT.GET.AUDIT" ]
                subscribe: "_INBOX.auditor-1.>" }} }}
              {{ user: "mute", permissions: {{ publish: "$JS.API.STREAM.INFO.AUDIT", subscribe: "_INBOX.>" }} }}
            ] }}
            {settings}
            "#
        );
        std::fs::write(self.path("nats.conf"), config).unwrap();
    }

    /// Starts the server, at the same port as before, and awaits its word that it is ready.
    pub(crate) fn run(&mut self) -> bool {
        let program = std::env::var_os("SEALTAIL_NATS_SERVER").unwrap_or_else(|| "nats-server".into());
        let port = if self.server_port == 0 { -1 } else { i32::from(self.server_port) };
        let child = Command::new(program)
            .args(["-c", self.path("nats.conf").to_str().unwrap(), "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else { return false };
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut all = Vec::new();
        loop {
            let line = said.next().unwrap_or_else(|| panic!("nats-server ended: {all:#?}")).unwrap();
            if let Some((_, address)) = line.split_once("Listening for client connections on ") {
                self.server_port = address.rsplit(':').next().unwrap().parse().unwrap();
            }
            if line.contains("Server is ready") {
                break;
            }
            all.push(line);
        }
        // what it says after is not waited for, and must not block it
        std::thread::spawn(move || said.for_each(drop));
        self.child = Some(child);
        true
    }

    /// As `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// New settings, taken up without a restart.
    pub(crate) fn reload(&self, settings: &str) {
        self.configure(settings);
        let pid = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Certificate and key of somebody.
    pub(crate) fn write_client(&self, file: &str, name: &str) {
        write_pair(self.folder.path(), file, &self.authority.client(&[name]));
    }

    /// Somebody who may do everything.
    pub(crate) async fn admin(&self) -> jetstream::Context {
        let client = async_nats::ConnectOptions::new()
            .require_tls(true)
            .add_root_certificates(self.path("ca.pem"))
            .add_client_certificate(self.path("admin.pem"), self.path("admin.key"))
            .connect(format!("tls://127.0.0.1:{}", self.server_port))
            .await
            .unwrap();
        jetstream::new(client)
    }

    /// Publishes a message that says it is this part of the upload, whatever its bytes are.
    pub(crate) async fn publish_part(&self, upload: &Upload, begin: usize, bytes: Vec<u8>) {
        let range = format!("bytes {begin}-{}/{}", begin + bytes.len() - 1, upload.bytes.len());
        let mut headers = async_nats::HeaderMap::new();
        for (name, value) in crate::conformance::headers(upload, &range) {
            headers.insert(name, value);
        }
        let admin = self.admin().await;
        admin.publish_with_headers(format!("audit.{HOST}"), headers, bytes.into()).await.unwrap().await.unwrap();
    }

    pub(crate) fn config(&self) -> NatsConfig {
        let client = ClientFiles { cert: self.path("client.pem"), key: self.path("client.key") };
        NatsConfig {
            url: format!("tls://127.0.0.1:{}", self.port),
            tls_first: false,
            stream: STREAM.into(),
            subject: "audit.{host}".into(),
            tls: TlsConfig { ca: Some(self.path("ca.pem")), client: Some(client), ..TlsConfig::default() },
        }
    }

    /// Saves the stream as an auditor, and what was told.
    pub(crate) async fn save(&self, dir: &Path) -> (forward::Saved, Vec<String>) {
        let mut target = self.target();
        let client = ClientFiles { cert: self.path("auditor.pem"), key: self.path("auditor.key") };
        let tls = TlsConfig { ca: Some(self.path("ca.pem")), client: Some(client), ..TlsConfig::default() };
        target.kind = Kind::Nats(NatsConfig { tls, ..self.config() });
        let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let telling = told.clone();
        let saved = forward::save(&target, "auditor-1", dir, move |what| telling.lock().unwrap().push(what)).await;
        (saved.unwrap(), std::mem::take(&mut told.lock().unwrap()))
    }

    /// How many messages the stream has.
    pub(crate) async fn messages(&self) -> u64 {
        self.admin().await.get_stream(STREAM).await.unwrap().cached_info().state.messages
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

impl Place for NatsServer {
    fn target(&self) -> Config {
        Config {
            name: "queue".into(),
            required: true,
            batch_max_size_bytes: self.batch_max_size_bytes,
            batch_max_age: Duration::from_secs(1),
            max_lag_bytes: None,
            kind: Kind::Nats(self.config()),
        }
    }

    fn holds(&self) -> Vec<(String, Vec<u8>)> {
        let folder = tempfile::tempdir().unwrap();
        let saving = self.save(folder.path());
        let (saved, told) = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(saving));
        assert_eq!((saved.known, told), (0, Vec::new()), "each batch is there once");
        crate::conformance::files(folder.path())
    }
}

/// Certificate and key in files of their own.
pub(crate) fn write_pair(folder: &Path, file: &str, pem: &str) {
    let (certificate, key) = pem.split_at(pem.find("-----BEGIN PRIVATE").unwrap());
    std::fs::write(folder.join(format!("{file}.pem")), certificate).unwrap();
    let path = folder.join(format!("{file}.key"));
    std::fs::write(&path, key).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// A stream as README says.
pub(crate) fn fit() -> stream::Config {
    stream::Config {
        name: STREAM.into(),
        subjects: vec!["audit.>".into()],
        deny_delete: true,
        deny_purge: true,
        discard: stream::DiscardPolicy::New,
        allow_direct: true,
        ..stream::Config::default()
    }
}
