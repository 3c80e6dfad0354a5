//! What a verdict redacts leaves the source and is nowhere else.

use crate::tells::{metrics, port};
use crate::world::{World, await_that, run, sealtail, text};
use serde_json::Value;
use std::fs;
use std::path::Path;

const CARD: &str = "4111111111111111";

impl World {
    /// A policy of the test's own, and the packs that find numbers and addresses.
    fn policies(&self, rules: &str) {
        for name in ["numbers.rego", "email.rego"] {
            let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/personal").join(name);
            fs::copy(pack, self.path(&format!("q/policies/{name}"))).unwrap();
        }
        let own = format!("package sealtail.own\n\n{rules}\n");
        fs::write(self.path("q/policies/own.rego"), own).unwrap();
    }

    /// The files of the world that hold one of `values`, but for the sources and the policies; zstd is looked into.
    fn holders(&self, values: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for part in ["q/archive", "q/spool", "agent.log", "receiver.log"] {
            each_file(&self.path(part), &mut |path, bytes| {
                let plain = if path.extension().is_some_and(|e| e == "zst") { unpacked(bytes) } else { Vec::new() };
                let has =
                    |value: &&&str| [bytes, &plain].iter().any(|b| memchr::memmem::find(b, value.as_bytes()).is_some());
                found.extend(values.iter().filter(has).map(|value| format!("{value} in {}", path.display())));
            });
        }
        found
    }

    fn logs(&self) -> Vec<Value> {
        self.archive().into_iter().filter(|line| line["h"]["type"] == "log").collect()
    }

    fn ship_redacted(&mut self) -> Vec<Value> {
        self.start_receiver();
        let output = self.run_once();
        assert!(output.status.success(), "{}", text(&output));
        self.verify().assert_intact(&[]);
        self.logs()
    }
}

/// What can be read of a file that may still be written.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    if let Ok(mut decoder) = zstd::Decoder::new(bytes) {
        drop(std::io::copy(&mut decoder, &mut plain));
    }
    plain
}

fn each_file(path: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| each_file(&entry.unwrap().path(), look));
    } else if let Ok(bytes) = fs::read(path) {
        look(path, &bytes);
    }
}

/// Those of `values` that are left in what lines and verdicts say. Short ones may stand in tags and times by chance.
fn left(lines: &[Value], values: &[&str]) -> Vec<String> {
    let texts = lines.iter().map(|line| format!("{} {}", line["p"]["msg"], line["h"]["verdicts"]));
    let texts: Vec<String> = texts.collect();
    let has = |value: &&&str| texts.iter().any(|text| text.contains(**value));
    values.iter().filter(has).map(|value| (*value).to_owned()).collect()
}

fn message(line: &Value) -> &str {
    line["p"]["msg"].as_str().unwrap()
}

/// A message with `#` where digests stand.
fn shape(line: &Value) -> String {
    let mut rest = message(line);
    let mut shape = String::new();
    while let Some((before, after)) = rest.split_once("[redacted:") {
        let (digest, after) = after.split_once(']').unwrap();
        assert_eq!(digest.len(), 22);
        assert!(line["p"]["redacted"].as_array().unwrap().iter().any(|known| known == digest), "{line}");
        shape = shape + before + "#";
        rest = after;
    }
    shape + rest
}

#[test]
fn a_card_number_is_nowhere_but_in_the_source() {
    let mut world = World::new();
    world.policies(
        "verdicts contains {\"id\": \"own-said\", \"reason\": input.message} if contains(input.message, \"card\")",
    );
    world.append(format!("card {CARD} was {CARD}\nplain\ncard 4111 1111 1111 1111 of a@example.com\n"));
    let port = port();
    world.configure(|config| config.replace("[telemetry]", &format!("[telemetry]\nlisten = \"127.0.0.1:{port}\"")));
    world.configure(|config| config.replace(r#"log = "info""#, r#"log = "trace""#));
    world.start_agent();
    world.start_receiver();
    world.await_archived(3);
    // what the agent says of itself while it runs
    let metrics = metrics(port).unwrap();
    world.signal_agent(rustix::process::Signal::USR1);
    await_that("the log says it", || world.agent_log().contains("what the source is doing"));
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&[]);
    let lines = world.logs();
    assert!(!metrics.contains("4111") && !metrics.contains("example.com"), "{metrics}");
    assert_eq!(world.holders(&[CARD, "4111 1111", "a@example.com"]), Vec::<String>::new());
    assert_eq!(lines.iter().map(shape).collect::<Vec<_>>(), ["card # was #", "plain", "card # of #"]);
    assert_eq!(lines[0]["p"]["redacted"].as_array().unwrap().len(), 1);
    assert_eq!(lines[1]["p"].get("redacted"), None);
    let verdicts = &lines[0]["h"]["verdicts"];
    let said = verdicts.as_array().unwrap().iter().find(|verdict| verdict["id"] == "own-said").unwrap();
    assert_eq!(said["reason"], "card [redacted] was [redacted]");
    let cat = run(&["cat", &world.text_path("q/archive")]);
    assert!(!text(&cat).contains(CARD) && text(&cat).contains("[redacted:"), "{}", text(&cat));
}

/// The seqs of the lines in which a value was hidden, as the auditor finds them.
fn found(world: &World, value: &str) -> Vec<u64> {
    let (archive, identity) = (world.text_path("q/archive"), world.text_path("q/auditor.key"));
    let mut command = sealtail(&["redacted", &archive, "--identity", &identity, "--json"]);
    fs::write(world.path("value"), value).unwrap();
    let output = command.stdin(fs::File::open(world.path("value")).unwrap()).output().unwrap();
    let lines = String::from_utf8(output.stdout.clone()).unwrap();
    let seqs: Vec<u64> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap()).collect();
    assert_eq!(output.status.code(), Some(i32::from(seqs.is_empty())), "{}", text(&output));
    seqs
}

#[test]
fn the_auditor_finds_a_value_in_every_stream_by_testing_it() {
    let mut world = World::new();
    world.policies("verdicts contains {\"id\": \"own\"} if false");
    world.append(format!("card {CARD}\n"));
    let first = world.ship_redacted();
    world.append(format!("other\n{{\"card\":{CARD}}}\n{{\"card\":\"\\u0034111111111111111\"}}\n"));
    let output = world.run_once();
    assert!(output.status.success(), "{}", text(&output));
    let lines = world.logs();
    // of the escaped one the card pack sees nothing, as it looks at the message
    assert_eq!(lines[1..].iter().map(shape).collect::<Vec<_>>()[..2], ["other", "{\"card\":\"#\"}"]);
    assert_ne!(first[0]["p"]["redacted"], lines[2]["p"]["redacted"], "each stream has its own key");
    let seqs: Vec<u64> = [&lines[0], &lines[2]].iter().map(|line| line["h"]["seq"].as_u64().unwrap()).collect();
    let mut by_stream = found(&world, &format!("{CARD}\n"));
    by_stream.sort_unstable();
    let mut expected = seqs.clone();
    expected.sort_unstable();
    assert_eq!(by_stream, expected);
    assert_eq!(found(&world, "4111111111111112"), Vec::<u64>::new());
    let cat = run(&["cat", "--json", &world.text_path("q/archive")]);
    let shown: Vec<Value> =
        String::from_utf8(cat.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(shown[0]["redacted"].as_array().unwrap().len(), 1);
    assert_eq!(shown[1].get("redacted"), None);
}

#[test]
fn fields_are_hidden_where_they_stand_and_json_stays_json() {
    let mut world = World::new();
    world.policies(
        r#"verdicts contains {"id": "own-a", "redact": ["input.fields.user.name", "input.fields.n", "input.fields.list[_].pin", "input.fields.whole"], "reason": input.fields.user.name} if input.fields.user
verdicts contains {"id": "own-b", "redact": ["input.fields.msg"]} if input.fields.appname == "shop"
verdicts contains {"id": "own-c", "redact": [`secret=(\w+)`]} if contains(input.message, "secret=")"#,
    );
    world.append(
        [
            r#"{"user":{"name":"A\u006cice \"x\""},"also":"Alice \"x\" again","n":12345.5,"list":[{"pin":1},{"pin":22}],"whole":{"k":["deep value",null]},"end":"deep value, 1"}"#,
            r#"{"log":"{\"user\":{\"name\":\"inner\"}}","user":{"name":"inner"}}"#,
            r#"{"user":1,"msg":"secret=abcdef and abcdef"}"#,
            "<34>Oct 11 22:14:15 m shop: pay with points",
            "Jan 1 secret=q",
        ]
        .join("\n")
            + "\n",
    );
    let lines = world.ship_redacted();
    let shapes: Vec<String> = lines.iter().map(shape).collect();
    assert_eq!(
        shapes,
        [
            r##"{"user":{"name":"#"},"also":"# again","n":"#","list":[{"pin":"#"},{"pin":"#"}],"whole":"#","end":"#, 1"}"##,
            r##"{"log":"{\"user\":{\"name\":\"#\"}}","user":{"name":"#"}}"##,
            r##"{"user":1,"msg":"secret=# and #"}"##,
            "<34>Oct 11 22:14:15 m shop: #",
            "Jan 1 secret=#",
        ]
    );
    for line in &lines[..2] {
        serde_json::from_str::<Value>(message(line)).unwrap();
    }
    assert_eq!(lines[0]["h"]["verdicts"][0]["reason"], "[redacted]");
    assert_eq!(found(&world, "Alice \"x\"").len(), 1);
    assert_eq!(found(&world, r#"{"k":["deep value",null]}"#).len(), 1);
    assert_eq!(found(&world, "pay with points").len(), 1);
    assert_eq!(world.holders(&["deep value", "pay with points"]), Vec::<String>::new());
    assert_eq!(left(&lines, &["lice", "12345", "abcdef"]), Vec::<String>::new());
}

/// Makes files the only sources: name, keys, bytes.
fn source(world: &World, files: &[(&str, &str, Vec<u8>)]) {
    let source = |(name, keys, bytes): &(&str, &str, Vec<u8>)| {
        let path = world.path(&format!("logs/{name}.log"));
        fs::write(&path, bytes).unwrap();
        format!("[[source]]\ntype = \"file\"\nname = \"{name}\"\ninclude = [\"{}\"]\n{keys}\n", path.display())
    };
    let sources: String = files.iter().map(source).collect();
    world.configure(|config| {
        let (start, end) = (config.find("[[source]]").unwrap(), config.find("[policy]").unwrap());
        format!("{}{sources}\n{}", &config[..start], &config[end..])
    });
}

#[test]
fn where_it_cannot_be_told_what_to_hide_all_of_the_line_is() {
    const RULES: &str = r#"verdicts contains {"id": "own-none", "redact": [`nothing`], "reason": input.message} if contains(input.message, "case-a")
verdicts contains {"id": "own-text", "redact": [{"text": upper(input.message)}]} if contains(input.message, "case-b")
verdicts contains {"id": "own-hex", "redact": ["input.fields.proctitle"]} if contains(input.message, "case-c")
verdicts contains {"id": "own-text", "redact": [`case-d`]} if contains(input.message, "case-d")
verdicts contains {"id": "own-bad", "redact": input.message} if contains(input.message, "case-e")
verdicts contains {"id": "own-many", "redact": [`x`]} if contains(input.message, "case-f")
verdicts contains {"id": concat("", ["made-up ", input.message]), "redact": ["input.message"]} if contains(input.message, "case-g")"#;
    let mut world = World::new();
    world.policies(RULES);
    let utf16: Vec<u8> = "\u{feff}card 4111111111111111\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let plain = [
        "case-a".to_owned(),
        "case-b".to_owned(),
        // `ls` and a file, with a NUL between
        "type=PROCTITLE msg=audit(1364481363.243:24287): proctitle=6C73006361 a=case-c".to_owned(),
        "case-d \u{1}".to_owned(),
        "case-e".to_owned(),
        format!("case-f {}", "x,".repeat(2000)),
        "case-g".to_owned(),
        "kept".to_owned(),
    ];
    let mut bytes = (plain.join("\n") + "\n").into_bytes();
    let at = memchr::memchr(1, &bytes).unwrap();
    bytes[at] = 0xff;
    source(&world, &[("plain", "", bytes), ("wide", "encoding = 'utf-16le'", utf16)]);
    let lines = world.ship_redacted();
    let mut shapes: Vec<String> = lines.iter().map(shape).collect();
    shapes.sort();
    assert_eq!(shapes, ["#", "#", "#", "#", "#", "#", "#", "#", "kept"]);
    assert_eq!(found(&world, "case-a").len(), 1);
    assert_eq!(world.holders(&["case-", CARD, "6C73006361"]), Vec::<String>::new());
    world.archive().iter().for_each(|line| assert!(!line["h"].to_string().contains("made-up"), "{line}"));
}

#[test]
fn a_value_across_the_parts_of_a_line_is_in_none_of_them() {
    let mut world = World::new();
    world.policies("verdicts contains {\"id\": \"own-field\", \"redact\": [\"input.fields.n\"]} if input.fields.n");
    let long = |before: usize, what: &str| format!("{}{what}{}", ".".repeat(before), "x".repeat(1500));
    // the card's digits are cut at a part's end, the number and the text too
    let lines = [
        long(1015, &format!(" {CARD} ")),
        "after".to_owned(),
        format!("{{\"a\":\"{}\",\"n\":1234567890123,\"b\":\"{CARD}\"}}", "y".repeat(1004)),
    ];
    let time = "2016-10-06T00:17:09.669794202Z";
    let cri = format!(
        "{time} stdout P card 4111\n{time} stderr F between\n{time} stdout P 11111\n{time} stdout F 1111111 end\n{time} stderr F last\n"
    );
    let docker =
        |stream: &str, text: &str| format!("{}\n", serde_json::json!({"log": text, "stream": stream, "time": time}));
    let docker = docker("stdout", "{\"q\":\"\\\"\",\"card\":4111111")
        + &docker("stdout", "111111111,\"e\":1}\n")
        + &docker("stdout", "fine\n");
    source(
        &world,
        &[
            ("long", "max_line = '1KiB'", (lines.join("\n") + "\n").into_bytes()),
            ("cri", "format = 'cri'", cri.into_bytes()),
            ("docker", "format = 'docker'", docker.into_bytes()),
        ],
    );
    let logs = world.ship_redacted();
    assert_eq!(left(&logs, &["4111", "1111", "1234", "0123"]), Vec::<String>::new());
    assert_eq!(world.holders(&[CARD, "1234567890"]), Vec::<String>::new());
    let of = |name: &str| -> Vec<String> {
        let cat = run(&["cat", "--json", "--source", name, &world.text_path("q/archive")]);
        let lines = String::from_utf8(cat.stdout).unwrap();
        let shown = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        shown.map(|line| logs.iter().find(|log| log["h"]["seq"] == line["seq"]).map(shape).unwrap()).collect()
    };
    let long = of("long");
    assert_eq!(long[0], format!("{} #", ".".repeat(1015)));
    assert!(long[1].starts_with(" xxx"), "{}", long[1]);
    assert_eq!(long[3], "after");
    assert_eq!(long[4], format!("{{\"a\":\"{}\",\"n\":\"#\"", "y".repeat(1004)));
    assert_eq!(long[5], ",\"b\":\"#\"}");
    assert_eq!(
        of("cri"),
        ["stdout P card #", "stderr F between", "stdout P ", "stdout F  end", "stderr F last"]
            .map(|l| format!("{time} {l}"))
    );
    let docker = of("docker");
    let whole: Vec<Value> = docker.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(whole[0]["log"], "{\"q\":\"\\\"\",\"card\":\"#\"");
    assert_eq!((&whole[1]["log"], &whole[2]["log"]), (&",\"e\":1}\n".into(), &"fine\n".into()));
    assert_eq!(found(&world, CARD).len(), 4);
    let rests = logs.iter().filter(|line| line["p"]["redacted"].as_array().is_some_and(Vec::is_empty)).count();
    assert_eq!(rests, 4);
}

#[test]
fn what_is_held_back_is_neither_lost_nor_shown_by_a_kill_a_stop_or_a_rotation() {
    let mut world = World::new();
    world.policies("verdicts contains {\"id\": \"own\"} if false");
    let time = "2016-10-06T00:17:09.669794202Z";
    let file = world.path("logs/0.log");
    source(
        &world,
        &[("0", "format = 'cri'", format!("{time} stdout F first\n{time} stdout P card 4111\n").into_bytes())],
    );
    world.start_receiver();
    world.start_agent();
    world.await_archived(1);
    world.kill_agent();
    append(&file, &format!("{time} stderr F between\n"));
    world.start_agent();
    append(&file, &format!("{time} stdout P 1111\n"));
    let opened = |world: &World| world.archive().iter().filter(|line| line["h"]["event"] == "opened").count();
    await_that("the second stream follows the file", || opened(&world) == 2);
    assert_eq!(world.stop_agent(), Some(0));
    world.start_agent();
    await_that("the third stream follows the file", || opened(&world) == 3);
    fs::rename(&file, world.path("logs/0.log.20240101-000000")).unwrap();
    append(&file, &format!("{time} stdout F 11111111 end\n{time} stderr F last\n"));
    world.await_archived(6);
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&["UNCLEAN-END"]);
    let messages: Vec<String> = world.logs().iter().map(shape).collect();
    let expected =
        ["stdout F first", "stdout P card #", "stderr F between", "stdout P ", "stdout F  end", "stderr F last"];
    assert_eq!(messages, expected.map(|line| format!("{time} {line}")));
    assert_eq!(left(&world.logs(), &["4111", "1111"]), Vec::<String>::new());
}

fn append(path: &Path, text: &str) {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn an_undecided_policy_that_redacts_hides_the_line_if_asked_to() {
    let rules = "verdicts contains {\"id\": \"own\", \"redact\": [{\"text\": input.fields.s}]} if input.fields.s";
    for word in ["ship", "withhold"] {
        let mut world = World::new();
        world.policies(rules);
        world.configure(|config| config.replace("[policy]", &format!("[policy]\non_undecided = \"{word}\"")));
        // a text that is a number makes the verdict malformed, and one too deep the package undecided
        let deep = format!("{{\"d\":{}1{}}}", "[".repeat(70), "]".repeat(70));
        // and what is longer than 1 MiB is seen in two pieces, of six parts
        world.append(format!("{deep}\nplain\n{{\"s\":1}}\n{}\n", "z".repeat(1_500_000)));
        let mut shapes: Vec<String> = world.ship_redacted().iter().map(shape).collect();
        let parts = shapes.split_off(3);
        let is_as_asked = |part: &String| if word == "ship" { part.starts_with("zzz") } else { part == "#" };
        assert!(parts.len() == 6 && parts.iter().all(is_as_asked), "{word} {}", parts.len());
        let deep = if word == "ship" { deep.as_str() } else { "#" };
        assert_eq!(shapes, [deep, "plain", "#"], "{word}");
    }
}

#[test]
fn what_the_last_record_of_an_event_hides_is_hidden_in_those_before_it() {
    let mut world = World::new();
    world.policies("verdicts contains {\"id\": \"own\", \"redact\": [\"input.fields.key\"]} if {\n\tcontains(input.message, \"type=PROCTITLE \")\n\tinput.fields.key\n}\nverdicts contains {\"id\": \"own-said\", \"reason\": input.fields.key}");
    let record =
        |kind: &str, serial: u32, rest: &str| format!("type={kind} msg=audit(1364481363.243:{serial}): {rest}\n");
    let mixed = [
        record("SYSCALL", 7, "key=\"name of a person\" exit=0"),
        record("SYSCALL", 8, "key=\"kept\""),
        record("PATH", 7, "name=6E616D65206F66206120706572736F6E"),
        "between\n".to_owned(),
        record("PROCTITLE", 7, "proctitle=\"x\""),
        // the other event never ends
        "after\n".to_owned(),
    ];
    source(&world, &[("audit", "format = 'auditd'", mixed.concat().into_bytes())]);
    world.start_receiver();
    world.start_agent();
    world.await_archived(6);
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&[]);
    let shapes: Vec<String> = world.logs().iter().map(shape).collect();
    let expected = [
        record("SYSCALL", 7, "key=\"#\" exit=0"),
        mixed[1].clone(),
        record("PATH", 7, "name=#"),
        mixed[3].clone(),
        mixed[4].clone(),
        mixed[5].clone(),
    ];
    assert_eq!(shapes, expected.map(|line| line.trim_end().to_owned()));
    assert_eq!(found(&world, "name of a person").len(), 2);
    let said: Vec<String> = world.logs().iter().map(|line| line["h"]["verdicts"].to_string()).collect();
    assert_eq!(said.iter().filter(|said| said.contains("[redacted]")).count(), 3, "{said:?}");
    assert_eq!(world.holders(&["name of a person", "6E616D65206F66"]), Vec::<String>::new());
}

#[test]
fn what_a_pipe_delivered_is_not_held_over_a_stop() {
    let mut world = World::new();
    world.policies("verdicts contains {\"id\": \"own\"} if false");
    world.configure(|config| {
        let (start, end) = (config.find("[[source]]").unwrap(), config.find("[policy]").unwrap());
        format!("{}[[source]]\ntype = \"stdin\"\nmax_line = \"1KiB\"\n\n{}", &config[..start], &config[end..])
    });
    world.start_receiver();
    let config = world.config();
    let mut agent = sealtail(&["run", "--config", &config]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    // in one write, so that the part is read with the line before it
    let part = format!("card {CARD} {}", "x".repeat(1500));
    let mut pipe = agent.stdin.take().unwrap();
    std::io::Write::write_all(&mut pipe, format!("first\n{part}").as_bytes()).unwrap();
    world.await_archived(1);
    let pid = rustix::process::Pid::from_child(&agent);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(agent.wait().unwrap().success());
    world.verify().assert_intact(&[]);
    let shapes: Vec<String> = world.logs().iter().map(shape).collect();
    assert!(shapes[1].starts_with("card # xxx") && shapes[1].len() > 900, "{shapes:?}");
    assert_eq!(world.holders(&[CARD]), Vec::<String>::new());
}

// the line's rest comes under other policies than its beginning, and nobody sees it whole
#[test]
fn a_value_that_policies_are_swapped_over_is_in_neither_half() {
    let mut world = World::new();
    let time = "2016-10-06T00:17:09.669794202Z";
    let piece = |kind: &str, what: &str| format!("{time} stdout {kind} {what}\n");
    let rule = |id: &str| format!("verdicts contains {{\"id\": \"{id}\"}} if contains(input.message, \"needle\")");
    world.policies(&rule("before"));
    source(&world, &[("cri", "format = 'cri'", Vec::new())]);
    world.configure(|config| config.replace("[policy]\n", "[policy]\non_undecided = \"withhold\"\n"));
    world.start_receiver();
    world.start_agent();
    let log = world.path("logs/cri.log");
    append(&log, &piece("F", "needle one"));
    world.await_archived(1);
    append(&log, &piece("P", "card 41111111"));
    // the policies are taken up though the line never ends
    world.policies(&rule("after"));
    world.await_said(crate::swaps::IN_FORCE, 1);
    append(&log, &(piece("F", "11111111 end") + &piece("F", "needle two")));
    world.await_archived(4);
    world.stop_agent();
    world.verify().assert_intact(&[]);
    assert_eq!(world.holders(&["41111111", "11111111 end"]), Vec::<String>::new());
    let lines = crate::swaps::shown(&world);
    let ids: Vec<Vec<&str>> = lines.iter().map(crate::swaps::ids).collect();
    assert_eq!((&ids[0], &ids[3]), (&vec!["before"], &vec!["after"]), "{lines:#?}");
}

// nobody who has the archive alone can try out what stood where something is hidden or was erased
#[test]
fn hashes_in_cursors_can_be_tried_out_by_the_host_only() {
    use sha2::{Digest, Sha256};
    let mut world = World::new();
    let all = format!("user=bob card {CARD} ok\n").repeat(100).into_bytes();
    source(&world, &[("app", "", all.clone())]);
    world.ship_redacted();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (mut heads, mut prefixes) = (0, 0);
    for told in world.archive().iter().filter(|told| told["h"]["cursor"]["kind"] == "file") {
        let cursor = &told["h"]["cursor"];
        let begins = |len: &Value| &all[..len.as_u64().unwrap() as usize];
        let plain: [u8; 32] = Sha256::digest(begins(&cursor["fp_len"])).into();
        assert_ne!(cursor["fp"], hex(&plain[..16]));
        heads += usize::from(cursor["fp_len"] != 0);
        if let Some(len) = cursor.get("pre_len") {
            let plain = Sha256::new_with_prefix([0; 32]).chain_update(begins(len)).finalize();
            assert_ne!(cursor["pre"], hex(&plain));
            prefixes += 1;
        }
    }
    assert!(heads > 0 && prefixes > 0, "{heads} {prefixes}");
}
