//! However many lines there are, notifications are few, and their counts add up to the lines.

use super::hook::{Call, Hook};
use super::{alert_lines, line, world};
use serde_json::Value;
use std::collections::BTreeSet;

fn total(calls: &[Call]) -> u64 {
    calls.iter().map(|call| call.json()["count"].as_u64().unwrap()).sum()
}

/// Each notification has its `alert` line, and each `alert` line is of one.
fn assert_recorded(archive: &[Value], calls: &[Call]) {
    let records: BTreeSet<String> = alert_lines(archive).iter().map(|line| line["h"].to_string()).collect();
    assert_eq!(records.len(), calls.len());
    for call in calls {
        let told = call.json();
        let record = line(archive, &told["stream"], &told["record"]);
        assert!(records.contains(&record["h"].to_string()), "{record}");
        assert_eq!((&record["h"]["line"], &record["h"]["alert"]), (&told["first_seq"], &told["alert"]));
        assert!(told["last_seq"].as_u64() < told["record"].as_u64());
    }
}

#[test]
fn ten_thousand_denied_lines_are_a_few_notifications_whose_counts_add_up() {
    const LINES: u64 = 10_000;
    let hook = Hook::start();
    let mut world = world(&hook.webhook("group_interval = \"1s\""));
    world.append((0..LINES).map(|n| format!("FORCED {n}\n")).collect::<String>());
    world.start_receiver();
    assert!(world.run_once().status.success());
    let calls = hook.calls();
    // the first at once, then one a second, and what waits when the stream ends
    assert!((2..30).contains(&calls.len()), "{}", calls.len());
    assert_eq!(total(&calls), LINES);
    assert_eq!(calls[0].json()["count"], 1);
    assert_eq!(calls[0].json()["message"], "FORCED 0");
    let archive = world.archive();
    assert_recorded(&archive, &calls);
    // one group goes on where the one before ended
    let mut next = 0;
    for call in &calls {
        let told = call.json();
        assert_eq!(told["message"], format!("FORCED {next}"));
        let last = line(&archive, &told["stream"], &told["last_seq"]);
        next += told["count"].as_u64().unwrap();
        assert_eq!(last["p"]["msg"], format!("FORCED {}", next - 1));
    }
    let report = world.verify();
    report.assert_intact(&[]);
    assert_eq!(report.result["log_lines"], LINES);
}

#[test]
fn a_line_and_its_alert_line_stand_in_one_segment() {
    let hook = Hook::start();
    let alert = hook.webhook("max_per_minute = 6000").replace("decision = \"deny\"", "min_severity = \"low\"");
    let mut world = world(&(alert.clone() + &alert.replace("oncall", "other")));
    // the first segment ends by its size, somewhere among the lines with verdicts
    world.configure(|config| config.replace("flush_interval = \"250ms\"", "flush_interval = \"60s\""));
    world.append("quiet\n".repeat(3830));
    world.append((0..60).map(|n| format!("door {n} OPENED\n")).collect::<String>());
    world.start_receiver();
    assert!(world.run_once().status.success());
    let archive = world.archive();
    let checkpoints: Vec<u64> = archive
        .iter()
        .filter(|line| line["h"]["type"] == "checkpoint")
        .map(|line| line["h"]["seq"].as_u64().unwrap())
        .collect();
    assert!(checkpoints[0] > 3832 && checkpoints.len() == 2, "{checkpoints:?}");
    let alerts = alert_lines(&archive);
    assert_eq!(alerts.len(), 120);
    for alert in alerts {
        let (line, record) = (alert["h"]["line"].as_u64().unwrap(), alert["h"]["seq"].as_u64().unwrap());
        assert!(!checkpoints.iter().any(|at| (line..record).contains(at)), "{line} {record} {checkpoints:?}");
    }
    world.verify().assert_intact(&[]);
}

#[test]
fn lines_that_follow_are_told_of_together_when_the_interval_is_over() {
    let hook = Hook::start();
    let mut world = world(&hook.webhook("group_interval = \"1s\""));
    world.start_receiver();
    world.start_agent();
    world.append("FORCED 0\n");
    let first = hook.await_calls(1).remove(0);
    world.append("FORCED 1\nFORCED 2\n");
    let calls = hook.await_calls(2);
    let told = calls[1].json();
    assert_eq!((told["count"].as_u64(), told["message"].as_str()), (Some(2), Some("FORCED 1")));
    assert_ne!(told["notification"], first.json()["notification"]);
    assert_eq!(world.stop_agent(), Some(0));
    assert_recorded(&world.archive(), &hook.calls());
    world.verify().assert_intact(&[]);
}

#[test]
fn over_the_limit_of_notifications_groups_wait_and_nothing_is_lost() {
    const IDS: u64 = 400;
    let hook = Hook::start();
    let alert = hook.webhook("max_per_minute = 5").replace("decision = \"deny\"", "min_severity = \"low\"");
    let mut world = world(&alert);
    world.append((0..IDS).map(|n| format!("door {n} OPENED\n")).collect::<String>());
    world.append("door FORCED\n");
    world.start_receiver();
    assert!(world.run_once().status.success());
    let calls = hook.calls();
    // five at once; when the stream ends, what the queue takes, and the rest in one of them
    assert!((6..=5 + 64 + 1).contains(&calls.len()), "{}", calls.len());
    assert_eq!(total(&calls), IDS + 1);
    let mixed: Vec<Value> = calls.iter().map(Call::json).filter(|told| told["mixed"] == true).collect();
    assert!(!mixed.is_empty() && mixed.iter().all(|told| told["count"].as_u64() > Some(1)), "{mixed:?}");
    assert_recorded(&world.archive(), &calls);
    world.verify().assert_intact(&[]);
}
