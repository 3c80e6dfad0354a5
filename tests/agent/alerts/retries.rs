//! Targets that fail: tried again, given up, counted; and nothing else is held up by them.

use super::hook::{Answer, Hook};
use super::{line, world};
use crate::world::{World, await_that};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// An address where nobody listens now.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn webhook_at(address: SocketAddr, more: &str) -> String {
    format!(
        "[[alert]]\nname = \"oncall\"\ntype = \"webhook\"\nurl = \"http://{address}/hook/token-in-the-path\"\nsecret = \"s3cret\"\ndecision = \"deny\"\n{more}\n"
    )
}

/// Has metrics served, and says where.
fn serve_metrics(world: &World) -> SocketAddr {
    let address = nobody();
    world.configure(|config| config.replace("[telemetry]", &format!("[telemetry]\nlisten = \"{address}\"")));
    address
}

/// A counter of the alert target.
fn counter(address: SocketAddr, name: &str) -> Option<u64> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let start = format!("sealtail_alerts_{name}_total{{alert=\"oncall\"}} ");
    answer.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
}

#[test]
fn what_fails_is_sent_again_under_the_same_name_and_counted() {
    let hook = Hook::answering([Answer::Status(500), Answer::Status(503), Answer::Status(408)]);
    let mut world = world(&hook.webhook(""));
    let metrics = serve_metrics(&world);
    world.start_agent();
    world.append("FORCED\n");
    let calls = hook.await_calls(4);
    assert!(calls.iter().all(|call| call.body == calls[0].body));
    assert!(calls.iter().all(|call| call.header("idempotency-key") == calls[0].json()["notification"]));
    await_that("it is counted", || counter(metrics, "delivered") == Some(1));
    let counts = ["seen", "raised", "grouped", "retried", "failed"].map(|name| counter(metrics, name).unwrap());
    assert_eq!(counts, [1, 1, 0, 3, 0]);
    assert!(world.agent_log().contains("cannot deliver an alert"), "{}", world.agent_log());
    assert_eq!(fs::read_dir(world.path("q/spool/alerts/oncall")).unwrap().count(), 0);
}

#[test]
fn what_is_refused_is_given_up_at_once_and_the_next_is_sent() {
    let hook = Hook::answering([Answer::Status(400)]);
    let mut world = world(&hook.webhook("group_interval = \"1s\""));
    let metrics = serve_metrics(&world);
    world.start_agent();
    world.append("FORCED\n");
    await_that("it is given up", || counter(metrics, "failed") == Some(1));
    assert!(world.agent_log().contains("an alert is given up: 400 Bad Request"), "{}", world.agent_log());
    world.append("FORCED again\n");
    assert_eq!(hook.await_calls(2)[1].json()["message"], "FORCED again");
    await_that("the next is delivered", || counter(metrics, "delivered") == Some(1));
    assert_eq!(counter(metrics, "retried"), Some(0));
}

#[test]
fn a_server_that_says_when_is_not_asked_before() {
    let hook = Hook::answering([Answer::RetryAfter(429, 2)]);
    let mut world = world(&hook.webhook("").replace("decision = \"deny\"", "min_severity = \"low\""));
    world.start_agent();
    world.append("FORCED\n");
    hook.await_calls(1);
    world.append("door 7 OPENED\n");
    let calls = hook.await_calls(3);
    assert!(calls[1..].iter().all(|call| call.at - calls[0].at >= Duration::from_secs(2)));
    let mut ids: Vec<String> = calls[1..].iter().map(|call| call.json()["id"].to_string()).collect();
    ids.sort();
    assert_eq!(ids, ["\"door-7\"", "\"door-forced\""]);
}

#[test]
fn a_server_that_does_not_answer_is_left_when_the_time_is_over() {
    let hook = Hook::answering([Answer::Silence(Duration::from_secs(3600))]);
    let mut world = world(&hook.webhook("timeout = \"200ms\""));
    let metrics = serve_metrics(&world);
    world.start_agent();
    world.append("FORCED\n");
    let calls = hook.await_calls(2);
    assert_eq!(calls[0].body, calls[1].body);
    await_that("it is delivered", || counter(metrics, "delivered") == Some(1));
}

#[test]
fn what_no_attempt_delivers_in_time_is_given_up_and_said() {
    let mut world = world(&webhook_at(nobody(), "give_up_after = \"1s\""));
    let metrics = serve_metrics(&world);
    world.start_agent();
    world.append("FORCED\n");
    await_that("it is given up", || counter(metrics, "failed") == Some(1));
    await_that("the log says so", || world.agent_log().contains("an alert is given up"));
    assert_eq!(counter(metrics, "delivered"), Some(0));
    // an address may hold a secret
    let log = world.agent_log();
    assert!(!log.contains("token-in-the-path") && !log.contains("s3cret"), "{log}");
}

#[test]
fn what_a_full_queue_holds_back_comes_when_there_is_room() {
    const IDS: u64 = 400;
    let address = nobody();
    let alert = webhook_at(address, "max_per_minute = 6000").replace("decision = \"deny\"", "min_severity = \"low\"");
    let mut world = world(&alert);
    let metrics = serve_metrics(&world);
    world.start_agent();
    world.append((0..IDS).map(|n| format!("door {n} OPENED\n")).collect::<String>());
    await_that("the queue is full", || counter(metrics, "seen") == Some(IDS) && counter(metrics, "raised") == Some(64));
    let hook = Hook::at(address);
    let count = |call: &super::hook::Call| call.json()["count"].as_u64().unwrap();
    await_that("all is told", || hook.calls().iter().map(count).sum::<u64>() == IDS);
    assert_eq!((counter(metrics, "failed"), counter(metrics, "seen")), (Some(0), Some(IDS)));
}

/// Nothing is announced that is not evidence, whenever the agent is killed.
#[test]
fn what_was_told_is_in_the_archive_after_any_kill() {
    const KILLS: usize = 8;
    let hook = Hook::start();
    let mut world = world(&hook.webhook("group_interval = \"1s\"\nmax_per_minute = 6000"));
    world.start_receiver();
    for round in 0..KILLS {
        world.start_agent();
        let before = hook.calls().len();
        world.append((0..200).map(|n| format!("FORCED {round} {n}\n")).collect::<String>());
        // right after it was told, when little of it has been shipped
        hook.await_calls(before + 1);
        world.append(format!("FORCED {round} at last\n"));
        world.kill_agent();
    }
    world.start_agent();
    world.append("the end\n");
    await_that("all is archived", || world.messages().last().is_some_and(|message| message == "the end"));
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&["UNCLEAN-END"]);
    let archive = world.archive();
    for call in hook.calls() {
        let told = call.json();
        assert_eq!(line(&archive, &told["stream"], &told["seq"])["p"]["msg"], told["message"]);
        let record = line(&archive, &told["stream"], &told["record"]);
        assert_eq!((&record["h"]["type"], &record["h"]["line"]), (&"alert".into(), &told["first_seq"]));
    }
    assert_eq!(world.messages().len(), KILLS * 201 + 1);
}

#[test]
fn a_dead_target_holds_up_no_line() {
    const LINES: usize = 20_000;
    let mut world = world(&webhook_at(nobody(), "group_interval = \"1s\""));
    world.start_receiver();
    world.start_agent();
    world.append((0..LINES).map(|n| format!("FORCED {n}\n")).collect::<String>());
    world.await_archived(LINES);
    assert_eq!(world.stop_agent(), Some(0));
    let report = world.verify();
    report.assert_intact(&[]);
    assert_eq!(report.result["log_lines"], LINES);
}

#[test]
fn what_was_not_delivered_is_after_a_kill() {
    let address = nobody();
    let mut world = world(&webhook_at(address, ""));
    world.start_receiver();
    world.start_agent();
    world.append("FORCED\n");
    await_that("an attempt fails", || world.agent_log().contains("cannot deliver an alert"));
    world.kill_agent();
    let kept: Vec<_> = fs::read_dir(world.path("q/spool/alerts/oncall")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(kept.len(), 1);
    // what is no notification is removed and does no harm; what waits for others is left alone, and said
    let other = world.path("q/spool/alerts/other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("x.json"), "{}").unwrap();
    fs::write(world.path("q/spool/alerts/oncall/torn.json"), "{\"since\"").unwrap();
    let hook = Hook::at(address);
    world.start_agent();
    let told = hook.await_calls(1)[0].json();
    let name = format!("{}-{}.json", told["stream"].as_str().unwrap(), told["record"]);
    assert_eq!(kept[0].file_name().unwrap().to_str(), Some(name.as_str()));
    assert_eq!((told["message"].as_str(), told["count"].as_u64()), (Some("FORCED"), Some(1)));
    await_that("the journal is empty", || fs::read_dir(world.path("q/spool/alerts/oncall")).unwrap().count() == 0);
    assert_eq!(world.stop_agent(), Some(0));
    assert!(other.join("x.json").exists() && world.agent_log().contains("no longer configured"));
    // told once, and of the stream before
    assert_eq!(hook.calls().len(), 1);
    world.verify().assert_intact(&["UNCLEAN-END"]);
}
