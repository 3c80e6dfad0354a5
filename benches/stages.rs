//! What a line costs in each stage: `item/s` is lines a second, its inverse the cost of one.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set itself up has nothing to report")]

use divan::{Bencher, black_box};
use sealtail::chain::host_key::HostKey;
use sealtail::chain::line::RawLine;
use sealtail::chain::trust::Trust;
use sealtail::chain::{Chain, Facts, LogRecord, SEGMENT_BYTES, SEGMENT_LINES};
use sealtail::durable::Disk;
use sealtail::policy::{self, Evaluator, LineContext, PolicySet, SourceContext};
use sealtail::record::{Batch, End, Known, Verdicts};
use sealtail::source::{self, FileConfig, Keys, Source, StartAt, Stop};
use sealtail::spool::{self, Spool, Target};
use sealtail::verify::{self, Outcome};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

const KINDS: [Kind; 2] = [Kind::Json, Kind::Auth];
/// Lines of a round; a few segments.
const LINES: usize = 10_000;
const HOST: &str = "web-1";
/// What the scribe compresses at a time.
const PIECE_BYTES: usize = 64 * 1024;

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Kubernetes audit events.
    Json,
    /// auth.log.
    Auth,
}

/// The same numbers at each start (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// [`LINES`] lines, each with its newline.
fn text(kind: Kind) -> String {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut text = String::new();
    for number in 0..LINES {
        match kind {
            Kind::Json => json(number, &mut random, &mut text),
            Kind::Auth => auth(number, &mut random, &mut text),
        }
        text.push('\n');
    }
    text
}

fn json(number: usize, random: &mut Random, out: &mut String) {
    let resource =
        random.pick(&["pods", "pods", "pods", "configmaps", "leases", "events", "endpointslices", "secrets"]);
    let namespace = random.pick(&["kube-system", "default", "payments", "team-a-prod"]);
    let user = random.pick(&["system:node:ip-10-0-3-17", "system:kube-scheduler", "alice@example.com"]);
    let agent = random.pick(&["kubelet/v1.29.3 (linux/amd64)", "kubectl/v1.30.0 (darwin/arm64)"]);
    let verb = random.pick(&["get", "get", "list", "watch", "create", "update", "patch", "delete"]);
    let code = random.pick(&["200", "200", "200", "200", "201", "201", "404", "409", "409", "403"]);
    let (id, object, ip) = (random.below(1 << 40), random.below(1 << 20), random.below(256));
    let second = number % 60;
    let written = write!(
        out,
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{number:012}-{id:010x}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/{namespace}/{resource}/{object:05x}","verb":"{verb}","user":{{"username":"{user}","groups":["system:authenticated"]}},"sourceIPs":["10.0.3.{ip}"],"userAgent":"{agent}","objectRef":{{"resource":"{resource}","namespace":"{namespace}"}},"responseStatus":{{"code":{code}}},"requestReceivedTimestamp":"2026-01-12T06:25:{second:02}.{number:06}Z"}}"#
    );
    written.expect("a String takes all");
}

fn auth(number: usize, random: &mut Random, out: &mut String) {
    let (pid, port, ip) = (random.below(60_000), random.below(60_000), random.below(256));
    let user = random.pick(&["root", "alice", "bob", "deploy"]);
    let what = match random.below(4) {
        0 => format!("sshd[{pid}]: Failed password for invalid user {user} from 203.0.113.{ip} port {port} ssh2"),
        1 => {
            format!("sshd[{pid}]: Accepted publickey for {user} from 203.0.113.{ip} port {port} ssh2: RSA {number:012}")
        }
        2 => format!("sshd[{pid}]: Received disconnect from 203.0.113.{ip} port {port}:11: disconnected by user"),
        _ => format!("CRON[{pid}]: pam_unix(cron:session): session opened for user {user}(uid=0) by (uid=0)"),
    };
    write!(out, "Jan 12 06:25:{:02} {HOST} {what}", number % 60).expect("a String takes all");
}

/// Read from a file and cut into lines.
#[divan::bench(args = KINDS, items_count = LINES)]
fn a_source(bencher: Bencher, kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let (path, text) = (folder.path().join("a.log"), text(kind));
    std::fs::write(&path, &text).unwrap();
    let config = source::Config::File(FileConfig {
        name: "a".into(),
        include: vec![path.to_str().unwrap().into()],
        exclude: Vec::new(),
        start_at: StartAt::Beginning,
        max_line_bytes: 64 * 1024,
        text: Default::default(),
        labels: Default::default(),
        compressed: false,
    });
    bencher.bench_local(|| {
        let source = Source::new(&config, Known::default(), Arc::new(Keys::default()), &[]).unwrap();
        let (output, batches) = crossbeam_channel::bounded::<Batch>(8);
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || source.run(true, &output, &Stop::never()));
            let items: usize = batches.iter().map(|batch| black_box(batch).items.len()).sum();
            assert!(items >= LINES);
            reader.join().unwrap().unwrap();
        });
    });
}

/// The verdicts of all packs.
#[divan::bench(args = KINDS, items_count = LINES)]
fn b_policies(bencher: Bencher, kind: Kind) {
    let (text, mut evaluator) = (text(kind), evaluator());
    bencher.bench_local(|| verdicts(&mut evaluator, black_box(&text)));
}

/// Rendered, tagged, hashed into the tree; segments are ended as the agent ends them.
#[divan::bench(args = KINDS, items_count = LINES)]
fn c_chain(bencher: Bencher, kind: Kind) {
    let text = text(kind);
    let verdicts = verdicts(&mut evaluator(), &text);
    let mut world = World::new();
    let mut out = Vec::with_capacity(text.len() * 2);
    bencher.bench_local(|| {
        out.clear();
        world.chain(&text, &verdicts, &mut out, &mut |_, _, _| {})
    });
}

/// Compressed and written; the disk makes it durable meanwhile.
#[divan::bench(args = KINDS, items_count = LINES)]
fn d_spool(bencher: Bencher, kind: Kind) {
    let text = text(kind);
    let verdicts = verdicts(&mut evaluator(), &text);
    let mut world = World::new();
    let (mut lines, mut ends) = (Vec::new(), Vec::new());
    world.chain(&text, &verdicts, &mut lines, &mut |first, last, end| ends.push((first, last, end)));
    let folder = tempfile::tempdir().unwrap();
    let config =
        spool::Config { dir: folder.path().into(), max_size_bytes: 16 << 30, drain_timeout: std::time::Duration::ZERO };
    let (spool, _) =
        Spool::open(&config, HOST, &[Target { name: "t".into(), max_lag_bytes: None }], Arc::new(Disk)).unwrap();
    let mut writer = spool.begin_stream(world.chain.stream()).unwrap().writer;
    bencher.bench_local(|| {
        let mut at = 0;
        for (first, last, end) in &ends {
            for piece in lines[at..*end].chunks(PIECE_BYTES) {
                writer.append(piece).unwrap();
            }
            writer.seal(*first, *last, &|| false).unwrap();
            at = *end;
        }
    });
}

/// A line of the archive taken apart.
#[divan::bench(args = KINDS, items_count = LINES)]
fn e_parse(bencher: Bencher, kind: Kind) {
    let text = text(kind);
    let mut lines = Vec::new();
    World::new().chain(&text, &[], &mut lines, &mut |_, _, _| {});
    let lines: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    bencher.bench_local(|| {
        for line in &lines {
            black_box(RawLine::parse(black_box(line)).unwrap());
        }
    });
}

/// An archive verified with the auditor's identity, by all cores.
#[divan::bench(args = KINDS, items_count = LINES)]
fn f_verify(bencher: Bencher, kind: Kind) {
    let text = text(kind);
    let verdicts = verdicts(&mut evaluator(), &text);
    let folder = tempfile::tempdir().unwrap();
    let options = archive(folder.path(), &text, &verdicts);
    let paths = [folder.path().to_owned()];
    bencher.bench_local(|| {
        let summary = verify::verify(&paths, &options, &|_, _| {}, &mut |_| {});
        assert_eq!((summary.result, summary.log_lines), (Outcome::Intact, LINES as u64));
    });
}

fn evaluator() -> Evaluator {
    let paths = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/policies").into()];
    let config = policy::Config::of(paths);
    Evaluator::new(&PolicySet::load(&config).unwrap_or_else(|faults| panic!("{faults:?}")))
}

fn verdicts(evaluator: &mut Evaluator, text: &str) -> Vec<Verdicts> {
    let source = SourceContext {
        kind: "file",
        name: "a".into(),
        path: Some("/var/log/a.log".into()),
        ..SourceContext::default()
    };
    let context = |line| LineContext {
        message: line,
        earlier: b"",
        is_piece: false,
        source: &source,
        host: HOST,
        time: "2026-01-12T06:25:41Z",
    };
    text.lines().map(|line| evaluator.verdicts(&context(line.as_bytes()))).collect()
}

/// A host, its auditor, and its stream.
struct World {
    identity: age::x25519::Identity,
    host_key: HostKey,
    chain: Chain,
    genesis: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let (identity, host_key) = (age::x25519::Identity::generate(), HostKey::generate_ed25519().unwrap());
        let facts = Facts {
            stream: sealtail::chain::new_stream().unwrap(),
            host: HOST.into(),
            config: [1; 32],
            policy: [2; 32],
            erasure: Vec::new(),
            targets: Vec::new(),
            prev: None,
        };
        let mut genesis = Vec::new();
        let chain = Chain::begin(&facts, &[identity.to_public()], &host_key, &mut genesis).unwrap();
        Self { identity, host_key, chain, genesis }
    }

    /// Chains the lines of `text` and ends the last segment; `sealed` is told each segment's first and last seq, and where it
    /// ends in `out`.
    fn chain(&mut self, text: &str, verdicts: &[Verdicts], out: &mut Vec<u8>, sealed: &mut dyn FnMut(u64, u64, usize)) {
        let (at, none) = (self.chain.stamp(), Verdicts::default());
        let (mut offset, mut segment_at) = (0, out.len());
        for (number, line) in text.lines().enumerate() {
            offset += line.len() as u64 + 1;
            let message = line.as_bytes();
            let record = LogRecord { source: 1, offset, end: End::Newline, message, redacted: None };
            self.chain.log(out, &at, &record, verdicts.get(number).unwrap_or(&none));
            let full = self.chain.segment_len() + 1 >= SEGMENT_LINES || out.len() - segment_at >= SEGMENT_BYTES;
            if full || number + 1 == LINES {
                let first = self.chain.segment_first();
                let last = self.chain.checkpoint(out, &at);
                segment_at = out.len();
                sealed(first, last, segment_at);
            }
        }
    }
}

/// Writes an archive with the lines of `text`, and says how to verify it.
fn archive(folder: &Path, text: &str, verdicts: &[Verdicts]) -> verify::Options {
    let mut world = World::new();
    let (mut lines, mut ends) = (std::mem::take(&mut world.genesis), Vec::new());
    world.chain(text, verdicts, &mut lines, &mut |_, _, end| ends.push(end));
    let stream = world.chain.stream();
    world.chain.close(&mut lines, "stop");
    ends.push(lines.len());
    let (mut file, mut at) = (Vec::new(), 0);
    for end in ends {
        file.extend(zstd::encode_all(&lines[at..end], 1).unwrap());
        at = end;
    }
    let place = folder.join(HOST).join(stream.to_string());
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("00000000000000000000.ndjson.zst"), file).unwrap();
    let trust = Some(Trust::single(Some(HOST), world.host_key.public()));
    verify::Options { identities: vec![world.identity], trust, ..verify::Options::default() }
}

fn main() {
    divan::main();
}
