//! `.manifest`: what a bundle says of itself.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The paths below `data` that a bundle owns: nothing of it may stand elsewhere, and no other bundle may own them too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) struct Roots(Vec<String>);

/// A manifest. Keys that sealtail has no use for are left alone, as OPA does.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Manifest {
    #[serde(default)]
    pub(super) revision: String,
    #[serde(default)]
    roots: Option<Vec<String>>,
    #[serde(default)]
    rego_version: Option<u64>,
    #[serde(default)]
    file_rego_versions: BTreeMap<String, u64>,
    #[serde(default)]
    wasm: Vec<IgnoredAny>,
}

impl Manifest {
    /// Reads it, or says what can't be done with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = serde_json::from_str(text).map_err(|error| format!("not a manifest: {error}"))?;
        let versions = manifest.rego_version.iter().chain(manifest.file_rego_versions.values());
        if versions.into_iter().any(|version| *version != 1) {
            return Err("says that its Rego is not of version 1; run `opa fmt --rego-v1` and build it anew".to_owned());
        }
        if !manifest.wasm.is_empty() {
            return Err("names Wasm modules, which are not run here; build it with `opa build -t rego`".to_owned());
        }
        Ok(manifest)
    }

    /// Its roots; without any, everything.
    pub(super) fn roots(&self) -> Result<Roots, String> {
        let roots = self.roots.clone().unwrap_or_else(|| vec![String::new()]);
        let roots = Roots(roots.iter().map(|root| root.trim_matches('/').to_owned()).collect());
        for (at, root) in roots.0.iter().enumerate() {
            if let Some(other) = roots.0[at + 1..].iter().find(|other| overlap(root, other)) {
                return Err(format!("its roots {root:?} and {other:?} overlap; keep the shorter one"));
            }
        }
        Ok(roots)
    }
}

impl Roots {
    /// Whether a path such as `sealtail/linux` stands in one of them.
    pub(in crate::policy) fn contain(&self, path: &str) -> bool {
        self.0.iter().any(|root| is_within(path, root))
    }

    /// A root of each that overlap.
    pub(in crate::policy) fn overlap<'a>(&'a self, other: &'a Self) -> Option<(&'a str, &'a str)> {
        let pairs = self.0.iter().flat_map(|a| other.0.iter().map(move |b| (a.as_str(), b.as_str())));
        pairs.into_iter().find(|(a, b)| overlap(a, b))
    }

    /// A path of the document, which stands at `at`, that is in none of them.
    pub(super) fn outside(&self, document: &serde_json::Value, at: &str) -> Option<String> {
        if self.contain(at) {
            return None;
        }
        let leads_to_root = at.is_empty() || self.0.iter().any(|root| is_within(root, at));
        match document {
            serde_json::Value::Object(fields) if leads_to_root => fields.iter().find_map(|(key, value)| {
                let below = if at.is_empty() { key.clone() } else { format!("{at}/{key}") };
                self.outside(value, &below)
            }),
            _ => Some(at.to_owned()),
        }
    }

    /// As people write them.
    pub(in crate::policy) fn shown(&self) -> String {
        self.0.join(", ")
    }
}

fn overlap(a: &str, b: &str) -> bool {
    is_within(a, b) || is_within(b, a)
}

fn is_within(path: &str, root: &str) -> bool {
    root.is_empty() || path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(list: &[&str]) -> Result<Roots, String> {
        Manifest { roots: Some(list.iter().map(|&root| root.to_owned()).collect()), ..Manifest::default() }.roots()
    }

    #[test]
    fn roots_end_at_a_slash() {
        let found = roots(&["/sealtail/a", "acme"]).unwrap();
        for (path, is_in) in [("sealtail/a", true), ("sealtail/a/b", true), ("sealtail/ab", false), ("sealtail", false)]
        {
            assert_eq!(found.contain(path), is_in, "{path}");
        }
        assert!(Manifest::default().roots().unwrap().contain("anything"));
        assert!(!roots(&[]).unwrap().contain("anything"));
    }

    #[test]
    fn roots_that_overlap_are_refused() {
        assert!(roots(&["a/b", "c", "a"]).unwrap_err().contains("overlap"));
        assert!(roots(&["a", ""]).is_err());
        assert_eq!(roots(&["a/b"]).unwrap().overlap(&roots(&["x", "a"]).unwrap()), Some(("a/b", "a")));
        assert_eq!(roots(&["a"]).unwrap().overlap(&roots(&["ab"]).unwrap()), None);
    }

    #[test]
    fn data_outside_of_the_roots_is_named() {
        let found = roots(&["a/b", "c"]).unwrap();
        let outside = |json: &str| found.outside(&serde_json::from_str(json).unwrap(), "");
        assert_eq!(outside(r#"{"a": {"b": 1}, "c": {"x": 2}}"#), None);
        assert_eq!(outside(r#"{"a": {"b": 1, "x": 2}}"#), Some("a/x".to_owned()));
        assert_eq!(outside(r#"{"a": 1}"#), Some("a".to_owned()));
        assert_eq!(outside("{}"), None);
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused() {
        assert!(Manifest::parse(r#"{"revision": "1", "rego_version": 1, "metadata": {"x": 1}}"#).is_ok());
        assert!(Manifest::parse(r#"{"rego_version": 0}"#).unwrap_err().contains("version 1"));
        assert!(Manifest::parse(r#"{"file_rego_versions": {"/a.rego": 0}}"#).is_err());
        assert!(Manifest::parse(r#"{"wasm": [{"module": "/policy.wasm"}]}"#).unwrap_err().contains("Wasm"));
        assert!(Manifest::parse("[").is_err());
    }
}
