//! The chain.

pub mod auditor_key;
pub mod host_key;
pub mod key_file;
pub mod trust;

use std::time::Duration;

/// `[chain]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// A segment is closed this long after its first line.
    pub flush_interval: Duration,
    /// A new stream begins after this.
    pub max_stream_age: Duration,
}
