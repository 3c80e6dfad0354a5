//! Certificates of a target: loaded, checked before use, and looked at again when their files change.

use super::{ClientFiles, Error, TlsConfig};
use crate::tls::{self, Fault, Watched};
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use std::path::Path;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The certificate files of a target, watched.
pub(crate) struct Watch {
    /// The target's name.
    name: String,
    config: TlsConfig,
    host: String,
    watched: Watched,
}

impl Watch {
    /// Loads the certificates for `host`: a client certificate must be valid now and name the host.
    pub(crate) fn load(name: &str, config: &TlsConfig, host: &str) -> Result<(Watch, ClientConfig), Error> {
        let watched = Watched::new(config.files());
        let client = load(config, host)?;
        Ok((Watch { name: name.to_owned(), config: config.clone(), host: host.to_owned(), watched }, client))
    }

    /// Replaces a client that `make` makes, if files changed since.
    pub(crate) fn renew(
        &mut self,
        client: &mut reqwest::Client,
        make: impl FnOnce(ClientConfig) -> Result<reqwest::Client, Error>,
    ) {
        match self.renewed().map(make) {
            Some(Ok(new)) => *client = new,
            Some(Err(error)) => tracing::warn!(target_name = %self.name, %error, "changed certificates are not usable"),
            None => {}
        }
    }

    /// What to connect with from now on, if files changed since. While they can't be used, as between the exchange of a certificate
    /// and that of its key, the old ones stay in use, and the next attempt looks again.
    pub(crate) fn renewed(&mut self) -> Option<ClientConfig> {
        let versions = self.watched.changed()?;
        match load(&self.config, &self.host) {
            Ok(client) => {
                tracing::info!(target_name = %self.name, "certificates reloaded");
                self.watched.take_up(versions);
                Some(client)
            }
            Err(error) => {
                if self.watched.refuse(versions) {
                    tracing::warn!(target_name = %self.name, %error, "changed certificates are not usable, the old ones stay in use");
                }
                None
            }
        }
    }
}

fn load(config: &TlsConfig, host: &str) -> Result<ClientConfig, Fault> {
    if let Some(ClientFiles { cert, .. }) = &config.client {
        check_client(cert, &tls::certificates(cert)?[0], host)?;
    }
    tls::client(config)
}

fn check_client(path: &Path, certificate: &CertificateDer<'_>, host: &str) -> Result<(), Fault> {
    let parsed =
        X509Certificate::from_der(certificate).map_err(|e| Fault::file(path, format!("not a certificate: {e}")))?.1;
    let validity = parsed.validity();
    if !validity.is_valid() {
        let (from, until) = (validity.not_before, validity.not_after);
        return Err(Fault::file(
            path,
            format!("not valid now: it is valid from {from} to {until}; renew it, or mend the clock"),
        ));
    }
    let names = names(&parsed);
    match names.iter().any(|name| name == host) {
        true => Ok(()),
        false => Err(Fault::file(
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
