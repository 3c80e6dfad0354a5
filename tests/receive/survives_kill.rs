//! A receiver that is killed at any moment: what it acknowledged is there, and nothing is there by half.

use crate::stream::Stream;
use crate::world::World;
use sealtail::receive::{Config, Limits, Quota, Server, TlsConfig};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the process that is killed finds its files and writes its address to; set by the test that starts it.
const FOLDER: &str = "SEALTAIL_TEST_RECEIVER";

#[tokio::test]
#[ignore = "runs in the process that the test below kills"]
async fn receiver_to_kill() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let at = |name: &str| folder.join(name);
    let tls = TlsConfig { ca: at("ca.pem"), cert: at("server.pem"), key: at("server.key"), crls: vec![] };
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = Config {
        listen,
        dir: at("archive"),
        tls,
        trust: None,
        receipt_key: at("receipt.key"),
        limits: Limits::default(),
        quota: Quota::default(),
    };
    let server = Server::bind(&config).await.unwrap();
    std::fs::write(at("address.part"), server.local_addr().to_string()).unwrap();
    std::fs::rename(at("address.part"), at("address")).unwrap();
    server.run(std::future::pending()).await.unwrap();
}

struct Victim(Child);

impl Victim {
    async fn start(world: &mut World) -> Self {
        let address = world.folder().join("address");
        drop(std::fs::remove_file(&address));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "survives_kill::receiver_to_kill", "--ignored"]).env(FOLDER, world.folder());
        let victim = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let began = Instant::now();
        while !address.exists() {
            assert!(began.elapsed() < Duration::from_secs(30), "the receiver doesn't start");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.address = Some(std::fs::read_to_string(address).unwrap().parse().unwrap());
        victim
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // SIGKILL
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives() {
    let mut world = World::prepare();
    let mut stream = Stream::begin("web-1");
    let mut batches: Vec<(u64, Vec<u8>)> = vec![(0, stream.batch(20))];
    let mut acknowledged = 0;
    for round in 0..12u64 {
        let mut victim = Victim::start(&mut world).await;
        let identity = world.authority.client(&["web-1"]);
        let client = world.client_with(&identity);
        let kill_at = Instant::now() + Duration::from_millis(20 + 13 * round);
        let killer = tokio::task::spawn_blocking(move || {
            std::thread::sleep(kill_at.saturating_duration_since(Instant::now()));
            drop(victim.0.kill());
            victim
        });
        loop {
            let (first, batch) = &batches[acknowledged];
            let request = client.put(world.url(&stream.path(*first))).body(batch.clone());
            let Ok(response) = request.send().await else { break };
            assert!(matches!(response.status().as_u16(), 200 | 201), "{response:?}");
            acknowledged += 1;
            if acknowledged == batches.len() {
                batches.push((stream.next_seq(), stream.batch(20)));
            }
        }
        drop(killer.await.unwrap());
        let folder = world.config.dir.join("web-1").join(stream.id.to_string());
        for (at, (first, batch)) in batches.iter().enumerate() {
            check_stored(&folder, *first, batch, at < acknowledged);
        }
    }
    assert!(acknowledged > 5, "{acknowledged}");
}

fn check_stored(folder: &Path, first: u64, batch: &[u8], must: bool) {
    match std::fs::read(folder.join(format!("{first:020}.ndjson.zst"))) {
        Ok(stored) => assert_eq!(stored, batch, "line {first}"),
        Err(error) => assert!(!must, "line {first} was acknowledged: {error}"),
    }
}
