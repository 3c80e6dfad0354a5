//! Whom a verifier believes: which public keys may endorse which host's streams, and when.

use super::host_key::{self, HostPublic};
use crate::record::is_name;
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::Spanned;

/// The keys that may endorse streams.
#[derive(Clone, Debug, PartialEq)]
pub struct Trust {
    entries: Vec<Entry>,
}

/// One key of one host. A host may have several, one after the other or at once.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    /// `None`: every host.
    host: Option<String>,
    key: HostPublic,
    /// The first instant at which it counts, in nanoseconds since 1970.
    from_ns: Option<i128>,
    /// The first instant at which it counts no more.
    until_ns: Option<i128>,
}

/// What is wrong with a trust file: every fault, in the order of the file.
#[derive(Debug)]
pub struct Error {
    /// `FILE:LINE:COLUMN: what is wrong; how to mend it`, each.
    pub faults: Vec<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.faults.join("\n"))
    }
}

impl std::error::Error for Error {}

impl Trust {
    /// Reads a trust file that nobody else can write; the paths of keys in it are taken from its own folder.
    pub fn load(path: &Path) -> Result<Self, Error> {
        crate::modes::check(path).map_err(|writable| Error { faults: vec![writable.to_string()] })?;
        let text = std::fs::read_to_string(path).map_err(|error| Error {
            faults: vec![format!("{}: cannot read this trust file: {error}", path.display())],
        })?;
        let mut faults = Faults { path, text: &text, found: Vec::new() };
        let entries = match toml::from_str::<RawTrust>(&text) {
            Ok(raw) => entries(&raw, &mut faults),
            Err(error) => {
                faults.add(error.span().map_or(0, |span| span.start), error.message());
                Vec::new()
            }
        };
        if faults.found.is_empty() {
            return Ok(Self { entries });
        }
        faults.found.sort();
        Err(Error { faults: faults.found.into_iter().map(|(_, fault)| fault).collect() })
    }

    /// Trusts one key at any time: for `host`, or for every host.
    pub fn single(host: Option<&str>, key: HostPublic) -> Self {
        Self { entries: vec![Entry { host: host.map(str::to_owned), key, from_ns: None, until_ns: None }] }
    }

    /// Whether `key` may endorse a stream that `host` began at this time (nanoseconds since 1970).
    pub fn allows(&self, host: &str, key: &HostPublic, at_unix_ns: i128) -> bool {
        self.entries.iter().any(|entry| {
            entry.host.as_deref().is_none_or(|name| name == host)
                && entry.key == *key
                && entry.from_ns.is_none_or(|from| from <= at_unix_ns)
                && entry.until_ns.is_none_or(|until| at_unix_ns < until)
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTrust {
    #[serde(default)]
    host: Vec<Spanned<RawHost>>,
    ca: Option<Spanned<toml::Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHost {
    name: Spanned<String>,
    key: Spanned<PathBuf>,
    /// A string, or TOML's own date and time.
    valid_from: Option<Spanned<toml::Value>>,
    valid_until: Option<Spanned<toml::Value>>,
}

/// Collects what is wrong and where.
struct Faults<'a> {
    path: &'a Path,
    text: &'a str,
    /// Each with the byte at which it stands.
    found: Vec<(usize, String)>,
}

impl Faults<'_> {
    fn add(&mut self, at: usize, what: impl fmt::Display) {
        // a parser may point into the middle of a character, or behind the end
        let before = (0..=at.min(self.text.len())).rev().find_map(|end| self.text.get(..end)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        self.found.push((at, format!("{}:{line}:{column}: {what}", self.path.display())));
    }
}

fn entries(raw: &RawTrust, faults: &mut Faults<'_>) -> Vec<Entry> {
    if let Some(ca) = &raw.ca {
        faults.add(ca.span().start, "[[ca]]: endorsement by certificate is not in this version yet; list host keys");
    } else if raw.host.is_empty() {
        faults.add(0, "no host is trusted here; add [[host]] with name = \"…\" and key = \"host.pub\"");
    }
    raw.host.iter().filter_map(|host| entry(host, faults)).collect()
}

fn entry(raw: &Spanned<RawHost>, faults: &mut Faults<'_>) -> Option<Entry> {
    let host = raw.get_ref();
    let name = host.name.get_ref();
    let known = faults.found.len();
    if !is_name(name) {
        faults
            .add(host.name.span().start, "[[host]] name: a host's name is 1 to 64 of A-Z a-z 0-9 . _ -, no dot first");
    }
    let from_ns = instant(host.valid_from.as_ref(), "valid_from", faults);
    let until_ns = instant(host.valid_until.as_ref(), "valid_until", faults);
    if let (Some(from), Some(until), Some(at)) = (from_ns, until_ns, &host.valid_until)
        && until <= from
    {
        faults.add(at.span().start, "[[host]] valid_until: is not after valid_from; the key would never count");
    }
    let key = load_key(faults.path, host.key.get_ref())
        .map_err(|error| faults.add(host.key.span().start, format_args!("[[host]] key: {error}")))
        .ok()?;
    (faults.found.len() == known).then(|| Entry { host: Some(name.clone()), key, from_ns, until_ns })
}

fn load_key(trust_file: &Path, key: &Path) -> Result<HostPublic, host_key::Error> {
    HostPublic::load(&trust_file.parent().unwrap_or(Path::new("")).join(key))
}

fn instant(value: Option<&Spanned<toml::Value>>, key: &str, faults: &mut Faults<'_>) -> Option<i128> {
    let value = value?;
    let text = match value.get_ref() {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match OffsetDateTime::parse(&text, &Rfc3339) {
        Ok(instant) => Some(instant.unix_timestamp_nanos()),
        Err(_) => {
            let what = format!("[[host]] {key}: not a time with its zone; write one such as \"2026-01-01T00:00:00Z\"");
            faults.add(value.span().start, what);
            None
        }
    }
}
