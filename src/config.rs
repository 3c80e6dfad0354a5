//! sealtail.toml.

use crate::{chain, forward, policy, receive, source, spool};
use std::path::PathBuf;

/// A whole configuration, resolved: paths absolute (relative ones are taken from the file's folder), defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[host]`.
    pub host: Host,
    /// `[auditors] recipients`: age recipients, at least one where there are sources.
    pub recipients: Vec<String>,
    /// `[[source]]`.
    pub sources: Vec<source::Config>,
    /// `[policy]`.
    pub policy: policy::Config,
    /// `[chain]`.
    pub chain: chain::Config,
    /// `[spool]`.
    pub spool: spool::Config,
    /// `[[target]]`.
    pub targets: Vec<forward::Config>,
    /// `[receive]`.
    pub receive: Option<receive::Config>,
    /// `[telemetry]`.
    pub telemetry: Telemetry,
}

/// `[host]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// `[A-Za-z0-9._-]`, at most 64 bytes.
    pub name: String,
    /// PKCS#8 PEM of the key that endorses streams.
    pub key: PathBuf,
}

/// `[telemetry]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// A tracing filter such as `info` or `sealtail=debug`.
    pub log: String,
}
