//! The test vectors of FORMAT.md, made again: from the formulas there, and by the code that writes and reads lines.

use base64::prelude::*;
use hmac::{Hmac, KeyInit, Mac};
use sealtail::chain::checkpoint::Checkpoint;
use sealtail::chain::genesis::Opened;
use sealtail::chain::host_key::HostKey;
use sealtail::chain::key::SegmentKey;
use sealtail::chain::line::RawLine;
use sealtail::chain::redact::RedactionKey;
use sealtail::chain::tree::{Edge, node_hash};
use sealtail::record::{StreamId, hex};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

struct Vectors {
    values: BTreeMap<String, String>,
    lines: Vec<String>,
}

impl Vectors {
    fn load() -> Self {
        let text = include_str!("../../FORMAT.md");
        let section = text.split_once("## 11. Test vectors").unwrap().1;
        let code = section.lines().filter_map(|line| line.strip_prefix("    "));
        let (lines, values): (Vec<_>, Vec<_>) = code.partition(|line| line.starts_with('{'));
        let values = values.iter().map(|value| {
            let (name, value) = value.split_once("= ").unwrap();
            (name.trim().to_owned(), value.to_owned())
        });
        Self { values: values.collect(), lines: lines.into_iter().map(str::to_owned).collect() }
    }

    /// Each value must be asked for, so that none stands there unchecked.
    fn take(&mut self, name: &str) -> String {
        self.values.remove(name).unwrap_or_else(|| panic!("no {name} in FORMAT.md"))
    }

    fn is(&mut self, name: &str, bytes: &[u8]) {
        assert_eq!(self.take(name), hex(bytes), "{name}");
    }

    fn bytes<const N: usize>(&mut self, name: &str) -> [u8; N] {
        sealtail::record::unhex(&self.take(name)).unwrap().try_into().unwrap()
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(message).finalize().into_bytes().into()
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.concat()).into()
}

fn label(name: &str) -> Vec<u8> {
    format!("sealtail/v1 {name}\0").into_bytes()
}

#[test]
fn the_vectors_of_the_format_are_true() {
    let mut vectors = Vectors::load();
    let lines = std::mem::take(&mut vectors.lines);
    let raw: Vec<RawLine<'_>> = lines.iter().map(|line| RawLine::parse(line.as_bytes()).unwrap()).collect();
    let k0: [u8; 32] = vectors.bytes("K0");
    let stream = StreamId(vectors.bytes("stream id"));
    let signing = ed25519_dalek::SigningKey::from_bytes(&vectors.bytes("stream seed"));
    let host = HostKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(&vectors.bytes("host seed")));
    let key = signing.verifying_key();
    vectors.is("stream key", key.as_bytes());

    // section 5, once by its formulas and once by the code
    let mut root = hmac(&k0, &label("line-root"));
    let segment = SegmentKey::first(&k0);
    let mut keys = segment.lines();
    let mut leaf_before = [0; 32];
    let mut edge = Edge::default();
    vectors.is("S_1", &hmac(&k0, &label("segment-next")));
    for (seq, line) in raw.iter().enumerate() {
        vectors.is(&format!("R_(0,{seq})"), &root);
        let key = hmac(&root, &label("mac"));
        vectors.is(&format!("k_(0,{seq})"), &key);
        assert_eq!(*keys.next_line(), key);
        root = hmac(&root, &label("next"));
        let c = hash(&[&label("payload"), line.payload.unwrap()]);
        vectors.is(&format!("c {seq}"), &c);
        assert_eq!(line.commitment, c);
        let number = (seq as u64).to_be_bytes();
        let length = (line.header.len() as u32).to_be_bytes();
        let message = [&label("line")[..], &stream.0, &number, &leaf_before, &length, line.header, &c].concat();
        let tag = &hmac(&key, &message)[..16];
        vectors.is(&format!("tag {seq}"), tag);
        assert_eq!(line.tag, tag);
        assert_eq!(sealtail::chain::tag(&key, stream, seq as u64, &leaf_before, line.header, &c), tag);
        let leaf = hash(&[&[0], &length, line.header, &c, tag]);
        vectors.is(&format!("leaf {seq}"), &leaf);
        assert_eq!(line.leaf(), leaf);
        leaf_before = leaf;
        if seq < 2 {
            edge.push(leaf);
        }
    }

    // section 4
    let d = hmac(&k0, &label("redact"));
    vectors.is("D", &d);
    let digest = &hmac(&d, b"4111111111111111")[..16];
    vectors.is("digest", digest);
    assert_eq!(RedactionKey::of(&k0).unwrap().digest(b"4111111111111111"), digest);

    // section 6
    let opened = Opened::parse(&raw[0]).unwrap();
    vectors.is("commit", &hmac(&k0, &label("key-commit")));
    vectors.is("H(age file)", &hash(&[&opened.sealed]));
    assert_eq!(opened.endorser, Some(host.public()));
    assert_eq!((opened.header.config.0, opened.header.policy.0), (hash(&[b"config"]), hash(&[b"policy"])));
    let identity: age::x25519::Identity = vectors.take("identity").parse().unwrap();
    let sealed = opened.unseal(&[identity]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((sealed.k0, sealed.stream, sealed.key_digest), (k0, stream.0, hash(&[key.as_bytes()])));

    // section 7
    vectors.is("root", &node_hash(&raw[0].leaf(), &raw[1].leaf()));
    let origin = format!("web-1/{stream}");
    let note = Checkpoint { origin: origin.clone(), size: 2, root: edge.root() };
    vectors.is("key id", &hash(&[origin.as_bytes(), b"\n\x01", key.as_bytes()])[..4]);
    let checkpoint: serde_json::Value = serde_json::from_str(&lines[2]).unwrap();
    assert_eq!(checkpoint["p"]["note"], note.sign(&signing));
    let root = BASE64_URL_SAFE_NO_PAD.encode(edge.root());
    assert_eq!(checkpoint["h"]["edge"], serde_json::json!([root]));
    assert!(vectors.values.is_empty(), "{:?}", vectors.values);
}
