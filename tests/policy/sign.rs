//! OPA bundles, signed as `opa sign` does it; shared by the tests of policies and of the agent.

use crate::pack::Files;
use base64::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use ring::{digest, hmac};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;
use std::path::Path;

/// Whoever signs bundles.
pub(crate) enum Signer {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Secret(String),
}

impl Signer {
    pub(crate) fn p256() -> Self {
        let (random, kind) = (SystemRandom::new(), &signature::ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random).unwrap())
    }

    pub(crate) fn p384() -> Self {
        let (random, kind) = (SystemRandom::new(), &signature::ECDSA_P384_SHA384_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self::P384(EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random).unwrap())
    }

    pub(crate) fn ed25519() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    /// The key that lies beside the tests: ring makes no RSA keys.
    pub(crate) fn rsa() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy/keys/rsa.key");
        let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_file(path).unwrap() else { panic!("PKCS#8") };
        Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap()))
    }

    /// The name of the algorithm that OPA would use with this key.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Ed25519(_) => "EdDSA",
            Self::Secret(_) => "HS256",
        }
    }

    /// The public key in PEM.
    pub(crate) fn public(&self) -> String {
        // what stands before the key in its SubjectPublicKeyInfo (RFC 5480, RFC 8410)
        let p256 = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
        let p384 = "3076301006072a8648ce3d020106052b81040022036200";
        let (before, key) = match self {
            Self::Rsa(_) => return include_str!("keys/rsa.pub").to_owned(),
            Self::P256(key) => (p256, key.public_key().as_ref()),
            Self::P384(key) => (p384, key.public_key().as_ref()),
            Self::Ed25519(key) => ("302a300506032b6570032100", key.public_key().as_ref()),
            Self::Secret(_) => panic!("a secret has no public half"),
        };
        let der = [sealtail::record::unhex(before).unwrap().as_slice(), key].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(der))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signed = vec![0; key.public().modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut signed).unwrap();
                signed
            }
            Self::P256(key) | Self::P384(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Self::Secret(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message).as_ref().to_vec()
            }
        }
    }

    /// A JWT of these parts.
    pub(crate) fn token(&self, header: &serde_json::Value, claims: &serde_json::Value) -> String {
        let encode = |part: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes())))
    }

    /// The files with their signature. `claims` are added to those that name the files.
    pub(crate) fn signed<'a>(&self, files: &Files<'a>, claims: &serde_json::Value) -> Vec<(&'a str, String)> {
        let hashes: Vec<_> = files.iter().map(|(name, text)| {
            json!({"name": name.trim_start_matches('/'), "hash": hash(name, text), "algorithm": "SHA-256"})
        }).collect();
        let mut all = json!({"files": hashes});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let token = self.token(&json!({"alg": self.algorithm()}), &all);
        let mut files = files.to_vec();
        files.push((".signatures.json", json!({"signatures": [token]}).to_string()));
        files
    }
}

/// The hash as OPA makes it, of documents whose keys are sorted already and whose strings have no white space.
fn hash(name: &str, text: &str) -> String {
    let is_document = name.ends_with("data.json") || name.ends_with("data.yaml") || name == ".manifest";
    let text = if is_document { text.replace([' ', '\n'], "") } else { text.to_owned() };
    sealtail::record::hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}
