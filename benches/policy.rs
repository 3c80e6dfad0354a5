//! What a line costs in policies: all packs, on lines that match and lines that don't.

use divan::{Bencher, black_box};
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

fn measure(bencher: Bencher, set: &PolicySet, name: &str) {
    let mut evaluator = Evaluator::new(set);
    let source = SourceContext {
        kind: "file",
        name: "auth".into(),
        path: Some("/var/log/auth.log".into()),
        ..SourceContext::default()
    };
    let context = LineContext {
        message: line(name).as_bytes(),
        earlier: b"",
        is_piece: false,
        source: &source,
        host: "web-1",
        time: "2026-01-12T06:25:41Z",
    };
    bencher.bench_local(|| evaluator.verdicts(black_box(&context)));
}

#[divan::bench]
fn compile() {
    let paths = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/policies").into()];
    black_box(PolicySet::load(&Config::of(paths)).is_ok());
}

fn main() {
    divan::main();
}
