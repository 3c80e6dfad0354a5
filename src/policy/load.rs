//! Finds and reads policy files: `.rego` and `data.json`, in files and folders, recursively.
//!
//! The order is that of the names, so that the same tree gives the same set everywhere. Hidden entries are left out:
//! that is how a mounted Kubernetes ConfigMap (`..data -> ..2026_01_01`) shows each file once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use regorus::Value;
use sha2::{Digest as _, Sha256};

use super::Fault;
use super::packs::{LEFT_OUT, PACKS};

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
    /// `data.json` files.
    pub(super) data: Vec<SourceFile>,
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
        let mut walk = Walk { tests, sources: Self::default(), seen: BTreeSet::new(), count: 0, faults };
        for path in paths {
            walk.root(path);
        }
        let mut sources = walk.sources;
        sources.modules.sort();
        sources.data.sort();
        sources
    }

    /// The policies that come with sealtail, those that quickstart leaves out besides.
    pub(super) fn packs() -> Self {
        let file = |(name, text): &(&str, &str)| SourceFile {
            name: (*name).to_owned(),
            path: format!("policies/{name}"),
            text: (*text).to_owned(),
        };
        Self { modules: PACKS.iter().chain(LEFT_OUT).map(file).collect(), data: Vec::new() }
    }

    /// The documents of the `data.json` files, each where OPA puts it: `a/b/data.json` is `data.a.b`.
    pub(super) fn documents(&self, faults: &mut Vec<Fault>) -> Vec<(&SourceFile, Value)> {
        let mut documents = Vec::new();
        for file in &self.data {
            let document: Value = match serde_json::from_str(&file.text) {
                Ok(document) => document,
                Err(error) => {
                    let place = (error.line() as u32, error.column() as u32);
                    faults.push(Fault::at(&file.path, place, format!("not JSON: {error}")));
                    continue;
                }
            };
            if document.as_object().is_err() {
                faults.push(Fault::at(&file.path, (1, 1), "data.json must hold an object"));
                continue;
            }
            let folders = file.name.rsplit('/').skip(1);
            let nested = folders.fold(document, |inner, folder| {
                regorus::value::Object::from_iter([(Value::from(folder), inner)]).into()
            });
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

    /// SHA-256 over all files, sorted by name, each name and content with its length before it.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut files: Vec<&SourceFile> = self.modules.iter().chain(&self.data).collect();
        files.sort_by(|a, b| (&a.name, &a.text).cmp(&(&b.name, &b.text)));
        let mut hash = Sha256::new();
        for part in files.iter().flat_map(|file| [&file.name, &file.text]) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().into()
    }
}

/// One reading of the paths.
struct Walk<'a> {
    tests: Tests,
    sources: Sources,
    /// Folders that were entered, by their real path: a link that leads back up is not followed twice.
    seen: BTreeSet<PathBuf>,
    count: usize,
    faults: &'a mut Vec<Fault>,
}

impl Walk<'_> {
    fn root(&mut self, path: &Path) {
        let shown = path.display().to_string();
        match fs::metadata(path) {
            Err(error) => self.faults.push(Fault::of(&shown, format!("can't be read: {error}"))),
            Ok(kind) if kind.is_dir() => {
                let before = self.count;
                self.folder(path, "", 0);
                if self.count == before {
                    self.faults.push(Fault::of(&shown, "holds no .rego file and no data.json"));
                }
            }
            Ok(_) => {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                if !is_policy_file(&name) {
                    self.faults.push(Fault::of(&shown, "is neither a .rego file nor data.json"));
                } else {
                    self.file(path, name);
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
        self.count += 1;
        if self.count > FILES_MAX {
            if self.count == FILES_MAX + 1 {
                self.faults.push(Fault::of(&shown, format!("a set has at most {FILES_MAX} files; this is one more")));
            }
            return;
        }
        let is_data = name.ends_with("data.json");
        if !is_data && self.tests == Tests::Skipped && name.ends_with("_test.rego") {
            return;
        }
        match read_bounded(path, if is_data { DATA_MAX } else { FILE_MAX }) {
            Ok(text) if is_data => self.sources.data.push(SourceFile { name, path: shown, text }),
            Ok(text) => self.sources.modules.push(SourceFile { name, path: shown, text }),
            Err(what) => self.faults.push(Fault::of(&shown, what)),
        }
    }
}

fn is_policy_file(name: &str) -> bool {
    name.ends_with(".rego") || name == "data.json"
}

fn read_bounded(path: &Path, max: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(max + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("can't be read: {error}"))?;
    if bytes.len() as u64 > max {
        return Err(format!("is longer than {max} bytes; split it"));
    }
    String::from_utf8(bytes).map_err(|error| format!("is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
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
        assert_eq!(shown[1], "Cargo.toml: is neither a .rego file nor data.json");
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
