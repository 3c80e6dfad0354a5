//! Certificates, keys and revocation lists in PEM files.

use crate::chain::key_file;
use rustls::RootCertStore;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use std::path::{Path, PathBuf};

/// Why TLS can't be set up; no key is quoted.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A file is not usable.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and how to mend it.
        reason: String,
    },
    /// The file of a private key.
    #[error(transparent)]
    Key(#[from] key_file::Error),
    /// No file is to blame.
    #[error("TLS: {0}")]
    Setup(String),
}

impl Fault {
    pub(crate) fn file(path: &Path, reason: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), reason: reason.into() }
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
        roots.add(certificate).map_err(|e| Fault::file(path, format!("not a CA certificate: {e}")))?;
    }
    Ok(roots)
}

/// A certificate and its chain: at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    at_least_one(path, "no certificate in PEM (BEGIN CERTIFICATE) here")
}

/// The revocation lists of all files: at least one a file.
pub(crate) fn crls(paths: &[PathBuf]) -> Result<Vec<CertificateRevocationListDer<'static>>, Fault> {
    let mut lists = Vec::new();
    for path in paths {
        lists.extend(at_least_one(path, "no revocation list in PEM (BEGIN X509 CRL) here")?);
    }
    Ok(lists)
}

/// A private key that nobody but its owner can read.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    let pem = key_file::read_secret(path)?;
    // the parser's own words could quote the key
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        Fault::file(path, "no private key in PEM (BEGIN PRIVATE KEY) here; an encrypted key must be decrypted first")
    })
}

fn at_least_one<T: PemObject>(path: &Path, none: &str) -> Result<Vec<T>, Fault> {
    let read = T::pem_file_iter(path).and_then(|found| found.collect::<Result<Vec<_>, _>>());
    let found = read.map_err(|error| match error {
        pem::Error::Io(error) => Fault::file(path, error.to_string()),
        other => Fault::file(path, format!("damaged PEM: {other}")),
    })?;
    if found.is_empty() { Err(Fault::file(path, none)) } else { Ok(found) }
}
