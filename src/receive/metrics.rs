//! What the receiver counts, as Prometheus takes it.

use super::quota::Accounts;
use crate::telemetry::text::{Kind, Text};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of times, in seconds.
const BOUNDS_S: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Counters of one receiver.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// By host, of which there are no more than the CA certified.
    hosts: Mutex<BTreeMap<String, Host>>,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    /// How often a batch was made durable within each bound, and in all.
    synced: [AtomicU64; BOUNDS_S.len() + 1],
    synced_us: AtomicU64,
    connections: AtomicU64,
    waiting: AtomicU64,
}

#[derive(Debug, Default)]
struct Host {
    batches: u64,
    bytes: u64,
    repeated: u64,
    forks: u64,
}

/// One of a gauge, until dropped.
pub(super) struct Counted<'a>(&'a AtomicU64);

impl Metrics {
    /// A batch was stored.
    pub(super) fn stored(&self, host: &str, bytes: u64) {
        self.host(host, |host| {
            host.batches += 1;
            host.bytes += bytes;
        });
    }

    /// A batch came that was stored before.
    pub(super) fn repeated(&self, host: &str) {
        self.host(host, |host| host.repeated += 1);
    }

    /// Other bytes came than are stored.
    pub(super) fn forked(&self, host: &str) {
        self.host(host, |host| host.forks += 1);
    }

    /// Something was refused.
    pub(super) fn refused(&self, reason: &'static str) {
        *lock(&self.refusals).entry(reason).or_default() += 1;
    }

    /// It took this long to make a batch durable.
    pub(super) fn synced(&self, took: Duration) {
        let within = BOUNDS_S.iter().position(|bound| took.as_secs_f64() <= *bound).unwrap_or(BOUNDS_S.len());
        self.synced[within].fetch_add(1, Ordering::Relaxed);
        self.synced_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A connection begins.
    pub(super) fn connected(&self) -> Counted<'_> {
        Counted::one_of(&self.connections)
    }

    /// A connection waits for a place.
    pub(super) fn waiting(&self) -> Counted<'_> {
        Counted::one_of(&self.waiting)
    }

    /// Prometheus' text format.
    pub(super) fn text(&self, accounts: &Accounts) -> String {
        let mut text = Text::default();
        self.host_text(&mut text);
        let help = "Requests and connections that were refused.";
        let mut refusals = text.metric("sealtail_receive_refusals_total", Kind::Counter, help);
        for (reason, count) in &*lock(&self.refusals) {
            refusals.sample(&[("reason", reason)], count);
        }
        let (used, size) = accounts.used();
        let help = "What a host has stored, where a quota asks.";
        let mut quota = text.metric("sealtail_receive_quota_used_bytes", Kind::Gauge, help);
        for (host, bytes) in used {
            quota.sample(&[("host", &host)], bytes);
        }
        if let Some(size) = size {
            let help = "What each host may store.";
            text.metric("sealtail_receive_quota_bytes", Kind::Gauge, help).sample(&[], size);
        }
        let mut connections = text.metric("sealtail_receive_connections", Kind::Gauge, "Connections that are open.");
        connections.sample(&[], self.connections.load(Ordering::Relaxed));
        let help = "Those of known clients that wait for a place.";
        let mut waiting = text.metric("sealtail_receive_connections_waiting", Kind::Gauge, help);
        waiting.sample(&[], self.waiting.load(Ordering::Relaxed));
        let help = "How long it took to make a batch durable.";
        let sum_s = Duration::from_micros(self.synced_us.load(Ordering::Relaxed)).as_secs_f64();
        let counts = self.synced.iter().map(|count| count.load(Ordering::Relaxed));
        text.metric("sealtail_receive_fsync_seconds", Kind::Histogram, help).buckets(&BOUNDS_S, counts, sum_s);
        text.finish()
    }

    fn host_text(&self, text: &mut Text) {
        type Counter = (&'static str, &'static str, fn(&Host) -> u64);
        let counters: [Counter; 4] = [
            ("sealtail_receive_batches_total", "Batches that were stored.", |host| host.batches),
            ("sealtail_receive_bytes_total", "Bytes of batches that were stored.", |host| host.bytes),
            ("sealtail_receive_repeated_total", "Batches that came again.", |host| host.repeated),
            ("sealtail_receive_forks_total", "Batches refused since other bytes are stored.", |host| host.forks),
        ];
        let hosts = lock(&self.hosts);
        for (name, help, value) in counters {
            let mut metric = text.metric(name, Kind::Counter, help);
            for (host, counts) in &*hosts {
                metric.sample(&[("host", host)], value(counts));
            }
        }
    }

    fn host(&self, name: &str, change: impl FnOnce(&mut Host)) {
        let mut hosts = lock(&self.hosts);
        match hosts.get_mut(name) {
            Some(host) => change(host),
            None => change(hosts.entry(name.to_owned()).or_default()),
        }
    }
}

impl<'a> Counted<'a> {
    fn one_of(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(counts: &Mutex<T>) -> MutexGuard<'_, T> {
    // nothing panics under these locks
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
