//! The journal through the whole agent: rotation, vacuum, restarts and kill -9, counted in the archive.

#[allow(dead_code, reason = "the other binary that has it uses all of it")]
#[path = "../journald/daemon.rs"]
mod daemon;

use crate::world::{World, await_that, text};
use daemon::{Daemon, available};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const PIECE: usize = 5000;

fn follow_journal(world: &World, namespace: &str) {
    world.configure(|config| {
        let begin = config.find("[[source]]").unwrap();
        let end = begin + config[begin..].find("\n\n").unwrap();
        let source = format!("[[source]]\ntype = \"journald\"\nname = \"journal\"\nnamespaces = [\"{namespace}\"]");
        format!("{}{source}{}", &config[..begin], &config[end..])
            .replace("max_age = \"250ms\"", "max_age = \"20ms\"")
            .replace("flush_interval = \"250ms\"", "flush_interval = \"50ms\"")
    });
}

/// Numbers of the archive's entries, of one sequence; each once.
fn numbers(archive: &[Value]) -> (BTreeSet<u64>, BTreeMap<String, usize>) {
    let (mut numbers, mut messages) = (BTreeSet::new(), BTreeMap::new());
    let mut sequences = BTreeSet::new();
    for line in archive.iter().filter(|line| line["h"]["type"] == "log") {
        let entry: Value = serde_json::from_str(line["p"]["msg"].as_str().unwrap()).unwrap();
        let number = entry["__SEQNUM"].as_str().unwrap().parse().unwrap();
        assert_eq!(line["h"]["off"], number, "a line's offset is its entry's number");
        assert!(numbers.insert(number), "chained twice: {entry}");
        sequences.insert(entry["__SEQNUM_ID"].as_str().unwrap().to_owned());
        *messages.entry(entry["MESSAGE"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    assert_eq!(sequences.len(), 1);
    (numbers, messages)
}

fn told_lost(archive: &[Value]) -> u64 {
    let missed = archive.iter().filter(|line| line["h"]["type"] == "source" && line["h"]["event"] == "missed");
    missed.map(|line| line["h"]["lost"].as_u64().unwrap()).sum()
}

/// `vacuum`: journald throws away what the agent, stopped, has not read.
fn count(messages_sent: usize, vacuum: bool) {
    if !available() {
        return;
    }
    let daemon = Daemon::start("SystemMaxFileSize=8M");
    let mut world = World::new();
    follow_journal(&world, &daemon.namespace);
    world.start_receiver();
    world.start_agent();
    for piece in 0..messages_sent / PIECE {
        daemon.say((piece * PIECE..(piece + 1) * PIECE).map(|n| format!("line {n}")));
        match piece % 8 {
            1 => {
                world.kill_agent();
                world.start_agent();
            }
            3 => daemon.rotate(),
            5 => {
                world.stop_agent();
                daemon.rotate();
                world.start_agent();
            }
            7 if vacuum => {
                world.kill_agent();
                daemon.say((0..2000).map(|n| format!("unread {piece} {n}")));
                daemon.rotate();
                daemon.journalctl(&["--vacuum-files=1"]);
                world.start_agent();
            }
            _ => {}
        }
    }
    daemon.sync();
    world.kill_agent();
    let last = world.run_once();
    assert!(last.status.success(), "{}", text(&last));

    let archive = world.archive();
    let (numbers, messages) = numbers(&archive);
    let (first, last) = (*numbers.first().unwrap(), *numbers.last().unwrap());
    let missing = last - first + 1 - numbers.len() as u64;
    assert_eq!(told_lost(&archive), missing, "what is not there is told, with its count");
    // everything that journald still has is in the archive
    for entry in daemon.oracle(&[]) {
        let cursor = entry["__CURSOR"].as_str().unwrap();
        let number = cursor.split(';').find_map(|part| part.strip_prefix("i=")).unwrap();
        assert!(numbers.contains(&u64::from_str_radix(number, 16).unwrap()), "not in the archive: {entry}");
    }
    let report = world.verify();
    let words = report.words();
    report.assert_intact(&["UNCLEAN-END", "OPEN", "SOURCE-GAP"]);
    if vacuum {
        assert!(missing > 0 && words.contains_key("SOURCE-GAP"), "the vacuum took nothing: {words:?}");
    } else {
        assert!(missing == 0 && !words.contains_key("SOURCE-GAP"), "{missing} {words:?}");
        let lines = (0..messages_sent).filter(|n| messages.get(&format!("line {n}")) != Some(&1)).count();
        assert_eq!(lines, 0, "not exactly once");
    }
}

#[test]
fn messages_through_rotation_restarts_and_kills_are_exact() {
    count(40_000, false);
}

#[test]
fn two_hundred_thousand_through_a_vacuum_of_what_was_not_read_are_exact_or_told() {
    count(200_000, true);
}

#[test]
fn policies_see_the_message_the_fields_and_the_unit() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    let mut world = World::new();
    follow_journal(&world, &daemon.namespace);
    let folder = world.path("q/journal-policies");
    std::fs::create_dir(&folder).unwrap();
    let policy = r#"package sealtail.journal

verdicts contains {"id": "seen", "severity": "high", "reason": reason} if {
	input.source.type == "journald"
	input.source.name == "journal"
	startswith(input.message, "say \"hello\"")
	reason := sprintf("%s %s", [input.fields.PRIORITY, input.fields._TRANSPORT])
}

verdicts contains {"id": "binary"} if contains(input.message, "raw \u001b[1m")
"#;
    std::fs::write(folder.join("journal.rego"), policy).unwrap();
    world.configure(|config| {
        let begin = config.find("paths = [").unwrap();
        let end = begin + config[begin..].find('\n').unwrap();
        format!("{}paths = [\"{}\"]{}", &config[..begin], folder.display(), &config[end..])
    });
    daemon.send(b"MESSAGE=say \"hello\" to policies\nPRIORITY=4\n");
    daemon.send(b"MESSAGE=raw \x1b[1m bytes\nPRIORITY=4\n");
    daemon.sync();
    world.start_receiver();
    let output = world.run_once();
    assert!(output.status.success(), "{}", text(&output));
    await_that("both", || world.messages().len() >= 2);
    let archive = world.archive();
    let verdicts: Vec<&Value> = archive.iter().filter_map(|line| line["h"]["verdicts"].as_array()).flatten().collect();
    assert_eq!(verdicts.len(), 2, "{verdicts:?}");
    assert_eq!((&verdicts[0]["id"], &verdicts[0]["reason"]), (&"seen".into(), &"4 journal".into()));
    assert_eq!(verdicts[1]["id"], "binary");
}
