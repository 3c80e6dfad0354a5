//! The chain opened with nothing of sealtail's: `age` opens the key, and each tag is computed as FORMAT.md section 5 says.

use crate::world::{World, parsed};
use base64::prelude::*;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::process::{Command, Stdio};

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(message).finalize().into_bytes().to_vec()
}

fn labelled(key: &[u8], name: &str) -> Vec<u8> {
    hmac(key, format!("sealtail/v1 {name}\0").as_bytes())
}

/// K0 of a stream, as `age` opens it.
pub(crate) fn k0(world: &World, genesis: &[u8]) -> Vec<u8> {
    let genesis = parsed(genesis);
    let sealed = BASE64_STANDARD.decode(genesis["p"]["sealed"].as_str().unwrap()).unwrap();
    let mut age = Command::new("age");
    age.arg("-d").arg("-i").arg(world.path("auditor.key")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut age = age.spawn().unwrap();
    age.stdin.take().unwrap().write_all(&sealed).unwrap();
    let text = age.wait_with_output().unwrap().stdout;
    assert_eq!(text.len(), 80);
    let key = BASE64_URL_SAFE_NO_PAD.decode(genesis["h"]["key"].as_str().unwrap()).unwrap();
    assert_eq!(sealtail::record::hex(&text[32..48]), genesis["h"]["stream"].as_str().unwrap());
    assert_eq!(text[48..], Sha256::digest(key)[..]);
    text[..32].to_vec()
}

#[test]
fn age_opens_the_key_and_every_tag_follows_from_it() {
    let Some(world) = World::get() else { return };
    for stream in &world.archive.streams {
        let lines = stream.lines();
        let id = sealtail::record::unhex(&stream.id).unwrap();
        let mut segment = k0(world, lines[0]);
        let mut root = labelled(&segment, "line-root");
        let mut leaf = vec![0; 32];
        for (seq, line) in lines.iter().enumerate() {
            // header and payload are cut out by their place: the header of a real line holds no `,"p":{` of its own
            let text = str::from_utf8(line).unwrap();
            let rest = text[28..].strip_prefix(r#"","h":"#).unwrap();
            let (header, payload) = rest.split_once(r#","p":"#).unwrap();
            let (header, payload) = (header.as_bytes(), payload.strip_suffix('}').unwrap().as_bytes());
            let c = Sha256::digest([b"sealtail/v1 payload\0", payload].concat());
            let length = (header.len() as u32).to_be_bytes();
            let seq_bytes = (seq as u64).to_be_bytes();
            let key = labelled(&root, "mac");
            let message = [b"sealtail/v1 line\0", &id[..], &seq_bytes, &leaf, &length, header, &c].concat();
            let tag = &hmac(&key, &message)[..16];
            assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(tag), text[6..28], "line {seq}");
            leaf = Sha256::digest([&[0], &length[..], header, &c, tag].concat()).to_vec();
            root = labelled(&root, "next");
            if parsed(line)["h"]["type"] == "checkpoint" {
                segment = labelled(&segment, "segment-next");
                root = labelled(&segment, "line-root");
            }
        }
    }
}
