//! Forwarders.

use std::path::PathBuf;
use std::time::Duration;

/// A `[[target]]` of the configuration with `type = "https"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Names the target in receipts, metrics and the ledger.
    pub name: String,
    /// The base URL, `https` always.
    pub url: String,
    /// A segment stays spooled until every required target gave a receipt for it.
    pub required: bool,
    /// A batch is sent when it has this many bytes …
    pub batch_max_size_bytes: u64,
    /// … or when its first segment is this old.
    pub batch_max_age: Duration,
    /// Certificates.
    pub tls: TlsConfig,
}

/// Certificate files in PEM.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsConfig {
    /// Whom to trust.
    pub ca: PathBuf,
    /// Our certificate chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}
