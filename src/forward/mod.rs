//! Forwarders: one a target, each with its own position in the spool, each at its own speed.
//!
//! A batch's bounds are durable before its first attempt and stay until it is acknowledged, so that every retry sends the
//! same bytes under the same name and a target can tell a repetition from a fork. It is retried for ever; only a target that
//! refuses the bytes themselves ends that: they go to quarantine, loudly, and the agent begins a new stream.

//!
//! | file | what it does |
//! | --- | --- |
//! | `backend` | the contract of a kind of target |
//! | `config` | what is configured of one |
//! | `https` | a server that speaks the protocol of `sealtail receive` |
//! | `generic` | any server that takes NDJSON |
//! | `otlp` | OpenTelemetry collectors |
//! | `file` | a folder |
//! | `nats` | NATS JetStream |
//! | `kafka` | Kafka |
//! | `message` | a batch as messages of a queue |
//! | `save` | what a queue has, as an archive in a folder |
//! | `parts` | a batch put together, with forged parts among them |
//! | `s3` | a bucket with Object Lock |
//! | `http` | HTTP clients of targets |
//! | `tls` | certificates, watched |
//! | `meter` | what became of batches, counted |

mod backend;
mod config;
mod file;
mod generic;
mod http;
mod https;
mod kafka;
mod message;
mod meter;
mod nats;
mod otlp;
mod parts;
mod s3;
mod save;
mod tls;

pub use crate::tls::{ClientFiles, Config as TlsConfig};
pub use backend::{Backend, Outcome, Pending, Upload};
pub use config::{
    Config, FileConfig, Format, GenericConfig, HttpsConfig, KafkaConfig, Kind, NatsConfig, OtlpConfig, Protocol, Proxy,
};
pub use generic::PLACEHOLDERS;
pub use meter::{Deliveries, Meter};
pub use s3::{LockMode, ObjectLock, S3Config};
pub use save::{Saved, save};

use crate::chain::header::Hash;
use crate::chain::key::sha256;
use crate::chain::receipt::Receipt;
use crate::durable::real;
use crate::spool::{self, BatchLimits, Frozen, Phase, Spool, Work};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Why a target can't be forwarded to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate, a key or TLS itself is not usable.
    #[error(transparent)]
    Tls(#[from] crate::tls::Fault),
    /// The place is not usable.
    #[error("{place}: {reason}")]
    Place {
        /// The URL or folder.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The spool failed.
    #[error(transparent)]
    Spool(#[from] spool::Error),
    /// The runtime is shutting down.
    #[error("stopped")]
    Stopped,
}

/// What a forwarder tells the agent.
#[derive(Debug)]
pub enum Event {
    /// A target has these bytes.
    Stored {
        /// The target.
        target: String,
        /// The batch.
        batch: Frozen,
        /// Its bytes.
        bytes: Bytes,
        /// The receipt, of a target that signs one.
        receipt: Option<Box<Receipt>>,
    },
    /// A target refused a stream for good; a new one has to begin.
    Refused {
        /// The target.
        target: String,
    },
}

/// Sends the spool's batches to one target.
pub struct Forwarder {
    config: Config,
    host: String,
    spool: Spool,
    events: mpsc::Sender<Event>,
    meter: Arc<Meter>,
    backoff: Backoff,
    phase: watch::Receiver<Phase>,
}

/// The backend of a target. Nothing is sent yet; what is wrong with its certificates and its place is said.
pub fn open(config: &Config, host: &str) -> Result<Box<dyn Backend>, Error> {
    Ok(match &config.kind {
        Kind::Https(https) => Box::new(https::Https::new(&config.name, https, host)?),
        Kind::Generic(generic) => Box::new(generic::Generic::new(&config.name, generic, host)?),
        Kind::Otlp(otlp) => Box::new(otlp::Otlp::new(&config.name, otlp, host)?),
        Kind::File(file) => Box::new(file::Folder::new(file)),
        Kind::Nats(nats) => Box::new(nats::Nats::new(&config.name, nats, host, config.batch_max_size_bytes)?),
        Kind::Kafka(kafka) => Box::new(kafka::Kafka::new(&config.name, kafka, host, config.batch_max_size_bytes)?),
        Kind::S3(s3) => Box::new(s3::S3::new(&config.name, s3, host)?),
    })
}

/// Whether each folder that targets write to is another's neither and not the spool's: what is stored there would be deleted with
/// the spool's files, or overwritten. Names the target and the mend.
pub fn apart(targets: &[Config], spool: &Path) -> Result<(), (String, Error)> {
    let mut taken = vec![("the spool's".to_owned(), real(spool))];
    for target in targets {
        let Kind::File(FileConfig { dir, .. }) = &target.kind else { continue };
        let place = real(dir);
        if let Some((whose, _)) = taken.iter().find(|(_, other)| place.starts_with(other) || other.starts_with(&place))
        {
            let reason = format!("is {whose} folder, in it, or around it; give the target a folder of its own");
            return Err((target.name.clone(), Error::Place { place: dir.display().to_string(), reason }));
        }
        taken.push((format!("target {:?}'s", target.name), place));
    }
    Ok(())
}

/// Checks a target without sending anything: its certificates, its place.
pub fn check(config: &Config, host: &str) -> Result<(), Error> {
    open(config, host).map(drop)
}

/// As [`check`], and whether it answers and would take this host's lines.
pub async fn probe(config: &Config, host: &str) -> Result<(), Error> {
    let refused = |reason| Error::Place { place: config.kind.place(), reason };
    open(config, host)?.probe().await.map_err(refused)
}

impl Forwarder {
    /// A forwarder for `host`'s lines. `events` should be taken from quickly: a forwarder waits for room in it.
    pub fn new(config: &Config, host: &str, spool: &Spool, events: mpsc::Sender<Event>, meter: Arc<Meter>) -> Self {
        let (config, host, spool, phase) = (config.clone(), host.to_owned(), spool.clone(), spool.phase());
        Self { config, host, spool, events, meter, backoff: Backoff::default(), phase }
    }

    /// Runs until it is dropped or the spool fails, or is opened anew.
    pub async fn run(mut self) -> Result<(), Error> {
        let Some(mut backend) = self.open().await else { return Ok(()) };
        let mut news = self.spool.watch();
        let limits =
            BatchLimits { max_size_bytes: self.config.batch_max_size_bytes, max_age: self.config.batch_max_age };
        loop {
            news.mark_unchanged();
            if self.is_retired() {
                return Ok(());
            }
            let (spool, name) = (self.spool.clone(), self.config.name.clone());
            match blocking(move || spool.work(&name, limits)).await? {
                Work::Batch(batch) => self.deliver(&mut *backend, &batch).await?,
                Work::Wait(until) => {
                    let until = until.map_or(Duration::from_secs(3600), |at| at - Instant::now());
                    let changed = tokio::time::timeout(until, news.changed()).await;
                    if matches!(changed, Ok(Err(_))) {
                        return Err(Error::Stopped);
                    }
                }
            }
        }
    }

    /// Until its certificates are usable: they may be renewed while the agent runs, and no other target has to wait for that.
    async fn open(&mut self) -> Option<Box<dyn Backend>> {
        while !self.is_retired() {
            match open(&self.config, &self.host) {
                Ok(backend) => return Some(backend),
                Err(error) => {
                    let wait = self.backoff.next();
                    self.meter.fail(&error.to_string());
                    if self.backoff.is_worth_a_word() {
                        tracing::error!(target_name = %self.config.name, "cannot deliver, the spool holds the lines: {error}");
                    }
                    self.pause(wait).await;
                }
            }
        }
        None
    }

    fn is_retired(&self) -> bool {
        *self.phase.borrow() == Phase::Retired
    }

    /// Waits before another attempt. Once the spool is to be drained the waits begin anew, since there is little time left.
    async fn pause(&mut self, wait: Duration) {
        let before = *self.phase.borrow();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // an error means that the spool is gone, which the next attempt finds
            _ = self.phase.wait_for(|phase| *phase != before) => self.backoff.failures = 0,
        }
    }

    /// Until the target has the batch, or refuses it for good.
    async fn deliver(&mut self, backend: &mut dyn Backend, batch: &Frozen) -> Result<(), Error> {
        let (spool, frozen) = (self.spool.clone(), *batch);
        let bytes: Bytes = match blocking(move || spool.read(&frozen)).await {
            // an optional target that was skipped just now has no claim on the file any more
            Err(_) if !self.spool.is_frozen(&self.config.name, batch) => return Ok(()),
            read => read?.into(),
        };
        if self.spool.is_refused(&self.config.name, batch.stream) {
            return self.quarantine(batch, bytes, None).await;
        }
        let digest = Hash(sha256(&[&bytes]));
        let upload = Upload { host: self.host.clone(), batch: *batch, bytes, digest };
        while self.spool.is_frozen(&self.config.name, batch) && !self.is_retired() {
            backend.reload();
            match backend.store(&upload).await {
                Outcome::Stored(receipt) => return self.stored(batch, upload.bytes, receipt).await,
                Outcome::Refused { is_fork, why } => {
                    return self.quarantine(batch, upload.bytes, Some((is_fork, why))).await;
                }
                Outcome::Later { why, after } => {
                    let wait = self.backoff.next().max(after.unwrap_or_default());
                    if self.backoff.is_worth_a_word() {
                        let wait_ms = wait.as_millis() as u64;
                        let place = self.config.kind.place();
                        tracing::warn!(target_name = %self.config.name, place, wait_ms, "cannot deliver, the spool holds the lines: {why}");
                    }
                    self.meter.fail(&why);
                    self.pause(wait).await;
                    self.meter.retry();
                }
            }
        }
        Ok(())
    }

    async fn stored(&mut self, batch: &Frozen, bytes: Bytes, receipt: Option<Box<Receipt>>) -> Result<(), Error> {
        if self.backoff.failures > 0 {
            tracing::info!(target_name = %self.config.name, failures = self.backoff.failures, "delivers again");
        }
        self.backoff = Backoff::default();
        self.meter.store(bytes.len(), receipt.is_some());
        // told before it is settled: once the spool is drained, every receipt has been told
        let target = self.config.name.clone();
        let event = Event::Stored { target, batch: *batch, bytes, receipt: receipt.clone() };
        self.events.send(event).await.map_err(|_| Error::Stopped)?;
        let (spool, name, frozen) = (self.spool.clone(), self.config.name.clone(), *batch);
        blocking(move || spool.acknowledge(&name, &frozen, receipt.map(|receipt| *receipt))).await
    }

    /// Keeps what was refused; with `refusal` the target says so for the first time in this stream.
    async fn quarantine(&mut self, batch: &Frozen, bytes: Bytes, refusal: Option<(bool, String)>) -> Result<(), Error> {
        let (spool, name, frozen) = (self.spool.clone(), self.config.name.clone(), *batch);
        let kept = blocking(move || spool.keep_refused(&name, &frozen, &bytes)).await?;
        let (spool, name) = (self.spool.clone(), self.config.name.clone());
        let Some(kept) = kept else {
            let why = refusal.map(|(_, why)| why);
            tracing::error!(target_name = %name, stream = %batch.stream, first = batch.seq[0], why,
                "ALARM: this optional target refuses more than its max_lag of quarantine: the rest of the stream is skipped, as the next one says");
            // no new stream on its account: one that refuses everything would have them begin without end
            return blocking(move || spool.skip(&name)).await;
        };
        if let Some((is_fork, why)) = refusal {
            self.meter.refuse(&why);
            let what = if is_fork {
                "FORK: the target holds other bytes under this name"
            } else {
                "the target refuses this batch"
            };
            tracing::error!(target_name = %self.config.name, stream = %batch.stream, first = batch.seq[0], kept = %kept.display(),
                "ALARM: {what}: {why}; its bytes are kept, a new stream begins");
            let target = self.config.name.clone();
            self.events.send(Event::Refused { target }).await.map_err(|_| Error::Stopped)?;
        }
        blocking(move || spool.give_up(&name, &frozen)).await
    }
}

/// The work's result, or that it came to no end.
async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = |_| Err(format!("no end after {} s; is the server overloaded?", limit.as_secs()));
    tokio::time::timeout(limit, work).await.unwrap_or_else(late)
}

/// Disk work off the network's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, spool::Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Error::Spool),
        Err(_) => Err(Error::Stopped),
    }
}

/// Waits between attempts: doubling from 200 ms to 30 s, each drawn from the upper half so that many agents don't come back at
/// the same moment.
#[derive(Default)]
struct Backoff {
    failures: u32,
    told: Seldom,
}

/// Something is told the first time, then once a minute.
#[derive(Default)]
struct Seldom {
    told: Option<Instant>,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        const FIRST_MS: u64 = 200;
        const LONGEST_MS: u64 = 30_000;
        let ceiling = (FIRST_MS << self.failures.min(16)).min(LONGEST_MS);
        self.failures = self.failures.saturating_add(1);
        // without randomness the wait is only less scattered
        let random = getrandom::u64().unwrap_or(0);
        Duration::from_millis(ceiling / 2 + random % (ceiling / 2 + 1))
    }

    fn is_worth_a_word(&mut self) -> bool {
        self.told.is_due()
    }
}

impl Seldom {
    fn is_due(&mut self) -> bool {
        const QUIET: Duration = Duration::from_secs(60);
        let due = self.told.is_none_or(|at| at.elapsed() >= QUIET);
        if due {
            self.told = Some(Instant::now());
        }
        due
    }
}
