//! What became of alerts.

use super::Alert;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counted since the start, by all threads.
#[derive(Debug, Default)]
pub struct Counters {
    seen: AtomicU64,
    raised: AtomicU64,
    grouped: AtomicU64,
    delivered: AtomicU64,
    retried: AtomicU64,
    failed: AtomicU64,
}

/// [`Counters`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Verdicts that the target is to be told of.
    pub seen: u64,
    /// Notifications, each with an `alert` line in the chain.
    pub raised: u64,
    /// Verdicts that were told of together with others, beyond one a notification.
    pub grouped: u64,
    /// Notifications that the target took.
    pub delivered: u64,
    /// Attempts after the first.
    pub retried: u64,
    /// Notifications that were given up.
    pub failed: u64,
}

impl Counters {
    pub(super) fn see(&self) {
        self.seen.fetch_add(1, Relaxed);
    }

    pub(super) fn raise(&self, count: u64) {
        self.raised.fetch_add(1, Relaxed);
        self.grouped.fetch_add(count.saturating_sub(1), Relaxed);
    }

    pub(super) fn deliver(&self) {
        self.delivered.fetch_add(1, Relaxed);
    }

    pub(super) fn retry(&self) {
        self.retried.fetch_add(1, Relaxed);
    }

    /// A notification will not be delivered: counted, and said in the log.
    pub fn give_up(&self, alert: &Alert, why: &str) {
        self.failed.fetch_add(1, Relaxed);
        tracing::error!(alert = %alert.alert, notification = %alert.notification, id = %alert.id, count = alert.count,
            "an alert is given up: {why}");
    }

    /// Now.
    pub fn counts(&self) -> Counts {
        Counts {
            seen: self.seen.load(Relaxed),
            raised: self.raised.load(Relaxed),
            grouped: self.grouped.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            retried: self.retried.load(Relaxed),
            failed: self.failed.load(Relaxed),
        }
    }
}
