//! `policy test`, `try`, `explain` and `controls`, as people use them.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use super::{err, folder, out, packs, policy};

const SSH: &str = "Jan 12 06:25:41 web-1 sshd[812]: Failed password for alice from 203.0.113.7 port 51514 ssh2";

#[test]
fn the_packs_pass_their_tests_and_every_rule_is_covered() {
    let output = policy(&["test", "--covered", packs().to_str().unwrap()]);
    assert!(output.status.success(), "{}{}", out(&output), err(&output));
    let text = out(&output);
    let covered = text.lines().find_map(|line| line.strip_prefix("COVERED: ")).unwrap();
    let (hit, all) = covered.split_once(" rules").unwrap().0.split_once('/').unwrap();
    assert_eq!(hit, all);
    assert!(all.parse::<usize>().unwrap() >= 120, "{covered}");
}

#[test]
fn a_rule_that_no_test_makes_fall_is_named() {
    let rules = "package sealtail.a\n\nverdicts contains {\"id\": \"x\"} if contains(input.message, \"x\")\n\nverdicts contains {\"id\": \"y\"} if contains(input.message, \"y\")\n\nverdicts contains {\"id\": \"z\"} if {\n\tcontains(input.message, \"z\")\n\tinput.fields\n}\n";
    // a test that looks at a rule without making it fall covers its conditions, not the rule
    let tests = "package sealtail.a_test\n\nimport data.sealtail.a\n\ntest_x if count(a.verdicts) == 1 with input as {\"message\": \"x\"}\n\ntest_z if count(a.verdicts) == 0 with input as {\"message\": \"z\"}\n";
    let dir = folder(&[("a.rego", rules), ("a_test.rego", tests)]);
    let path = dir.path().to_str().unwrap();
    let output = policy(&["test", path]);
    let text = out(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("PASS: 2/2") && text.contains("COVERED: 1/3 rules"), "{text}");
    assert!(text.contains("a.rego:5: no test makes") && text.contains("a.rego:7: no test makes"), "{text}");
    assert!(!policy(&["test", "--covered", path]).status.success());
    assert!(out(&policy(&["test", "--lines", path])).contains("NOT EVALUATED"));
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(args: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealtail"));
    command.arg("policy").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running(command.spawn().unwrap())
}

#[test]
fn watch_runs_again_when_a_file_changes() {
    let dir = folder(&[("a_test.rego", "package a\n\ntest_x if true\n")]);
    let mut running = start(&["test", "--watch", dir.path().to_str().unwrap()]);
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(lines.next().unwrap(), "PASS: 1/1");
    fs::write(dir.path().join("b_test.rego"), "package b\n\ntest_y if true\n").unwrap();
    assert_eq!(lines.find(|line| line.starts_with("PASS")).unwrap(), "PASS: 2/2");
}

#[test]
fn try_shows_a_pipe() {
    let mut running = start(&["try", "-"]);
    writeln!(running.0.stdin.as_mut().unwrap(), "nothing\n{SSH}").unwrap();
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.next().unwrap().ends_with(" - nothing"));
    assert!(lines.next().unwrap().ends_with("[ssh-login-failed medium]"));
    drop(running.0.stdin.take());
    assert!(running.0.wait().unwrap().success());
}

#[test]
fn try_follows_a_live_file() {
    let dir = folder(&[("auth.log", "before anybody looked\n")]);
    let path = dir.path().join("auth.log");
    let mut running = start(&["try", "--matching", path.to_str().unwrap()]);
    let mut told = BufReader::new(running.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(told.next().unwrap().starts_with("following 1 files"));
    writeln!(fs::File::options().append(true).open(&path).unwrap(), "nothing\n{SSH}").unwrap();
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.next().unwrap();
    assert!(line.contains(" auth.log Jan 12") && line.ends_with("[ssh-login-failed medium]"), "{line}");
}

#[test]
fn try_once_reads_files_and_writes_json() {
    let dir = folder(&[("a.log", &format!("\u{1b}[31mred\n{SSH}\n"))]);
    let path = dir.path().join("a.log");
    let output = policy(&["try", "--once", "--json", path.to_str().unwrap()]);
    let rows: Vec<serde_json::Value> = out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (rows[0]["message"].as_str(), rows[0]["verdicts"].as_array().unwrap().len()),
        (Some("\u{1b}[31mred"), 0)
    );
    assert_eq!(
        (rows[1]["source"].as_str(), rows[1]["verdicts"][0]["id"].as_str()),
        (Some("a.log"), Some("ssh-login-failed"))
    );
    assert!(err(&output).contains("2 lines, 1 with verdicts"));
    // a line must not colour the terminal of who reads it
    assert!(!out(&policy(&["try", "--once", path.to_str().unwrap()])).contains('\u{1b}'));
}

#[test]
fn explain_says_what_held_and_on_what() {
    let text = out(&policy(&["explain", SSH]));
    assert!(text.contains("ssh-login-failed medium fell  policies/linux/ssh.rego:"), "{text}");
    assert!(text.contains("is_sshd = true") && text.contains("text = \"Failed password for alice"), "{text}");
    let not = out(&policy(&["explain", "--id", "ssh-login-failed", &SSH.replace("sshd", "app")]));
    assert!(not.contains("did not fall") && not.contains("is_sshd = undefined"), "{not}");
    assert!(not.contains("contains(input.message, \"sshd[\")"), "the rule that it names is followed: {not}");
    assert!(not.contains("not reached"), "{not}");
    let none = out(&policy(&["explain", "nothing to see"]));
    assert!(none.contains("no rule gave a verdict"), "{none}");
    assert!(!policy(&["explain", "--id", "no-such-rule", SSH]).status.success());
}

#[test]
fn explain_takes_a_line_of_a_file() {
    let rules = "package sealtail.a\n\nverdicts contains {\"id\": \"x\"} if {\n\tsome word in input.fields.words\n\tword == \"b\"\n}\n";
    let dir = folder(&[("p/a.rego", rules), ("l.log", "first\n{\"words\": [\"a\", \"b\"]}\n")]);
    let policies = dir.path().join("p");
    let at = |n: usize| format!("{}:{n}", dir.path().join("l.log").display());
    let explain = |n: usize| policy(&["explain", "--policies", policies.to_str().unwrap(), "--file", &at(n)]);
    let text = out(&explain(2));
    assert!(text.contains("a.rego:3") && text.contains("input.fields.words = [\"a\",\"b\"]"), "{text}");
    let missing = explain(3);
    assert!(!missing.status.success() && err(&missing).contains("fewer than 3 lines"));
}

#[test]
fn controls_say_what_answers_them_and_what_no_log_shows() {
    let output = policy(&["controls", "--json"]);
    let rows: Vec<serde_json::Value> = out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let row = |id: &str| rows.iter().find(|row| row["control"] == id).unwrap_or_else(|| panic!("{id}"));
    for n in 1..=7 {
        assert!(!row(&format!("PCI-DSS-10.2.1.{n}"))["rules"].as_array().unwrap().is_empty(), "10.2.1.{n}");
    }
    assert!(row("PCI-DSS-10.3.2")["chain"].is_string());
    assert!(
        row("PCI-DSS-10.4.1")["limit"].is_string() && row("PCI-DSS-10.4.1")["rules"].as_array().unwrap().is_empty()
    );
    for id in [
        "HIPAA-164.312(b)",
        "HIPAA-164.312(c)(2)",
        "GDPR-5",
        "GDPR-33",
        "SOC2-CC7.3",
        "ISO27001-A.8.16",
        "NIST-800-53-SI-7",
    ] {
        row(id);
    }
    // each is answered by something, or says why by nothing; but for those that wait for rules of your own
    let is_open = |row: &&serde_json::Value| {
        row["rules"].as_array().unwrap().is_empty() && row["chain"].is_null() && row["limit"].is_null()
    };
    let open: Vec<&str> = rows.iter().filter(is_open).map(|row| row["control"].as_str().unwrap()).collect();
    assert_eq!(open, ["HIPAA-164.312(a)(1)", "ISO27001-A.8.32"]);
    assert!(out(&policy(&["controls"])).contains("not shown by a log"));
}
