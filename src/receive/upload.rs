//! A request's body on its way into memory, with bounds: of each body, of a host's, of all together, and of time.

use super::archive::BATCH_MAX;
use super::refusal::Refusal;
use axum::body::{Body, Bytes, HttpBody};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// What all bodies together, and those of one host, may take of memory, in MiB. The largest body fits twice into a
/// host's share, and one host can't keep the others out.
const ALL_MAX_MIB: usize = 512;
const HOST_MAX_MIB: usize = 128;
/// How long a body waits for its share.
const WAIT: Duration = Duration::from_secs(10);
/// How long a client may send nothing, and how long it may take in all.
const SILENCE: Duration = Duration::from_secs(60);
const WHOLE: Duration = Duration::from_secs(300);

/// Memory for bodies.
pub(super) struct Uploads {
    all: Arc<Semaphore>,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A body in memory, and its share of the memory.
pub(super) struct Upload {
    bytes: Vec<u8>,
    /// Held as long as the bytes are.
    _share: Share,
}

/// Memory that is taken; given back when dropped.
struct Share {
    _host: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL_MAX_MIB)), hosts: Mutex::default() }
    }
}

impl Upload {
    /// The body.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Uploads {
    /// Reads a body that `host` sends.
    pub(super) async fn read(&self, host: &str, body: &mut Body) -> Result<Upload, Refusal> {
        let expected = body.size_hint().exact();
        if expected.is_some_and(|size| size > BATCH_MAX) {
            return Err(too_large());
        }
        let expected = expected.unwrap_or(BATCH_MAX);
        let share = timeout(WAIT, self.share(host, expected)).await.unwrap_or(None);
        let share = share.ok_or_else(|| Refusal::later("too many batches at once; send this one again later"))?;
        let slow = |_| Refusal::later(format!("the batch took longer than {} s to come", WHOLE.as_secs()));
        let bytes = timeout(WHOLE, collect(body, expected)).await.map_err(slow)??;
        Ok(Upload { bytes, _share: share })
    }

    /// `None` never comes but when the semaphores are closed, and nobody closes them.
    async fn share(&self, host: &str, size: u64) -> Option<Share> {
        let mib = u32::try_from(size.div_ceil(1 << 20).max(1)).ok()?;
        let of_host = {
            // a panic elsewhere leaves the map itself sound
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            // only hosts that are sending now are kept
            hosts.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
            hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(HOST_MAX_MIB))).clone()
        };
        let host = of_host.acquire_many_owned(mib).await.ok()?;
        let all = self.all.clone().acquire_many_owned(mib).await.ok()?;
        Some(Share { _host: host, _all: all })
    }
}

/// Reads what a refused client still sends and throws it away, since over HTTP/1.1 it would not see its answer
/// otherwise: a connection that is closed with bytes unread is reset.
pub(super) async fn discard(mut body: Body) {
    const DISCARD_TIME: Duration = Duration::from_secs(10);
    let all = async {
        let mut left = BATCH_MAX;
        while let Ok(Some(bytes)) = chunk(&mut body).await {
            match left.checked_sub(bytes.len() as u64) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    // whoever is slower than that sees no answer, which is an answer too
    drop(timeout(DISCARD_TIME, all).await);
}

async fn collect(body: &mut Body, expected: u64) -> Result<Vec<u8>, Refusal> {
    const AT_ONCE: u64 = 8 << 20;
    let mut bytes = Vec::with_capacity(usize::try_from(expected.min(AT_ONCE)).unwrap_or(0));
    loop {
        let slow = |_| Refusal::later(format!("nothing came for {} s", SILENCE.as_secs()));
        let Some(chunk) = timeout(SILENCE, chunk(body)).await.map_err(slow)?? else { return Ok(bytes) };
        if (bytes.len() + chunk.len()) as u64 > expected {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// The next bytes of a body.
async fn chunk(body: &mut Body) -> Result<Option<Bytes>, Refusal> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            None => return Ok(None),
            Some(Err(error)) => return Err(Refusal::later(format!("the batch did not come whole: {error}"))),
            // a frame without data is trailers, which mean nothing here
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn too_large() -> Refusal {
    Refusal::TooLarge(format!("a batch is at most {} MiB; send fewer segments at once", BATCH_MAX >> 20))
}
