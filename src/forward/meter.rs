//! What became of a target's batches, for metrics and for people.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Counted since the agent's start by the target's forwarder, read by any other.
#[derive(Debug, Default)]
pub struct Meter {
    batches: AtomicU64,
    bytes: AtomicU64,
    receipts: AtomicU64,
    retries: AtomicU64,
    refusals: AtomicU64,
    failures: AtomicU64,
    stored: Mutex<Option<SystemTime>>,
    failed: Mutex<Option<(SystemTime, String)>>,
}

/// A [`Meter`] at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliveries {
    /// Batches that the target stored.
    pub batches: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Receipts that it signed.
    pub receipts: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Batches that it refused for good.
    pub refusals: u64,
    /// Attempts that failed since the last that did not.
    pub failures: u64,
    /// When it last stored a batch.
    pub stored: Option<SystemTime>,
    /// When an attempt last failed, and why.
    pub failed: Option<(SystemTime, String)>,
}

impl Meter {
    pub(super) fn store(&self, bytes: usize, is_signed: bool) {
        self.batches.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.receipts.fetch_add(u64::from(is_signed), Relaxed);
        self.failures.store(0, Relaxed);
        *self.stored.lock().unwrap_or_else(PoisonError::into_inner) = Some(SystemTime::now());
    }

    pub(super) fn retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    pub(super) fn fail(&self, why: &str) {
        self.failures.fetch_add(1, Relaxed);
        self.tell(why);
    }

    pub(super) fn refuse(&self, why: &str) {
        self.refusals.fetch_add(1, Relaxed);
        self.tell(why);
    }

    fn tell(&self, why: &str) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some((SystemTime::now(), why.to_owned()));
    }

    /// Now.
    pub fn deliveries(&self) -> Deliveries {
        Deliveries {
            batches: self.batches.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            receipts: self.receipts.load(Relaxed),
            retries: self.retries.load(Relaxed),
            refusals: self.refusals.load(Relaxed),
            failures: self.failures.load(Relaxed),
            stored: *self.stored.lock().unwrap_or_else(PoisonError::into_inner),
            failed: self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
