//! The configuration, the trust file and the keys, as their readers see them.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, which clippy.toml doesn't know")]

mod cli_keys;
mod faults;
mod keys;
mod load;
mod queues;
mod reference;
mod s3;
mod trust;

use sealtail::chain::key_file;
use sealtail::config::Config;
use std::fs;
use std::path::Path;

/// The recipient that age's own manual shows.
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// A file that nobody else can read.
fn put_secret(path: &Path, text: &str) {
    key_file::create(path, text.as_bytes(), key_file::SECRET).unwrap();
}

/// The least an agent needs, and something more.
fn agent_text(more: &str) -> String {
    format!(
        r#"[host]
key = "host.key"
[auditors]
recipients = ["{RECIPIENT}"]
[[source]]
type = "file"
include = ["/var/log/*.log"]
[spool]
dir = "spool"
[[target]]
name = "archive"
type = "https"
url = "https://a.internal:7443"
tls = {{ ca = "ca.pem", cert = "client.pem", key = "client.key" }}
{more}"#
    )
}

/// Loads `text`, as sealtail.toml in `folder`; faults as they are shown, the folder left out.
fn load_in(folder: &Path, text: &str) -> Result<Config, Vec<String>> {
    let path = folder.join("sealtail.toml");
    fs::write(&path, text).unwrap();
    let prefix = format!("{}/", folder.display());
    let shown = |fault: &sealtail::config::Fault| fault.to_string().replacen(&prefix, "", 1);
    Config::load(&path).map_err(|faults| faults.iter().map(shown).collect())
}

fn load(text: &str) -> Result<Config, Vec<String>> {
    load_in(tempfile::tempdir().unwrap().path(), text)
}
