//! `type = "otlp"` against a real collector: rotel, behind TLS that demands a client certificate.

use crate::conformance::{HOST, is_stored, next};
use crate::otlp::Front;
use crate::stream::Stream;
use sealtail::forward::Protocol;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends with the test.
struct Rotel(Child);

impl Drop for Rotel {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Awaits a condition; the bound only ends a test that fails.
async fn await_that(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rotel_takes_the_records_of_both_protocols() {
    let Some(program) = std::env::var_os("SEALTAIL_ROTEL") else {
        assert!(std::env::var_os("CI").is_none(), "CI must have rotel");
        return eprintln!("SKIPPED: without SEALTAIL_ROTEL there is no collector; tests/run installs it");
    };
    let folder = tempfile::tempdir().unwrap();
    let (grpc, http, said) = (free(), free(), folder.path().join("said"));
    let out = fs::File::create(&said).unwrap();
    let started = Command::new(program)
        .args(["start", "--otlp-grpc-endpoint", &grpc.to_string(), "--otlp-http-endpoint", &http.to_string()])
        .args(["--exporter", "blackhole", "--debug-log", "logs", "--debug-log-verbosity", "detailed"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn();
    let _rotel = Rotel(started.unwrap());
    await_that("rotel listens", || [grpc, http].iter().all(|address| TcpStream::connect(address).is_ok())).await;
    for (protocol, plain) in [(Protocol::Http, http), (Protocol::Grpc, grpc)] {
        let front = Front::of(plain, protocol).await;
        let mut target = front.target();
        target.probe().await.unwrap();
        let mut stream = Stream::begin(HOST);
        let upload = next(&mut stream, 3);
        is_stored(&mut target, &upload).await;
        let uids: Vec<String> = (1..=3).map(|seq| format!("{}/{seq}", stream.id)).collect();
        let heard = || fs::read_to_string(&said).unwrap();
        await_that("rotel tells of each record", || uids.iter().all(|uid| heard().contains(uid))).await;
        let heard = heard();
        for what in ["message 0", "message 2", "host.name", HOST, "service.name", "sealtail.tag"] {
            assert!(heard.contains(what), "{what}: {heard}");
        }
    }
}
