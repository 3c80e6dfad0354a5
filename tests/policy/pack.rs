//! OPA bundles, packed as `opa build` does it; shared by the tests of policies and of the agent.

use base64::prelude::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use ring::digest;
use std::io::Write;

pub(crate) type Files<'a> = [(&'a str, String)];

/// A policy of one package: each line gets the verdict `id`.
pub(crate) fn rego(package: &str, id: &str) -> String {
    format!("package sealtail.{package}\n\nverdicts contains {{\"id\": \"{id}\"}} if input.message\n")
}

/// A gzipped tar of the files, with names as they stand: `opa build` begins them with a slash.
pub(crate) fn pack(files: &Files<'_>) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        // the crate's own way would refuse what must not be there
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(text.len() as u64);
        header.set_cksum();
        packed.write_all(header.as_bytes()).unwrap();
        packed.write_all(text.as_bytes()).unwrap();
        packed.write_all(&vec![0; text.len().next_multiple_of(512) - text.len()]).unwrap();
    }
    packed.write_all(&[0; 1024]).unwrap();
    packed.finish().unwrap()
}

/// The digest of policies in FORMAT.md, as lines show it.
pub(crate) fn policy_digest(files: &Files<'_>) -> String {
    let mut files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    files.retain(|(name, _)| !name.ends_with("_test.rego") && *name != ".signatures.json");
    files.sort_unstable();
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in files.iter().flat_map(|(name, text)| [name, text]) {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    BASE64_URL_SAFE_NO_PAD.encode(hash.finish())
}
