//! A webhook: the alert as JSON, signed so that its receiver knows who sent it, and when.
//!
//! `X-Sealtail-Signature: sha256=<hex of HMAC-SHA-256(secret, <X-Sealtail-Timestamp> "." <body>)>`. A receiver compares it, in constant
//! time, with its own over the bytes as they came, and refuses a timestamp (Unix seconds) that is minutes away from now: what is
//! recorded on the way can't be sent again later. `Idempotency-Key` is the same in each attempt.

use super::Alert;
use super::deliver::Outcome;
use super::http::Http;
use crate::record::{Secret, hex};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};

const SIGNATURE: HeaderName = HeaderName::from_static("x-sealtail-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-sealtail-timestamp");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Sends it once.
pub(super) async fn send(http: &mut Http, secret: &Secret, alert: &Alert) -> Outcome {
    let body = match serde_json::to_vec(alert) {
        Ok(body) => body,
        Err(error) => return Outcome::Refused { why: error.to_string() },
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let timestamp = now.to_string();
    let values = [
        (SIGNATURE, signature(secret, &timestamp, &body)),
        (TIMESTAMP, timestamp),
        (IDEMPOTENCY_KEY, alert.notification.clone()),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in values {
        match HeaderValue::from_str(&value) {
            Ok(value) => drop(headers.insert(name, value)),
            Err(error) => return Outcome::Refused { why: error.to_string() },
        }
    }
    http.post(headers, body).await
}

fn signature(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes a key of any length");
    [timestamp.as_bytes(), b".", body].into_iter().for_each(|part| mac.update(part));
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_openssl_says() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac key
        let expected = "sha256=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae";
        assert_eq!(signature(&Secret::new("key"), "1700000000", b"{}"), expected);
    }
}
