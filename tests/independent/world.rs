//! An archive that the real agent and receiver wrote, in memory, so that each test can damage a copy of it; and both
//! verifiers.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// What a verifier says: exit status, and each finding with its seq.
pub(crate) type Report = (i32, BTreeSet<(String, Option<u64>)>);

/// Keys and archive of a quickstart folder.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) archive: Archive,
}

/// One host's streams, by the time they began.
#[derive(Clone)]
pub(crate) struct Archive {
    host: String,
    pub(crate) streams: Vec<Stream>,
}

/// A stream's files: names and lines.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) id: String,
    pub(crate) files: Vec<(String, Vec<Vec<u8>>)>,
    /// Other files in its folder.
    pub(crate) beside: Vec<(String, Vec<u8>)>,
}

impl World {
    /// Made once: three streams, the first of several segments. `None` where a tool is missing.
    pub(crate) fn get() -> Option<&'static Self> {
        static WORLD: OnceLock<World> = OnceLock::new();
        let age: &[&str] = &["age", "--version"];
        for tool in [age, &["zstd", "--version"], &[&python(), "-c", "import cryptography"]] {
            let there = Command::new(tool[0]).args(&tool[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !there.is_ok_and(|status| status.success()) {
                assert!(std::env::var_os("CI").is_none(), "cannot run: {}", tool.join(" "));
                eprintln!("SKIPPED: cannot run `{}`, so nothing was compared; see tests/verifier.py", tool.join(" "));
                return None;
            }
        }
        Some(WORLD.get_or_init(World::new))
    }

    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("app.log");
        let (log_text, dir) = (log.to_str().unwrap(), folder.path().join("q"));
        let mut text = String::new();
        // a few lines for eyes, and enough bytes for three segments
        for number in 0..240 {
            let filler = if number < 20 { "\"quoted\" ünï\t" } else { &"0123456789abcdef".repeat(500) };
            text += &format!("Nov 23 09:00:00 web-1 sshd[7]: Failed password for root, try {number} {filler}\n");
            if number == 15 {
                // a pack of quickstart's hides this token
                text += "Authorization: Bearer abcdefghijklmnopqrstuvwxyz\n";
            }
        }
        for run in 0..3 {
            if run == 1 {
                // from the second stream on the genesis lets a key erase
                let made = sealtail(&["keys", "erasure", "--out", dir.join("erasure.key").to_str().unwrap()]);
                assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
                let config = dir.join("sealtail.toml");
                let text = fs::read_to_string(&config).unwrap() + "\n[erasure]\nkeys = [\"erasure.pub\"]\n";
                fs::write(&config, text).unwrap();
            }
            fs::write(&log, &text).unwrap();
            let made = sealtail(&["quickstart", "--once", "--dir", dir.to_str().unwrap(), log_text]);
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            tell_of_alerts(&dir.join("sealtail.toml"));
            text += "Nov 23 09:00:01 web-1 sshd[7]: Accepted publickey for root from 10.1.2.3 port 4711 ssh2\nno syslog line\n";
        }
        let archive = Archive::read(&dir.join("archive"));
        assert_eq!(archive.streams.len(), 3);
        let is_alert = |line: &Vec<u8>| line.windows(14).any(|part| part == b"\"type\":\"alert\"");
        assert!(archive.streams[1].files.iter().any(|(_, lines)| lines.iter().any(is_alert)));
        assert!(archive.streams[0].checkpoints().len() >= 3, "{:?}", archive.streams[0].checkpoints());
        Self { folder, archive }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("q").join(name)
    }

    /// What both verifiers say of an archive, which must be the same.
    pub(crate) fn verdict(&self, what: &str, archive: &Archive, auditor: bool, host_key: &Path) -> Report {
        self.compare(what, archive, auditor, host_key).unwrap_or_else(|difference| panic!("{difference}"))
    }

    /// The same; where they differ, what each says.
    pub(crate) fn compare(
        &self,
        what: &str,
        archive: &Archive,
        auditor: bool,
        host_key: &Path,
    ) -> Result<Report, String> {
        self.compare_for(what, archive, auditor, host_key, &[])
    }

    /// The same, where somebody says of which targets the archive is.
    pub(crate) fn compare_for(
        &self,
        what: &str,
        archive: &Archive,
        auditor: bool,
        host_key: &Path,
        targets: &[&str],
    ) -> Result<Report, String> {
        let written = tempfile::tempdir().unwrap();
        archive.write(written.path());
        let (path, identity) = (written.path().to_str().unwrap(), self.path("auditor.key"));
        let mut args = vec![path, "--host-key", host_key.to_str().unwrap()];
        if auditor {
            args.extend(["--identity", identity.to_str().unwrap()]);
        }
        args.extend(targets.iter().flat_map(|target| ["--target", target]));
        let ours = sealtail(&[&["verify", "--json"], &args[..]].concat());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier.py");
        let theirs = Command::new(python()).arg(script).args(&args).output().unwrap();
        let (report, other) = (report(&ours), report(&theirs));
        let (ours, theirs) = (texts(&ours), texts(&theirs));
        match report == other {
            true => Ok(report),
            false => Err(format!("{what}, auditor: {auditor}\n--- sealtail\n{ours}\n--- verifier.py\n{theirs}")),
        }
    }
}

/// The next streams have `alert` lines.
fn tell_of_alerts(config: &Path) {
    let alert = "\n[[alert]]\nname = \"nobody\"\ntype = \"command\"\nargv = [\"/bin/true\"]\nmin_severity = \"info\"\n";
    let text = fs::read_to_string(config).unwrap();
    if !text.contains(alert) {
        fs::write(config, text + alert).unwrap();
    }
}

fn python() -> String {
    std::env::var("SEALTAIL_PYTHON").unwrap_or_else(|_| "python3".into())
}

fn sealtail(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sealtail")).args(args).stdin(Stdio::null()).output().unwrap()
}

fn texts(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn report(output: &Output) -> Report {
    let lines = String::from_utf8_lossy(&output.stdout);
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    let findings = lines.filter(|line| line["finding"].is_string());
    let named = findings.map(|line| (line["finding"].as_str().unwrap().to_owned(), line["seq"].as_u64()));
    (output.status.code().unwrap(), named.collect())
}

fn entries(path: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

impl Archive {
    fn read(path: &Path) -> Self {
        let hosts: Vec<_> = entries(path).into_iter().filter(|path| path.is_dir()).collect();
        let host = &hosts[0];
        let folders = entries(host).into_iter().filter(|path| path.is_dir());
        let mut streams: Vec<Stream> = folders.map(|folder| Stream::read(&folder)).collect();
        streams.sort_by_key(|stream| parsed(stream.lines()[0])["h"]["time"].as_str().unwrap().to_owned());
        Self { host: name(host), streams }
    }

    fn write(&self, path: &Path) {
        for stream in &self.streams {
            let folder = path.join(&self.host).join(&stream.id);
            fs::create_dir_all(&folder).unwrap();
            for (name, lines) in &stream.files {
                let segments = lines.split_inclusive(|line| is_checkpoint(line));
                let frames = segments.map(|lines| {
                    let text: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
                    zstd::encode_all(text.as_slice(), 1).unwrap()
                });
                fs::write(folder.join(name), frames.collect::<Vec<_>>().concat()).unwrap();
            }
            stream.beside.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
        }
    }
}

impl Stream {
    fn read(folder: &Path) -> Self {
        let files = entries(folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "zst"));
        let files = files.map(|path| {
            let text = zstd::decode_all(fs::File::open(&path).unwrap()).unwrap();
            let lines = text.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
            (name(&path), lines.collect())
        });
        Self { id: name(folder), files: files.collect(), beside: Vec::new() }
    }

    pub(crate) fn lines(&self) -> Vec<&Vec<u8>> {
        self.files.iter().flat_map(|(_, lines)| lines).collect()
    }

    /// The line at this place.
    pub(crate) fn line(&mut self, at: usize) -> &mut Vec<u8> {
        self.files.iter_mut().flat_map(|(_, lines)| lines).nth(at).unwrap()
    }

    /// Takes a line away.
    pub(crate) fn remove(&mut self, at: usize) -> Vec<u8> {
        let (file, at) = self.place(at);
        self.files[file].1.remove(at)
    }

    /// Puts a line before the one at this place.
    pub(crate) fn insert(&mut self, at: usize, line: Vec<u8>) {
        let (file, at) = self.place(at);
        self.files[file].1.insert(at, line);
    }

    /// Takes all lines from this place on.
    pub(crate) fn truncate(&mut self, at: usize) {
        while self.lines().len() > at {
            self.remove(self.lines().len() - 1);
        }
        self.files.retain(|(_, lines)| !lines.is_empty());
    }

    /// Seqs of its checkpoints.
    pub(crate) fn checkpoints(&self) -> Vec<usize> {
        let lines = self.lines();
        (0..lines.len()).filter(|at| is_checkpoint(lines[*at])).collect()
    }

    fn place(&self, mut at: usize) -> (usize, usize) {
        for (file, (_, lines)) in self.files.iter().enumerate() {
            if at < lines.len() {
                return (file, at);
            }
            at -= lines.len();
        }
        (self.files.len() - 1, self.files[self.files.len() - 1].1.len() + at)
    }
}

/// A line as JSON.
pub(crate) fn parsed(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap()
}

fn is_checkpoint(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&line[..line.len().min(100)]);
    text.contains(r#","type":"checkpoint","#)
}
