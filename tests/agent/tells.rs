//! What an agent says of its sources while it runs.

use crate::world::{World, await_that};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// A port that is free now.
pub(crate) fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An answer; none before anything is served.
pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// All metrics; none before they are served.
pub(crate) fn metrics(port: u16) -> Option<String> {
    let answer = get(port, "/metrics")?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Some(answer)
}

/// The value of a metric of the source `app`.
fn metric(port: u16, name: &str) -> Option<f64> {
    let answer = metrics(port)?;
    let line = answer.lines().find(|line| line.starts_with(&format!("{name}{{")))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn what_is_unread_and_since_when_is_told_while_the_spool_is_full() {
    let mut world = World::new();
    let port = port();
    world.configure(|config| config.replace("[telemetry]", &format!("[telemetry]\nlisten = \"127.0.0.1:{port}\"")));
    world.configure(|config| config.replace("[spool]", "[spool]\nmax_size = \"8MiB\""));
    // hardly compressible, and more than the spool holds; nobody takes it
    let (mut lines, mut state) = (String::new(), 1u64);
    while lines.len() < 16 << 20 {
        for _ in 0..8 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            write!(lines, "{state:016x}").unwrap();
        }
        lines.push('\n');
    }
    world.append(&lines);
    world.start_agent();
    await_that("reading stops", || world.agent_log().contains("spool is full"));
    await_that("unread bytes are told", || metric(port, "sealtail_source_behind_bytes").is_some_and(|n| n > 1e6));
    await_that("since when, too", || metric(port, "sealtail_source_unread_seconds").is_some_and(|s| s > 0.0));
    // reading that has stopped is no reason to end the agent, but one to send it no more
    let (alive, ready) = (get(port, "/healthz").unwrap(), get(port, "/readyz").unwrap());
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("the spool is full"), "{ready}");
    assert_eq!(metric(port, "sealtail_source_files"), Some(1.0));
    assert_eq!(metric(port, "sealtail_source_open_files"), Some(1.0));
    world.signal_agent(rustix::process::Signal::USR1);
    await_that("the log says it", || world.agent_log().contains("what the source is doing"));
    world.start_receiver();
    await_that("nothing is unread", || metric(port, "sealtail_source_behind_bytes") == Some(0.0));
    // a stop does not wait for long
    await_that("nothing is unsent", || metric(port, "sealtail_target_behind_bytes") == Some(0.0));
    assert_eq!(world.stop_agent(), Some(0));
    let report = world.verify();
    report.assert_intact(&[]);
    assert_eq!(report.result["log_lines"], lines.lines().count());
}
