//! sealtail.toml: strict, and whatever is wrong is told at once, with its place and the mend.
//!
//! ```text
//! mod.rs          the configuration, resolved
//! fault.rs        what is wrong, and where
//! document.rs     a file being read: its places, its faults, its surroundings
//! table.rs        typed reading of one table's keys
//! value.rs        sizes and durations
//! substitute.rs   ${NAME}, ${file:PATH}, ${credential:NAME}
//! sections.rs     the tables that are no list; source.rs, target.rs, alerting.rs, receive.rs the others
//! bundle.rs       what [policy] says of bundles
//! needs.rs        which files, ports and rights it makes an agent or a receiver work with
//! reference/      every key, told once for people and editors; a test holds it against the readers
//! ```

mod alerting;
mod bundle;
mod document;
mod fault;
mod needs;
mod receive;
pub mod reference;
mod sections;
mod source;
mod substitute;
mod table;
mod target;
mod value;

pub use fault::{Fault, Position};

use crate::{alert, chain, forward, hardening, modes, policy, receive as store, source as reading, spool};
use document::Document;
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use substitute::Surroundings;
use table::Table;

/// A configuration is a page or two; what is larger is some other file.
const FILE_SIZE_MAX_BYTES: usize = 1024 * 1024;

/// A whole configuration, resolved: paths absolute (relative ones are taken from the file's folder), defaults filled in.
/// At least one of `agent` and `receive` is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// SHA-256 of the file's bytes, as they stand: the genesis line names it.
    pub digest: [u8; 32],
    /// What `sealtail run` needs; `None` in a file that is for a receiver only.
    pub agent: Option<Agent>,
    /// `[receive]`: what `sealtail receive` needs.
    pub receive: Option<store::Config>,
    /// `[telemetry]`.
    pub telemetry: Telemetry,
    /// `[hardening]`.
    pub hardening: hardening::Config,
}

/// What an agent needs: all of it, checked against each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// `[host]`.
    pub host: Host,
    /// `[auditors] recipients`: at least one, none twice.
    pub recipients: Vec<age::x25519::Recipient>,
    /// `[[source]]`: at least one, no two of one name.
    pub sources: Vec<reading::Config>,
    /// `[erasure] keys`: files of the public keys that may sign erasures.
    pub erasure: Vec<PathBuf>,
    /// `[policy]`.
    pub policy: policy::Config,
    /// `[chain]`.
    pub chain: chain::Config,
    /// `[spool]`.
    pub spool: spool::Config,
    /// `[[target]]`: at least one that is required, no two of one name.
    pub targets: Vec<forward::Config>,
    /// `[[alert]]`: no two of one name.
    pub alerts: Vec<alert::Config>,
    /// `[resources] memory`: what should be resident at most.
    pub memory_bytes: u64,
}

impl Agent {
    /// Whether other programs may be started.
    pub fn may_execute(&self) -> bool {
        self.alerts.iter().any(|target| matches!(target.kind, alert::Kind::Command { .. }))
    }
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
    /// Where `/metrics`, `/healthz` and `/readyz` are served.
    pub listen: Option<SocketAddr>,
    /// Where `status` and `top` ask, if not at the default.
    pub socket: Option<PathBuf>,
    /// A tracing filter such as `info` or `sealtail=debug`.
    pub log: String,
}

impl Config {
    /// Reads the file at `path`; everything that is wrong with it comes back at once, in the order of the file.
    pub fn load(path: &Path) -> Result<Self, Vec<Fault>> {
        Self::load_with(path, &|name| std::env::var_os(name))
    }

    /// As [`load`](Self::load), with other environment variables than this process has.
    pub fn load_with(path: &Path, variable: Variable<'_>) -> Result<Self, Vec<Fault>> {
        load(path, variable, sections::config)
    }
}

/// What `sealtail save` needs of a configuration, which may be an agent's or hold this alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Targets {
    /// `[host] name`: whom the client certificate names.
    pub host: String,
    /// `[[target]]`.
    pub targets: Vec<forward::Config>,
}

impl Targets {
    /// Reads the file at `path`, as [`Config::load`].
    pub fn load(path: &Path) -> Result<Self, Vec<Fault>> {
        load(path, &|name| std::env::var_os(name), |root, _| sections::targets(&root))
    }
}

/// The value of an environment variable.
type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

fn load<T>(
    path: &Path,
    variable: Variable<'_>,
    read: impl FnOnce(Table<'_>, [u8; 32]) -> Option<T>,
) -> Result<T, Vec<Fault>> {
    modes::check(path).map_err(|writable| vec![Fault::of_file(path, writable.what(), &writable.mend())])?;
    let bytes = std::fs::read(path)
        .map_err(|error| vec![Fault::of_file(path, format!("cannot read this file: {error}"), MEND_PATH)])?;
    let absolute = std::path::absolute(path)
        .map_err(|error| vec![Fault::of_file(path, format!("cannot tell its folder: {error}"), MEND_PATH)])?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    parse(path, &bytes, &Surroundings { folder, variable }, read)
}

const MEND_PATH: &str = "name the configuration with --config FILE";

fn parse<T>(
    path: &Path,
    bytes: &[u8],
    surroundings: &Surroundings<'_>,
    read: impl FnOnce(Table<'_>, [u8; 32]) -> Option<T>,
) -> Result<T, Vec<Fault>> {
    if bytes.len() > FILE_SIZE_MAX_BYTES {
        return Err(vec![Fault::of_file(path, "larger than 1 MiB, so no configuration".into(), MEND_PATH)]);
    }
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            return Err(vec![Fault::of_text(
                path,
                &before,
                before.len(),
                "this byte is not UTF-8",
                "save it as UTF-8",
            )]);
        }
    };
    let parsed = toml::de::DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(text.len(), |span| span.start);
        vec![Fault::of_text(path, text, at, error.message(), "mend the TOML here, then check again")]
    })?;
    let document = Document::new(path, text, surroundings);
    document.verdict(read(document.root(parsed.get_ref()), Sha256::digest(bytes).into()))
}
