//! Policies that mean harm: refused when they are checked, or stopped at their limits; memory stays bounded, the other
//! policies' verdicts come all the same, and nothing is reached outside.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use super::{err, folder, policy, rule};

#[test]
fn what_reaches_out_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!(
        "http.send({{\"method\": \"get\", \"url\": \"http://{}/\"}}).status_code",
        listener.local_addr().unwrap()
    );
    for body in [
        url.as_str(),
        "opa.runtime().env.HOME",
        "io.read_file(\"/etc/passwd\")",
        "net.lookup_ip_addr(\"example.com\")",
        "rego.parse_module(\"x\", \"package x\")",
        "time.now_ns() > 1",
        "rand.intn(\"x\", 2) == 1",
        "print(input)",
    ] {
        let dir = folder(&[("p.rego", &rule(body))]);
        let output = policy(&["check", dir.path().to_str().unwrap()]);
        assert!(!output.status.success() && err(&output).contains("p.rego:4:"), "{body}: {}", err(&output));
        fs::write(dir.path().join("line.log"), "x\n").unwrap();
        let line = dir.path().join("line.log");
        let output = policy(&["try", "--once", "--policies", dir.path().to_str().unwrap(), line.to_str().unwrap()]);
        assert!(!output.status.success(), "{body} runs");
    }
    assert!(listener.accept().is_err(), "somebody came");
}

#[test]
fn what_could_grow_without_bound_is_refused() {
    let doubled: String = (0..40).map(|n| format!("\ta{} := concat(\"\", [a{n}, a{n}])\n", n + 1)).collect();
    let doubled = format!("a0 := input.message\n{doubled}\tcount(a40) > 1");
    for body in [
        doubled.as_str(),
        "count(concat(\"\", [input.message | some p in split(input.message, \" \")])) > 1",
        "m := input.message\n\tl := [m | some p in split(m, \" \")]\n\tcount(concat(\"\", l)) > 1",
        "l := [split(input.message, \"\") | some p in split(input.message, \"\")]\n\tcount(l) > 1",
        "p := split(input.message, \"\")\n\tl := [array.concat(p, [q]) | some q in p]\n\tcount(l) > 1",
        "l := {c | some q in split(input.message, \"\"); c := concat(q, [input.message, \"\"])}\n\tcount(l) > 1",
        "l := [lower(input.message) | some p in split(input.message, \"\")]\n\tcount(l) > 1",
        "count(replace(input.message, \"a\", \"0123456789012345678901234567890123456789012345678901234567890123456789\")) > 1",
        "count(sprintf(\"%999999999d\", [1])) > 1",
        "count(sprintf(\"%.999999999f\", [1.5])) > 1",
        "count(numbers.range(1, input.fields.n)) > 1",
        "bits.lsh(1, input.fields.n) > 1",
    ] {
        let dir = folder(&[("p.rego", &rule(body))]);
        let output = policy(&["check", dir.path().to_str().unwrap()]);
        assert!(!output.status.success(), "{body} is taken for harmless");
        assert!(err(&output).contains("p.rego:"), "{body}: {}", err(&output));
    }
    let helpers = "twice(x) := concat(\"\", [x, x])\nfour(x) := twice(twice(x))\n";
    let text =
        rule("count(four(four(four(four(input.message))))) > 1").replace("verdicts", &format!("{helpers}verdicts"));
    let dir = folder(&[("p.rego", &text)]);
    assert!(!policy(&["check", dir.path().to_str().unwrap()]).status.success());
}

#[test]
fn ordinary_joins_are_not_refused() {
    for body in [
        "concat(\"-\", [lower(p) | some p in split(input.message, \" \")]) == \"x\"",
        "n := [to_number(c) | some c in split(input.message, \"\")]\n\tsum(n) > 1",
        "some p in split(input.message, \" \")\n\tstartswith(input.message, concat(\"\", [p, \":\"]))",
        "sprintf(\"%s: %05d %v\", [input.host, 7, input.fields]) == \"x\"",
        "replace(input.message, \"-\", \"\") == \"x\"",
        "count([p | some p in split(input.message, \" \"); contains(input.message, p)]) > 1",
    ] {
        let dir = folder(&[("p.rego", &rule(body))]);
        let output = policy(&["check", dir.path().to_str().unwrap()]);
        assert!(output.status.success(), "{body}: {}", err(&output));
    }
}

#[test]
fn what_runs_on_and_on_is_undecided_and_hurts_only_itself() {
    let split = "p := split(input.message, \"\")\n\t";
    let many: String = (0..50).map(|n| format!("a{n} := split(input.message, \"\")\n\t")).collect();
    for body in [
        format!("{split}count([1 | some i in p; some j in p; some k in p; i == j; j == k]) > 9"),
        format!("{split}every a in p {{\n\t\tevery b in p {{\n\t\t\ta == b\n\t\t}}\n\t}}"),
        format!("{many}count(a1) > 1"),
    ] {
        let fine = "package sealtail.fine\n\nverdicts contains {\"id\": \"fine\"} if contains(input.message, \"a\")\n";
        let dir = folder(&[("p.rego", &rule(&body)), ("fine.rego", fine), ("line.log", &"a".repeat(200_000))]);
        let (path, log) = (dir.path().display(), dir.path().join("line.log"));
        // 1.5 GB of addresses: who takes more is ended by the allocator
        let command = format!(
            "ulimit -v 1500000; exec '{}' policy try --json --once --policies '{path}' '{}'",
            env!("CARGO_BIN_EXE_sealtail"),
            log.display()
        );
        let output = Command::new("sh").args(["-c", &command]).output().unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let verdicts: Vec<(&str, &str)> = shown["verdicts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|verdict| (verdict["id"].as_str().unwrap(), verdict["decision"].as_str().unwrap()))
            .collect();
        assert_eq!(verdicts, [("fine", "flag"), ("sealtail.a", "undecided")], "{}", &body[..body.len().min(80)]);
    }
}
