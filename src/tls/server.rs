//! A server's certificate, checked: signed by whom we trust, for the right name, with a key that is expected.

use super::Config;
use base64::prelude::*;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// SHA-256 of a certificate's SubjectPublicKeyInfo, written as curl's `--pinnedpubkey` has it: `sha256//` and base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin([u8; 32]);

const SCHEME: &str = "sha256//";

impl FromStr for Pin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digest = BASE64_STANDARD.decode(text.strip_prefix(SCHEME).ok_or(())?).map_err(drop)?;
        digest.try_into().map(Pin).map_err(drop)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", BASE64_STANDARD.encode(self.0))
    }
}

/// What else than a trusted signature is asked of a server's certificate.
#[derive(Debug)]
pub(super) struct Verifier {
    trust: Arc<dyn ServerCertVerifier>,
    name: Option<ServerName<'static>>,
    pins: Vec<Pin>,
}

/// Says which key was shown, so that an operator who expects it can copy the pin.
#[derive(Debug, thiserror::Error)]
#[error("the server's public key, {0}, is none of tls.pin")]
struct NotPinned(Pin);

impl Verifier {
    pub(super) fn new(trust: Arc<dyn ServerCertVerifier>, config: &Config) -> Self {
        Self { trust, name: config.server_name.clone(), pins: config.pins.clone() }
    }

    fn check_pins(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        let pin = Pin(Sha256::digest(&key).into());
        match self.pins.contains(&pin) {
            true => Ok(()),
            false => Err(Error::Other(OtherError(Arc::new(NotPinned(pin))))),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let name = self.name.as_ref().unwrap_or(server_name);
        let verified = self.trust.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)?;
        self.check_pins(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.supported_verify_schemes()
    }
}
