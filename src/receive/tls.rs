//! The server's side of mTLS: TLS 1.3 only, and no client without a certificate of the configured CA.

use super::TlsConfig;
use crate::tls::{self, Fault};
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use std::sync::Arc;

/// Reads the files and sets TLS up.
pub(super) fn load(files: &TlsConfig) -> Result<Arc<ServerConfig>, Fault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // a list that is overdue still counts, loudly: see `tls::client`
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(tls::roots(&files.ca)?), provider.clone())
        .with_crls(tls::crls(&files.crls)?)
        .build()
        .map_err(|error| Fault::file(files.crls.first().unwrap_or(&files.ca), error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Fault::Setup(error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(tls::certificates(&files.cert)?, tls::private_key(&files.key)?)
        .map_err(|error| {
            let key = files.key.display();
            Fault::file(&files.cert, format!("this certificate and the key {key} don't work together: {error}"))
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // no resumption: a client proves its certificate, with the time it is valid, at each connection
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
