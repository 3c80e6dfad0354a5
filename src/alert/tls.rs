//! Certificates of an alert target. Unlike those of the targets that store lines they are optional, since who is called at night is
//! often somebody else's service: without a CA whom the machine trusts is trusted, without a certificate none is shown.

use super::TlsConfig;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use rustls_platform_verifier::BuilderVerifierExt;
use std::path::Path;
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
        Some(ca) => builder.with_root_certificates(roots(ca)?),
        None => builder.with_platform_verifier().map_err(|e| {
            format!(
                "cannot tell whom this machine trusts: {e}; install ca-certificates, or set tls = {{ ca = \"….pem\" }}"
            )
        })?,
    };
    match &tls.client {
        None => Ok(builder.with_no_client_auth()),
        Some((cert, key)) => builder
            .with_client_auth_cert(certificates(cert)?, private_key(key)?)
            .map_err(|e| format!("{}: does not fit the certificate {}: {e}", key.display(), cert.display())),
    }
}

/// For plain http, which shakes no hands.
pub(super) fn unused() -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| format!("TLS: {e}"))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| format!("{}: not a CA certificate: {e}", path.display()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(|found| found.collect::<Result<Vec<_>, _>>());
    let found = read.map_err(|error| match error {
        rustls_pki_types::pem::Error::Io(error) => format!("{}: {error}", path.display()),
        other => format!("{}: not PEM: {other:?}", path.display()),
    })?;
    match found.is_empty() {
        true => Err(format!("{}: holds no certificate in PEM (BEGIN CERTIFICATE)", path.display())),
        false => Ok(found),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    use std::os::unix::fs::MetadataExt;
    let shown = path.display();
    let mode = std::fs::metadata(path).map_err(|e| format!("{shown}: {e}"))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("{shown}: others may read this private key (mode {mode:o}); run: chmod 600 {shown}"));
    }
    // the parser's own words could quote the key
    PrivateKeyDer::from_pem_file(path).map_err(|_| format!("{shown}: holds no private key in PEM (BEGIN PRIVATE KEY)"))
}
