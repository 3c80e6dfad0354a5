//! A webhook is told of a line before its batch is sent, and what it is told is evidence.

use super::hook::Hook;
use super::{alert_lines, line, world};
use crate::world::{await_that, run};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What openssl says the signature is.
fn openssl(secret: &str, signed: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", secret, "-hex"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(signed).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    format!("sha256={}", output.trim().rsplit(' ').next().unwrap())
}

#[test]
fn a_denied_line_reaches_a_webhook_within_a_second_and_its_seq_verifies_in_the_archive() {
    let hook = Hook::start();
    let mut world = world(&hook.webhook(""));
    world.start_receiver();
    world.start_agent();
    world.append("all quiet\n");
    await_that("the first line is archived", || world.messages() == ["all quiet"]);
    let written = Instant::now();
    world.append("door 7 FORCED \u{e9}\n");
    let call = hook.await_calls(1).remove(0);
    assert!(call.at - written < Duration::from_secs(1), "{:?}", call.at - written);
    let told = call.json();

    // signed over the bytes as they came, with the time
    let timestamp = call.header("x-sealtail-timestamp");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!(now - timestamp.parse::<u64>().unwrap() < 300);
    let signed = [timestamp.as_bytes(), b".", &call.body].concat();
    assert_eq!(call.header("x-sealtail-signature"), openssl("s3cret", &signed));
    assert_ne!(call.header("x-sealtail-signature"), openssl("other", &signed));
    assert_eq!(call.header("idempotency-key"), told["notification"]);
    assert_eq!((call.path.as_str(), call.header("content-type")), ("/hook", "application/json"));

    // what it says is what the chain says
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&[]);
    let archive = world.archive();
    let log = line(&archive, &told["stream"], &told["seq"]);
    assert_eq!(log["p"]["msg"], "door 7 FORCED \u{e9}");
    assert_eq!((&told["message"], &told["time"]), (&log["p"]["msg"], &log["h"]["time"]));
    let verdict = &log["h"]["verdicts"][0];
    for key in ["id", "decision", "severity", "controls", "reason"] {
        assert_eq!(told[key], verdict[key], "{key}");
    }
    let expected = [
        ("version", "1"),
        ("alert", "\"oncall\""),
        ("id", "\"door-forced\""),
        ("title", "\"A door was forced\""),
        ("source", "\"logs\""),
        ("count", "1"),
        ("mixed", "false"),
        ("message_cut", "false"),
    ];
    for (key, value) in expected {
        assert_eq!(told[key].to_string(), value, "{key}");
    }
    assert_eq!(told["path"], world.text_path("logs/app.log"));
    assert_eq!(told["host"], archive[0]["h"]["host"]);
    assert_eq!((&told["first_seq"], &told["last_seq"]), (&told["seq"], &told["seq"]));

    // and its record is there: the next line, by the same commit
    let record = line(&archive, &told["stream"], &told["record"]);
    assert_eq!(alert_lines(&archive), [record]);
    assert_eq!((&record["h"]["line"], &record["h"]["alert"]), (&told["seq"], &told["alert"]));
    assert_eq!(told["record"].as_u64().unwrap(), told["seq"].as_u64().unwrap() + 1);
    assert_eq!(told["notification"], format!("{}/{}", told["stream"].as_str().unwrap(), told["record"]));
}

#[test]
fn the_receiver_that_stores_is_not_needed() {
    let hook = Hook::start();
    let mut world = world(&hook.webhook(""));
    world.start_agent();
    world.append("FORCED\n");
    assert_eq!(hook.await_calls(1)[0].json()["message"], "FORCED");
    // durable before it was told: the spool has it
    world.kill_agent();
    let cat = run(&["cat", &world.text_path("q/spool")]);
    assert!(String::from_utf8_lossy(&cat.stdout).contains("FORCED"));
}

#[test]
fn https_shows_a_certificate_and_trusts_whom_it_is_told_to() {
    let mut world = world("");
    let hook = Hook::tls(&world);
    let url = format!("https://localhost:{}/hook", hook.address.port());
    let target = |name: &str, tls: &str| {
        format!(
            "[[alert]]\nname = \"{name}\"\ntype = \"webhook\"\nurl = \"{url}\"\nsecret = \"x\"\ndecision = \"deny\"\n\
             tls = {{ {tls} }}\ngive_up_after = \"1s\"\n"
        )
    };
    let both = target("both", "ca = \"ca.pem\", cert = \"client.pem\", key = \"client.key\"");
    let nameless = target("nameless", "ca = \"ca.pem\"");
    // no authority of the client's certificate is one of the server's
    let stranger = target("stranger", "ca = \"client.pem\", cert = \"client.pem\", key = \"client.key\"");
    world.configure(|config| format!("{config}\n{both}{nameless}{stranger}"));
    world.start_agent();
    world.append("FORCED\n");
    await_that("the others are given up", || world.agent_log().matches("an alert is given up").count() == 2);
    let calls = hook.await_calls(1);
    assert_eq!((calls.len(), calls[0].json()["alert"].as_str()), (1, Some("both")));
    let log = world.agent_log();
    assert!(log.contains("CertificateRequired") && log.contains("UnknownIssuer"), "{log}");
}

#[test]
fn only_what_the_target_asks_for_is_told() {
    let hook = Hook::start();
    let bad = format!(
        "[[alert]]\nname = \"bad\"\ntype = \"webhook\"\nurl = \"http://{}/bad\"\nsecret = \"x\"\nmin_severity = \"high\"\n",
        hook.address
    );
    let both = bad.replace("bad", "both").replace("\"high\"", "\"low\"\ndecision = \"deny\"");
    let any = bad.replace("bad", "any").replace("\"high\"", "\"info\"");
    let mut world = world(&format!("{bad}{both}{any}"));
    world.append("door 1 OPENED\nfine\nFORCED\n");
    world.start_receiver();
    assert!(world.run_once().status.success());
    let mut told: Vec<(String, String)> =
        hook.calls().iter().map(|call| (call.path.clone(), call.json()["id"].as_str().unwrap().to_owned())).collect();
    told.sort();
    let expected = [("/any", "door-1"), ("/any", "door-forced"), ("/bad", "door-forced"), ("/both", "door-forced")];
    assert_eq!(told, expected.map(|(path, id)| (path.to_owned(), id.to_owned())));
    world.verify().assert_intact(&[]);
}

#[test]
fn a_long_message_is_cut_and_what_is_not_text_is_shown() {
    let hook = Hook::start();
    let mut world = world(&hook.webhook("group_interval = \"1s\""));
    let mut bytes = b"FORCED \xff ".to_vec();
    bytes.extend("\u{e9}".repeat(2000).bytes());
    bytes.push(b'\n');
    world.append(&bytes);
    world.start_receiver();
    assert!(world.run_once().status.success());
    let told = hook.await_calls(1)[0].json();
    let message = told["message"].as_str().unwrap();
    assert!(message.starts_with("FORCED \u{fffd} \u{e9}\u{e9}") && message.ends_with('\u{e9}'), "{message}");
    assert!((1000..=1024).contains(&message.len()));
    assert_eq!(told["message_cut"], true);
}
