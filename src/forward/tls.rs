//! Client certificates: loaded, checked before use, and looked at again when their files change.

use super::{Error, TlsConfig};
use crate::pem;
use rustls_pki_types::CertificateDer;
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
    let roots = pem::roots(&tls.ca)?;
    let chain = pem::certificates(&tls.cert)?;
    check_client(&tls.cert, &chain[0], host)?;
    // TLS 1.3 only: the certificate would cross the wire in the clear under 1.2
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| bad(&tls.cert, e.to_string()))?
        .with_root_certificates(roots);
    let config = pem::showing(builder, chain, &tls.cert, &tls.key)?;
    Ok(Credentials { config, stamp })
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

impl From<pem::Fault> for Error {
    fn from(pem::Fault { path, reason }: pem::Fault) -> Error {
        Error::Certificate { path, reason }
    }
}

fn bad(path: &Path, reason: String) -> Error {
    Error::Certificate { path: path.to_owned(), reason }
}
