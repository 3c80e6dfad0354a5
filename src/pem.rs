//! Certificates and keys in PEM files, as whoever calls a server reads them.

use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a file can't be used; the key is never quoted.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) path: PathBuf,
    pub(crate) reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> String {
        fault.to_string()
    }
}

/// The authorities to trust.
pub(crate) fn roots(path: &Path) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| fault(path, format!("not a CA certificate: {e}")))?;
    }
    Ok(roots)
}

/// A certificate and its chain: at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let read = CertificateDer::pem_file_iter(path).and_then(|found| found.collect::<Result<Vec<_>, _>>());
    let found = read.map_err(|error| match error {
        pem::Error::Io(error) => fault(path, error.to_string()),
        other => fault(path, format!("not PEM: {other:?}")),
    })?;
    match found.is_empty() {
        true => Err(fault(path, "holds no certificate in PEM (BEGIN CERTIFICATE)".into())),
        false => Ok(found),
    }
}

/// A client that shows this certificate chain, which was read from `cert`.
pub(crate) fn showing(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    chain: Vec<CertificateDer<'static>>,
    cert: &Path,
    key: &Path,
) -> Result<ClientConfig, Fault> {
    let config = builder.with_client_auth_cert(chain, private_key(key)?);
    config.map_err(|e| fault(key, format!("does not fit the certificate {}: {e}", cert.display())))
}

/// Whether others than who is meant to can get at a file with a secret: its owner alone, or the group of one that root hands
/// to a service (a Secret of Kubernetes, a credential of systemd, a key below /etc).
pub(crate) fn is_exposed(metadata: &Metadata) -> bool {
    let is_handed_on = metadata.uid() == 0 && !rustix::process::geteuid().is_root();
    metadata.mode() & if is_handed_on { 0o037 } else { 0o077 } != 0
}

/// A private key that nobody but its owner can read.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    let metadata = std::fs::metadata(path).map_err(|e| fault(path, e.to_string()))?;
    if is_exposed(&metadata) {
        let mode = metadata.mode() & 0o777;
        let mend = format!("run: chmod 600 {}", path.display());
        return Err(fault(path, format!("others may read this private key (mode {mode:o}); {mend}")));
    }
    // the parser's own words could quote the key
    PrivateKeyDer::from_pem_file(path)
        .map_err(|_| fault(path, "holds no private key in PEM (BEGIN PRIVATE KEY)".into()))
}

fn fault(path: &Path, reason: String) -> Fault {
    Fault { path: path.to_owned(), reason }
}
