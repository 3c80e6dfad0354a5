//! The store: takes batches, answers with receipts. A stream's batches are taken one after the other, those of different
//! streams at once.

use super::archive::{self, Archive, Stored};
use super::check::advance;
use super::metrics::Metrics;
use super::refusal::Refusal;
use super::shares::Shares;
use super::tip::{Ended, StreamName, Tip};
use super::upload::Upload;
use crate::chain::header::Hash;
use crate::chain::key::Bytes32;
use crate::chain::receipt::Receipt;
use crate::chain::stamp::rfc3339;
use crate::chain::trust::Trust;
use crate::durable::{FileSystem, Lock};
use crate::record::Seq;
use ed25519_dalek::SigningKey;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};
use tokio::sync::OwnedMutexGuard;

/// Streams of which is remembered where they stand; the others are read again from the disk when a batch comes.
const STREAMS_REMEMBERED: usize = 4096;
/// Batches that one listing names at most.
const LISTED_MAX: usize = 10_000;
/// Batches that are decoded and checked at once: each takes some 10 MiB for that.
pub(super) const CHECKED_AT_ONCE: usize = 16;
/// Those of one host.
pub(super) const CHECKED_OF_HOST: usize = CHECKED_AT_ONCE / 4;

/// The store of all hosts' streams.
pub(super) struct Store {
    /// The archive's folder.
    pub(super) dir: PathBuf,
    /// What changes it.
    pub(super) fs: Arc<dyn FileSystem>,
    /// Who may endorse streams; without it anyone.
    pub(super) trust: Mutex<Option<Arc<Trust>>>,
    /// Signs receipts.
    pub(super) key: SigningKey,
    /// Where streams stand.
    pub(super) tips: Tips,
    /// What it counts.
    pub(super) metrics: Arc<Metrics>,
    /// [`CHECKED_AT_ONCE`], and what else is asked of the disk.
    pub(super) checks: Arc<Shares>,
    /// Keeps a second receiver out.
    pub(super) _lock: Lock,
}

/// Where streams stand; `None` within a slot: not known, to be read from the disk.
#[derive(Default)]
pub(super) struct Tips {
    slots: Mutex<HashMap<StreamName, Slot>>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Tip>>>;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is stored now.
    Stored,
    /// The same bytes were stored before.
    AlreadyStored,
}

/// What is stored of a stream.
#[derive(Debug, serde::Serialize)]
pub(super) struct Listing {
    host: String,
    stream: String,
    /// Lines that are stored, and the root over them.
    size: u64,
    root: Hash,
    ended: Option<Ended>,
    files: Vec<ListedFile>,
    /// Where to go on (`?from=`), when there are more files than one answer holds.
    next_from: Option<Seq>,
}

#[derive(Debug, serde::Serialize)]
struct ListedFile {
    first: Seq,
    last: Seq,
    /// In bytes.
    size: u64,
}

impl Store {
    /// Stores a batch that begins with line `first`. It is durable when this returns.
    pub(super) async fn put(
        self: Arc<Self>,
        name: StreamName,
        first: Seq,
        batch: Upload,
    ) -> Result<(Outcome, Receipt), Refusal> {
        let mut tip = self.tips.lock(&name).await;
        // goes on to its end even if the client goes away
        let host = name.host.clone();
        self.clone().blocking(&host, move || self.put_next(&name, first, batch, &mut tip)).await
    }

    /// Whether a batch of this name is stored, so that another one of this name is not kept beside it.
    pub(super) async fn holds(self: Arc<Self>, name: StreamName, first: Seq) -> Result<bool, Refusal> {
        let host = name.host.clone();
        self.clone().blocking(&host, move || Ok(Archive::of(&self.dir, &name).holds(first))).await
    }

    /// What is stored of a stream, from the batch on that begins with line `from` or after it.
    pub(super) async fn list(self: Arc<Self>, name: StreamName, from: Seq) -> Result<Listing, Refusal> {
        let mut tip = self.tips.lock(&name).await;
        let host = name.host.clone();
        self.clone().blocking(&host, move || self.list_from(&name, from, &mut tip)).await
    }

    async fn blocking<T: Send + 'static>(
        self: Arc<Self>,
        host: &str,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let share = self.checks.take(host, 1).await;
        let work = move || {
            let result = work();
            drop(share);
            result
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
            tracing::error!("a request could not be worked on: {error}");
            Err(Refusal::later("the receiver failed; its log says how"))
        })
    }

    /// Exchanges who may endorse streams that begin from now on.
    pub(super) fn set_trust(&self, trust: Trust) {
        *self.trust.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(trust));
    }

    fn put_next(
        &self,
        name: &StreamName,
        first: Seq,
        batch: Upload,
        slot: &mut Option<Tip>,
    ) -> Result<(Outcome, Receipt), Refusal> {
        let archive = Archive::of(&self.dir, name);
        let tip = self.tip(name, &archive, slot)?;
        let next = tip.next();
        if first < next {
            return self.put_again(name, first, batch.digest, &tip);
        }
        if let Some(ended) = tip.ended {
            return Err(Refusal::malformed(format!("{name} takes nothing after line {}: {ended}", next - 1)));
        }
        if first > next {
            return Err(Refusal::malformed(format!(
                "line {next} of {name} is expected next, and this batch begins with line {first}: \
                 either the receiver lost lines that it had acknowledged, or they were never sent"
            )));
        }
        // nothing that may panic happens under this lock
        let trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let tip = advance(name, trust.as_deref(), tip, batch.open()?)?;
        // not known while the disk is at it; after an error the disk itself is asked what it holds
        *slot = None;
        let Upload { file, digest, size, charge, .. } = batch;
        let began = Instant::now();
        archive.store(&*self.fs, first, file).map_err(refuse)?;
        self.metrics.synced(began.elapsed());
        self.metrics.stored(&name.host, size);
        charge.settle(size);
        let stored_at = archive.stored_at(first).map_err(refuse)?;
        let receipt = self.receipt(name, first, digest, &tip, stored_at);
        *slot = Some(tip);
        Ok((Outcome::Stored, receipt))
    }

    /// A batch of which at least the first line is stored.
    fn put_again(
        &self,
        name: &StreamName,
        first: Seq,
        digest: Bytes32,
        tip: &Tip,
    ) -> Result<(Outcome, Receipt), Refusal> {
        let archive = Archive::of(&self.dir, name);
        let Some((stored, stored_at)) = archive.digest(first).map_err(refuse)? else {
            self.metrics.forked(&name.host);
            return Err(Refusal::Fork(format!(
                "line {first} of {name} is stored within a batch that begins before it"
            )));
        };
        if stored != digest {
            self.metrics.forked(&name.host);
            return Err(Refusal::Fork(format!("other bytes are stored for line {first} of {name} and those after it")));
        }
        let is_last = archive.list().map_err(refuse)?.last().is_some_and(|last| last.first == first);
        let after = match &tip.genesis {
            // its last segment may be the stream's only one without a checkpoint
            _ if is_last => tip.clone(),
            Some(genesis) => archive.after(first, genesis.clone()).map_err(refuse)?,
            None => return Err(Refusal::later("this stream's genesis is not known")),
        };
        self.metrics.repeated(&name.host);
        Ok((Outcome::AlreadyStored, self.receipt(name, first, digest, &after, stored_at)))
    }

    fn list_from(&self, name: &StreamName, from: Seq, slot: &mut Option<Tip>) -> Result<Listing, Refusal> {
        let archive = Archive::of(&self.dir, name);
        let tip = self.tip(name, &archive, slot)?;
        if tip.next() == 0 {
            return Err(Refusal::NotFound(format!("nothing is stored of {name}")));
        }
        let stored = archive.list().map_err(refuse)?;
        let start = stored.partition_point(|file| file.first < from);
        let page = &stored[start..stored.len().min(start + LISTED_MAX)];
        let after: Option<&Stored> = stored.get(start + page.len());
        let ends = stored.iter().skip(start + 1).map(|file| file.first).chain([tip.next()]);
        let files = page.iter().zip(ends).map(|(file, end)| ListedFile {
            first: file.first,
            last: end.saturating_sub(1),
            size: file.size,
        });
        Ok(Listing {
            host: name.host.clone(),
            stream: name.stream.to_string(),
            size: tip.next(),
            root: Hash(tip.edge.root()),
            ended: tip.ended,
            files: files.collect(),
            next_from: after.map(|file| file.first),
        })
    }

    fn tip(&self, name: &StreamName, archive: &Archive, slot: &mut Option<Tip>) -> Result<Tip, Refusal> {
        if let Some(tip) = slot {
            return Ok(tip.clone());
        }
        let tip = archive.recover(&*self.fs, name).map_err(refuse)?;
        Ok(slot.insert(tip).clone())
    }

    /// `after` is where the stream stands after the batch. The time is that of the file, so that a batch that is sent again
    /// gets the same receipt to the byte.
    fn receipt(&self, name: &StreamName, first: Seq, digest: Bytes32, after: &Tip, stored_at: SystemTime) -> Receipt {
        let receipt = Receipt {
            host: name.host.clone(),
            stream: name.stream,
            seq: [first, after.next() - 1],
            size: after.next(),
            root: Hash(after.edge.root()),
            digest: Hash(digest),
            stored_at: rfc3339(stored_at),
            signature: String::new(),
        };
        receipt.sign(&self.key)
    }
}

impl Tips {
    async fn lock(&self, name: &StreamName) -> OwnedMutexGuard<Option<Tip>> {
        let slot = {
            // a panic elsewhere leaves the map itself sound
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if slots.len() >= STREAMS_REMEMBERED && !slots.contains_key(name) {
                // those that nobody is using can be read from the disk again
                slots.retain(|_, slot| Arc::strong_count(slot) > 1);
            }
            slots.entry(name.clone()).or_default().clone()
        };
        slot.lock_owned().await
    }
}

/// Tells the operator what went wrong on the disk, and the client only what it means to it.
fn refuse(error: archive::Error) -> Refusal {
    tracing::error!("{error}");
    match &error {
        archive::Error::Disk { source, .. } => Refusal::disk(source),
        archive::Error::Damaged { .. } => {
            Refusal::later("the receiver's archive of this stream is damaged; its log says where")
        }
    }
}
