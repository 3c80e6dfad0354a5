//! `.signatures.json`: a JWT over the hash of each file. As in OPA, but that the key alone says which algorithms it
//! is good for, so that a token can't choose.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::prelude::*;
use ring::{hmac, signature};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde::Deserialize;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{Keys, Verify, hash};
use crate::modes;

/// The file of a bundle with its signature.
pub(super) const SIGNATURES: &str = ".signatures.json";
/// Bound of a key's file.
const KEY_MAX_BYTES: u64 = 64 * 1024;

/// What signatures are checked with.
pub(in crate::policy) struct Verifier {
    keys: BTreeMap<String, Key>,
    key_id: Option<String>,
    scope: String,
}

/// The id of a key that is the only one, whatever a token calls it.
const ONLY: &str = "";

enum Key {
    Rsa(Vec<u8>),
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
    Secret(Vec<u8>),
}

#[derive(Deserialize)]
struct Signatures {
    #[serde(default)]
    signatures: Vec<String>,
    #[serde(default)]
    plugin: String,
}

#[derive(Deserialize)]
struct JwtHeader {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    keyid: Option<String>,
    #[serde(default)]
    scope: String,
    files: Vec<Signed>,
}

#[derive(Deserialize)]
struct Signed {
    name: String,
    hash: String,
    #[serde(default)]
    algorithm: String,
}

impl Verifier {
    /// Reads the keys.
    pub(in crate::policy) fn load(verify: &Verify) -> Result<Self, String> {
        let key = |path: &Path| Key::load(path).map_err(|why| format!("{}: {why}", path.display()));
        let keys = match &verify.keys {
            Keys::One(path) => BTreeMap::from([(ONLY.to_owned(), key(path)?)]),
            Keys::ById(paths) => {
                paths.iter().map(|(id, path)| Ok((id.clone(), key(path)?))).collect::<Result<_, String>>()?
            }
            Keys::Secret(secret) => BTreeMap::from([(ONLY.to_owned(), Key::Secret(secret.expose().into()))]),
        };
        Ok(Self { keys, key_id: verify.key_id.clone(), scope: verify.scope.clone() })
    }

    /// Checks that the files are those that were signed: all of them, unchanged, and no other.
    pub(super) fn check(&self, files: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
        const MEND: &str = "sign it with `opa sign` or `opa build --signing-key`";
        let file = files.get(SIGNATURES).ok_or(format!("is not signed: it holds no {SIGNATURES}; {MEND}"))?;
        let Signatures { signatures, plugin } =
            serde_json::from_slice(file).map_err(|error| format!("{SIGNATURES}: {error}"))?;
        let [token] = signatures.as_slice() else {
            return Err(format!("{SIGNATURES} holds {} signatures, not one; {MEND}", signatures.len()));
        };
        if !matches!(plugin.as_str(), "" | "_default") {
            return Err(format!("{SIGNATURES} was made by the plugin {plugin:?}, which is not known here; {MEND}"));
        }
        let claims = self.claims(token).map_err(|why| format!("{SIGNATURES}: {why}"))?;
        let mut missing: BTreeSet<&str> = files.keys().map(String::as_str).filter(|name| *name != SIGNATURES).collect();
        for signed in &claims.files {
            let name = signed.name.trim_start_matches('/');
            let bytes = files.get(name).ok_or(format!("lacks {name:?}, which was signed"))?;
            if !missing.remove(name) {
                return Err(format!("{SIGNATURES} names {name:?} twice"));
            }
            let found = hash::of(&signed.algorithm, name, bytes).map_err(|why| format!("{name:?} {why}"))?;
            if found != signed.hash.to_ascii_lowercase() {
                return Err(format!("{name:?} is not what was signed: it was changed afterwards"));
            }
        }
        match missing.first() {
            Some(name) => Err(format!("{name:?} was not signed; sign the bundle again with all its files")),
            None => Ok(()),
        }
    }

    /// What a token says, once its signature holds.
    fn claims(&self, token: &str) -> Result<Claims, String> {
        let mut parts = token.rsplitn(2, '.');
        let (Some(signature), Some(signed)) = (parts.next(), parts.next()) else { return Err("is no JWT".to_owned()) };
        let (header, claims) = signed.split_once('.').ok_or("is no JWT")?;
        let decode =
            |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| "is no JWT: not base64url".to_owned());
        let header: JwtHeader =
            serde_json::from_slice(&decode(header)?).map_err(|error| format!("its JWT has a bad header: {error}"))?;
        let claims: Claims =
            serde_json::from_slice(&decode(claims)?).map_err(|error| format!("its JWT has bad claims: {error}"))?;
        if header.crit.is_some() {
            return Err("its JWT asks for extensions (crit), of which none is known here".to_owned());
        }
        let key = self.key(header.kid.as_ref().or(claims.keyid.as_ref()))?;
        key.check(&header.alg, signed.as_bytes(), &decode(signature)?)?;
        if claims.scope != self.scope {
            let (found, wanted) = (&claims.scope, &self.scope);
            return Err(format!("was signed for the scope {found:?}, not {wanted:?}"));
        }
        Ok(claims)
    }

    /// The key of the configured id, else of the token's.
    fn key(&self, named: Option<&String>) -> Result<&Key, String> {
        if let Some(only) = self.keys.get(ONLY) {
            return Ok(only);
        }
        let id = self.key_id.as_ref().or(named).ok_or("its JWT names no key; set [policy] verify.key_id")?;
        self.keys.get(id).ok_or(format!("was signed with the key {id:?}, which is not among [policy] verify.keys"))
    }
}

impl Key {
    /// A public key (BEGIN PUBLIC KEY), or that of a certificate.
    fn load(path: &Path) -> Result<Self, String> {
        const MEND: &str = "name a PEM file with BEGIN PUBLIC KEY, as `openssl pkey -pubout` writes it";
        modes::check(path).map_err(|writable| writable.to_string())?;
        let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
        if meta.len() > KEY_MAX_BYTES {
            return Err(format!("is too large for a key; {MEND}"));
        }
        let pem = std::fs::read(path).map_err(|error| error.to_string())?;
        let public = SubjectPublicKeyInfoDer::from_pem_slice(&pem).map(|key| key.as_ref().to_vec());
        let certificate = || {
            let der = CertificateDer::from_pem_slice(&pem).ok()?;
            let certificate = x509_parser::certificate::X509Certificate::from_der(&der).ok()?.1;
            Some(certificate.public_key().raw.to_vec())
        };
        let der = public.ok().or_else(certificate).ok_or(format!("holds no public key; {MEND}"))?;
        let (_, info) = SubjectPublicKeyInfo::from_der(&der).map_err(|_| format!("holds a damaged key; {MEND}"))?;
        let bytes = info.subject_public_key.data.to_vec();
        let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok()).map(|oid| oid.to_id_string());
        match (info.algorithm.algorithm.to_id_string().as_str(), curve.as_deref()) {
            ("1.2.840.113549.1.1.1", _) => Ok(Self::Rsa(bytes)),
            ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => Ok(Self::P256(bytes)),
            ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => Ok(Self::P384(bytes)),
            ("1.3.101.112", _) => Ok(Self::Ed25519(bytes)),
            _ => {
                Err("is a key of another kind; use RSA (2048 to 8192 bits), ECDSA P-256 or P-384, or Ed25519"
                    .to_owned())
            }
        }
    }

    /// Checks a signature by one of the algorithms that this key is for.
    fn check(&self, algorithm: &str, message: &[u8], signed: &[u8]) -> Result<(), String> {
        type Public = &'static dyn signature::VerificationAlgorithm;
        let (by, key): (Public, &[u8]) = match (self, algorithm) {
            (Self::Rsa(key), "RS256") => (&signature::RSA_PKCS1_2048_8192_SHA256, key),
            (Self::Rsa(key), "RS384") => (&signature::RSA_PKCS1_2048_8192_SHA384, key),
            (Self::Rsa(key), "RS512") => (&signature::RSA_PKCS1_2048_8192_SHA512, key),
            (Self::Rsa(key), "PS256") => (&signature::RSA_PSS_2048_8192_SHA256, key),
            (Self::Rsa(key), "PS384") => (&signature::RSA_PSS_2048_8192_SHA384, key),
            (Self::Rsa(key), "PS512") => (&signature::RSA_PSS_2048_8192_SHA512, key),
            (Self::P256(key), "ES256") => (&signature::ECDSA_P256_SHA256_FIXED, key),
            (Self::P384(key), "ES384") => (&signature::ECDSA_P384_SHA384_FIXED, key),
            (Self::Ed25519(key), "EdDSA") => (&signature::ED25519, key),
            (Self::Secret(key), "HS256") => return Self::check_mac(hmac::HMAC_SHA256, key, message, signed),
            (Self::Secret(key), "HS384") => return Self::check_mac(hmac::HMAC_SHA384, key, message, signed),
            (Self::Secret(key), "HS512") => return Self::check_mac(hmac::HMAC_SHA512, key, message, signed),
            _ => return Err(format!("was signed by {algorithm:?}, which the configured key is not for")),
        };
        let checked = signature::UnparsedPublicKey::new(by, key).verify(message, signed);
        checked.map_err(|_| WRONG.to_owned())
    }

    fn check_mac(by: hmac::Algorithm, key: &[u8], message: &[u8], signed: &[u8]) -> Result<(), String> {
        hmac::verify(&hmac::Key::new(by, key), message, signed).map_err(|_| WRONG.to_owned())
    }
}

const WRONG: &str = "its signature is not by the configured key, or what was signed was changed";
