//! OPA bundles: a gzipped tar of Rego and data, with a `.manifest` and, where it is signed, a `.signatures.json`.
//!
//! ```text
//! archive    bytes          -> files        (bounded; plain files with plain names)
//! signature  files          -> the same, if they are those that were signed
//! manifest   .manifest      -> Roots, revision
//! hash       a file         -> its hash as `.signatures.json` has it
//! download   a server       -> bytes        (ETag; the last good ones are kept on disk)
//! ```
//! A bundle is taken whole or not at all.

mod archive;
mod download;
#[cfg(test)]
pub(super) mod fixture;
mod hash;
mod manifest;
mod signature;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::Fault;
use super::load::SourceFile;
use super::yaml;
use crate::record::Secret;
pub use download::{Downloaded, Downloads, Remote};
use manifest::Manifest;
pub(super) use manifest::Roots;
pub(super) use signature::Verifier;

/// Bound of a bundle as it is stored and sent.
pub(super) const PACKED_MAX_BYTES: u64 = 32 * 1024 * 1024;
const MANIFEST: &str = ".manifest";

/// `[policy] verify`: whose signatures bundles must have.
#[derive(Clone, Debug, PartialEq)]
pub struct Verify {
    /// The keys.
    pub keys: Keys,
    /// Which of several keys; by default the one that the signature names.
    pub key_id: Option<String>,
    /// What bundles must be signed for; empty: for no scope.
    pub scope: String,
}

impl Verify {
    pub(super) fn key_files(&self) -> Vec<&PathBuf> {
        match &self.keys {
            Keys::One(path) => vec![path],
            Keys::ById(paths) => paths.values().collect(),
            Keys::Secret(_) => Vec::new(),
        }
    }
}

/// Where keys are.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// The PEM file of the one public key.
    One(PathBuf),
    /// PEM files by the ids of their keys.
    ById(BTreeMap<String, PathBuf>),
    /// A secret that signer and host share (HS256).
    Secret(Secret),
}

/// Whether a file of this name is taken for a bundle.
pub(super) fn is_bundle(name: &str) -> bool {
    name.ends_with(".tar.gz") || name.ends_with(".tgz")
}

/// A bundle that is whole and, where a key is configured, signed.
pub(super) struct Bundle {
    /// Rego modules, tests among them.
    pub(super) modules: Vec<SourceFile>,
    /// data.json and data.yaml.
    pub(super) data: Vec<SourceFile>,
    /// `.manifest`, if there is one.
    pub(super) manifest: Option<SourceFile>,
    /// What it says of its revision; empty if nothing.
    pub(super) revision: String,
    pub(super) roots: Arc<Roots>,
}

impl Bundle {
    /// Reads the bundle that people know as `shown`.
    pub(super) fn read(shown: &str, packed: &[u8], verifier: Option<&Verifier>) -> Result<Self, Fault> {
        let wrong = |what: String| Fault::of(shown, what);
        let files = archive::unpack(packed).map_err(wrong)?;
        if let Some(verifier) = verifier {
            verifier.check(&files).map_err(wrong)?;
        }
        let in_file = |name: &str, what: String| Fault::of(&format!("{shown}/{name}"), what);
        let text = |name: &str| match str::from_utf8(&files[name]) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(in_file(name, format!("is not UTF-8 at byte {}", error.valid_up_to()))),
        };
        let described = files.contains_key(MANIFEST).then(|| text(MANIFEST)).transpose()?;
        let manifest = Manifest::parse(described.as_deref().unwrap_or("{}")).map_err(|what| in_file(MANIFEST, what))?;
        let roots = Arc::new(manifest.roots().map_err(|what| in_file(MANIFEST, what))?);
        let file = |name: &str, text: String| SourceFile {
            name: name.to_owned(),
            path: format!("{shown}/{name}"),
            text,
            roots: Some(Arc::clone(&roots)),
        };
        let (mut modules, mut data) = (Vec::new(), Vec::new());
        for name in files.keys() {
            let (folder, base) = name.rsplit_once('/').unwrap_or(("", name));
            match base {
                "data.json" | "data.yaml" | "data.yml" => {
                    let file = file(name, text(name)?);
                    check_roots(&file, folder, &roots)?;
                    data.push(file);
                }
                "policy.wasm" | "plan.json" => {
                    let what = "is compiled for another engine; build the bundle with `opa build -t rego`";
                    return Err(in_file(name, what.to_owned()));
                }
                "patch.json" => {
                    return Err(in_file(name, "makes this a delta bundle; whole ones only are taken".to_owned()));
                }
                _ if base.ends_with(MANIFEST) && name != MANIFEST => {
                    return Err(in_file(name, "is a second manifest; the one at the top counts".to_owned()));
                }
                _ if base.ends_with(".rego") => modules.push(file(name, text(name)?)),
                _ => {}
            }
        }
        let revision = manifest.revision;
        let manifest = described.map(|text| file(MANIFEST, text));
        Ok(Self { modules, data, manifest, revision, roots })
    }
}

/// Whether data stands where its bundle may have any. What can't be read is told where documents are.
fn check_roots(file: &SourceFile, folder: &str, roots: &Roots) -> Result<(), Fault> {
    let document = match file.name.ends_with(".json") {
        true => serde_json::from_str(&file.text).ok(),
        false => yaml::to_json(&file.text).ok(),
    };
    match document.and_then(|document: serde_json::Value| roots.outside(&document, folder)) {
        Some(path) => {
            let what = format!("holds data at {path:?}, outside of the manifest's roots: {}", roots.shown());
            Err(Fault::of(&file.path, what))
        }
        None => Ok(()),
    }
}
