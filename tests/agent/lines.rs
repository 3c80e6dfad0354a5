//! What lines look like: every format comes back byte for byte, and policies see what is in it.

use crate::world::{World, await_that, run, text};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::Write;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

impl World {
    /// Makes these the only sources: the keys of each, besides its type.
    fn sources(&self, sources: &[String]) {
        self.configure(|config| {
            let (start, end) = (config.find("[[source]]").unwrap(), config.find("[policy]").unwrap());
            let sources: String = sources.iter().map(|keys| format!("[[source]]\ntype = \"file\"\n{keys}\n")).collect();
            format!("{}{sources}\n{}", &config[..start], &config[end..])
        });
    }

    /// One source over one file, with more keys.
    fn source(&self, path: &str, keys: &str) {
        self.sources(&[format!("include = [\"{}\"]\n{keys}", self.text_path(path))]);
    }

    fn policy(&self, rules: &str) {
        fs::write(self.path("q/policies/test.rego"), format!("package sealtail.test\n\n{rules}\n")).unwrap();
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes.as_ref()).unwrap();
    }

    fn ship(&self) {
        let output = self.run_once();
        assert!(output.status.success(), "{}", text(&output));
    }

    /// Log lines that have verdicts of this test's policy: the message and the ids.
    fn hits(&self) -> Vec<(String, String)> {
        let lines = self.archive();
        let logs = lines.iter().filter(|line| line["h"]["type"] == "log");
        let hits = logs.map(|line| (line["p"]["msg"].as_str().unwrap_or_default().to_owned(), ids(line)));
        hits.filter(|(_, ids)| !ids.is_empty()).collect()
    }

    fn cat_json(&self) -> Vec<Value> {
        let output = run(&["cat", "--json", &self.text_path("q/archive")]);
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn ids(line: &Value) -> String {
    let ids = line["h"]["verdicts"].as_array().unwrap().iter().map(|verdict| verdict["id"].as_str().unwrap());
    ids.filter(|id| id.starts_with("test-")).collect::<Vec<_>>().join(" ")
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect()
}

fn record(kind: &str, serial: u32, rest: &str) -> String {
    format!("type={kind} msg=audit(1364481363.243:{serial}): {rest}\n")
}

#[test]
fn every_format_comes_back_byte_for_byte() {
    let mut world = World::new();
    let event: String = ["SYSCALL", "CWD", "PROCTITLE"].iter().map(|kind| record(kind, 7, "a=b")).collect();
    let long = "x".repeat(300_000);
    let mut odd = utf16("odd\n\u{a0a}\r\n\ntail", false);
    odd.push(0x0a);
    let files: [(&str, &str, Vec<u8>); 9] = [
        ("start", r"multiline = { start = '^\d' }", format!(" orphan\r\n1 a\r\n\r\n b\n{long}\n2 no end").into()),
        ("continue", r"multiline = { continue = '^\s', timeout = '10ms' }", b"a\n b\n\n c\nd\n\te".to_vec()),
        ("auditd", "format = 'auditd'", format!("{event}{event}plain\n{}", record("USER_LOGIN", 8, "x")).into()),
        ("auto", "", format!("{event}<34>Oct 11 22:14:15 m su: x\n{{\"a\":1}}\n\u{feff}bom\r\n{long}").into()),
        (
            "cri",
            "format = 'cri'",
            b"2016-10-06T00:17:09.6Z stdout P a\xff\n2016-10-06T00:17:09.6Z stderr F b\nnone\n".to_vec(),
        ),
        (
            "docker",
            "format = 'docker'",
            b"{\"log\":\"a\",\"stream\":\"stdout\",\"time\":\"2016-10-06T00:17:09.6Z\"}\nx".to_vec(),
        ),
        ("little", "", odd),
        ("big", "", utf16(&format!("big\r\n{long}\nno end"), true)),
        ("syslog", "format = 'syslog'", b"<34>1 - - - - - - \xef\xbb\xbfx\xff\r\n\r\n".to_vec()),
    ];
    let source = |(name, keys, _): &(&str, &str, Vec<u8>)| {
        format!("name = \"{name}\"\ninclude = [\"{}\"]\n{keys}\n", world.text_path(&format!("logs/{name}.log")))
    };
    world.sources(&files.iter().map(source).collect::<Vec<_>>());
    files.iter().for_each(|(name, _, bytes)| fs::write(world.path(&format!("logs/{name}.log")), bytes).unwrap());
    world.start_receiver();
    world.ship();
    for (name, _, bytes) in &files {
        let back = run(&["cat", "--source", name, &world.text_path("q/archive")]);
        assert!(back.status.success() && back.stdout == *bytes, "{name}: {:?}", String::from_utf8_lossy(&back.stdout));
    }
    world.verify().assert_intact(&[]);
}

#[test]
fn a_json_line_in_parts_has_its_verdicts_on_the_last() {
    let mut world = World::new();
    world.policy("verdicts contains {\"id\": \"test-end\"} if input.fields.end == \"yes\"");
    world.append(format!("{{\"pad\":\"{}\",\"end\":\"yes\"}}\n{{\"end\":\"no\"}}\n", "x".repeat(700 * 1024)));
    world.start_receiver();
    world.ship();
    let lines = world.archive();
    let logs: Vec<&Value> = lines.iter().filter(|line| line["h"]["type"] == "log").collect();
    let shown: Vec<_> = logs.iter().map(|line| (line["h"]["end"].as_str(), ids(line))).collect();
    let (part, none) = (Some("part"), String::new());
    assert_eq!(shown, [(part, none.clone()), (part, none.clone()), (None, "test-end".to_owned()), (None, none)]);
}

#[test]
fn a_line_too_long_to_be_put_together_is_looked_at_in_stretches_and_undecided_as_json() {
    let mut world = World::new();
    world.policy("verdicts contains {\"id\": \"test-end\"} if input.fields.end == \"yes\"\n\nverdicts contains {\"id\": \"test-text\"} if contains(input.message, \"needle\")");
    let pad = "x".repeat(1500 * 1024);
    world.append(format!("{{\"pad\":\"{pad}\",\"end\":\"yes\"}}\nstart needle {pad} needle end\n"));
    world.start_receiver();
    world.ship();
    let lines = world.archive();
    let undecided = lines.iter().flat_map(|line| line["h"]["verdicts"].as_array().into_iter().flatten());
    let undecided: Vec<&Value> = undecided.filter(|verdict| verdict["id"] == "sealtail.test").collect();
    assert_eq!(undecided.len(), 1, "{undecided:?}");
    assert_eq!(undecided[0]["reason"], "the line is too long to be looked at as a whole");
    assert_eq!(world.hits().len(), 2, "both ends of the text");
}

#[test]
fn fields_of_syslog_reach_policies() {
    let mut world = World::new();
    world.policy(
        r#"verdicts contains {"id": "test-app"} if {
	input.fields.appname == "su"
	input.fields.severity in {"crit", "alert"}
}

verdicts contains {"id": "test-data"} if input.fields.structured_data["a@1"].k == "v]"

verdicts contains {"id": "test-json"} if input.fields.json.user == "eve""#,
    );
    let lines = [
        "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
        "<38>Oct 11 22:14:15 mymachine su: fine",
        r#"<34>1 2003-10-11T22:14:15.003Z m su - ID47 [a@1 k="v\]"] x"#,
        r#"2024-01-01T00:00:00.123456+00:00 web-1 shop[7]: @cee: {"user":"eve"}"#,
        "plain su",
    ];
    world.append(lines.join("\n") + "\n");
    world.start_receiver();
    world.ship();
    let expected = [(lines[0], "test-app"), (lines[2], "test-app test-data"), (lines[3], "test-json")];
    assert_eq!(world.hits(), expected.map(|(line, ids)| (line.to_owned(), ids.to_owned())));
}

#[test]
fn fields_of_an_event_reach_policies_on_the_line_that_has_its_last_records() {
    let mut world = World::new();
    world.policy(
        r#"verdicts contains {"id": "test-exec"} if {
	"EXECVE" in input.fields.types
	input.fields.argv == ["ls", "a b"]
	input.fields.auid == "1000"
	input.fields.comm == "l s"
}"#,
    );
    let syscall = record("SYSCALL", 1, "auid=1000 comm=6C2073");
    let execve = record("EXECVE", 1, "argc=2 a0=\"ls\" a1=612062");
    let other = record("SYSCALL", 2, "auid=1000 comm=\"x\"");
    // together, then mixed with another event
    world.append(format!("{syscall}{execve}{}{syscall}{other}{execve}", record("PROCTITLE", 1, "proctitle=6C73")));
    world.append(record("USER_CMD", 3, "pid=8 auid=1000 msg='cmd=6C73 res=failed'"));
    world.start_receiver();
    world.ship();
    let hits = world.hits();
    let event = format!("{syscall}{execve}{}", record("PROCTITLE", 1, "proctitle=6C73"));
    let expected = [event.trim_end(), execve.trim_end()].map(|line| (line.to_owned(), "test-exec".to_owned()));
    assert_eq!(hits, expected);
    let lines = world.archive();
    let refused = lines.iter().filter(|line| line.to_string().contains("audit-sudo-refused")).count();
    assert_eq!(refused, 1, "the pack sees it too");
}

const POD: &str = "var/log/pods/shop_web-1_0aa1/nginx";

fn whole(message: &str, stream: &str) -> String {
    format!(
        "verdicts contains {{\"id\": \"test-{stream}\"}} if {{\n\tinput.message == \"{message}\"\n\tinput.labels.stream == \"{stream}\"\n\tinput.labels.pod == \"web-1\"\n}}\n\n"
    )
}

#[test]
fn pieces_of_a_container_are_joined_by_stream_with_the_verdict_on_the_last() {
    let mut world = World::new();
    world.source("var/log/pods/*/*/*.log", "");
    let json = "verdicts contains {\"id\": \"test-json\"} if input.fields.level == \"error\"";
    world.policy(&[whole("one long line", "stdout"), whole("an error", "stderr"), json.to_owned()].concat());
    let time = "2016-10-06T00:17:09.669794202Z";
    let lines = [
        format!("{time} stdout P one "),
        format!("{time} stderr P an "),
        format!("{time} stdout P long "),
        format!("{time} stderr F error"),
        format!("{time} stdout F line"),
        format!("{time} stdout F {{\"level\":\"error\"}}"),
        format!("{time} stdout F line"),
    ];
    world.write(&format!("{POD}/0.log"), lines.join("\n") + "\n");
    world.start_receiver();
    world.ship();
    let expected = [(&lines[3], "test-stderr"), (&lines[4], "test-stdout"), (&lines[5], "test-json")];
    assert_eq!(world.hits(), expected.map(|(line, ids)| (line.clone(), ids.to_owned())));
}

#[test]
fn docker_s_pieces_are_joined_too() {
    let mut world = World::new();
    world.source("docker/containers/*/*-json.log", "");
    world.policy("verdicts contains {\"id\": \"test-user\"} if {\n\tinput.fields.user == \"eve\"\n\tinput.labels.stream == \"stdout\"\n\tstartswith(input.labels.container_id, \"0123\")\n}");
    let entry =
        |log: &str| format!("{{\"log\":\"{log}\",\"stream\":\"stdout\",\"time\":\"2016-10-06T00:17:09.6Z\"}}\n");
    let path = format!("docker/containers/{ID}/{ID}-json.log");
    world.write(&path, entry(r#"{\"user\":"#) + &entry(r#"\"eve\"}\n"#) + &entry(r#"eve\n"#));
    world.start_receiver();
    world.ship();
    assert_eq!(world.hits(), [(entry(r#"\"eve\"}\n"#).trim_end().to_owned(), "test-user".to_owned())]);
}

/// Rotates a container's log after `old`, lets `new` follow, and gives the hits of "be" + "gin".
fn over_a_rotation(old: &str, new: &str) -> Vec<String> {
    let mut world = World::new();
    world.source("var/log/pods/*/*/*.log", "");
    world.policy(&[whole("begin", "stdout"), whole("begin", "stderr")].concat());
    // where a policy redacts the first half is not archived before the second came
    fs::remove_dir_all(world.path("q/policies/personal")).unwrap();
    let time = "2016-10-06T00:17:09.669794202Z";
    let file = format!("{POD}/0.log");
    world.write(&file, format!("{time} {old}\n"));
    world.start_receiver();
    world.start_agent();
    world.await_archived(1);
    fs::rename(world.path(&file), world.path(&format!("{file}.20240101-000000"))).unwrap();
    world.write(&file, format!("{time} {new}\n"));
    world.await_archived(1 + new.lines().count());
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&[]);
    world.hits().into_iter().map(|(_, ids)| ids).collect()
}

#[test]
fn a_line_that_a_rotation_cut_is_joined_and_no_other() {
    assert_eq!(over_a_rotation("stdout P be", "stdout F gin"), ["test-stdout"]);
    // the file before ended with a whole line; another stream; not its first line
    assert_eq!(over_a_rotation("stdout F be", "stdout F gin"), [""; 0]);
    assert_eq!(over_a_rotation("stdout P be", "stderr F gin"), [""; 0]);
    let second = "stdout F x\n2016-10-06T00:17:09.669794202Z stdout F gin";
    assert_eq!(over_a_rotation("stdout P be", second), [""; 0]);
}

#[test]
fn after_a_restart_policies_see_the_rest_of_a_partial_line() {
    let mut world = World::new();
    world.source("var/log/pods/*/*/*.log", "");
    world.policy(&[whole("gin", "stdout"), whole("begin", "stderr")].concat());
    let (file, time) = (format!("{POD}/0.log"), "2016-10-06T00:17:09.669794202Z");
    world.start_receiver();
    world.write(&file, format!("{time} stdout P be\n"));
    world.ship();
    world.write(&file, format!("{time} stdout F gin\n"));
    world.ship();
    assert_eq!(world.hits(), [(format!("{time} stdout F gin"), "test-stdout".to_owned())]);
    world.verify().assert_intact(&[]);
}

#[test]
fn policies_see_utf_16_without_marks_and_ends() {
    let mut world = World::new();
    world.policy("verdicts contains {\"id\": \"test-text\"} if input.message == \"grün \u{1f600}\"\n\nverdicts contains {\"id\": \"test-fields\"} if input.fields.a == \"ü\"");
    fs::write(world.log(), utf16("grün \u{1f600}\r\n{\"a\":\"ü\"}\r\ngrün \u{1f600}", false)).unwrap();
    world.start_receiver();
    world.ship();
    let found: Vec<String> = world.archive().iter().filter(|line| line["h"]["type"] == "log").map(ids).collect();
    assert_eq!(found, ["test-text", "test-fields", "test-text"]);
}

#[test]
fn labels_stand_in_the_chain_in_cat_and_in_conditions() {
    let mut world = World::new();
    let info = world.text_path("podinfo");
    world.source("logs/app.log", &format!("labels = {{ env = \"prod\" }}\ndownward_api = \"{info}\"\n"));
    world.write("podinfo/labels", "app=\"web\"\ntier=\"a \\\"b\\\"\"\n");
    world.write("podinfo/annotations", "kubernetes.io/config.seen=\"2024\"\n");
    world.policy("verdicts contains {\"id\": \"test-prod\"} if {\n\tinput.labels.env == \"prod\"\n\tinput.labels[\"label.app\"] == \"web\"\n}");
    world.append("a line\n");
    world.start_receiver();
    world.ship();
    let lines = world.archive();
    let opened = lines.iter().find(|line| line["h"]["event"] == "opened").unwrap();
    let expected = serde_json::json!({
        "env": "prod", "label.app": "web", "label.tier": "a \"b\"", "annotation.kubernetes.io/config.seen": "2024",
    });
    assert_eq!(opened["p"]["labels"], expected);
    assert_eq!(world.hits().len(), 1);
    let shown = world.cat_json();
    assert_eq!((&shown[0]["labels"], &shown[0]["source"]), (&expected, &Value::from("file")));
}

#[test]
fn a_pod_that_tells_nothing_is_an_error_that_says_what_to_mount() {
    let world = World::new();
    world.source("logs/app.log", &format!("downward_api = \"{}\"\n", world.text_path("nowhere")));
    let config = world.config();
    for output in [world.run_once(), run(&["check", "--offline", "--config", &config])] {
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output).contains("nowhere/labels") && text(&output).contains("downwardAPI"), "{}", text(&output));
    }
}

#[test]
fn a_running_agent_hands_on_the_last_group_by_itself() {
    let mut world = World::new();
    world.source("logs/app.log", "multiline = { start = '^\\d', timeout = \"50ms\" }");
    world.start_receiver();
    world.start_agent();
    world.append("1 a\n b\n");
    await_that("the group", || world.messages() == ["1 a\n b"]);
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&[]);
}
