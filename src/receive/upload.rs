//! A request's body on its way to the disk, hashed as it comes, with bounds: of each body, of a host's, of all together, and of
//! time. Memory holds a piece of each and no more.

use super::archive::{BATCH_MAX, FILE_MODE};
use super::limits::Limits;
use super::quota::Charge;
use super::refusal::Refusal;
use super::shares::{Share, Shares};
use crate::chain::key::Bytes32;
use crate::durable::{FileSystem, Unnamed};
use axum::body::{Body, Bytes, HttpBody};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
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
    room: Shares,
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
        let all = mib(limits.in_flight_max_bytes) as usize;
        // the largest batch fits twice, if that leaves half to the others; that it fits once is the configuration's bound
        let of_host = (2 * mib(limits.batch_max_bytes) as usize).min(all / 2);
        Self { fs, folder, limits: limits.clone(), room: Shares::new(all, of_host) }
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
        let share = timeout(WAIT, self.room.take(host, mib(expected))).await;
        let share = share.map_err(|_| Refusal::later("too many batches at once; send this one again later"))?;
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
