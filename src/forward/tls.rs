//! Client certificates: loaded, checked before use, and looked at again when their files change.

use super::{Error, TlsConfig};
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The certificates of a target and when their files were changed last.
pub(crate) struct Credentials {
    pub config: rustls::ClientConfig,
    pub stamp: Stamp,
}

/// Modification times of CA, certificate and key.
pub(crate) type Stamp = [Option<SystemTime>; 3];

/// The files' modification times now.
pub(crate) fn stamp(tls: &TlsConfig) -> Stamp {
    [&tls.ca, &tls.cert, &tls.key].map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
}

/// Loads the certificates for `host`: the client certificate must be valid now and name the host.
pub(crate) fn load(tls: &TlsConfig, host: &str) -> Result<Credentials, Error> {
    let stamp = stamp(tls);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&tls.ca)? {
        roots.add(certificate).map_err(|e| bad(&tls.ca, format!("not a CA certificate: {e}")))?;
    }
    let chain = certificates(&tls.cert)?;
    check_client(&tls.cert, &chain[0], host)?;
    let key = private_key(&tls.key)?;
    // TLS 1.3 only: the certificate would cross the wire in the clear under 1.2
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| bad(&tls.cert, e.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|e| bad(&tls.key, format!("does not fit the certificate {}: {e}", tls.cert.display())))?;
    Ok(Credentials { config, stamp })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let file = CertificateDer::pem_file_iter(path).map_err(|e| unreadable(path, &e))?;
    let found: Result<Vec<_>, _> = file.collect();
    let found = found.map_err(|e| unreadable(path, &e))?;
    if found.is_empty() {
        return Err(bad(path, "holds no certificate in PEM (BEGIN CERTIFICATE)".into()));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).map_err(|e| bad(path, e.to_string()))?;
    if meta.mode() & 0o077 != 0 {
        let mode = meta.mode() & 0o777;
        return Err(bad(
            path,
            format!("others may read this private key (mode {mode:o}); run: chmod 600 {}", path.display()),
        ));
    }
    // the parser's own words could quote the key
    PrivateKeyDer::from_pem_file(path).map_err(|_| bad(path, "holds no private key in PEM (BEGIN PRIVATE KEY)".into()))
}

fn check_client(path: &Path, certificate: &CertificateDer<'_>, host: &str) -> Result<(), Error> {
    let parsed = X509Certificate::from_der(certificate).map_err(|e| bad(path, format!("not a certificate: {e}")))?.1;
    let validity = parsed.validity();
    if !validity.is_valid() {
        let (from, until) = (validity.not_before, validity.not_after);
        return Err(bad(
            path,
            format!("not valid now: it is valid from {from} to {until}; renew it, or mend the clock"),
        ));
    }
    let names = names(&parsed);
    match names.iter().any(|name| name == host) {
        true => Ok(()),
        false => Err(bad(
            path,
            format!(
                "is for {names:?}, not for this host, {host:?}; have one issued with DNS:{host} among its subjectAltNames, or set [host] name"
            ),
        )),
    }
}

/// The DNS names of a certificate, and the last path segments of its URIs (SPIFFE).
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |general: &GeneralName<'_>| match general {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::URI(uri) => uri.rsplit('/').next().map(str::to_owned),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn unreadable(path: &Path, error: &rustls_pki_types::pem::Error) -> Error {
    match error {
        rustls_pki_types::pem::Error::Io(error) => bad(path, error.to_string()),
        other => bad(path, format!("not PEM: {other:?}")),
    }
}

fn bad(path: &Path, reason: String) -> Error {
    Error::Certificate { path: path.to_owned(), reason }
}
