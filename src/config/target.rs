//! `[[target]]`.

use super::sections::Names;
use super::table::{Table, Text};
use crate::forward::{Config, FileConfig, HttpsConfig, Kind, TlsConfig};
use std::path::PathBuf;
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// All of them.
pub(super) fn configs(tables: Vec<Table<'_>>) -> Option<Vec<Config>> {
    let first = tables.first().map(|table| table.place.clone());
    let mut names = Names::default();
    let read: Vec<_> = tables.into_iter().map(|table| config(table, &mut names)).collect();
    let targets: Vec<Config> = read.into_iter().collect::<Option<_>>()?;
    if !targets.iter().any(|target| target.required) {
        let what = "no target is required, so that lines would be deleted before anything has them";
        first?.fault(what, "set required = true in one of them");
        return None;
    }
    Some(targets)
}

fn config(table: Table<'_>, names: &mut Names) -> Option<Config> {
    let kind = |text: Text<'_>| text.word(&["https", "file"], &["s3", "nats", "kafka", "otlp"]);
    // without its type nothing can be said of the other keys
    let kind = table.required("type", "choose type = \"https\" or \"file\"", kind)?;
    let name = names.claim(&table, None);
    let required = table.boolean("required", true);
    let batch = table.table("batch");
    let batch_max_size_bytes = batch.size("max_size", 4 * MIB, 64 * KIB..=64 * MIB);
    let ages = Duration::from_millis(10)..=Duration::from_secs(60 * 60);
    let batch_max_age = batch.duration("max_age", Duration::from_secs(1), ages);
    batch.finish();
    let kind = match kind {
        "file" => folder(&table).map(Kind::File),
        _ => https(&table).map(Kind::Https),
    };
    table.finish();
    Some(Config {
        name: name?,
        required: required?,
        batch_max_size_bytes: batch_max_size_bytes?,
        batch_max_age: batch_max_age?,
        kind: kind?,
    })
}

fn https(table: &Table<'_>) -> Option<HttpsConfig> {
    let url = table.required("url", "say where it is, such as \"https://archive.internal:7443\"", url);
    let [ca, cert, key] = tls(table)?;
    Some(HttpsConfig { url: url?, tls: TlsConfig { ca, cert, key } })
}

fn folder(table: &Table<'_>) -> Option<FileConfig> {
    let dir = table.required("dir", "name the archive's folder, such as \"/mnt/worm\"", Text::into_path);
    let immutable = table.boolean("immutable", false);
    Some(FileConfig { dir: dir?, immutable: immutable? })
}

/// `tls = { ca, cert, key }`: certificates go both ways, so that all three are needed.
pub(super) fn tls(table: &Table<'_>) -> Option<[PathBuf; 3]> {
    if !table.holds(&["tls"]) {
        table.missing("tls", "write tls = { ca = \"ca.pem\", cert = \"….pem\", key = \"….key\" }");
        return None;
    }
    let tls = table.table("tls");
    let ca = tls.required("ca", "name the PEM file of the authority to trust", Text::into_path);
    let cert = tls.required("cert", "name the PEM file of the own certificate and its chain", Text::into_path);
    let key = tls.required("key", "name the PEM file of the certificate's key", Text::into_path);
    tls.finish();
    Some([ca?, cert?, key?])
}

/// A base, without the slash at its end.
fn url(text: Text<'_>) -> Option<String> {
    let url = match reqwest::Url::parse(&text.value) {
        Ok(url) => url,
        Err(error) => {
            let what = format!("no URL ({})", text.detail(error));
            return text.fault(&what, "write one such as \"https://archive.internal:7443\"");
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        // never quoted, not even as it stands
        text.place
            .fault("holds a user name or a password", "take it out: the certificate in tls says who this host is");
        return None;
    }
    match url.scheme() {
        "https" => {}
        "http" => {
            let what = "plain http lets everybody on the way read the lines and forge receipts";
            return text.fault(what, "write https, and give the receiver a certificate");
        }
        _ => return text.fault("not an https URL", "write one such as \"https://archive.internal:7443\""),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return text.fault("has a query or a fragment, and paths are put after it", "end it before the ? or #");
    }
    Some(text.value.trim_end_matches('/').to_owned())
}
