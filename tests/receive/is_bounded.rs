//! Clients that take their time, or more than their share.

use crate::stream::Stream;
use crate::world::World;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_client_that_says_nothing_is_dropped() {
    let world = World::start().await;
    let mut silent = TcpStream::connect(world.address()).await.unwrap();
    let began = Instant::now();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), silent.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.is_empty() && began.elapsed() > Duration::from_secs(8));
}

#[tokio::test]
async fn one_host_cannot_take_the_memory_of_the_others() {
    let world = World::start().await;
    let [mut greedy, mut modest] = ["web-1", "web-2"].map(Stream::begin);
    let path = greedy.path(0);
    let head = format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut held = Vec::new();
    for _ in 0..2 {
        // without a length each may become a batch of the largest size
        let mut connection = world.raw_connection("web-1").await;
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.flush().await.unwrap();
        held.push(connection);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let batch = modest.batch(1);
    assert_eq!(world.send(&modest, 0, &batch).await.status, 201);
    let batch = greedy.batch(1);
    let answer = world.send(&greedy, 0, &batch).await;
    answer.expect(503, "too many batches at once");
    assert!(answer.retry_after.is_some());
    drop(held);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.send(&greedy, 0, &batch).await.status, 201);
}
