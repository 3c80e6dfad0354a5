//! Policies through the public API: the packs that come with sealtail, and policies that go wrong.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sealtail::policy::{Config, Evaluator, Fault, LineContext, PolicySet, SourceContext, packs, run_tests};
use sealtail::record::{Decision, Severity, VERDICTS_MAX, Verdict};

const TIME: &str = "2026-01-12T06:25:41Z";

fn packs_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

fn config(paths: &[PathBuf]) -> Config {
    Config::of(paths.to_vec())
}

fn source() -> SourceContext {
    SourceContext {
        kind: "file",
        name: "auth".into(),
        path: Some("/var/log/auth.log".into()),
        ..SourceContext::default()
    }
}

fn load(files: &[(&str, &str)]) -> Result<PolicySet, Vec<Fault>> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    PolicySet::load(&config(&[dir.path().to_path_buf()]))
}

fn policy(text: &str) -> PolicySet {
    load(&[("p.rego", text)]).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn faults(text: &str) -> Vec<Fault> {
    load(&[("p.rego", text)]).err().unwrap_or_default()
}

fn verdicts(set: &PolicySet, message: &[u8]) -> Vec<Verdict> {
    parse(&evaluate(&mut Evaluator::new(set), message))
}

fn evaluate(evaluator: &mut Evaluator, message: &[u8]) -> Vec<u8> {
    evaluator
        .verdicts(&LineContext { message, earlier: b"", is_piece: false, source: &source(), host: "web-1", time: TIME })
        .json
}

fn parse(json: &[u8]) -> Vec<Verdict> {
    if json.is_empty() { Vec::new() } else { serde_json::from_slice(json).unwrap() }
}

fn ids(verdicts: &[Verdict]) -> Vec<&str> {
    verdicts.iter().map(|verdict| verdict.id.as_str()).collect()
}

#[test]
fn every_pack_passes_its_tests() {
    let report = run_tests(&[packs_dir()]).unwrap();
    assert_eq!(report.failures, []);
    assert!(report.passed > 50, "{}", report.passed);
}

#[test]
fn every_rule_of_the_packs_has_a_title_a_severity_and_controls() {
    let set = PolicySet::load(&config(&[packs_dir()])).unwrap();
    assert!(set.rules().count() >= 120);
    for rule in set.rules() {
        let said = &rule.metadata;
        assert!(said.title.is_some() && said.description.is_some(), "{}:{}", rule.file, rule.line);
        assert!(said.severity.is_some() && !said.controls.is_empty(), "{}:{}", rule.file, rule.line);
        assert_eq!(rule.ids.len(), 1, "{}:{}", rule.file, rule.line);
    }
}

#[test]
fn every_rule_of_the_packs_is_hit_by_a_test() {
    let set = PolicySet::load(&config(&[packs_dir()])).unwrap();
    let tests: String = rego_files(&packs_dir()).iter().filter(|path| is_test(path)).map(|path| read(path)).collect();
    for id in set.rules().flat_map(|rule| &rule.ids) {
        assert!(tests.contains(&format!("\"{id}\"")), "no test mentions {id}");
    }
}

#[test]
fn the_embedded_packs_are_those_of_the_folder() {
    let dir = packs_dir();
    let in_folder: Vec<(String, String)> = rego_files(&dir)
        .iter()
        .filter(|path| !is_test(path))
        .map(|path| (path.strip_prefix(&dir).unwrap().to_str().unwrap().replace('\\', "/"), read(path)))
        .filter(|(name, _)| packs::LEFT_OUT.iter().all(|(left_out, _)| left_out != name))
        .collect();
    let embedded: Vec<(String, String)> =
        packs::PACKS.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    assert_eq!(embedded, in_folder);
}

fn rego_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rego_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rego") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn is_test(path: &Path) -> bool {
    path.to_str().unwrap().ends_with("_test.rego")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_line_gets_its_verdicts() {
    let set = PolicySet::load(&config(&[packs_dir()])).unwrap();
    let mut evaluator = Evaluator::new(&set);
    let line = "Jan 12 06:25:41 web-1 sshd[812]: Failed password for alice from 203.0.113.7 port 51514 ssh2";
    assert_eq!(
        String::from_utf8(evaluate(&mut evaluator, line.as_bytes())).unwrap(),
        r#"[{"id":"ssh-login-failed","decision":"flag","severity":"medium","controls":["PCI-DSS-10.2.1.4","PCI-DSS-10.2.2","HIPAA-164.312(d)","SOC2-CC6.1","ISO27001-A.8.15","NIST-800-53-AU-2"]}]"#
    );
    let line = br#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","stage":"ResponseComplete","verb":"get","user":{"username":"alice"},"objectRef":{"resource":"secrets"},"responseStatus":{"code":403}}"#;
    let found = parse(&evaluate(&mut evaluator, line));
    assert_eq!(ids(&found), ["k8s-denied", "k8s-secret-read"]);
    assert_eq!((found[0].decision, found[0].severity), (Decision::Deny, Some(Severity::Medium)));
    assert_eq!(evaluate(&mut evaluator, b"nothing to see"), b"");
    assert_eq!(evaluate(&mut evaluator, b""), b"");
}

#[test]
fn no_paths_give_no_verdicts() {
    let set = PolicySet::load(&config(&[])).unwrap();
    assert_eq!((set.packages().count(), set.rules().count()), (0, 0));
    let line =
        LineContext { message: b"sshd[1]: x", earlier: b"", is_piece: false, source: &source(), host: "h", time: TIME };
    assert_eq!(Evaluator::new(&set).verdicts(&line), Default::default());
}

#[test]
fn all_of_the_input_can_be_seen() {
    let set = policy(
        r#"package sealtail.seen
verdicts contains {"id": sprintf("%s|%s|%s|%s|%s", [input.source.type, input.source.name, input.source.path, input.host, input.time])}
verdicts contains {"id": sprintf("%v", [input.fields.n])} if input.fields.n
"#,
    );
    let all = format!("file|auth|/var/log/auth.log|web-1|{TIME}");
    assert_eq!(ids(&verdicts(&set, b"x")), [all.as_str()]);
    assert_eq!(ids(&verdicts(&set, b"  {\"n\": 7}\t")), ["7", all.as_str()]);
    assert_eq!(ids(&verdicts(&set, b"{\"n\": 7} trailing")), [all.as_str()]);
    assert_eq!(ids(&verdicts(&set, b"{\"n\":\"\xff\"}")), [all.as_str(), "\u{fffd}"]);
}

#[test]
fn metadata_comes_from_the_rule_that_writes_the_id() {
    let set = policy(
        r#"# METADATA
# title: The package
# custom:
#   controls: [PKG-1]
#   severity: low
package sealtail.meta

# METADATA
# title: The rule
# custom:
#   controls: [RULE-1]
verdicts contains {"id": "own"} if contains(input.message, "a")

verdicts contains {"id": "packages"} if contains(input.message, "a")

# METADATA
# custom:
#   severity: critical
verdicts contains {"id": concat("-", ["made", input.host])} if contains(input.message, "a")

verdicts contains {"id": "itself", "severity": "info", "controls": {"B", "A"}} if contains(input.message, "a")
"#,
    );
    let found = verdicts(&set, b"a");
    let said = |id: &str| {
        let verdict = found.iter().find(|verdict| verdict.id == id).unwrap();
        (verdict.severity.unwrap(), verdict.controls.join(","))
    };
    assert_eq!(said("own"), (Severity::Low, "RULE-1".to_owned()));
    assert_eq!(said("packages"), (Severity::Low, "PKG-1".to_owned()));
    assert_eq!(said("made-web-1"), (Severity::Critical, "PKG-1".to_owned()));
    assert_eq!(said("itself"), (Severity::Info, "A,B".to_owned()));
}

#[test]
fn metadata_of_wider_scopes_reaches_other_files() {
    let set = load(&[
        ("a.rego", "# METADATA\n# scope: subpackages\n# custom:\n#   controls: [SUB-1]\npackage sealtail.top\n\nx := 1\n"),
        ("b.rego", "package sealtail.top.below\n\n# METADATA\n# scope: document\n# custom:\n#  severity: high\nverdicts contains {\"id\": \"one\"}\n\nverdicts contains {\"id\": \"two\"}\n"),
    ])
    .unwrap();
    for verdict in verdicts(&set, b"x") {
        assert_eq!((verdict.severity, verdict.controls), (Some(Severity::High), vec!["SUB-1".to_owned()]));
    }
}

#[test]
fn an_id_with_two_meanings_is_a_fault() {
    let text = "package sealtail.a\n# METADATA\n# custom:\n#   severity: low\nverdicts contains {\"id\": \"x\"} if contains(input.message, \"a\")\n\nverdicts contains {\"id\": \"x\"} if contains(input.message, \"b\")\n";
    let found = faults(text);
    assert_eq!(found[0].place, Some((7, 1)), "{found:?}");
}

#[test]
fn a_policy_that_fails_on_some_lines_hurts_only_itself() {
    let fine = "package sealtail.fine\nverdicts contains {\"id\": \"fine\"}";
    for (broken, line, reason) in [
        (
            "verdicts contains {\"id\": \"x\"} if { p := split(input.message, \" \"); count([1 | some i in p; some j in p; some k in p; i == j; j == k]) > 9 }",
            "a ".repeat(400),
            "more than 100000 instructions",
        ),
        (
            "verdicts contains v if v := json.unmarshal(input.message).v",
            r#"{"v": "text"}"#.to_owned(),
            "a verdict is not an object",
        ),
        // a format with a digit that is no ASCII digit makes the engine panic
        (
            "verdicts contains {\"id\": sprintf(\"%\u{663}d\", [1])} if contains(input.message, \"boom\")",
            "boom".to_owned(),
            "the engine failed",
        ),
        (
            "verdicts contains v if v := {\"id\": input.fields.id}",
            r#"{"id": 7}"#.to_owned(),
            "a verdict's id is not text",
        ),
        (
            "verdicts contains v if v := object.union({\"id\": \"x\"}, input.fields)",
            r#"{"redact": []}"#.to_owned(),
            "`redact` has no members, or more than 64",
        ),
        (
            "verdicts contains {\"id\": \"x\"} if regex.match(input.fields.re, \"x\")",
            r#"{"re": "(\\pL{100}){100}"}"#.to_owned(),
            "a regular expression is too large",
        ),
        (
            "verdicts contains {\"id\": \"x\"} if input.fields.a.b",
            format!("{{\"a\":{}1{}}}", "[".repeat(99), "]".repeat(99)),
            "the line is JSON nested too deep, or has a number too large",
        ),
    ] {
        let broken = format!("package sealtail.broken\n{broken}");
        let set = load(&[("fine.rego", fine), ("broken.rego", &broken)]).unwrap_or_else(|f| panic!("{broken}: {f:?}"));
        let mut evaluator = Evaluator::new(&set);
        let found = parse(&evaluate(&mut evaluator, line.as_bytes()));
        assert_eq!(ids(&found), ["fine", "sealtail.broken"], "{broken}");
        assert_eq!((found[1].decision, found[1].reason.as_deref()), (Decision::Undecided, Some(reason)));
        // and the next line finds the package as it was
        assert_eq!(ids(&parse(&evaluate(&mut evaluator, b"-"))), ["fine"], "{broken}");
    }
}

#[test]
fn well_formed_verdicts_beside_a_malformed_one_stay() {
    let set = policy(
        "package sealtail.a\nverdicts contains {\"id\": \"good\"}\nverdicts contains v if v := {\"id\": input.host, lower(\"X\"): 1}",
    );
    assert_eq!(ids(&verdicts(&set, b"x")), ["good", "sealtail.a"]);
}

#[test]
fn verdicts_are_bounded() {
    let set = policy(
        "package sealtail.many\nverdicts contains {\"id\": word, \"reason\": input.message} if some word in split(input.message, \" \")",
    );
    let words: Vec<String> = (0..500).map(|n| format!("w{n}\"\\")).collect();
    let json = evaluate(&mut Evaluator::new(&set), words.join(" ").as_bytes());
    assert!(json.len() <= VERDICTS_MAX);
    let found = parse(&json);
    assert!(found.len() <= 32);
    assert!(found.iter().any(|v| v.id == "sealtail" && v.decision == Decision::Undecided), "{found:?}");
}

#[test]
fn faults_name_their_place() {
    let place = |text: &str| faults(text).first().and_then(|fault| fault.place);
    let rule = |body: &str| format!("package sealtail.a\n\nverdicts contains {{\"id\": \"x\"}} if {{\n\t{body}\n}}\n");
    assert_eq!(place("package sealtail.a\n\nverdicts contains {"), Some((3, 20)));
    assert_eq!(place(&rule("unknown == 1")), Some((4, 2)));
    assert_eq!(
        place(&rule("http.send({\"method\": \"get\", \"url\": \"http://x\"}).status == 200")).map(|place| place.0),
        Some(4)
    );
    assert_eq!(place(&rule("opa.runtime().env.HOME")).map(|place| place.0), Some(4));
    for hostile in [
        "count(numbers.range(1, input.fields.n)) > 1",
        "net.cidr_expand(input.message)",
        "bits.lsh(1, input.fields.n) > 1",
        "replace(input.message, \"a\", input.message) == \"x\"",
        "sprintf(input.message, [1]) == \"x\"",
        "rand.intn(\"x\", 2) == 1",
        "time.now_ns() > 1",
        "some input in [1]",
    ] {
        assert_eq!(place(&rule(hostile)).map(|place| place.0), Some(4), "{hostile}");
    }
}

#[test]
fn faults_say_what_to_do() {
    let says = |text: &str| faults(text).first().map(|fault| fault.what.clone()).unwrap_or_default();
    assert!(says("package sealtail.a\nverdicts := [1]").contains("verdicts contains"));
    assert!(says("package other\nverdicts contains {\"id\": \"x\"}").contains("write `package sealtail.other`"));
    let hides = "package sealtail.a\nverdicts contains {\"id\": \"x\", \"redact\": [\"message\"]}";
    assert!(says(hides).contains("write `input.message`"));
    assert!(
        says("package sealtail.a\nverdicts contains {\"id\": \"x\", \"decision\": \"block\"}")
            .contains("allow, flag or deny")
    );
    assert!(says("package sealtail.a\nverdicts contains {\"id\": \"x\", \"msg\": \"y\"}").contains("no key `msg`"));
    assert!(
        says("package sealtail.a\nf if g\ng if f\nverdicts contains {\"id\": \"x\"} if f")
            .contains("refer to themselves")
    );
    assert!(
        says("package sealtail.a\nverdicts contains {\"id\": \"x\"} if data.sealtail[input.host]")
            .contains("refer to themselves")
    );
}

#[test]
fn rules_may_use_rules_so_deep_and_no_deeper() {
    let chain = |length: usize| {
        let rules: String = (0..length).map(|n| format!("r{n} if r{}\nf{n}(x) if f{}(x)\n", n + 1, n + 1)).collect();
        let last = format!("r{length} if input.host\nf{length}(x) if contains(x, \"a\")\n");
        format!(
            "package sealtail.a\n{rules}{last}verdicts contains {{\"id\": \"x\"}} if {{\n\tr0\n\tf0(input.message)\n}}"
        )
    };
    assert_eq!(ids(&verdicts(&policy(&chain(62)), b"a")), ["x"]);
    assert!(faults(&chain(64))[0].what.contains("more than 64 deep"));
    assert!(faults(&chain(3000))[0].what.contains("more than 64 deep"));
}

#[test]
fn all_faults_are_told_at_once() {
    let found =
        load(&[("a.rego", "package sealtail.a\nverdicts contains {"), ("b.rego", "pakage x"), ("data.json", "[")])
            .err()
            .unwrap();
    let files: BTreeSet<&str> = found.iter().filter_map(|fault| fault.file.rsplit('/').next()).collect();
    assert_eq!(files, BTreeSet::from(["a.rego", "b.rego", "data.json"]));
}

#[test]
fn data_is_seen_where_its_folder_puts_it() {
    let set = load(&[
        ("conf/data.json", r#"{"admins": ["root"]}"#),
        ("p.rego", "package sealtail.a\nverdicts contains {\"id\": \"admin\"} if input.message in data.conf.admins"),
    ])
    .unwrap();
    assert_eq!(ids(&verdicts(&set, b"root")), ["admin"]);
    assert!(verdicts(&set, b"bob").is_empty());
}

#[test]
fn the_digest_is_that_of_names_and_contents() {
    let one = [("a.rego", "package sealtail.a\nverdicts contains {\"id\": \"x\"}")];
    let other = [("b.rego", one[0].1)];
    assert_eq!(load(&one).unwrap().digest(), load(&one).unwrap().digest());
    assert_ne!(load(&one).unwrap().digest(), load(&other).unwrap().digest());
}

#[test]
fn a_set_is_shared_by_threads() {
    let set = PolicySet::load(&config(&[packs_dir()])).unwrap();
    let line = b"Jan 12 06:25:41 web-1 sshd[812]: Invalid user admin from 203.0.113.7 port 51514";
    let expected = evaluate(&mut Evaluator::new(&set), line);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (set, expected) = (set.clone(), &expected);
            scope.spawn(move || {
                let mut evaluator = Evaluator::new(&set);
                (0..50).for_each(|_| assert_eq!(&evaluate(&mut evaluator, line), expected));
            });
        }
    });
}

#[test]
fn test_reports_name_what_failed() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        "package sealtail.a_test\ntest_yes if true\ntest_no if false\ntest_false := false\ntodo_test_later if false\n";
    fs::write(dir.path().join("a_test.rego"), text).unwrap();
    let report = run_tests(&[dir.path().to_path_buf()]).unwrap();
    assert_eq!((report.passed, report.skipped), (1, 1));
    let failed: Vec<String> = report.failures.iter().map(|f| format!("{}:{}:{}", f.line, f.name, f.why)).collect();
    assert_eq!(failed, ["4:data.sealtail.a_test.test_false:false", "3:data.sealtail.a_test.test_no:undefined"]);
}

#[test]
fn tests_that_would_end_the_process_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a_test.rego"), "package a\nf if g\ng if f\ntest_x if f\n").unwrap();
    let found = run_tests(&[dir.path().to_path_buf()]).unwrap_err();
    assert!(found[0].what.contains("refer to themselves"), "{found:?}");
}
