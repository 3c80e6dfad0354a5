//! A link to a server on this machine that can be slow, and that can break in the middle of an upload.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Link {
    pub(crate) port: u16,
    faults: Arc<Faults>,
}

struct Faults {
    /// Bytes that may still go to the server before everything breaks; negative: no bound.
    left: AtomicI64,
    /// Of each piece of 1 KiB to the server.
    delay_us: AtomicU64,
    broken: AtomicU64,
    /// Bytes that may still come from the server before nothing more does; negative: no bound.
    back: AtomicI64,
    /// How many connections that holds.
    held: watch::Sender<u64>,
}

impl Link {
    pub(crate) async fn to(server_port: u16) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let faults = Arc::new(Faults {
            left: AtomicI64::new(-1),
            delay_us: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            back: AtomicI64::new(-1),
            held: watch::Sender::new(0),
        });
        let faulty = faults.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server_port, faulty.clone()));
            }
        });
        Link { port, faults }
    }

    /// Every connection breaks once so many more bytes went to the server; those that are made after it stand.
    pub(crate) fn break_after(&self, bytes: i64) {
        self.faults.left.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn heal(&self) {
        self.break_after(-1);
    }

    pub(crate) fn delay(&self, of_each_kib: Duration) {
        self.faults.delay_us.store(of_each_kib.as_micros() as u64, Ordering::SeqCst);
    }

    /// So many more bytes come from the server, and then nothing more comes on a connection. Returns what awaits that.
    pub(crate) fn hold_after(&self, bytes: i64) -> impl Future<Output = ()> + use<> {
        self.faults.back.store(bytes, Ordering::SeqCst);
        let mut held = self.faults.held.subscribe();
        async move { held.changed().await.unwrap() }
    }

    /// All comes again, on connections that are not held yet.
    pub(crate) fn let_go(&self) {
        self.faults.back.store(-1, Ordering::SeqCst);
    }

    /// How many connections it broke.
    pub(crate) fn broken(&self) -> u64 {
        self.faults.broken.load(Ordering::SeqCst)
    }
}

async fn carry(client: TcpStream, server_port: u16, faults: Arc<Faults>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)).await else { return };
    // a request in two writes would wait for the other end's delayed acknowledgement
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut piece = [0; 1024];
        while let Ok(read @ 1..) = from_client.read(&mut piece).await {
            let delay = faults.delay_us.load(Ordering::SeqCst);
            if delay > 0 {
                tokio::time::sleep(Duration::from_micros(delay)).await;
            }
            if faults.left.load(Ordering::SeqCst) >= 0
                && faults.left.fetch_sub(read as i64, Ordering::SeqCst) < read as i64
            {
                faults.left.store(-1, Ordering::SeqCst);
                faults.broken.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if to_server.write_all(&piece[..read]).await.is_err() {
                break;
            }
        }
    };
    let down = async {
        let mut piece = [0; 1024];
        while let Ok(read @ 1..) = from_server.read(&mut piece).await {
            if faults.back.load(Ordering::SeqCst) >= 0
                && faults.back.fetch_sub(read as i64, Ordering::SeqCst) < read as i64
            {
                faults.back.store(0, Ordering::SeqCst);
                faults.held.send_modify(|held| *held += 1);
                // until the server ends it
                while let Ok(1..) = from_server.read(&mut piece).await {}
                break;
            }
            if to_client.write_all(&piece[..read]).await.is_err() {
                break;
            }
        }
    };
    // either end, and both are closed
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
