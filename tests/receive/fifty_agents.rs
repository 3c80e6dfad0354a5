//! Fifty real agents at one real receiver, which is killed twenty times meanwhile: nothing lost, nothing twice.

use crate::pki::Authority;
use age::secrecy::ExposeSecret;
use sealtail::chain::host_key::HostKey;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const AGENTS: usize = 50;
const KILLS: usize = 20;
/// Each agent's, after each kill.
const LINES: usize = 20;

/// A process, killed when dropped.
struct Process(Child);

impl Process {
    fn start(folder: &Path, command: &str, config: &str) -> Process {
        let log = OpenOptions::new().append(true).create(true).open(folder.join(format!("{command}.log"))).unwrap();
        let mut sealtail = Command::new(env!("CARGO_BIN_EXE_sealtail"));
        sealtail.args([command, "--config"]).arg(folder.join(config)).stdin(Stdio::null()).stdout(Stdio::null());
        Process(sealtail.stderr(log).spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn await_that(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(240), "never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn host(number: usize) -> String {
    format!("web-{number}")
}

fn messages(number: usize) -> Vec<String> {
    (0..(KILLS + 1) * LINES).map(|line| format!("line {line} of {}", host(number))).collect()
}

struct Fleet {
    folder: tempfile::TempDir,
    port: u16,
    metrics_port: u16,
    /// Log lines by file of the archive, which never changes once it is there.
    counted: HashMap<PathBuf, usize>,
}

impl Fleet {
    fn new() -> Fleet {
        let folder = tempfile::tempdir().unwrap();
        let listeners = [0, 1].map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let [port, metrics_port] = listeners.map(|listener| listener.local_addr().unwrap().port());
        let at = |name: &str| folder.path().join(name);
        let (authority, auditor) = (Authority::new(), age::x25519::Identity::generate());
        authority.write_server_files(folder.path());
        write_secret(&at("auditor.key"), auditor.to_string().expose_secret());
        let receive = "tls = { ca = \"ca.pem\", cert = \"server.pem\", key = \"server.key\" }\ntrust = \"trust.toml\"";
        fs::write(
            at("receive.toml"),
            format!(
                "[receive]\nlisten = \"127.0.0.1:{port}\"\ndir = \"archive\"\n{receive}\n\
                 [telemetry]\nlisten = \"127.0.0.1:{metrics_port}\"\n"
            ),
        )
        .unwrap();
        let mut trust = String::new();
        for number in 0..AGENTS {
            let name = host(number);
            let home = at(&name);
            fs::create_dir(&home).unwrap();
            HostKey::generate_ed25519().unwrap().save_new(&home.join("host.key")).unwrap();
            let pem = authority.client(&[&name]);
            let (certificate, key) = pem.split_at(pem.find("-----BEGIN PRIVATE").unwrap());
            fs::write(home.join("client.pem"), certificate).unwrap();
            write_secret(&home.join("client.key"), key);
            fs::write(home.join("app.log"), "").unwrap();
            fs::write(home.join("run.toml"), agent_config(&name, &auditor.to_public().to_string(), port)).unwrap();
            trust += &format!("[[host]]\nname = \"{name}\"\nkey = \"{name}/host.pub\"\n");
        }
        fs::write(at("trust.toml"), trust).unwrap();
        Fleet { folder, port, metrics_port, counted: HashMap::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start_receiver(&self) -> Process {
        let receiver = Process::start(self.folder.path(), "receive", "receive.toml");
        await_that("the receiver listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        receiver
    }

    /// What the receiver tells a scraper.
    fn metrics(&self) -> String {
        let mut scrape = TcpStream::connect(("127.0.0.1", self.metrics_port)).unwrap();
        scrape.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut told = String::new();
        scrape.read_to_string(&mut told).unwrap();
        told
    }

    /// Log lines in the archive.
    fn archived(&mut self) -> usize {
        for file in self.files() {
            let count = |file: &PathBuf| lines(file).iter().filter(|line| line["h"]["type"] == "log").count();
            self.counted.entry(file).or_insert_with_key(count);
        }
        self.counted.values().sum()
    }

    /// The archive's batches by their path, so in the order of their lines within a stream.
    fn files(&self) -> BTreeSet<PathBuf> {
        let below = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let streams = below(self.path("archive")).filter(|path| path.is_dir()).flat_map(below);
        streams.filter(|path| path.is_dir()).flat_map(below).filter(|path| is_batch(path)).collect()
    }

    /// The messages of each host, in order.
    fn messages(&self) -> BTreeMap<String, Vec<String>> {
        let mut hosts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for file in self.files() {
            let host = file.ancestors().nth(2).unwrap().file_name().unwrap().to_str().unwrap().to_owned();
            let lines = lines(&file).into_iter().filter(|line| line["h"]["type"] == "log");
            hosts.entry(host).or_default().extend(lines.map(|line| line["p"]["msg"].as_str().unwrap().to_owned()));
        }
        hosts
    }
}

fn is_batch(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().ends_with(".ndjson.zst")
}

fn lines(file: &Path) -> Vec<Value> {
    let bytes = zstd::decode_all(File::open(file).unwrap()).unwrap();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn agent_config(name: &str, recipient: &str, port: u16) -> String {
    format!(
        r#"
        host = {{ name = "{name}", key = "host.key" }}
        auditors = {{ recipients = ["{recipient}"] }}
        source = [{{ type = "file", include = ["app.log"] }}]
        chain = {{ flush_interval = "50ms" }}
        spool = {{ dir = "spool" }}
        [[target]]
        name = "archive"
        type = "https"
        url = "https://localhost:{port}"
        batch = {{ max_age = "50ms" }}
        tls = {{ ca = "../ca.pem", cert = "client.pem", key = "client.key" }}
        "#
    )
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

#[test]
fn nothing_is_lost_and_nothing_twice_when_the_receiver_is_killed_among_fifty_agents() {
    let mut fleet = Fleet::new();
    let mut receiver = fleet.start_receiver();
    let homes: Vec<PathBuf> = (0..AGENTS).map(|number| fleet.path(&host(number))).collect();
    let agents: Vec<Process> = homes.iter().map(|home| Process::start(home, "run", "run.toml")).collect();
    let expected: Vec<Vec<String>> = (0..AGENTS).map(messages).collect();
    for round in 0..=KILLS {
        for (home, messages) in homes.iter().zip(&expected) {
            let mut log = OpenOptions::new().append(true).open(home.join("app.log")).unwrap();
            let lines = messages[round * LINES..][..LINES].join("\n") + "\n";
            log.write_all(lines.as_bytes()).unwrap();
        }
        if round == KILLS {
            break;
        }
        // something was stored since the last kill; then any moment is as good as another
        let before = fleet.files().len();
        await_that("a batch is stored", || fleet.files().len() > before);
        std::thread::sleep(Duration::from_millis(getrandom::u64().unwrap() % 150));
        drop(receiver);
        receiver = fleet.start_receiver();
    }
    await_that("every line is stored", || fleet.archived() >= AGENTS * (KILLS + 1) * LINES);
    let metrics = fleet.metrics();
    for number in 0..AGENTS {
        let counter = format!("sealtail_receive_batches_total{{host=\"{}\"}} ", host(number));
        assert!(metrics.contains(&counter), "{counter} in\n{metrics}");
    }
    drop(agents);
    drop(receiver);
    let found = fleet.messages();
    for (number, messages) in expected.iter().enumerate() {
        assert_eq!(&found[&host(number)], messages, "{}", host(number));
    }
    let at = |name: &str| fleet.path(name).to_str().unwrap().to_owned();
    let verified = Command::new(env!("CARGO_BIN_EXE_sealtail"))
        .args(["verify", &at("archive"), "--identity", &at("auditor.key"), "--trust", &at("trust.toml"), "--json"])
        .output()
        .unwrap();
    let said = String::from_utf8(verified.stdout).unwrap();
    assert!(verified.status.success(), "{said}{}", String::from_utf8_lossy(&verified.stderr));
    let result: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&result["streams"], &result["log_lines"]), (&AGENTS.into(), &(AGENTS * (KILLS + 1) * LINES).into()));
}
