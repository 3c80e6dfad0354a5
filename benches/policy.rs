//! What a line costs in policies: all packs, on lines that match and lines that don't, and beside it what plain regorus takes.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use regorus::{Engine, Value};
use sealtail::policy::{Config, Evaluator, LineContext, PolicySet, SourceContext, packs};

const LINES: [&str; 8] = [
    "nothing",
    "ssh_failed",
    "dpkg_status",
    "k8s_list_pods",
    "k8s_secret_read",
    "json_other",
    "web_ok",
    "audit_syscall",
];

fn line(name: &str) -> &'static str {
    match name {
        "nothing" => "Jan 12 06:25:41 web-1 systemd[1]: Started session-42.scope - Session 42 of User alice.",
        "ssh_failed" => "Jan 12 06:25:41 web-1 sshd[812]: Failed password for alice from 203.0.113.7 port 51514 ssh2",
        "dpkg_status" => "2026-01-12 06:40:01 status installed nmap:amd64 7.93+dfsg1-1",
        "k8s_list_pods" => {
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"3a6f2d0c-55e1-4be2-9c1b-0c2a8d9b7f10","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/pods?limit=500","verb":"list","user":{"username":"system:serviceaccount:shop:web","groups":["system:serviceaccounts"]},"sourceIPs":["10.0.3.7"],"objectRef":{"resource":"pods","namespace":"shop","apiVersion":"v1"},"responseStatus":{"code":200}}"#
        }
        "k8s_secret_read" => {
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"3a6f2d0c-55e1-4be2-9c1b-0c2a8d9b7f10","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/secrets/db","verb":"get","user":{"username":"alice","groups":["system:authenticated"]},"sourceIPs":["10.0.3.7"],"objectRef":{"resource":"secrets","namespace":"shop","name":"db","apiVersion":"v1"},"responseStatus":{"code":200}}"#
        }
        "web_ok" => {
            r#"203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] "GET /index.html HTTP/2.0" 200 5120 "https://example.com/" "Mozilla/5.0""#
        }
        "audit_syscall" => {
            r#"type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm="vi" exe="/usr/bin/vi" key="identity""#
        }
        _ => {
            r#"{"ts":"2026-01-12T06:25:41Z","level":"info","msg":"order placed","order":8812,"user":"u-77","ms":12.5}"#
        }
    }
}

/// All packs that quickstart turns on.
#[divan::bench(args = LINES)]
fn verdicts(bencher: Bencher, name: &str) {
    measure(bencher, &set(|file| !packs::LEFT_OUT.iter().any(|(left_out, _)| *left_out == file)), name);
}

/// What they leave out, alone.
#[divan::bench(args = LINES)]
fn left_out(bencher: Bencher, name: &str) {
    measure(bencher, &set(|file| packs::LEFT_OUT.iter().any(|(left_out, _)| *left_out == file)), name);
}

fn set(wanted: impl Fn(&str) -> bool) -> PolicySet {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/policies"));
    let all = packs::PACKS.iter().chain(packs::LEFT_OUT).filter(|(file, _)| wanted(file));
    let paths = all.map(|(file, _)| folder.join(file)).collect();
    PolicySet::load(&Config::of(paths)).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn source() -> SourceContext {
    SourceContext {
        kind: "file",
        name: "auth".into(),
        path: Some("/var/log/auth.log".into()),
        ..SourceContext::default()
    }
}

fn context<'a>(source: &'a SourceContext, line: &'a str) -> LineContext<'a> {
    let message = line.as_bytes();
    LineContext { message, earlier: b"", is_piece: false, source, host: "web-1", time: "2026-01-12T06:25:41Z" }
}

fn measure(bencher: Bencher, set: &PolicySet, name: &str) {
    let mut evaluator = Evaluator::new(set);
    let source = source();
    let context = context(&source, line(name));
    bencher.bench_local(|| evaluator.verdicts(black_box(&context)));
}

/// Lines of many values, as `item/s`: every pack there is, those that quickstart leaves out too.
#[divan::bench(args = WORKS)]
fn work(bencher: Bencher, kind: &str) {
    let lines = work_lines(kind);
    let mut evaluator = Evaluator::new(&set(|_| true));
    let source = source();
    bencher.counter(ItemsCount::new(lines.len())).bench_local(|| {
        for line in &lines {
            black_box(evaluator.verdicts(black_box(&context(&source, line))));
        }
    });
}

/// The same without those that quickstart leaves out.
#[divan::bench(args = WORKS)]
fn work_of_quickstart(bencher: Bencher, kind: &str) {
    let lines = work_lines(kind);
    let mut evaluator = Evaluator::new(&set(|file| !packs::LEFT_OUT.iter().any(|(left_out, _)| *left_out == file)));
    let source = source();
    bencher.counter(ItemsCount::new(lines.len())).bench_local(|| {
        for line in &lines {
            black_box(evaluator.verdicts(black_box(&context(&source, line))));
        }
    });
}

/// The same packs and lines by `Engine::eval_rule`, on input that is there already.
#[divan::bench(args = WORKS, sample_count = 10)]
fn work_by_plain_regorus(bencher: Bencher, kind: &str) {
    let set = set(|_| true);
    let rules: Vec<String> = set.packages().map(|package| format!("data.{package}.verdicts")).collect();
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(false);
    for (name, text) in packs::PACKS.iter().chain(packs::LEFT_OUT) {
        engine.add_policy((*name).to_owned(), (*text).to_owned()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let (mut evaluator, source) = (Evaluator::new(&set), source());
    let document = |line: &String| evaluator.document(&context(&source, line));
    let inputs: Vec<Value> = work_lines(kind).iter().map(document).map(|json| json_value(&json)).collect();
    bencher.counter(ItemsCount::new(inputs.len())).bench_local(|| {
        for input in &inputs {
            engine.set_input(input.clone());
            for rule in &rules {
                black_box(engine.eval_rule(rule.clone()).is_ok());
            }
        }
    });
}

fn json_value(json: &str) -> Value {
    Value::from_json_str(json).unwrap_or_else(|error| panic!("{error}"))
}

const WORKS: [&str; 3] = ["json", "auth", "kubernetes"];

/// Lines as those of `gen json` and `gen auth` (README.md beside this), and Kubernetes audit lines that the packs know as such.
fn work_lines(kind: &str) -> Vec<String> {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let line = |n| match kind {
        "auth" => auth_line(&mut dice, n),
        "kubernetes" => audit_line(&mut dice, n, r#""apiVersion":"audit.k8s.io/v1","#),
        _ => audit_line(&mut dice, n, ""),
    };
    (0..512).map(line).collect()
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn pick(&mut self, from: &str) -> String {
        let words: Vec<&str> = from.split('|').collect();
        words[self.below(words.len() as u64) as usize].to_owned()
    }

    fn address(&mut self) -> String {
        format!("10.{}.{}.{}", self.below(256), self.below(256), self.below(256))
    }
}

fn auth_line(dice: &mut Dice, n: u64) -> String {
    let user = dice.pick("root|admin|ubuntu|deploy|oracle|git|alice|bob");
    let (host, pid, port, address) =
        (dice.below(40), 1000 + dice.below(60_000), 1024 + dice.below(60_000), dice.address());
    let (at, from) = (format!("Nov 23 00:00:{:02} host-{host:02}", n % 60), format!("from {address} port {port}"));
    match dice.below(4) {
        0 => format!("{at} sshd[{pid}]: Failed password for invalid user {user} {from} ssh2 SQ{n:010}Z"),
        1 => format!("{at} sshd[{pid}]: Accepted publickey for {user} {from} ssh2: RSA SQ{n:010}Z"),
        2 => format!(
            "{at} sudo[{pid}]: {user:>8} : TTY=pts/1 ; PWD=/home/x ; USER=root ; COMMAND=/usr/bin/systemctl SQ{n:010}Z"
        ),
        _ => format!(
            "{at} CRON[{pid}]: pam_unix(cron:session): session opened for user {user}(uid=7) by (uid=0) SQ{n:010}Z"
        ),
    }
}

fn audit_line(dice: &mut Dice, n: u64, version: &str) -> String {
    let verb = dice.pick("get|get|get|list|list|create|update|patch|delete|watch");
    let resource =
        dice.pick("pods|secrets|configmaps|deployments|leases|events|nodes|endpointslices|serviceaccounts|jobs");
    let namespace = dice.pick("kube-system|default|payments|ingress|monitoring|team-a-prod|team-b-stage");
    let user = dice.pick(
        "system:node:ip-10-0-3-17|system:kube-controller-manager|alice@example.com|system:kube-scheduler|bob@example.com",
    );
    let agent =
        dice.pick("kubelet/v1.29.3 (linux/amd64)|kube-controller-manager/v1.29.3|kubectl/v1.30.0 (darwin/arm64)");
    let (code, level) = (dice.pick("200|200|200|201|404|403|409"), dice.pick("Metadata|Request|RequestResponse"));
    let (id, name, address) = (dice.below(0xff_ffff_ffff), dice.below(0xf_ffff), dice.address());
    format!(
        r#"{{"kind":"Event",{version}"level":"{level}","auditID":"SQ{n:010}Z-{id:010x}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/{namespace}/{resource}/{name:05x}","verb":"{verb}","user":{{"username":"{user}","groups":["system:authenticated"]}},"sourceIPs":["{address}"],"userAgent":"{agent}","objectRef":{{"resource":"{resource}","namespace":"{namespace}"}},"responseStatus":{{"code":{code}}},"requestReceivedTimestamp":"2026-11-23T00:00:{:02}.{n:06}Z"}}"#,
        n % 60
    )
}

#[divan::bench]
fn compile() {
    let paths = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/policies").into()];
    black_box(PolicySet::load(&Config::of(paths)).is_ok());
}

fn main() {
    divan::main();
}
