//! What a verdict redacts leaves the source and is nowhere else.

use crate::world::{World, run, sealtail, text};
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
    let lines = world.ship_redacted();
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
    assert_eq!(world.holders(&["lice", "12345", "deep value", "abcdef", "points"]), Vec::<String>::new());
}
