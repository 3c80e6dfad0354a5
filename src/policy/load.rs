//! Finds and reads policy files: `.rego`, `data.json` and `data.yaml`, in files and folders, recursively, and in bundles.
//!
//! The order is that of the names, so that the same tree gives the same set everywhere. Hidden entries are left out:
//! that is how a mounted Kubernetes ConfigMap (`..data -> ..2026_01_01`) shows each file once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regorus::Value;
use sha2::{Digest as _, Sha256};

use super::bundle::{self, Bundle, Roots, Verifier};
use super::packs::{LEFT_OUT, PACKS};
use super::{Config, Fault, yaml};
use crate::modes;

/// Bound of one file, in bytes; the engine's own bound of a module is the same.
const FILE_MAX: u64 = 1024 * 1024;
/// Bound of one `data.json`, in bytes.
const DATA_MAX: u64 = 16 * 1024 * 1024;
/// Bound of files in a set.
const FILES_MAX: usize = 4096;
/// Bound of folders inside folders.
const DEPTH_MAX: usize = 32;

/// Everything a policy set is made of.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Rego modules, tests among them only if asked for.
    pub(super) modules: Vec<SourceFile>,
    /// `data.json` and `data.yaml` files.
    pub(super) data: Vec<SourceFile>,
    /// `.manifest` files of bundles.
    pub(super) manifests: Vec<SourceFile>,
    pub(super) bundles: Vec<Taken>,
}

/// A bundle that was taken.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// As people know it.
    shown: String,
    revision: String,
    /// What it owns.
    roots: Arc<Roots>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SourceFile {
    /// Its name below the path it was found under, with `/`.
    pub(super) name: String,
    /// Where it is, for people.
    pub(super) path: String,
    /// What it holds.
    pub(super) text: String,
    /// What its bundle owns; none outside of bundles.
    pub(super) roots: Option<Arc<Roots>>,
}

/// Whether `*_test.rego` files belong to the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tests {
    /// They are left out: what is evaluated on lines.
    Skipped,
    /// They are read too: what the test runner needs.
    Included,
}

impl Sources {
    /// Reads all files under `paths`. What can't be read becomes a fault; the rest is still read.
    pub(super) fn read(paths: &[PathBuf], tests: Tests, faults: &mut Vec<Fault>) -> Self {
        Self::gather(paths, None, None, (tests, false), faults)
    }

    /// The same as configured: bundles with their signatures, and `downloaded`, the one that came from a server.
    pub(super) fn configured(
        config: &Config,
        downloaded: Option<&[u8]>,
        tests: Tests,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let verifier = match config.verify.as_ref().map(Verifier::load).transpose() {
            Ok(verifier) => verifier,
            Err(why) => {
                faults.push(Fault::of("[policy] verify", why));
                return Self::default();
            }
        };
        let remote = config.bundle.as_ref().map(|remote| remote.shown());
        Self::gather(&config.paths, verifier.as_ref(), remote.as_deref().zip(downloaded), (tests, true), faults)
    }

    fn gather(
        paths: &[PathBuf],
        verifier: Option<&Verifier>,
        downloaded: Option<(&str, &[u8])>,
        (tests, is_strict): (Tests, bool),
        faults: &mut Vec<Fault>,
    ) -> Self {
        let seen = BTreeSet::new();
        let mut walk = Walk { tests, is_strict, verifier, sources: Self::default(), seen, count: 0, faults };
        for path in paths {
            walk.root(path);
        }
        if let Some((shown, packed)) = downloaded {
            walk.bundle(shown, packed);
        }
        walk.bundles_apart();
        let mut sources = walk.sources;
        sources.modules.sort();
        sources.data.sort();
        sources
    }

    /// What the bundles' manifests say of their revisions.
    pub(super) fn revisions(&self) -> Vec<&str> {
        self.bundles.iter().map(|bundle| bundle.revision.as_str()).filter(|revision| !revision.is_empty()).collect()
    }

    /// What is evaluated on lines.
    pub(super) fn without_tests(&self) -> Self {
        let modules = self.modules.iter().filter(|file| !is_test(&file.name)).cloned().collect();
        let (data, manifests) = (self.data.clone(), self.manifests.clone());
        Self { modules, data, manifests, bundles: self.bundles.clone() }
    }

    /// The policies that come with sealtail, those that quickstart leaves out besides.
    pub(super) fn packs() -> Self {
        let file = |(name, text): &(&str, &str)| SourceFile {
            name: (*name).to_owned(),
            path: format!("policies/{name}"),
            text: (*text).to_owned(),
            roots: None,
        };
        Self { modules: PACKS.iter().chain(LEFT_OUT).map(file).collect(), ..Self::default() }
    }

    /// The documents of the data files, each where OPA puts it: `a/b/data.json` is `data.a.b`.
    pub(super) fn documents(&self, faults: &mut Vec<Fault>) -> Vec<(&SourceFile, Value)> {
        let mut documents = Vec::new();
        for file in &self.data {
            let document = match file.document() {
                Ok(document) => document,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            let folders = file.name.rsplit('/').skip(1);
            let nested: Value = folders.fold(document, |inner, folder| {
                regorus::value::Object::from_iter([(Value::from(folder), inner)]).into()
            });
            if nested.as_object().is_err() {
                faults.push(Fault::at(
                    &file.path,
                    (1, 1),
                    "must hold an object, as it stands in no folder that names it",
                ));
                continue;
            }
            documents.push((file, nested));
        }
        documents
    }

    /// Faults in order, each once, with columns as editors count them.
    pub(super) fn mend_places(&self, faults: Vec<Fault>) -> Vec<Fault> {
        let texts: BTreeMap<&str, &str> = self.modules.iter().map(|f| (f.path.as_str(), f.text.as_str())).collect();
        let mend = |fault: Fault| match texts.get(fault.file.as_str()) {
            Some(text) => fault.with_tabs_as_one(text),
            None => fault,
        };
        faults.into_iter().map(mend).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// SHA-256 over all files, sorted by name, each name and content with its length before it. A bundle's files count as if
    /// it were a folder, its manifest among them.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut files: Vec<&SourceFile> = self.modules.iter().chain(&self.data).chain(&self.manifests).collect();
        files.sort_by(|a, b| (&a.name, &a.text).cmp(&(&b.name, &b.text)));
        let mut hash = Sha256::new();
        for part in files.iter().flat_map(|file| [&file.name, &file.text]) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().into()
    }
}

impl SourceFile {
    fn document(&self) -> Result<Value, Fault> {
        let json = match self.name.ends_with(".json") {
            true => return serde_json::from_str(&self.text).map_err(|error| self.not_json(&error)),
            false => yaml::to_json(&self.text).map_err(|(line, what)| Fault::at(&self.path, (line, 1), what))?,
        };
        Value::from_json_str(&json.to_string()).map_err(|error| Fault::of(&self.path, error.to_string()))
    }

    fn not_json(&self, error: &serde_json::Error) -> Fault {
        let place = (error.line() as u32, error.column() as u32);
        Fault::at(&self.path, place, format!("not JSON: {error}"))
    }

    /// Whether a module with this package, as the engine writes it, may stand in its bundle.
    pub(super) fn check_package(&self, package: &str) -> Result<(), Fault> {
        let path = package.strip_prefix("data.").unwrap_or(package).replace('.', "/");
        match &self.roots {
            Some(roots) if !roots.contain(&path) => {
                let what = format!("its package is outside of the manifest's roots: {}", roots.shown());
                Err(Fault::of(&self.path, what))
            }
            _ => Ok(()),
        }
    }
}

/// One reading of the paths.
struct Walk<'a> {
    tests: Tests,
    /// They count: nobody else may be able to write them.
    is_strict: bool,
    verifier: Option<&'a Verifier>,
    sources: Sources,
    /// Folders that were entered, by their real path: a link that leads back up is not followed twice.
    seen: BTreeSet<PathBuf>,
    count: usize,
    faults: &'a mut Vec<Fault>,
}

impl Walk<'_> {
    fn guard(&mut self, path: &Path) {
        let checked = if self.is_strict { modes::check(path) } else { Ok(()) };
        if let Err(writable) = checked {
            self.faults.push(Fault::of("[policy] paths", writable.to_string()));
        }
    }

    fn root(&mut self, path: &Path) {
        let shown = path.display().to_string();
        match fs::metadata(path) {
            Err(error) => self.faults.push(Fault::of(&shown, format!("can't be read: {error}"))),
            Ok(kind) if kind.is_dir() => {
                let before = self.count;
                self.folder(path, "", 0);
                if self.count == before {
                    self.faults.push(Fault::of(&shown, "holds no .rego file and no data.json or data.yaml"));
                }
            }
            Ok(_) => {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                if bundle::is_bundle(&name) {
                    self.guard(path);
                    match read_bytes(path, bundle::PACKED_MAX_BYTES) {
                        Ok(packed) => self.bundle(&shown, &packed),
                        Err(what) => self.faults.push(Fault::of(&shown, what)),
                    }
                } else if is_policy_file(&name) {
                    self.file(path, name);
                } else {
                    let what = "is neither a .rego file nor data.json or data.yaml, and no bundle (.tar.gz)";
                    self.faults.push(Fault::of(&shown, what));
                }
            }
        }
    }

    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) {
        let shown = folder.display().to_string();
        if depth > DEPTH_MAX {
            self.faults.push(Fault::of(&shown, format!("is more than {DEPTH_MAX} folders deep")));
            return;
        }
        self.guard(folder);
        let entries = fs::canonicalize(folder)
            .and_then(|real| Ok((self.seen.insert(real), fs::read_dir(folder)?)))
            .and_then(|(new, entries)| if new { entries.collect::<Result<Vec<_>, _>>() } else { Ok(Vec::new()) });
        let mut names: Vec<String> = match entries {
            Ok(entries) => entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect(),
            Err(error) => return self.faults.push(Fault::of(&shown, format!("can't be read: {error}"))),
        };
        names.sort();
        for name in names.into_iter().filter(|name| !name.starts_with('.')) {
            let path = folder.join(&name);
            let below = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            match fs::metadata(&path) {
                Ok(kind) if kind.is_dir() => self.folder(&path, &below, depth + 1),
                Ok(_) if !is_policy_file(&name) => {}
                Ok(_) => self.file(&path, below),
                Err(error) if is_policy_file(&name) => {
                    self.faults.push(Fault::of(&path.display().to_string(), format!("can't be read: {error}")));
                }
                Err(_) => {} // a dangling link to something that is no policy
            }
        }
    }

    fn file(&mut self, path: &Path, name: String) {
        let shown = path.display().to_string();
        let is_data = is_data(&name);
        if !self.has_room(&shown) || (self.tests == Tests::Skipped && is_test(&name)) {
            return;
        }
        self.guard(path);
        let read = read_bytes(path, if is_data { DATA_MAX } else { FILE_MAX });
        let text = read.and_then(|bytes| {
            let at = |error: std::string::FromUtf8Error| error.utf8_error().valid_up_to();
            String::from_utf8(bytes).map_err(|error| format!("is not UTF-8 at byte {}", at(error)))
        });
        match text {
            Ok(text) if is_data => self.sources.data.push(SourceFile { name, path: shown, text, roots: None }),
            Ok(text) => self.sources.modules.push(SourceFile { name, path: shown, text, roots: None }),
            Err(what) => self.faults.push(Fault::of(&shown, what)),
        }
    }

    fn bundle(&mut self, shown: &str, packed: &[u8]) {
        let bundle = match Bundle::read(shown, packed, self.verifier) {
            Ok(bundle) => bundle,
            Err(fault) => return self.faults.push(fault),
        };
        for file in bundle.modules.iter().chain(&bundle.data) {
            let max = if is_data(&file.name) { DATA_MAX } else { FILE_MAX };
            if file.text.len() as u64 > max {
                self.faults.push(Fault::of(&file.path, format!("is longer than {max} bytes; split it")));
            }
            if !self.has_room(&file.path) {
                return;
            }
        }
        let tests = self.tests;
        let wanted = |file: &SourceFile| tests == Tests::Included || !is_test(&file.name);
        self.sources.modules.extend(bundle.modules.into_iter().filter(wanted));
        self.sources.data.extend(bundle.data);
        self.sources.manifests.extend(bundle.manifest);
        let Bundle { revision, roots, .. } = bundle;
        self.sources.bundles.push(Taken { shown: shown.to_owned(), revision, roots });
    }

    /// No two bundles may own the same paths: the policies of one could change what those of another say.
    fn bundles_apart(&mut self) {
        for (at, one) in self.sources.bundles.iter().enumerate() {
            for other in &self.sources.bundles[at + 1..] {
                if let Some((a, b)) = one.roots.overlap(&other.roots) {
                    let other = &other.shown;
                    let what = format!(
                        "its root {a:?} and {b:?} of {other} overlap; give each bundle roots of its own in its .manifest"
                    );
                    self.faults.push(Fault::of(&one.shown, what));
                }
            }
        }
    }

    fn has_room(&mut self, shown: &str) -> bool {
        self.count += 1;
        if self.count == FILES_MAX + 1 {
            self.faults.push(Fault::of(shown, format!("a set has at most {FILES_MAX} files; this is one more")));
        }
        self.count <= FILES_MAX
    }
}

fn is_policy_file(name: &str) -> bool {
    name.ends_with(".rego") || is_data(name)
}

fn is_data(name: &str) -> bool {
    matches!(name.rsplit('/').next(), Some("data.json" | "data.yaml" | "data.yml"))
}

fn is_test(name: &str) -> bool {
    name.ends_with("_test.rego")
}

fn read_bytes(path: &Path, max: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(max + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("can't be read: {error}"))?;
    if bytes.len() as u64 > max {
        return Err(format!("is longer than {max} bytes; split it"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)], tests: Tests) -> (Sources, Vec<Fault>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut faults = Vec::new();
        let sources = Sources::read(&[dir.path().to_path_buf()], tests, &mut faults);
        (sources, faults)
    }

    fn names(sources: &Sources) -> Vec<&str> {
        sources.modules.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn folders_are_read_recursively_in_order_without_tests_and_hidden_entries() {
        let files =
            [("b.rego", "2"), ("a/x.rego", "1"), ("a/x_test.rego", "t"), ("..data/y.rego", "h"), ("notes.txt", "")];
        let (found, faults) = sources(&files, Tests::Skipped);
        assert_eq!((names(&found), faults), (vec!["a/x.rego", "b.rego"], vec![]));
        assert_eq!(names(&sources(&files, Tests::Included).0), ["a/x.rego", "a/x_test.rego", "b.rego"]);
    }

    #[test]
    fn the_digest_tells_where_one_file_ends_and_depends_on_names() {
        let digest = |files: &[(&str, &str)]| sources(files, Tests::Skipped).0.digest();
        let one = digest(&[("a.rego", "xy"), ("b.rego", "z")]);
        assert_eq!(one, digest(&[("b.rego", "z"), ("a.rego", "xy")]));
        assert_ne!(one, digest(&[("a.rego", "x"), ("b.rego", "yz")]));
        assert_ne!(one, digest(&[("a.rego", "xy"), ("c.rego", "z")]));
    }

    #[test]
    fn data_stands_where_its_folder_says() {
        let (found, mut faults) = sources(&[("a/b/data.json", r#"{"x": 1}"#), ("c.rego", "")], Tests::Skipped);
        let documents = found.documents(&mut faults);
        assert_eq!(documents[0].1.to_string(), r#"{"a":{"b":{"x":1}}}"#);
        let (found, mut faults) = sources(&[("data.json", "{\n  \"x\": }")], Tests::Skipped);
        assert!(found.documents(&mut faults).is_empty());
        assert_eq!(faults[0].place.map(|place| place.0), Some(2));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let mut faults = Vec::new();
        Sources::read(&["/nowhere/at/all".into(), "Cargo.toml".into()], Tests::Skipped, &mut faults);
        let shown: Vec<String> = faults.iter().map(Fault::to_string).collect();
        assert!(shown[0].starts_with("/nowhere/at/all: can't be read: "), "{shown:?}");
        assert_eq!(shown[1], "Cargo.toml: is neither a .rego file nor data.json or data.yaml, and no bundle (.tar.gz)");
        let (_, faults) = sources(&[("readme", "")], Tests::Skipped);
        assert!(faults[0].what.contains("no .rego file"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_back_up_ends() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.rego"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
        let mut faults = Vec::new();
        let found = Sources::read(&[dir.path().to_path_buf()], Tests::Skipped, &mut faults);
        assert_eq!((names(&found), faults), (vec!["a.rego"], vec![]));
    }
}
