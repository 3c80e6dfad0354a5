//! systemd-journald in a namespace of its own, and journalctl beside it.

use sealtail::source::{JournaldConfig, Namespaces};
use serde_json::Value;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A bound for failures only.
const FAILED: Duration = Duration::from_secs(30);
const JOURNALD: &str = "/lib/systemd/systemd-journald";

/// Whether journald can be started; a test without it passes over, loudly, and fails where CI is set.
pub(crate) fn available() -> bool {
    let there = [JOURNALD, "/usr/bin/journalctl", "/lib/systemd/systemd-journal-remote"]
        .iter()
        .all(|path| Path::new(path).exists());
    let root = rustix::process::geteuid().is_root();
    if there && root {
        return true;
    }
    let what = "systemd-journald, journalctl and systemd-journal-remote, as root (apt-get install systemd systemd-journal-remote)";
    assert!(std::env::var_os("CI").is_none(), "CI must have {what}");
    eprintln!("SKIPPING a test that needs {what}");
    false
}

pub(crate) struct Daemon {
    pub(crate) namespace: String,
    child: Option<Child>,
    socket: UnixDatagram,
}

impl Daemon {
    /// Starts one; `settings` are lines of its configuration.
    pub(crate) fn start(settings: &str) -> Daemon {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let namespace = format!("sealtail{}n{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        for folder in ["/run/systemd/journal", "/run/log/journal", "/var/log/journal", "/etc/systemd"] {
            fs::create_dir_all(folder).unwrap();
        }
        let limits = "[Journal]\nStorage=persistent\nSystemMaxUse=500M\nSystemKeepFree=1M\nRateLimitIntervalSec=0\nRateLimitBurst=0\nMaxRetentionSec=0\n";
        fs::write(config_file(&namespace), format!("{limits}{settings}\n")).unwrap();
        let mut daemon = Daemon { namespace, child: None, socket: UnixDatagram::unbound().unwrap() };
        daemon.run();
        daemon
    }

    pub(crate) fn run(&mut self) {
        let log = Stdio::null();
        self.child =
            Some(Command::new(JOURNALD).arg(&self.namespace).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let socket = format!("/run/systemd/journal.{}/socket", self.namespace);
        let deadline = Instant::now() + FAILED;
        // another socket of that name may be left from before
        let fresh = || UnixDatagram::unbound().and_then(|new| new.connect(&socket).map(|()| new));
        self.socket = loop {
            match fresh() {
                Ok(socket) => break socket,
                Err(error) => assert!(Instant::now() < deadline, "journald never listened: {error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn send(&self, entry: &[u8]) {
        self.socket.send(entry).unwrap();
    }

    pub(crate) fn say(&self, messages: impl IntoIterator<Item = String>) {
        for message in messages {
            self.send(format!("MESSAGE={message}\nPRIORITY=6\nSYSLOG_IDENTIFIER=test\n").as_bytes());
        }
    }

    pub(crate) fn journalctl(&self, args: &[&str]) -> Vec<u8> {
        let namespace = format!("--namespace={}", self.namespace);
        let output = Command::new("journalctl").arg(&namespace).args(args).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Everything that was sent is written.
    pub(crate) fn sync(&self) {
        self.journalctl(&["--sync"]);
    }

    /// Puts everything that was sent into archived files: without a sync, some of it may come after the rotation.
    pub(crate) fn rotate(&self) {
        self.sync();
        self.journalctl(&["--rotate"]);
    }

    /// What journalctl shows.
    pub(crate) fn oracle(&self, args: &[&str]) -> Vec<Value> {
        let output = self.journalctl(&[&["-o", "json", "--all"], args].concat());
        output
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    pub(crate) fn config(&self) -> JournaldConfig {
        JournaldConfig { namespaces: Namespaces::These(vec![self.namespace.clone()]), ..JournaldConfig::named("j") }
    }

    /// The folder of its files.
    pub(crate) fn folder(&self) -> PathBuf {
        folders("/var/log/journal", &self.namespace).pop().unwrap()
    }

    /// Its files, the archived ones first.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort_by_key(|path| (!path.to_str().unwrap().contains('@'), path.clone()));
        files
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_file(config_file(&self.namespace));
        let _ = fs::remove_dir_all(format!("/run/systemd/journal.{}", self.namespace));
        for root in ["/var/log/journal", "/run/log/journal"] {
            for folder in folders(root, &self.namespace) {
                let _ = fs::remove_dir_all(folder);
            }
        }
    }
}

fn config_file(namespace: &str) -> String {
    format!("/etc/systemd/journald@{namespace}.conf")
}

fn folders(root: &str, namespace: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == namespace)).collect()
}
