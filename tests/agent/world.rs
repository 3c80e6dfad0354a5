//! A world to test in: a receiver and an agent, real processes, in a folder of their own.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Nothing that is awaited takes this long; it only bounds a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The command under test.
pub(crate) fn sealtail(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealtail"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    sealtail(args).output().unwrap()
}

/// Awaits a condition.
pub(crate) fn await_that(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether strace is installed; CI must have it.
pub(crate) fn has_strace() -> bool {
    let there = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok();
    assert!(there || std::env::var_os("CI").is_none(), "CI must have strace");
    if !there {
        eprintln!("SKIPPED: strace is not installed");
    }
    there
}

/// What both halves of an output say.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Processes, logs, archive.
pub(crate) struct World {
    folder: tempfile::TempDir,
    receiver: Option<Child>,
    agent: Option<Child>,
}

/// What `verify --json` says.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) exit: i32,
    pub(crate) findings: Vec<Value>,
    pub(crate) result: Value,
}

impl Report {
    /// Findings by their word.
    pub(crate) fn words(&self) -> BTreeMap<String, usize> {
        let mut words = BTreeMap::new();
        for finding in &self.findings {
            *words.entry(finding["finding"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        words
    }

    /// No alarm; these warnings at most.
    pub(crate) fn assert_intact(&self, allowed: &[&str]) {
        assert_eq!(self.exit, 0, "{self:#?}");
        assert_eq!(self.result["result"], "intact");
        for word in self.words().keys() {
            // the machine's clock is not the test's: virtual machines step it
            let allowed = word == "CLOCK-STEP" || allowed.contains(&word.as_str());
            assert!(allowed, "unexpected {word}: {self:#?}");
        }
    }
}

impl World {
    /// A folder with keys, certificates and a configuration that follows `logs/app.log`.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self { folder, receiver: None, agent: None };
        fs::create_dir(world.path("logs")).unwrap();
        fs::write(world.log(), "").unwrap();
        let made = run(&["quickstart", "--once", "--dir", &world.text_path("q"), &world.text_path("logs/app.log")]);
        assert!(made.status.success(), "{}", text(&made));
        // the tests' own streams are to be the only ones
        fs::remove_dir_all(world.path("q/archive")).unwrap();
        fs::remove_dir_all(world.path("q/spool")).unwrap();
        world.configure(|config| config.replace(r#"log = "warn""#, r#"log = "info""#));
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text_path(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path("logs/app.log")
    }

    pub(crate) fn append(&self, bytes: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.log()).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn config(&self) -> String {
        self.text_path("q/sealtail.toml")
    }

    /// Changes the configuration; the change must be one.
    pub(crate) fn configure(&self, change: impl FnOnce(&str) -> String) {
        let old = fs::read_to_string(self.config()).unwrap();
        let new = change(&old);
        assert_ne!(old, new);
        fs::write(self.config(), new).unwrap();
    }

    pub(crate) fn receiver_port(&self) -> u16 {
        let config = fs::read_to_string(self.config()).unwrap();
        let rest = config.split_once("listen = \"127.0.0.1:").unwrap().1;
        rest.split('"').next().unwrap().parse().unwrap()
    }

    fn spawn(&self, name: &str, args: &[&str]) -> Child {
        let log = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        sealtail(args).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// Starts the receiver and awaits that it listens.
    pub(crate) fn start_receiver(&mut self) {
        let child = self.spawn("receiver.log", &["receive", "--config", &self.config()]);
        self.receiver = Some(child);
        let port = self.receiver_port();
        await_that("the receiver listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    pub(crate) fn start_agent(&mut self) {
        self.agent = Some(self.spawn("agent.log", &["run", "--config", &self.config()]));
    }

    /// Starts it with a pipe as its standard input.
    pub(crate) fn start_agent_with_pipe(&mut self) -> std::process::ChildStdin {
        let log = OpenOptions::new().append(true).create(true).open(self.path("agent.log")).unwrap();
        let mut command = sealtail(&["run", "--config", &self.config()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let pipe = child.stdin.take().unwrap();
        self.agent = Some(child);
        pipe
    }

    pub(crate) fn kill_receiver(&mut self) {
        kill(self.receiver.take());
    }

    pub(crate) fn kill_agent(&mut self) {
        kill(self.agent.take());
    }

    /// SIGTERM, and its exit code.
    pub(crate) fn stop_agent(&mut self) -> Option<i32> {
        let mut child = self.agent.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap().code()
    }

    pub(crate) fn signal_agent(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(self.agent.as_ref().unwrap());
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Awaits that it ends by itself, and its exit code.
    pub(crate) fn await_agent_end(&mut self) -> Option<i32> {
        let mut child = self.agent.take().unwrap();
        let mut ended = None;
        await_that("the agent's end", || {
            ended = child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap().code()
    }

    /// What the agent said so far.
    pub(crate) fn agent_log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    pub(crate) fn receiver_log(&self) -> String {
        fs::read_to_string(self.path("receiver.log")).unwrap_or_default()
    }

    /// `run --once`: everything that is there, to its last receipt.
    pub(crate) fn run_once(&self) -> Output {
        run(&["run", "--once", "--config", &self.config()])
    }

    /// `verify` as the auditor.
    pub(crate) fn verify(&self) -> Report {
        let archive = self.text_path("q/archive");
        let (identity, key) = (self.text_path("q/auditor.key"), self.text_path("q/host.pub"));
        let output = run(&["verify", &archive, "--identity", &identity, "--host-key", &key, "--json"]);
        let lines = String::from_utf8(output.stdout).unwrap();
        let mut findings: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let result = findings.pop().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        Report { exit: output.status.code().unwrap(), findings, result }
    }

    /// Every line of the archive, stream by stream in the order of their genesis lines.
    pub(crate) fn archive(&self) -> Vec<Value> {
        let mut streams: Vec<Vec<Value>> = self.streams().iter().map(|stream| stream_lines(stream)).collect();
        // a stream's folder is there a moment before its first file
        streams.retain(|lines| !lines.is_empty());
        streams.sort_by_key(|lines| lines[0]["h"]["time"].as_str().unwrap().to_owned());
        streams.concat()
    }

    /// The folders of the archive's streams.
    pub(crate) fn streams(&self) -> Vec<PathBuf> {
        folders(&self.path("q/archive")).iter().flat_map(|host| folders(host)).collect()
    }

    /// The agent's process.
    pub(crate) fn agent_pid(&self) -> u32 {
        self.agent.as_ref().unwrap().id()
    }

    /// Awaits that the archive has so many log lines.
    pub(crate) fn await_archived(&self, lines: usize) {
        let archived = || self.archive().iter().filter(|line| line["h"]["type"] == "log").count();
        await_that("everything is archived", || archived() >= lines);
    }

    /// The messages of the archive's log lines.
    pub(crate) fn messages(&self) -> Vec<String> {
        let lines = self.archive();
        let logs = lines.iter().filter(|line| line["h"]["type"] == "log");
        logs.map(|line| line["p"]["msg"].as_str().unwrap_or("(not UTF-8)").to_owned()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        kill(self.agent.take());
        kill(self.receiver.take());
        if std::thread::panicking() {
            eprintln!("--- agent\n{}\n--- receiver\n{}", tail(&self.agent_log()), tail(&self.receiver_log()));
        }
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// kill -9, if it still runs.
fn kill(child: Option<Child>) {
    if let Some(mut child) = child {
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(status.signal() == Some(9) || !std::thread::panicking(), "it had ended before it was killed: {status}");
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

/// The archive's files of a stream, in order.
pub(crate) fn stream_files(stream: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(stream).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "zst"));
    files.sort();
    files
}

/// The lines of a stream's folder, in the order of its files' names.
pub(crate) fn stream_lines(stream: &Path) -> Vec<Value> {
    let files = stream_files(stream);
    let bytes = files.iter().flat_map(|file| zstd::decode_all(fs::File::open(file).unwrap()).unwrap());
    let bytes: Vec<u8> = bytes.collect();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}
