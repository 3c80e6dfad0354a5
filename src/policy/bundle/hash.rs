//! The hashes of `.signatures.json`: of a file's bytes, or, of JSON and YAML, of what they say, so that white space and the
//! order of keys don't count. OPA writes such a document with sorted keys and without white space; numbers stay as written.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};

use crate::policy::yaml;

/// Bound of nesting.
const DEPTH_MAX: usize = 64;

/// The hash of a file in a bundle, in lower-case hexadecimal digits.
pub(super) fn of(algorithm: &str, name: &str, bytes: &[u8]) -> Result<String, String> {
    let canonical;
    let bytes = match name.rsplit('/').next() {
        Some("data.json" | ".manifest") => {
            canonical = canonical_json(text(bytes)?)?;
            &canonical
        }
        Some("data.yaml") => {
            let document = yaml::to_json(text(bytes)?).map_err(|(line, what)| format!("line {line}: {what}"))?;
            canonical = canonical_json(&document.to_string())?;
            &canonical
        }
        _ => bytes,
    };
    let hash = match algorithm {
        "SHA-224" => Sha224::digest(bytes).to_vec(),
        "SHA-256" => Sha256::digest(bytes).to_vec(),
        "SHA-384" => Sha384::digest(bytes).to_vec(),
        "SHA-512" => Sha512::digest(bytes).to_vec(),
        "SHA-512-224" => Sha512_224::digest(bytes).to_vec(),
        "SHA-512-256" => Sha512_256::digest(bytes).to_vec(),
        other => return Err(format!("is hashed with {other:?}; sign it with SHA-256")),
    };
    Ok(crate::record::hex(&hash))
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

fn canonical_json(text: &str) -> Result<Vec<u8>, String> {
    let document: &RawValue = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    let mut out = Vec::with_capacity(text.len());
    write(document, 0, &mut out)?;
    Ok(out)
}

fn write(value: &RawValue, depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let wrong = |error: serde_json::Error| format!("is not JSON: {error}");
    if depth > DEPTH_MAX {
        return Err(format!("is nested more than {DEPTH_MAX} deep"));
    }
    match value.get().as_bytes().first() {
        Some(b'{') => {
            // of a key that stands there twice the last counts, as in OPA
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(value.get()).map_err(wrong)?;
            out.push(b'{');
            for (at, (key, value)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                string(key, out);
                out.push(b':');
                write(value, depth + 1, out)?;
            }
            out.push(b'}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(wrong)?;
            out.push(b'[');
            for (at, value) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(value, depth + 1, out)?;
            }
            out.push(b']');
        }
        Some(b'"') => string(&serde_json::from_str::<String>(value.get()).map_err(wrong)?, out),
        _ => out.extend_from_slice(value.get().as_bytes()),
    }
    Ok(())
}

/// As Go's encoding/json writes it without its escapes for HTML.
fn string(text: &str, out: &mut Vec<u8>) {
    let quoted = serde_json::Value::from(text).to_string();
    out.extend_from_slice(quoted.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_hashed_by_what_they_say() {
        let json = " {\"b\": [1.50, 1e3, \"<\\u00e9\\u2028\\n>\"],\r\n \"a\": {\"y\": null, \"x\": true}} ";
        let canonical = canonical_json(json).unwrap();
        let expected = "{\"a\":{\"x\":true,\"y\":null},\"b\":[1.50,1e3,\"<é\\u2028\\n>\"]}";
        assert_eq!(String::from_utf8(canonical).unwrap(), expected);
        assert_eq!(of("SHA-256", "a/data.json", json.as_bytes()), of("SHA-256", "x", expected.as_bytes()));
        assert_eq!(of("SHA-512", "data.yaml", b"a: [1, x]"), of("SHA-512", "data.json", b"{\"a\": [1, \"x\"]}"));
        assert_ne!(of("SHA-256", "a.rego", b"x"), of("SHA-256", "a.rego", b"x "));
    }

    #[test]
    fn the_hashes_are_opas() {
        let starts = |algorithm, name, text: &str, start: &str| {
            let hash = of(algorithm, name, text.as_bytes()).unwrap();
            assert!(hash.starts_with(start), "{name}: {hash}");
        };
        // known answers of OPA's own tests (v1/bundle/bundle_test.go)
        starts("SHA-512", "a/b/c/data.json", "[1,2,3]", "60f7b5dc86ded48785436192a08dbfd0");
        starts("SHA-512", "a/b/y/data.yaml", "foo: 1", "20f27a640a233e6524fe7d138898583c");
        starts("SHA-256", ".manifest", "{\"revision\": \"quickbrownfaux\"}", "507a2c38a1441db58d2cb87982c42aa9");
        starts("SHA-256", "http/policy/policy.rego", "package example", "f664461e303b37c20c5e0be290088167");
    }

    #[test]
    fn the_algorithms_are_those_of_their_names() {
        let hash = |algorithm| of(algorithm, "x", b"abc").unwrap();
        // FIPS 180-4's example values
        assert!(hash("SHA-224").starts_with("23097d22"));
        assert!(hash("SHA-256").starts_with("ba7816bf"));
        assert!(hash("SHA-384").starts_with("cb00753f"));
        assert!(hash("SHA-512").starts_with("ddaf35a1"));
        assert!(hash("SHA-512-224").starts_with("4634270f"));
        assert!(hash("SHA-512-256").starts_with("53048e26"));
        for weak in ["MD5", "SHA-1", ""] {
            assert!(of(weak, "x", b"abc").unwrap_err().contains("SHA-256"));
        }
    }

    #[test]
    fn deep_documents_end_at_the_bound() {
        assert!(canonical_json(&"[".repeat(100_000)).is_err());
        let deep = format!("{}{}", "[".repeat(80), "]".repeat(80));
        assert!(canonical_json(&deep).unwrap_err().contains("deep"));
    }
}
