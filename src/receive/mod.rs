//! The embedded append-only store and its mTLS server.

use std::net::SocketAddr;
use std::path::PathBuf;

/// `[receive]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Address and port.
    pub listen: SocketAddr,
    /// The archive.
    pub dir: PathBuf,
    /// CA of the clients, and the server's own certificate and key.
    pub tls: TlsConfig,
    /// Which host keys may endorse which host.
    pub trust: Option<PathBuf>,
    /// Signs receipts; made when absent.
    pub receipt_key: PathBuf,
}

/// Certificate files in PEM.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsConfig {
    /// Whose certificates are let in.
    pub ca: PathBuf,
    /// The server's certificate chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}
