//! Clients that take their time, or more than their share.

use crate::log::Log;
use crate::stream::Stream;
use crate::world::World;
use sealtail::durable::Disk;
use sealtail::receive::Config;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::prepare();
    change(&mut world.config);
    world.run(Arc::new(Disk)).await;
    world
}

/// A connection on which a request was begun, with the head's further lines and the beginning of its body.
pub(crate) async fn begun(world: &World, path: &str, head: &str, body: &[u8]) -> TlsStream<TcpStream> {
    let mut connection = world.raw_connection("web-1").await;
    let head = format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(body).await.unwrap();
    connection.flush().await.unwrap();
    connection
}

/// The head of an answer.
async fn answered(connection: &mut TlsStream<TcpStream>) -> String {
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let byte = tokio::time::timeout(Duration::from_secs(30), connection.read_u8()).await.expect("no answer");
        answer.push(byte.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&answer))));
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_client_that_says_nothing_is_dropped() {
    let world = start_with(|config| config.limits.handshake_timeout = Duration::from_secs(1)).await;
    let mut silent = TcpStream::connect(world.address()).await.unwrap();
    let began = Instant::now();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), silent.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.is_empty() && began.elapsed() > Duration::from_millis(900));
    assert!(world.metrics().contains("sealtail_receive_refusals_total{reason=\"handshake_timeout\"} 1"));
}

#[tokio::test]
async fn a_connection_without_a_whole_head_is_closed() {
    let world = start_with(|config| config.limits.idle_timeout = Duration::from_secs(1)).await;
    for said in ["", "PUT /v1/web-1/half of a he"] {
        let mut connection = world.raw_connection("web-1").await;
        connection.write_all(said.as_bytes()).await.unwrap();
        connection.flush().await.unwrap();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(30), connection.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "{said:?} keeps a connection open");
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn a_body_that_trickles_is_not_waited_for() {
    let world = start_with(|config| {
        config.limits.body_timeout = Duration::from_secs(1);
        config.limits.min_rate_bytes = 1 << 20;
    })
    .await;
    let mut stream = Stream::begin("web-1");
    // never silent for long, and far below the rate
    let connection = begun(&world, &stream.path(0), "Content-Length: 1000000", b"x").await;
    let (mut back, mut forth) = tokio::io::split(connection);
    let trickle = tokio::spawn(async move {
        while forth.write_all(b"x").await.is_ok() && forth.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut answer = vec![0; 12];
    tokio::time::timeout(Duration::from_secs(30), back.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, b"HTTP/1.1 408");
    trickle.abort();
    // silence is no better
    let mut silent = begun(&world, &stream.path(0), "Content-Length: 1000000", b"x").await;
    assert!(answered(&mut silent).await.contains("retry-after: "));
    assert!(world.metrics().contains("sealtail_receive_refusals_total{reason=\"slow\"} 2"), "{}", world.metrics());
    assert_eq!(world.archived(), [""; 0]);
    let batch = stream.batch(1);
    assert_eq!(world.send(&stream, 0, &batch).await.status, 201);
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_refused_before_it_comes() {
    let world = start_with(|config| config.limits.batch_max_bytes = 64 << 10).await;
    let mut stream = Stream::begin("web-1");
    let mut declared = begun(&world, &stream.path(0), "Content-Length: 65537", b"").await;
    let answer = answered(&mut declared).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && !answer.contains("retry-after"), "{answer}");
    let mut undeclared = begun(&world, &stream.path(0), "Transfer-Encoding: chunked", b"10001\r\n").await;
    undeclared.write_all(&[b'x'; 65537]).await.unwrap();
    undeclared.flush().await.unwrap();
    assert!(answered(&mut undeclared).await.starts_with("HTTP/1.1 413 "));
    assert_eq!(world.archived(), [""; 0]);
    let batch = stream.batch(1);
    assert_eq!(world.send(&stream, 0, &batch).await.status, 201);
}

#[tokio::test]
async fn one_host_cannot_take_the_connections_of_the_others() {
    let world = start_with(|config| config.limits.connections_per_host = 2).await;
    let mut stream = Stream::begin("web-1");
    let batch = stream.batch(1);
    let held = [begun(&world, "/", "x: y", b"").await, begun(&world, "/", "x: y", b"").await];
    let refused = world.client("web-1").put(world.url(&stream.path(0))).body(batch.clone()).send().await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(world.metrics().contains("sealtail_receive_refusals_total{reason=\"connections\"} "));
    let mut other = Stream::begin("web-2");
    let others = other.batch(1);
    assert_eq!(world.send(&other, 0, &others).await.status, 201);
    drop(held);
    for attempt in 0.. {
        let client = world.client("web-1");
        if client.put(world.url(&stream.path(0))).body(batch.clone()).send().await.is_ok() {
            break;
        }
        assert!(attempt < 500, "the places are not given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let world = start_with(|config| config.limits.connections = 2).await;
    let mut stream = Stream::begin("web-1");
    let batch = stream.batch(1);
    let held = [begun(&world, "/", "x: y", b"").await, begun(&world, "/", "x: y", b"").await];
    let waiting = world.send(&stream, 0, &batch);
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(500), &mut waiting).await;
    assert!(early.is_err(), "{early:?}");
    drop(held);
    assert_eq!(waiting.await.status, 201);
}

/// Until the metrics have this line.
async fn until(world: &World, line: &str) {
    for attempt in 0.. {
        let metrics = world.metrics();
        if metrics.lines().any(|found| found == line) {
            break;
        }
        assert!(attempt < 3000, "no {line} in\n{metrics}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn those_that_wait_for_a_place_are_counted_and_bounded() {
    let world = start_with(|config| config.limits.connections = 4).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(begun(&world, "/", "x: y", b"").await);
    }
    let mut waiting = begun(&world, "/v1/web-1/nothing/0", "Content-Length: 0", b"").await;
    until(&world, "sealtail_receive_connections_waiting 1").await;
    let mut refused = world.raw_connection("web-2").await;
    let closed = tokio::time::timeout(Duration::from_secs(30), refused.read(&mut [0])).await.expect("it waits too");
    assert!(!matches!(closed, Ok(1..)), "{closed:?}");
    assert!(world.metrics().contains("sealtail_receive_refusals_total{reason=\"connections\"} 1\n"));
    drop(held);
    assert!(answered(&mut waiting).await.starts_with("HTTP/1.1 4"));
    until(&world, "sealtail_receive_connections_waiting 0").await;
}

#[tokio::test]
async fn a_stop_waits_for_no_connection_without_a_request() {
    let mut world = start_with(|config| config.limits.handshake_timeout = Duration::from_secs(60)).await;
    let _idle = world.raw_connection("web-1").await;
    let _silent = TcpStream::connect(world.address()).await.unwrap();
    until(&world, "sealtail_receive_connections 2").await;
    let (log, _listening) = Log::listen();
    world.stop().await;
    assert!(!log.text().contains("requests unfinished"), "{}", log.text());
}

#[tokio::test]
async fn a_stop_ends_those_that_wait_for_a_place_and_lets_requests_finish() {
    let mut world = start_with(|config| config.limits.connections = 1).await;
    let mut stream = Stream::begin("web-1");
    let (path, batch) = (stream.path(0), stream.batch(1));
    let head =
        format!("Content-Type: application/x-ndjson\r\nContent-Encoding: zstd\r\nContent-Length: {}", batch.len());
    let mut served = begun(&world, &path, &head, &batch[..1]).await;
    while world.incoming() < 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut waits = world.raw_connection("web-2").await;
    until(&world, "sealtail_receive_connections_waiting 1").await;
    let finished = async {
        let closed = tokio::time::timeout(Duration::from_secs(30), waits.read(&mut [0])).await.unwrap();
        assert!(!matches!(closed, Ok(1..)), "{closed:?}");
        served.write_all(&batch[1..]).await.unwrap();
        served.flush().await.unwrap();
        assert!(answered(&mut served).await.starts_with("HTTP/1.1 201 "));
    };
    tokio::join!(world.stop(), finished);
}

#[tokio::test]
async fn one_host_cannot_take_the_room_of_the_others() {
    let world = World::start().await;
    let [mut greedy, mut modest] = ["web-1", "web-2"].map(Stream::begin);
    // without a length each may become a batch of the largest size
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(begun(&world, &greedy.path(0), "Transfer-Encoding: chunked", b"1\r\nx").await);
    }
    while world.incoming() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let batch = modest.batch(1);
    assert_eq!(world.send(&modest, 0, &batch).await.status, 201);
    let batch = greedy.batch(1);
    let answer = world.send(&greedy, 0, &batch).await;
    answer.expect(503, "too many batches at once");
    assert!(answer.retry_after.is_some());
    drop(held);
    while world.incoming() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.send(&greedy, 0, &batch).await.status, 201);
}

#[tokio::test]
async fn a_host_that_has_stored_its_share_stores_no_more_and_keeps_what_it_has() {
    let mut world = World::prepare();
    let mut stream = Stream::begin("web-1");
    let first = stream.batch(3);
    let next = stream.next_seq();
    let second = stream.batch(3);
    world.config.quota.size_bytes = Some((first.len() + second.len() - 1) as u64);
    world.run(Arc::new(Disk)).await;
    let receipt = world.send(&stream, 0, &first).await;
    assert_eq!(receipt.status, 201);
    // also by a receiver that has to count what is there
    for again in 0..2 {
        if again == 1 {
            world.restart().await;
        }
        let refused = world.send(&stream, next, &second).await;
        refused.expect(507, "[receive.quota] size");
        assert_eq!(refused.retry_after.as_deref(), Some("60"));
        // an answer that was lost is given again
        let repeated = world.send(&stream, 0, &first).await;
        assert_eq!((repeated.status, repeated.receipt()), (200, receipt.receipt()));
        let used = format!("sealtail_receive_quota_used_bytes{{host=\"web-1\"}} {}\n", first.len());
        assert!(world.metrics().contains(&used), "{}", world.metrics());
    }
    let mut other = Stream::begin("web-2");
    let batch = other.batch(1);
    assert_eq!(world.send(&other, 0, &batch).await.status, 201);
    world.stop().await;
    world.config.quota.size_bytes = Some((first.len() + second.len()) as u64);
    world.run(Arc::new(Disk)).await;
    assert_eq!(world.send(&stream, next, &second).await.status, 201);
}

#[tokio::test]
async fn a_host_that_has_stored_what_a_day_allows_is_told_when_to_come_again() {
    let mut world = World::prepare();
    let mut stream = Stream::begin("web-1");
    let first = stream.batch(3);
    let next = stream.next_seq();
    let second = stream.batch(3);
    world.config.quota.day_bytes = Some((first.len() + second.len() / 2) as u64);
    world.run(Arc::new(Disk)).await;
    assert_eq!(world.send(&stream, 0, &first).await.status, 201);
    for again in 0..2 {
        if again == 1 {
            world.restart().await;
        }
        let refused = world.send(&stream, next, &second).await;
        refused.expect(429, "[receive.quota] day");
        let after: u64 = refused.retry_after.unwrap().parse().unwrap();
        assert!((1000..=86_400).contains(&after), "{after}");
        assert_eq!(world.send(&stream, 0, &first).await.status, 200);
    }
}

#[tokio::test]
async fn requests_over_the_rate_come_again_later() {
    let world = start_with(|config| config.quota.requests_per_second = Some(1)).await;
    let mut stream = Stream::begin("web-1");
    let client = world.client("web-1");
    let batch = stream.batch(1);
    let mut refused = None;
    for _ in 0..100 {
        let answer = world.put(&client, &stream.path(0), &batch).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }
    let refused = refused.expect("a hundred requests in a moment");
    refused.expect(429, "requests_per_second");
    assert_eq!(refused.retry_after.as_deref(), Some("1"));
    let other = Stream::begin("web-2").batch(1);
    world.put(&world.client("web-2"), "/v1/web-2/nothing/0", &other).await.expect(400, "");
    assert!(world.metrics().contains("sealtail_receive_refusals_total{reason=\"rate\"} 1"));
}

#[tokio::test]
async fn what_it_did_is_counted() {
    let world = World::start().await;
    let mut stream = Stream::begin("web-1");
    let batch = stream.batch(3);
    assert_eq!(world.send(&stream, 0, &batch).await.status, 201);
    assert_eq!(world.send(&stream, 0, &batch).await.status, 200);
    world.send(&stream, 0, &Stream::begin("web-1").batch(2)).await.expect(409, "FORK");
    world.put(&world.client("web-2"), &stream.path(0), &batch).await.expect(403, "not for web-1");
    let metrics = world.metrics();
    for line in [
        "# TYPE sealtail_receive_batches_total counter".to_owned(),
        "sealtail_receive_batches_total{host=\"web-1\"} 1".to_owned(),
        format!("sealtail_receive_bytes_total{{host=\"web-1\"}} {}", batch.len()),
        "sealtail_receive_repeated_total{host=\"web-1\"} 1".to_owned(),
        "sealtail_receive_forks_total{host=\"web-1\"} 1".to_owned(),
        "sealtail_receive_refusals_total{reason=\"fork\"} 1".to_owned(),
        "sealtail_receive_refusals_total{reason=\"forbidden\"} 1".to_owned(),
        "sealtail_receive_fsync_seconds_bucket{le=\"+Inf\"} 1".to_owned(),
        "sealtail_receive_fsync_seconds_count 1".to_owned(),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in\n{metrics}");
    }
}
