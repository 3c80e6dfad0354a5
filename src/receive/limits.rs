//! What a client may take: of connections, time and disk, and what a host may store.

use super::archive::BATCH_MAX;
use std::time::Duration;

/// `[receive.limits]`: of all clients, and of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The largest batch, in bytes.
    pub batch_max_bytes: u64,
    /// Bytes of batches that are on their way at once, on the disk, of all hosts together.
    pub in_flight_max_bytes: u64,
    /// Connections at once of clients that are known; a quarter as many more may wait for a place.
    pub connections: usize,
    /// Those of one client certificate.
    pub connections_per_host: usize,
    /// TLS handshakes at once.
    pub handshakes: usize,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a connection stays open without a request, whose head must have come by then too.
    pub idle_timeout: Duration,
    /// How long a client may send nothing of a body.
    pub body_timeout: Duration,
    /// Bytes a second that a body must come with, after `body_timeout`.
    pub min_rate_bytes: u64,
}

/// `[receive.quota]`: of each host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quota {
    /// Requests a second, over ten seconds.
    pub requests_per_second: Option<u64>,
    /// Bytes in the archive.
    pub size_bytes: Option<u64>,
    /// Bytes stored in a day.
    pub day_bytes: Option<u64>,
}

impl Limits {
    /// How many connections of known clients may wait for a place at once: each is an open file.
    pub(super) fn waiting(&self) -> usize {
        (self.connections / 4).max(1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_max_bytes: BATCH_MAX,
            in_flight_max_bytes: 1 << 30,
            // with the handshakes, and those that wait for a place, fewer than the 1,024 open files that a process usually may have
            connections: 512,
            connections_per_host: 16,
            handshakes: 256,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            min_rate_bytes: 4 * 1024,
        }
    }
}
