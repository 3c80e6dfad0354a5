//! Certificates of an alert target. Unlike those of the targets that store lines they are optional, since who is called at night is
//! often somebody else's service: without a CA whom the machine trusts is trusted, without a certificate none is shown.

use super::TlsConfig;
use crate::pem;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;
use std::time::SystemTime;

/// Modification times of the files.
pub(super) type Stamp = [Option<SystemTime>; 3];

/// The files' modification times now.
pub(super) fn stamp(tls: &TlsConfig) -> Stamp {
    let client = tls.client.as_ref();
    let files = [tls.ca.as_ref(), client.map(|(cert, _)| cert), client.map(|(_, key)| key)];
    files.map(|path| std::fs::metadata(path?).and_then(|meta| meta.modified()).ok())
}

/// For https.
pub(super) fn load(tls: &TlsConfig) -> Result<ClientConfig, String> {
    // a client certificate would cross the wire in the clear under 1.2
    let versions: &[_] = match tls.client {
        Some(_) => &[&rustls::version::TLS13],
        None => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
    let builder = builder.map_err(|e| format!("TLS: {e}"))?;
    let builder = match &tls.ca {
        Some(ca) => builder.with_root_certificates(pem::roots(ca)?),
        None => builder.with_platform_verifier().map_err(|e| {
            format!(
                "cannot tell whom this machine trusts: {e}; install ca-certificates, or set tls = {{ ca = \"….pem\" }}"
            )
        })?,
    };
    match &tls.client {
        None => Ok(builder.with_no_client_auth()),
        Some((cert, key)) => Ok(pem::showing(builder, pem::certificates(cert)?, cert, key)?),
    }
}

/// For plain http, which shakes no hands.
pub(super) fn unused() -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| format!("TLS: {e}"))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
