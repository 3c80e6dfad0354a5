//! The spool.

use std::path::PathBuf;

/// `[spool]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Its folder.
    pub dir: PathBuf,
    /// Bytes of lines that it may hold; reading stops there.
    pub max_size_bytes: u64,
}
