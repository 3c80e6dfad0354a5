//! Certificates of a target: loaded, checked before use, and looked at again when their files change.

use super::{ClientFiles, Error, TlsConfig};
use crate::pem;
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_platform_verifier::BuilderVerifierExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The certificate files of a target, watched.
pub(crate) struct Watch {
    /// The target's name.
    name: String,
    config: TlsConfig,
    host: String,
    stamp: Stamp,
}

/// Modification times of CA, certificate and key.
type Stamp = [Option<SystemTime>; 3];

impl Watch {
    /// Loads the certificates for `host`: a client certificate must be valid now and name the host.
    pub(crate) fn load(name: &str, config: &TlsConfig, host: &str) -> Result<(Watch, ClientConfig), Error> {
        // before they are read: what changes meanwhile is taken up the next time
        let stamp = stamp(config);
        let client = load(config, host)?;
        Ok((Watch { name: name.to_owned(), config: config.clone(), host: host.to_owned(), stamp }, client))
    }

    /// What to connect with from now on, if files changed since. What can't be used is told, and the old stays in use.
    pub(crate) fn renewed(&mut self) -> Option<ClientConfig> {
        let stamp = stamp(&self.config);
        if stamp == self.stamp {
            return None;
        }
        match load(&self.config, &self.host) {
            Ok(client) => {
                tracing::info!(target_name = %self.name, "certificates reloaded");
                self.stamp = stamp;
                Some(client)
            }
            Err(error) => {
                tracing::warn!(target_name = %self.name, %error, "changed certificates are not usable");
                None
            }
        }
    }
}

fn stamp(tls: &TlsConfig) -> Stamp {
    let client = tls.client.as_ref();
    let files = [tls.ca.as_ref(), client.map(|client| &client.cert), client.map(|client| &client.key)];
    files.map(|path| std::fs::metadata(path?).and_then(|meta| meta.modified()).ok())
}

fn load(tls: &TlsConfig, host: &str) -> Result<ClientConfig, Error> {
    let unusable = |reason: String| Error::Tls(reason);
    // TLS 1.3 only: a certificate would cross the wire in the clear under 1.2
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable(error.to_string()))?;
    let builder = match &tls.ca {
        Some(ca) => builder.with_root_certificates(pem::roots(ca)?),
        None => builder.with_platform_verifier().map_err(|error| {
            unusable(format!("cannot tell whom this machine trusts: {error}; install ca-certificates, or set ca"))
        })?,
    };
    match &tls.client {
        None => Ok(builder.with_no_client_auth()),
        Some(ClientFiles { cert, key }) => {
            let chain = pem::certificates(cert)?;
            check_client(cert, &chain[0], host)?;
            Ok(pem::showing(builder, chain, cert, key)?)
        }
    }
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
