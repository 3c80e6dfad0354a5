//! `[[alert]]`.

use super::sections::Names;
use super::table::{Table, Text};
use super::target::client_files;
use crate::alert::{Config, Kind, is_placeholder};
use crate::record::{Decision, Secret, Severity};
use crate::tls::{self, Version};
use std::net::IpAddr;
use std::time::Duration;

/// Each line may raise some alerts of each, and these stand in one segment with it.
const ALERTS_MAX: usize = 16;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);

const SEVERITIES: [(&str, Severity); 5] = [
    ("info", Severity::Info),
    ("low", Severity::Low),
    ("medium", Severity::Medium),
    ("high", Severity::High),
    ("critical", Severity::Critical),
];
const DECISIONS: [(&str, Decision); 4] = [
    ("allow", Decision::Allow),
    ("flag", Decision::Flag),
    ("deny", Decision::Deny),
    ("undecided", Decision::Undecided),
];

/// All of them.
pub(super) fn configs(tables: Vec<Table<'_>>) -> Option<Vec<Config>> {
    if let Some(table) = tables.get(ALERTS_MAX) {
        table.place.fault(format!("more than {ALERTS_MAX} of them"), "let one tell the others");
    }
    let mut names = Names::default();
    let read: Vec<_> = tables.into_iter().map(|table| config(table, &mut names)).collect();
    read.into_iter().collect()
}

fn config(table: Table<'_>, names: &mut Names) -> Option<Config> {
    let kind = |text: Text<'_>| text.word(&["webhook", "alertmanager", "command"], &[]);
    // without its type nothing can be said of the other keys
    let kind = table.required("type", "choose type = \"webhook\", \"alertmanager\" or \"command\"", kind)?;
    let name = names.claim(&table, None);
    let min_severity = table.optional("min_severity", |text| text.one_of(&SEVERITIES));
    let decision = table.optional("decision", |text| text.one_of(&DECISIONS));
    if let (Some(None), Some(None)) = (min_severity, decision) {
        table.missing(
            "min_severity",
            "say which verdicts, with min_severity = \"high\" or decision = \"deny\", or both",
        );
    }
    let group_interval = table.duration("group_interval", 60 * SECOND, SECOND..=HOUR);
    let max_per_minute = table.integer("max_per_minute", 30, 1..=6000);
    let timeout = table.duration("timeout", 5 * SECOND, Duration::from_millis(100)..=60 * SECOND);
    let give_up_after = table.duration("give_up_after", 15 * 60 * SECOND, SECOND..=24 * HOUR);
    let kind = match kind {
        "webhook" => webhook(&table),
        "alertmanager" => alertmanager(&table),
        _ => command(&table),
    };
    table.finish();
    Some(Config {
        name: name?,
        kind: kind?,
        min_severity: min_severity?,
        decision: decision?,
        group_interval: group_interval?,
        max_per_minute: max_per_minute?,
        timeout: timeout?,
        give_up_after: give_up_after?,
    })
}

fn webhook(table: &Table<'_>) -> Option<Kind> {
    let url = table.required("url", "say where to, such as \"https://hooks.internal/audit\"", url);
    let secret = table.required("secret", "name what signs, such as \"${credential:webhook}\"", |text| {
        match text.value.is_empty() {
            true => text.fault("empty, so that anybody could sign", "put a random one there: openssl rand -hex 32"),
            false => Some(Secret::new(text.value)),
        }
    });
    let tls = tls(table, url.as_deref());
    Some(Kind::Webhook { url: url?, secret: secret?, tls: tls? })
}

fn alertmanager(table: &Table<'_>) -> Option<Kind> {
    let url = table.required("url", "say where it is, such as \"http://127.0.0.1:9093\"", |text| {
        match text.value.contains('?') {
            true => text.url_fault("has a query, and a path is put after it", "end it before the ?"),
            false => url(text),
        }
    });
    let tls = tls(table, url.as_deref());
    Some(Kind::Alertmanager { url: url?, tls: tls? })
}

fn command(table: &Table<'_>) -> Option<Kind> {
    let mut is_first = true;
    let argv = table.required_list("argv", "write argv = [\"/usr/local/bin/page\", \"{id}\"]", |text| {
        if std::mem::take(&mut is_first) {
            return match text.value.starts_with('/') && !text.value.contains('\0') {
                true => Some(text.value),
                false => text.fault("not the absolute path of a program", "write it from the root: \"/usr/…\""),
            };
        }
        match unknown_placeholder(&text.value) {
            // text from a line could be taken for an option of the program
            Some(_) => text.fault("holds a {…} that stands for nothing", "see config/sealtail.toml for those that do"),
            None if text.value.contains('\0') => text.fault("holds a NUL", "take it out"),
            None => Some(text.value),
        }
    });
    Some(Kind::Command { argv: argv? })
}

/// The first `{name}` that looks like a placeholder and is none.
fn unknown_placeholder(argument: &str) -> Option<&str> {
    let names = argument.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    let is_word = |name: &&str| !name.is_empty() && name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
    names.filter(is_word).find(|name| !is_placeholder(name))
}

/// `tls = { ca, cert, key }`: all optional, but a certificate comes with its key.
fn tls(table: &Table<'_>, url: Option<&str>) -> Option<tls::Config> {
    let tls = table.table("tls");
    if tls.is_there() && url.is_some_and(|url| !url.starts_with("https:")) {
        tls.place.fault("certificates are for https, and url is plain http", "write https there, or take tls out");
    }
    let ca = tls.optional("ca", Text::into_path);
    let client = client_files(&tls);
    tls.finish();
    let client = client?;
    // a client certificate would cross the wire in the clear under 1.2
    let min_version = if client.is_some() { Version::Tls13 } else { Version::Tls12 };
    Some(tls::Config { ca: ca?, client, min_version, ..tls::Config::default() })
}

/// An address; it may hold a secret.
fn url(text: Text<'_>) -> Option<String> {
    let url = match reqwest::Url::parse(&text.value) {
        Ok(url) => url,
        Err(error) => {
            let what = format!("no URL ({})", text.detail(error));
            return text.url_fault(&what, "write one such as \"https://hooks.internal/audit\"");
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        // never quoted, not even as it stands
        text.place
            .fault("holds a user name or a password", "take it out: the signature or the certificate says who calls");
        return None;
    }
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" if url.has_host() => {}
        "http" if is_loopback => {}
        "http" => {
            let what = "plain http lets everybody on the way read what is alerted";
            return text.url_fault(what, "write https; plain http is for 127.0.0.1, [::1] and localhost");
        }
        _ => return text.url_fault("not an https URL", "write one such as \"https://hooks.internal/audit\""),
    }
    if url.fragment().is_some() {
        return text.url_fault("has a fragment, which no server sees", "end it before the #");
    }
    Some(text.value)
}
