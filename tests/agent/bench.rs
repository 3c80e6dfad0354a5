//! A spool in this process, with targets that nobody sends to but the test.

use sealtail::chain::header::Hash;
use sealtail::chain::host_key::HostKey;
use sealtail::chain::{Chain, Facts, Tip, new_stream};
use sealtail::durable::{Disk, FileSystem};
use sealtail::record::StreamId;
use sealtail::spool::{BatchLimits, Begun, Config, Error, Frozen, Recovered, Snapshot, Spool, Target, Work, Writer};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A spool with a required target, `must`, and an optional one, `may`, that nobody sends to but the test.
pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) spool: Spool,
    pub(crate) key: HostKey,
}

/// A stream in it.
pub(crate) struct Open {
    /// Whom its genesis names.
    pub(crate) joining: Vec<String>,
    chain: Chain,
    writer: Writer,
    lines: Vec<u8>,
}

impl Bench {
    pub(crate) fn new(max_lag_bytes: u64) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let spool = open(dir.path(), max_lag_bytes);
        Bench { dir, spool, key: HostKey::generate_ed25519().unwrap() }
    }

    /// As after a crash.
    pub(crate) fn reopened(self) -> Bench {
        let Bench { dir, spool, key } = self;
        drop(spool);
        Bench { spool: open(dir.path(), 0), dir, key }
    }

    pub(crate) fn begin(&self) -> Open {
        let stream = new_stream().unwrap();
        let Begun { writer, joining, .. } = self.spool.begin_stream(stream).unwrap();
        let (config, policy, targets) = ([1; 32], [2; 32], joining.clone());
        let facts = Facts { stream, host: "web-1".into(), config, policy, erasure: Vec::new(), targets, prev: None };
        let mut lines = Vec::new();
        let auditor = age::x25519::Identity::generate().to_public();
        let chain = Chain::begin(&facts, &[auditor], &self.key, &mut lines).unwrap();
        Open { joining, chain, writer, lines }
    }

    /// The target takes all there is; what it took.
    pub(crate) fn take_all(&self, target: &str) -> Vec<Frozen> {
        let mut taken = Vec::new();
        while let Some(batch) = self.next(target) {
            self.spool.acknowledge(target, &batch, None).unwrap();
            taken.push(batch);
        }
        taken
    }

    pub(crate) fn next(&self, target: &str) -> Option<Frozen> {
        let limits = BatchLimits { max_size_bytes: 1 << 20, max_age: Duration::ZERO };
        match self.spool.work(target, limits).unwrap() {
            Work::Batch(batch) => Some(batch),
            Work::Wait(_) => None,
        }
    }
}

fn open(dir: &Path, max_lag_bytes: u64) -> Spool {
    open_on(dir, max_lag_bytes, Arc::new(Disk)).unwrap().0
}

/// As a start of the agent opens it, on a file system of the test's.
pub(crate) fn open_on(dir: &Path, max_lag_bytes: u64, fs: Arc<dyn FileSystem>) -> Result<(Spool, Recovered), Error> {
    let config = Config { dir: dir.to_owned(), max_size_bytes: 8 << 20, drain_timeout: Duration::ZERO };
    let targets = [
        Target { name: "must".into(), max_lag_bytes: None },
        Target { name: "may".into(), max_lag_bytes: Some(max_lag_bytes) },
    ];
    Spool::open(&config, "web-1", &targets, fs)
}

impl Open {
    pub(crate) fn id(&self) -> StreamId {
        self.chain.stream()
    }

    /// A segment in a file of its own, or the last of the one that was begun.
    pub(crate) fn file(&mut self) {
        let last = self.segment();
        let snapshot = snapshot(&self.chain.tip(), self.chain.edge().roots(), false);
        self.writer.roll(last + 1, snapshot).unwrap();
    }

    /// Its last seq.
    pub(crate) fn segment(&mut self) -> u64 {
        let first = self.chain.segment_first();
        let at = self.chain.stamp();
        let last = self.chain.checkpoint(&mut self.lines, &at);
        self.writer.append(&self.lines).unwrap();
        self.lines.clear();
        self.writer.seal(first, last, &|| false).unwrap();
        last
    }

    /// Its last seq.
    pub(crate) fn close(self) -> u64 {
        let Open { chain, mut writer, mut lines, .. } = self;
        let first = chain.segment_first();
        let (tip, edge) = chain.close(&mut lines, "stop");
        writer.append(&lines).unwrap();
        writer.seal(first, tip.size - 1, &|| false).unwrap();
        writer.finish(snapshot(&tip, edge.roots(), true)).unwrap();
        tip.size - 1
    }
}

fn snapshot(tip: &Tip, edge: &[[u8; 32]], closed: bool) -> Snapshot {
    let edge = edge.iter().copied().map(Hash).collect();
    Snapshot { stream: tip.stream, size: tip.size, leaf: Hash(tip.leaf), edge, closed, sources: Vec::new() }
}
