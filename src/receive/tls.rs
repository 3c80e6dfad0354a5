//! The server's side of mTLS: TLS 1.3 only, and no client without a certificate of the configured CA.

use super::TlsConfig;
use crate::chain::key_file;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file with certificates can't be read.
    #[error("{path}: cannot read certificates: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{path}: {what}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and how to mend it.
        what: String,
    },
    /// The server's key file.
    #[error(transparent)]
    Key(#[from] key_file::Error),
}

/// Reads the files and sets TLS up.
pub(super) fn load(files: &TlsConfig) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let content = |path: &Path| {
        let path = path.to_owned();
        move |error: &dyn std::fmt::Display| Error::Content { path, what: error.to_string() }
    };
    let mut roots = RootCertStore::empty();
    for root in certificates(&files.ca)? {
        roots.add(root).map_err(|error| content(&files.ca)(&format_args!("not a CA certificate: {error}")))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| content(&files.ca)(&error))?;
    let chain = certificates(&files.cert)?;
    let pem = key_file::read_secret(&files.key)?;
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
        content(&files.key)(&format_args!(
            "no private key in PEM here ({error}); an encrypted key must be decrypted first"
        ))
    })?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| content(&files.cert)(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| {
            let key = files.key.display();
            content(&files.cert)(&format_args!("this certificate and the key {key} don't work together: {error}"))
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // no resumption: a client proves its certificate, with the time it is valid, at each connection
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let what = match parsed {
        Ok(certificates) if !certificates.is_empty() => return Ok(certificates),
        Ok(_) => "no certificate in PEM (BEGIN CERTIFICATE) here".to_owned(),
        Err(error) => format!("damaged PEM: {error}"),
    };
    Err(Error::Content { path: path.to_owned(), what })
}
