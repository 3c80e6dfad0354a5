//! What a line costs in policies: all packs, on lines that match and lines that don't.

use divan::{Bencher, black_box};
use sealtail::policy::{Config, Evaluator, LineContext, PolicySet, SourceContext};

const LINES: [&str; 6] = ["nothing", "ssh_failed", "dpkg_status", "k8s_list_pods", "k8s_secret_read", "json_other"];

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
        _ => {
            r#"{"ts":"2026-01-12T06:25:41Z","level":"info","msg":"order placed","order":8812,"user":"u-77","ms":12.5}"#
        }
    }
}

#[divan::bench(args = LINES)]
fn verdicts(bencher: Bencher, name: &str) {
    let paths = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/policies").into()];
    let set = PolicySet::load(&Config { paths, max_instructions: Config::MAX_INSTRUCTIONS })
        .unwrap_or_else(|faults| panic!("{faults:?}"));
    let mut evaluator = Evaluator::new(&set);
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
    black_box(PolicySet::load(&Config { paths, max_instructions: Config::MAX_INSTRUCTIONS }).is_ok());
}

fn main() {
    divan::main();
}
