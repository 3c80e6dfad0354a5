//! Nobody keeps the others out: not who never says who it is, and not a host that is slow, or much at once.

use crate::is_bounded::{begun, start_with};
use crate::stream::Stream;
use crate::world::{World, answer};
use sealtail::durable::{Append, Disk, FileSystem};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

// each took a connection's place, and kept it until its handshake was over
#[tokio::test]
async fn two_hundred_connections_that_say_nothing_make_no_agent_wait() {
    let world = start_with(|config| {
        config.limits.connections = 16;
        config.limits.handshake_timeout = Duration::from_secs(3600);
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(world.address()).await.unwrap());
    }
    let mut stream = Stream::begin("web-1");
    let batch = stream.batch(1);
    assert_eq!(world.send(&stream, 0, &batch).await.status, 201);
    // those that made room are told so: what is left is a quarter of 256
    for connection in &mut silent[..136] {
        assert_eq!(connection.read(&mut [0]).await.unwrap(), 0);
    }
    // and one for the agent's
    while !world.metrics().contains("sealtail_receive_refusals_total{reason=\"handshakes\"} 137\n") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

// half of the least room that may be configured was the share of one host twice
#[tokio::test]
async fn a_host_with_many_slow_uploads_does_not_stop_another() {
    let world = start_with(|config| config.limits.in_flight_max_bytes = 128 << 20).await;
    let [greedy, mut modest] = ["web-1", "web-2"].map(Stream::begin);
    let mut held = Vec::new();
    for _ in 0..8 {
        // without a length each may become a batch of the largest size
        held.push(begun(&world, &greedy.path(0), "Transfer-Encoding: chunked", b"1\r\nx").await);
    }
    while world.incoming() < 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let batch = modest.batch(1);
    assert_eq!(world.send(&modest, 0, &batch).await.status, 201);
}

/// A disk on which nothing of web-1 becomes durable until it is let.
#[derive(Clone, Default)]
struct Stuck {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    stuck: usize,
    free: bool,
}

impl Stuck {
    fn wait(&self) {
        let (state, changed) = &*self.state;
        let mut state = state.lock().unwrap();
        state.stuck += 1;
        changed.notify_all();
        drop(changed.wait_while(state, |state| !state.free).unwrap());
    }

    fn free(&self) {
        self.state.0.lock().unwrap().free = true;
        self.state.1.notify_all();
    }
}

/// Lets it go on, also where the test fails.
struct Free(Stuck);

impl Drop for Free {
    fn drop(&mut self) {
        self.0.free();
    }
}

impl FileSystem for Stuck {
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Box<dyn Append>> {
        Disk.create_new(path, mode)
    }
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn Append>> {
        Disk.open_append(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        if to.iter().any(|part| part == "web-1") {
            self.wait();
        }
        Disk.rename_new(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }
    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        Disk.create_dir(path, mode)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        Disk.sync_dir(path)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_batches_take_long_to_store_does_not_stop_another() {
    let disk = Stuck::default();
    let free = Free(disk.clone());
    let mut world = World::prepare();
    world.run(Arc::new(disk.clone())).await;
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mut stream = Stream::begin("web-1");
        let request = world.client("web-1").put(world.url(&stream.path(0))).header("content-encoding", "zstd");
        sent.spawn(answer(request.body(stream.batch(1))));
    }
    // as many as may be are at the disk
    while disk.state.0.lock().unwrap().stuck < 4 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut modest = Stream::begin("web-2");
    let batch = modest.batch(1);
    assert_eq!(world.send(&modest, 0, &batch).await.status, 201);
    assert_eq!(disk.state.0.lock().unwrap().stuck, 4);
    drop(free);
    while let Some(answer) = sent.join_next().await {
        assert_eq!(answer.unwrap().status, 201);
    }
}
