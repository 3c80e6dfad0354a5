//! Who a client is: the names in the certificate that its TLS handshake proved.

use super::refusal::Refusal;
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// Where it connects from.
    pub(super) peer: SocketAddr,
    /// The host names that its certificate stands for.
    names: Vec<String>,
    /// Until when, in seconds since 1970.
    until_unix_s: i64,
}

impl Client {
    /// Reads the certificate of a client; TLS has checked by whom it was signed. The error says what is wrong with it.
    pub(super) fn of(peer: SocketAddr, certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(certificate)
            .map_err(|error| format!("its certificate can't be read: {error}"))?;
        let alternatives = certificate
            .subject_alternative_name()
            .map_err(|error| format!("its certificate's alternative names can't be read: {error}"))?;
        let names = alternatives.iter().flat_map(|extension| &extension.value.general_names);
        let names = names.filter_map(host_of).map(str::to_owned).collect();
        Ok(Self { peer, names, until_unix_s: certificate.validity().not_after.timestamp() })
    }

    /// What its connections are counted by: the first name of its certificate.
    pub(super) fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// Whether the client may speak for `host`, now: a connection can outlive its certificate.
    pub(super) fn authorise(&self, host: &str) -> Result<(), Refusal> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if i64::try_from(now).is_ok_and(|now| now > self.until_unix_s) {
            return Err(Refusal::Forbidden(
                "the client certificate has expired; renew it and connect again".to_owned(),
            ));
        }
        if self.names.iter().any(|name| name == host) {
            return Ok(());
        }
        let names = match self.names.is_empty() {
            true => "no host (it has no DNS or URI alternative name)".to_owned(),
            false => self.names.join(", "),
        };
        Err(Refusal::Forbidden(format!(
            "the client certificate stands for {names}, not for {host}; \
             give the agent a certificate with {host} as a DNS or URI alternative name, or set [host] name to what it has"
        )))
    }
}

/// The host that an alternative name stands for: a DNS name, or the last part of a URI's path
/// (`spiffe://example.org/host/web-1`). Letters' case counts, since host names are folders' names here.
fn host_of<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::DNSName(name) => Some(name),
        GeneralName::URI(uri) => {
            let (_, path) = uri.split_once("://")?.1.split_once('/')?;
            path.rsplit('/').next().filter(|last| !last.is_empty())
        }
        _ => None,
    }
}
