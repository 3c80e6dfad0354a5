//! What is known of a source besides its lines: what the configuration says, what Kubernetes tells a pod of itself
//! (the downward API), and what stands in the path of a container's log.
//!
//! Where two say the same label, the configuration wins over the path. What the downward API says is under names of its
//! own, `label.NAME` and `annotation.NAME`, and is read once, at the start.

use super::{Error, kubernetes};
use crate::record::Labels;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bound of the names and values of a source together: they stand in a line of the chain.
pub(super) const LABELS_MAX_BYTES: usize = 64 * 1024;
/// Kubernetes bounds the annotations of an object to 256 KiB; escapes make them longer.
const FILE_MAX_BYTES: u64 = 2 * 1024 * 1024;

/// What is known of a source besides its lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelConfig {
    /// What the configuration says.
    pub fixed: BTreeMap<String, String>,
    /// The folder of a downwardAPI volume with the files `labels` and `annotations`, or one of them.
    pub downward_api: Option<PathBuf>,
}

impl LabelConfig {
    /// Whether the labels of the source of this name can be had.
    pub fn check(&self, name: &str) -> Result<(), Error> {
        SourceLabels::new(name, self).map(drop)
    }
}

/// The labels of a source's files.
#[derive(Debug)]
pub(super) struct SourceLabels {
    fixed: Labels,
}

impl SourceLabels {
    pub(super) fn new(name: &str, config: &LabelConfig) -> Result<SourceLabels, Error> {
        let mut fixed = config.fixed.clone();
        if size(&fixed) > LABELS_MAX_BYTES {
            return Err(Error::Labels { name: name.to_owned() });
        }
        if let Some(folder) = &config.downward_api {
            let (labels, left_out) = downward_api(name, folder, LABELS_MAX_BYTES - size(&fixed))?;
            if !left_out.is_empty() {
                tracing::warn!(
                    source = name,
                    ?left_out,
                    "the pod's labels and annotations are larger than 64 KiB together: these are left out"
                );
            }
            fixed.extend(labels);
        }
        Ok(SourceLabels { fixed: Arc::new(fixed) })
    }

    /// What is known of every line of the source.
    pub(super) fn common(&self) -> Labels {
        Arc::clone(&self.fixed)
    }

    /// What is known of the lines of the file that was found at `path`.
    pub(super) fn of(&self, path: Option<&Path>) -> Labels {
        let of_path = path.map(kubernetes::labels).unwrap_or_default();
        if of_path.is_empty() {
            return self.common();
        }
        let mut labels = of_path;
        labels.extend(self.fixed.iter().map(|(name, value)| (name.clone(), value.clone())));
        Arc::new(labels)
    }
}

fn size(labels: &BTreeMap<String, String>) -> usize {
    labels.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// What the files of a downwardAPI volume say, as far as it fits, and the names of the rest. Labels go first, and what
/// is small before what is large: annotations hold whole manifests.
fn downward_api(source: &str, folder: &Path, room: usize) -> Result<(BTreeMap<String, String>, Vec<String>), Error> {
    let mut found = Vec::new();
    let mut missing = None;
    for (file, kind) in [("labels", "label"), ("annotations", "annotation")] {
        let path = folder.join(file);
        let wrong = |reason: String| Error::DownwardApi { name: source.to_owned(), path: path.clone(), reason };
        match read(&path) {
            Ok(text) => {
                let mut pairs = pairs(&text).map_err(wrong)?;
                pairs.sort_by_key(|(_, value)| value.len());
                found.extend(pairs.into_iter().map(|(name, value)| (format!("{kind}.{name}"), value)));
            }
            // either may be left out of the volume, not both
            Err(error) if error.kind() == io::ErrorKind::NotFound && missing.is_none() => {
                missing = Some(wrong(error.to_string()));
            }
            Err(error) => return Err(missing.unwrap_or_else(|| wrong(error.to_string()))),
        }
    }
    let (mut labels, mut left_out, mut room) = (BTreeMap::new(), Vec::new(), room);
    for (name, value) in found {
        match room.checked_sub(name.len() + value.len()) {
            Some(rest) => {
                room = rest;
                labels.insert(name, value);
            }
            None => left_out.push(name),
        }
    }
    Ok((labels, left_out))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_MAX_BYTES { Err(io::Error::other("larger than 2 MiB")) } else { Ok(text) }
}

/// The pairs of a file as the kubelet writes it: `name="value"` on each line, the value quoted as Go's `%q` does.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    let pair = |(number, line): (usize, &str)| {
        let (name, quoted) = line.split_once('=').ok_or_else(|| format!("no name=\"value\" on line {}", number + 1))?;
        let value = unquote(quoted).ok_or_else(|| format!("no quoted value on line {}", number + 1))?;
        Ok((name.to_owned(), value))
    };
    lines.map(pair).collect()
}

/// The text that Go's `%q` made this of.
fn unquote(quoted: &str) -> Option<String> {
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    // bytes, as \x stands for one that is no character
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        let c = match c {
            '"' => return None,
            '\\' => match rest.next()? {
                'x' => {
                    bytes.push(u8::try_from(hex(&mut rest, 2)?).ok()?);
                    continue;
                }
                'u' => char::from_u32(hex(&mut rest, 4)?)?,
                'U' => char::from_u32(hex(&mut rest, 8)?)?,
                'a' => '\x07',
                'b' => '\x08',
                'f' => '\x0c',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\x0b',
                c @ ('\\' | '"' | '\'') => c,
                _ => return None,
            },
            c => c,
        };
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex(rest: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    let number: String = rest.by_ref().take(digits).collect();
    u32::from_str_radix(&number, 16).ok().filter(|_| number.len() == digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unquoted_as_go_quoted_them() {
        let text = "app=\"web\"\nodd/name.x=\"a\\\"b\\\\c\\n\\t\\x00\\u2028\\U0001f600 é\"\n";
        assert_eq!(
            pairs(text).unwrap(),
            [
                ("app".to_owned(), "web".to_owned()),
                ("odd/name.x".to_owned(), "a\"b\\c\n\t\0\u{2028}\u{1f600} é".to_owned())
            ]
        );
        for broken in ["app", "app=web", "app=\"a\"b\"", "app=\"\\q\"", "app=\"\\u12\"", "app=\"", "app=\"\\\""] {
            assert!(pairs(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("labels"), "app=\"web\"\n").unwrap();
        let large = "x".repeat(LABELS_MAX_BYTES);
        std::fs::write(folder.path().join("annotations"), format!("large=\"{large}\"\nsmall=\"x\"\n")).unwrap();
        let (labels, left_out) = downward_api("a", folder.path(), LABELS_MAX_BYTES).unwrap();
        assert_eq!(labels.into_keys().collect::<Vec<_>>(), ["annotation.small", "label.app"]);
        assert_eq!(left_out, ["annotation.large"]);
    }

    #[test]
    fn a_volume_without_either_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = downward_api("a", folder.path(), 10).unwrap_err().to_string();
        assert!(error.contains("/labels") && error.contains("downwardAPI volume"), "{error}");
        std::fs::write(folder.path().join("annotations"), "a=\"b\"").unwrap();
        assert_eq!(downward_api("a", folder.path(), 99).unwrap().0.len(), 1);
    }
}
