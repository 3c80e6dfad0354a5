//! Archives made in process, to be damaged and verified.

use sealtail::chain::header::{Hash, NamedReceipt, Prev};
use sealtail::chain::host_key::HostKey;
use sealtail::chain::receipt::Receipt;
use sealtail::chain::stamp::Stamp;
use sealtail::chain::trust::Trust;
use sealtail::chain::{Chain, Facts, LogRecord, Tip};
use sealtail::record::{Cursor, End, FileId, Fingerprint, Seq, SourceEvent, StreamId, Verdicts};
use sealtail::verify::{Finding, Options, Outcome, Summary, Weight, Word, verify};
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) const HOST: &str = "web-1";

/// The auditor and the host.
pub(crate) struct World {
    pub(crate) identity: age::x25519::Identity,
    pub(crate) host_key: HostKey,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { identity: age::x25519::Identity::generate(), host_key: HostKey::generate_ed25519().unwrap() }
    }

    pub(crate) fn auditor(&self) -> Options {
        Options { identities: vec![self.identity.clone()], ..self.public() }
    }

    pub(crate) fn public(&self) -> Options {
        Options { trust: Some(Trust::single(Some(HOST), self.host_key.public())), ..Options::default() }
    }

    pub(crate) fn begin(&self, prev: Option<Prev>) -> Writer {
        self.begin_with(|facts| facts.prev = prev)
    }

    pub(crate) fn begin_with(&self, change: impl FnOnce(&mut Facts)) -> Writer {
        let mut facts = Facts {
            stream: sealtail::chain::new_stream().unwrap(),
            host: HOST.into(),
            config: [1; 32],
            policy: [2; 32],
            erasure: Vec::new(),
            targets: Vec::new(),
            prev: None,
        };
        change(&mut facts);
        let mut open = Vec::new();
        let chain = Chain::begin(&facts, &[self.identity.to_public()], &self.host_key, &mut open).unwrap();
        let stream = chain.stream();
        Writer { chain, open, segments: Vec::new(), host: facts.host, stream, offset: 0, skew_ns: 0 }
    }

    /// Two linked streams in six segments, with a line of each common type; the second is still open.
    pub(crate) fn archive(&self) -> Archive {
        let mut first = self.begin(None);
        first.source(SourceEvent::Opened {
            name: "app".into(),
            cursor: cursor("/var/log/app.log"),
            labels: Default::default(),
        });
        first.logs(3).segment().logs(2).heartbeat(Vec::new()).log(b"\xff\x00 not UTF-8").segment().logs(2);
        let (first, tip) = first.close();
        let mut second = self.begin(Some(after(tip, true)));
        second.logs(3).segment().heartbeat(Vec::new()).logs(2).segment();
        Archive { streams: vec![first, second.finish().0] }
    }
}

/// A stream that is being written.
pub(crate) struct Writer {
    pub(crate) chain: Chain,
    pub(crate) open: Vec<u8>,
    segments: Vec<Vec<u8>>,
    pub(crate) host: String,
    pub(crate) stream: StreamId,
    offset: u64,
    /// Added to the clock that only goes on.
    pub(crate) skew_ns: u64,
}

impl Writer {
    pub(crate) fn stamp(&self) -> Stamp {
        let now = self.chain.stamp();
        Stamp { mono_ns: now.mono_ns + self.skew_ns, ..now }
    }

    pub(crate) fn log(&mut self, message: &[u8]) -> &mut Self {
        self.log_at(&self.stamp(), message)
    }

    pub(crate) fn log_at(&mut self, at: &Stamp, message: &[u8]) -> &mut Self {
        self.offset += message.len() as u64 + 1;
        let record = LogRecord { source: 0, offset: self.offset, end: End::Newline, message, redacted: None };
        self.chain.log(&mut self.open, at, &record, &Verdicts::default());
        self
    }

    pub(crate) fn logs(&mut self, count: usize) -> &mut Self {
        for _ in 0..count {
            let message = format!("login of user {} \"from\" 10.0.0.7", self.chain.next_seq());
            self.log(message.as_bytes());
        }
        self
    }

    pub(crate) fn source(&mut self, event: SourceEvent) -> &mut Self {
        let at = self.stamp();
        self.chain.source(&mut self.open, &at, 0, &event);
        self
    }

    pub(crate) fn heartbeat(&mut self, receipts: Vec<NamedReceipt>) -> &mut Self {
        let at = self.stamp();
        self.chain.heartbeat(&mut self.open, &at, 4096, receipts);
        self
    }

    /// Ends the segment.
    pub(crate) fn segment(&mut self) -> &mut Self {
        let at = self.stamp();
        self.chain.checkpoint(&mut self.open, &at);
        self.segments.push(std::mem::take(&mut self.open));
        self
    }

    /// A receipt for what is written so far.
    pub(crate) fn receipt(&self) -> Receipt {
        let tip = self.chain.tip();
        Receipt {
            host: self.host.clone(),
            stream: tip.stream,
            seq: [0, tip.size - 1],
            size: tip.size,
            root: Hash(tip.root),
            digest: Hash([0; 32]),
            stored_at: "2026-01-01T00:00:00.000000000Z".into(),
            signature: String::new(),
        }
    }

    /// The stream with a close line and its checkpoint.
    pub(crate) fn close(mut self) -> (Stream, Tip) {
        let (tip, _) = self.chain.close(&mut self.open, "stopped");
        self.segments.push(self.open);
        (Stream::new(&self.host, self.stream, &self.segments), tip)
    }

    /// The stream as it stands; what no checkpoint covers is its last segment.
    pub(crate) fn finish(mut self) -> (Stream, Tip) {
        if !self.open.is_empty() {
            self.segments.push(self.open);
        }
        (Stream::new(&self.host, self.stream, &self.segments), self.chain.tip())
    }
}

pub(crate) fn after(tip: Tip, clean: bool) -> Prev {
    Prev { stream: tip.stream, size: tip.size, root: Hash(tip.root), leaf: Hash(tip.leaf), clean }
}

pub(crate) fn cursor(path: &str) -> Cursor {
    let id = FileId { dev: 1, ino: 2, born_ns: None };
    Cursor::File {
        path: path.into(),
        id,
        fingerprint: Fingerprint { len: 4, digest: [3; 16] },
        prefix: None,
        offset: 0,
    }
}

/// A stream in an archive: folder, and files of frames of lines.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) host: String,
    pub(crate) folder: String,
    pub(crate) id: StreamId,
    pub(crate) files: Vec<File>,
}

#[derive(Clone)]
pub(crate) struct File {
    pub(crate) name: String,
    /// Each frame's lines, without newlines.
    pub(crate) frames: Vec<Vec<Vec<u8>>>,
}

impl File {
    /// Named after its first seq.
    pub(crate) fn new(first: Seq, frames: Vec<Vec<Vec<u8>>>) -> Self {
        Self { name: format!("{first:020}.ndjson.zst"), frames }
    }

    pub(crate) fn lines(&mut self) -> &mut Vec<Vec<u8>> {
        &mut self.frames[0]
    }

    pub(crate) fn compressed(&self) -> Vec<u8> {
        self.frames.iter().flat_map(|frame| compress(frame)).collect()
    }
}

pub(crate) fn compress(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    lines.iter().for_each(|line| {
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
    });
    zstd::encode_all(bytes.as_slice(), 1).unwrap()
}

impl Stream {
    /// A file for each segment.
    fn new(host: &str, id: StreamId, segments: &[Vec<u8>]) -> Self {
        let mut first = 0;
        let mut files = Vec::new();
        for segment in segments {
            let lines: Vec<Vec<u8>> = segment[..segment.len() - 1].split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
            let count = lines.len() as Seq;
            files.push(File::new(first, vec![lines]));
            first += count;
        }
        Self { host: host.to_owned(), folder: id.to_string(), id, files }
    }

    /// The same in one file.
    pub(crate) fn in_one_file(mut self) -> Self {
        let frames = self.files.drain(..).flat_map(|file| file.frames).collect();
        self.files = vec![File::new(0, frames)];
        self
    }

    /// File, frame and place of a line.
    pub(crate) fn find(&self, seq: Seq) -> (usize, usize, usize) {
        let mut before = 0;
        for (f, file) in self.files.iter().enumerate() {
            for (g, frame) in file.frames.iter().enumerate() {
                if seq < before + frame.len() as Seq {
                    return (f, g, (seq - before) as usize);
                }
                before += frame.len() as Seq;
            }
        }
        panic!("no line {seq}");
    }

    pub(crate) fn line(&mut self, seq: Seq) -> &mut Vec<u8> {
        let (f, g, l) = self.find(seq);
        &mut self.files[f].frames[g][l]
    }

    pub(crate) fn remove(&mut self, seq: Seq) -> Vec<u8> {
        let (f, g, l) = self.find(seq);
        self.files[f].frames[g].remove(l)
    }

    pub(crate) fn len(&self) -> Seq {
        self.files.iter().flat_map(|f| &f.frames).map(|f| f.len() as Seq).sum()
    }
}

#[derive(Clone)]
pub(crate) struct Archive {
    pub(crate) streams: Vec<Stream>,
}

impl Archive {
    pub(crate) fn write(&self, dir: &Path) {
        for stream in &self.streams {
            let folder = dir.join(&stream.host).join(&stream.folder);
            fs::create_dir_all(&folder).unwrap();
            for file in &stream.files {
                fs::write(folder.join(&file.name), file.compressed()).unwrap();
            }
        }
    }

    pub(crate) fn check(&self, options: &Options) -> Report {
        let dir = tempfile::tempdir().unwrap();
        self.write(dir.path());
        check(dir.path(), options)
    }
}

pub(crate) fn check(path: &Path, options: &Options) -> Report {
    check_all(&[path.to_owned()], options)
}

pub(crate) fn check_all(paths: &[PathBuf], options: &Options) -> Report {
    let mut findings = Vec::new();
    let summary = verify(paths, options, &|_, _| {}, &mut |finding| findings.push(finding));
    Report { summary, findings }
}

/// What a verification gave.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) summary: Summary,
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    /// Word and seq of everything but information.
    pub(crate) fn found(&self) -> Vec<(Word, Option<Seq>)> {
        let worse = self.findings.iter().filter(|f| f.weight > Weight::Info);
        worse.map(|f| (f.word, f.seq)).collect()
    }

    /// Everything, information too.
    pub(crate) fn words(&self) -> Vec<Word> {
        self.findings.iter().map(|f| f.word).collect()
    }

    #[track_caller]
    pub(crate) fn is(&self, expected: &[(Word, Seq)]) -> &Self {
        let expected = self.finds(expected);
        let alarm = expected.iter().any(|(word, _)| word.weight() == Weight::Alarm);
        assert_eq!(self.summary.result, if alarm { Outcome::Findings } else { Outcome::Intact }, "{self:#?}");
        self
    }

    /// No alarm, and yet nobody may take it for intact.
    #[track_caller]
    pub(crate) fn is_unchecked(&self, expected: &[(Word, Seq)]) -> &Self {
        self.finds(expected);
        assert_eq!(self.summary.result, Outcome::Unchecked, "{self:#?}");
        self
    }

    #[track_caller]
    fn finds(&self, expected: &[(Word, Seq)]) -> Vec<(Word, Option<Seq>)> {
        let expected: Vec<_> = expected.iter().map(|(word, seq)| (*word, Some(*seq))).collect();
        assert_eq!(self.found(), expected, "{self:#?}");
        expected
    }

    #[track_caller]
    pub(crate) fn has(&self, word: Word) -> &Self {
        assert!(self.words().contains(&word), "no {word}: {self:#?}");
        self
    }
}
