//! What a line must not show gives way to digests that only the auditor can test a value against.

use super::key::{Bytes32, hmac, label};
use super::memory::Locked;
use crate::record::{Hidden, Redaction, VALUE_MIN_BYTES};
use base64::prelude::*;
use std::collections::HashSet;
use zeroize::Zeroizing;

/// What a marker begins with; a digest and `]` follow.
pub const MARKER: &str = "[redacted:";

/// The digest of a hidden value.
pub type Digest = [u8; 16];

/// D: the key of a stream's digests. It lives as long as the stream, in locked memory.
pub struct RedactionKey {
    page: Locked<32>,
}

impl RedactionKey {
    /// From K0, which the caller erases.
    pub fn of(k0: &Bytes32) -> std::io::Result<Self> {
        let mut page = Locked::<32>::zeroed()?;
        page.copy_from_slice(&*Zeroizing::new(hmac(k0, &[label!("redact")])));
        Ok(Self { page })
    }

    /// The digest of a value.
    pub fn digest(&self, value: &[u8]) -> Digest {
        let mac = hmac(&self.page, &[value]);
        let mut digest = [0; 16];
        digest.copy_from_slice(&mac[..16]);
        digest
    }
}

impl std::fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedactionKey(secret)")
    }
}

/// A message as it may be chained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// Its bytes, with markers.
    pub message: Vec<u8>,
    /// The digests in it, each once.
    pub digests: Vec<Digest>,
}

impl Redacted {
    /// Puts digests in the place of what is hidden. Where that can't be told, or a value would still be there, all of
    /// the message is hidden.
    pub fn of(message: &[u8], redaction: &Redaction, key: &RedactionKey) -> Self {
        let spans = match redaction {
            Redaction::Spans(spans) => Self::of_spans(message, spans, key),
            Redaction::Whole => None,
        };
        spans.unwrap_or_else(|| {
            let digest = key.digest(message);
            let mut marker = Vec::new();
            mark(&mut marker, &digest, "");
            Self { message: marker, digests: vec![digest] }
        })
    }

    fn of_spans(message: &[u8], spans: &[Hidden], key: &RedactionKey) -> Option<Self> {
        let long = spans.iter().filter_map(|hidden| hidden.value.as_deref()).filter(|v| v.len() >= VALUE_MIN_BYTES);
        let values: HashSet<&[u8]> = long.collect();
        let is_clean = |kept: &[u8]| values.iter().all(|value| memchr::memmem::find(kept, value).is_none());
        let mut redacted = Self { message: Vec::with_capacity(message.len()), digests: Vec::new() };
        let mut done = 0;
        for hidden in spans {
            let kept = message.get(done..hidden.span.start).filter(|kept| is_clean(kept))?;
            message.get(hidden.span.clone())?;
            redacted.message.extend_from_slice(kept);
            if let Some(value) = &hidden.value {
                let digest = key.digest(value);
                mark(&mut redacted.message, &digest, hidden.quote);
                if !redacted.digests.contains(&digest) {
                    redacted.digests.push(digest);
                }
            }
            done = hidden.span.end;
        }
        let kept = message.get(done..).filter(|kept| is_clean(kept))?;
        redacted.message.extend_from_slice(kept);
        Some(redacted)
    }
}

fn mark(out: &mut Vec<u8>, digest: &Digest, quote: &str) {
    let digest = BASE64_URL_SAFE_NO_PAD.encode(digest);
    for part in [quote, MARKER, &digest, "]", quote] {
        out.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(span: std::ops::Range<usize>, value: &str) -> Hidden {
        Hidden { span, value: Some(value.as_bytes().into()), quote: "" }
    }

    #[test]
    fn what_is_hidden_gives_way_and_what_would_be_left_hides_all() {
        let key = RedactionKey::of(&[7; 32]).unwrap();
        let of = |message: &str, spans| Redacted::of(message.as_bytes(), &Redaction::Spans(spans), &key);
        let marker =
            |value: &str| format!("[redacted:{}]", BASE64_URL_SAFE_NO_PAD.encode(key.digest(value.as_bytes())));
        let nothing = Hidden { span: 2..4, value: None, quote: "" };
        let redacted = of("a 1234 b", vec![hidden(0..1, "a"), nothing, hidden(4..6, "1234")]);
        assert_eq!(redacted.message, format!("{} {} b", marker("a"), marker("1234")).as_bytes());
        assert_eq!(redacted.digests.len(), 2);
        for (message, spans) in [
            ("1234 1234", vec![hidden(0..4, "1234")]),
            ("x", vec![hidden(0..7, "1234567")]),
            ("xyz", vec![hidden(1..3, "yz"), hidden(0..1, "x")]),
        ] {
            assert_eq!(of(message, spans).message, marker(message).as_bytes(), "{message}");
        }
    }
}
