//! A request's body on its way to the disk, hashed as it comes, with bounds: of each body, of a host's, of all together, and of
//! time. Memory holds a piece of each and no more.

use super::archive::{BATCH_MAX, FILE_MODE};
use super::limits::Limits;
use super::quota::Charge;
use super::refusal::Refusal;
use crate::chain::key::Bytes32;
use crate::durable::{FileSystem, Unnamed};
use axum::body::{Body, Bytes, HttpBody};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

/// How long a body waits for its share of the disk.
const WAIT: Duration = Duration::from_secs(10);
/// Bytes that are written at a time. A share is of at least one MiB, so that pieces of all bodies together are a quarter of
/// what may be on its way.
const PIECE_BYTES: usize = 256 * 1024;

/// Room for bodies that are on their way.
pub(super) struct Uploads {
    fs: Arc<dyn FileSystem>,
    folder: PathBuf,
    limits: Limits,
    all: Arc<Semaphore>,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A body on the disk, without its name yet.
pub(super) struct Upload {
    pub(super) file: Unnamed,
    pub(super) size: u64,
    /// SHA-256.
    pub(super) digest: Bytes32,
    /// What its host is charged.
    pub(super) charge: Charge,
    /// Held until it is stored or refused.
    _share: Share,
}

/// Room that is taken; given back when dropped.
struct Share {
    _host: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// A body as far as it has come.
struct Sink {
    file: Unnamed,
    hash: Sha256,
    size: u64,
}

impl Upload {
    /// To read the body.
    pub(super) fn open(&self) -> Result<BufReader<File>, Refusal> {
        let file = self.file.open().map_err(|error| told(&error))?;
        Ok(BufReader::with_capacity(PIECE_BYTES, file))
    }
}

impl Uploads {
    /// Bodies are written in `folder`, beside the hosts' folders.
    pub(super) fn new(fs: Arc<dyn FileSystem>, folder: PathBuf, limits: &Limits) -> Self {
        let all = Arc::new(Semaphore::new(mib(limits.in_flight_max_bytes) as usize));
        Self { fs, folder, limits: limits.clone(), all, hosts: Mutex::default() }
    }

    /// How large a body may become; an error if that is too large, before anything of it is read.
    pub(super) fn expected(&self, body: &Body) -> Result<u64, Refusal> {
        match body.size_hint().exact() {
            Some(size) if size > self.limits.batch_max_bytes => Err(self.too_large()),
            size => Ok(size.unwrap_or(self.limits.batch_max_bytes)),
        }
    }

    /// Reads a body that `host` sends, which is `expected` at most.
    pub(super) async fn read(
        &self,
        host: &str,
        body: &mut Body,
        expected: u64,
        charge: Charge,
    ) -> Result<Upload, Refusal> {
        let share = timeout(WAIT, self.share(host, expected)).await.unwrap_or(None);
        let share = share.ok_or_else(|| Refusal::later("too many batches at once; send this one again later"))?;
        let Sink { file, hash, size } = self.collect(body, expected).await?;
        Ok(Upload { file, size, digest: hash.finalize().into(), charge, _share: share })
    }

    /// Writes the body down. It must come at `min_rate` from `body_timeout` on, so that nobody holds a place for longer than a
    /// slow line would.
    async fn collect(&self, body: &mut Body, expected: u64) -> Result<Sink, Refusal> {
        let Limits { body_timeout, min_rate_bytes, .. } = self.limits;
        let (fs, folder) = (self.fs.clone(), self.folder.clone());
        let create = move || Unnamed::create(fs, &folder, FILE_MODE);
        let mut sink = Sink { file: on_disk(create).await?, hash: Sha256::new(), size: 0 };
        let mut piece = Vec::new();
        let (began, mut came) = (Instant::now(), 0);
        loop {
            let due = began + body_timeout + Duration::from_secs(came / min_rate_bytes);
            let silent = Instant::now() + body_timeout;
            let slow = |_| {
                Refusal::Slow(format!(
                    "{came} bytes came in {} s; send faster, or less at once",
                    began.elapsed().as_secs()
                ))
            };
            let chunk = timeout_at(due.min(silent), chunk(body)).await.map_err(slow)??;
            let is_last = chunk.is_none();
            if let Some(chunk) = chunk {
                came += chunk.len() as u64;
                if came > expected {
                    return Err(self.too_large());
                }
                piece.extend_from_slice(&chunk);
            }
            if piece.len() >= PIECE_BYTES || (is_last && !piece.is_empty()) {
                (sink, piece) = on_disk(move || {
                    sink.write(&piece)?;
                    piece.clear();
                    Ok((sink, piece))
                })
                .await?;
            }
            if is_last {
                return Ok(sink);
            }
        }
    }

    /// `None` never comes but when the semaphores are closed, and nobody closes them.
    async fn share(&self, host: &str, size: u64) -> Option<Share> {
        let of_host = {
            // a panic elsewhere leaves the map itself sound
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            // only hosts that are sending now are kept
            hosts.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
            // the largest batch fits twice, and one host can't keep the others out
            let share = 2 * mib(self.limits.batch_max_bytes) as usize;
            hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(share))).clone()
        };
        let host = of_host.acquire_many_owned(mib(size)).await.ok()?;
        let all = self.all.clone().acquire_many_owned(mib(size)).await.ok()?;
        Some(Share { _host: host, _all: all })
    }

    fn too_large(&self) -> Refusal {
        let most = self.limits.batch_max_bytes;
        Refusal::TooLarge(format!("a batch is at most {} KiB here; send fewer segments at once", most >> 10))
    }
}

impl Sink {
    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.hash.update(piece);
        self.size += piece.len() as u64;
        self.file.write_all(piece)
    }
}

/// Work on the disk, off the network's threads.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| told(&error))
}

/// The operator hears of it, and the client what it means to it.
fn told(error: &io::Error) -> Refusal {
    tracing::error!("a batch can't be written down: {error}");
    Refusal::disk(error)
}

fn mib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20).max(1)).unwrap_or(u32::MAX)
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
