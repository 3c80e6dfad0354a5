//! How a server is called.

use super::server::Verifier;
use super::{ClientFiles, Config, Fault, Version, pem};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Reads the files and sets TLS up.
pub(crate) fn client(config: &Config) -> Result<ClientConfig, Fault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[_] = match config.min_version {
        Version::Tls13 => &[&rustls::version::TLS13],
        Version::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions);
    let builder = builder.map_err(|e| Fault::Setup(e.to_string()))?;
    let verifier = Verifier::new(trust(config, provider)?, config);
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let Some(ClientFiles { cert, key }) = &config.client else { return Ok(builder.with_no_client_auth()) };
    let config = builder.with_client_auth_cert(pem::certificates(cert)?, pem::private_key(key)?);
    config.map_err(|e| Fault::file(key, format!("does not fit the certificate {}: {e}", cert.display())))
}

/// For plain http, which shakes no hands: without a crypto provider not even a client for that is made.
pub(crate) fn plain() -> Result<ClientConfig, Fault> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| Fault::Setup(e.to_string()))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// Whose signature on a server's certificate counts.
fn trust(config: &Config, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Fault> {
    let Some(ca) = &config.ca else {
        let machine = rustls_platform_verifier::Verifier::new(provider);
        return Ok(Arc::new(machine.map_err(|e| {
            Fault::Setup(format!(
                "cannot tell whom this machine trusts: {e}; install ca-certificates, or set tls = {{ ca = \"….pem\" }}"
            ))
        })?));
    };
    // A list that is overdue still counts, and `expiry` tells of it: a late list must not hold up what proves what happened.
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(pem::roots(ca)?), provider)
        .with_crls(pem::crls(&config.crls)?)
        .build();
    let blamed = config.crls.first().unwrap_or(ca);
    Ok(built.map_err(|e| Fault::file(blamed, e.to_string()))?)
}
