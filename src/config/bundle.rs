//! `[policy] verify` and `[policy] bundle`: OPA bundles, whose signatures they must have, and where they come from.

use super::table::{Table, Text};
use crate::policy::bundle::{Keys, Remote, Verify};
use crate::record::Secret;
use crate::tls::{self, ClientFiles};
use reqwest::Url;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `verify = { … }`; `Some(None)` where it is absent.
pub(super) fn verify(policy: &Table<'_>) -> Option<Option<Verify>> {
    const MEND: &str =
        "write one of key = \"bundle.pub\", keys = { id = \"bundle.pub\" } and secret = \"${credential:…}\"";
    if !policy.holds(&["verify"]) {
        return Some(None);
    }
    let table = policy.table("verify");
    let place = table.place.clone();
    let key = table.optional("key", Text::into_path);
    let by_id = table.holds(&["keys"]).then(|| keys(table.table("keys")));
    let secret = table.optional("secret", secret);
    let key_id = table.optional("key_id", |text| Some((text.place.clone(), text.value)));
    let scope = table.optional("scope", |text| Some(text.value));
    table.finish();
    let by_id = by_id.map_or(Some(None), |keys| keys.map(Some))?;
    let (key_id, scope) = (key_id?, scope?.unwrap_or_default());
    let keys = match (key?, by_id, secret?) {
        (Some(path), None, None) => Keys::One(path),
        (None, Some(keys), None) => Keys::ById(keys),
        (None, None, Some(secret)) => Keys::Secret(secret),
        _ => {
            place.fault("needs one key, or keys of which each has its id", MEND);
            return None;
        }
    };
    if let Some((place, id)) = &key_id {
        let mend = "write keys = { id = \"bundle.pub\" } with this id, or take key_id out";
        if !matches!(&keys, Keys::ById(keys) if keys.contains_key(id)) {
            place.fault("is not among verify.keys", mend);
            return None;
        }
    }
    Some(Some(Verify { keys, key_id: key_id.map(|(_, id)| id), scope }))
}

/// `bundle = { … }`; `Some(None)` where it is absent. Its folder is not known yet.
pub(super) fn remote(policy: &Table<'_>) -> Option<Option<Remote>> {
    if !policy.holds(&["bundle"]) {
        return Some(None);
    }
    let table = policy.table("bundle");
    let url = table.required("url", "say where it is, such as \"https://opa.internal/bundle.tar.gz\"", |text| {
        let place = text.place.clone();
        url(text).map(|(text, is_https)| (place, text, is_https))
    });
    let poll =
        table.duration("poll", Duration::from_secs(60), Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60));
    let token = table.optional("token", secret);
    let tls = table.holds(&["tls"]).then(|| tls(table.table("tls")));
    table.finish();
    let tls = tls.map_or(Some(None), |tls| tls.map(Some))?;
    let (place, url, is_https) = url?;
    match (is_https, &tls) {
        (true, None) => {
            place.fault("nobody is trusted for this https URL", "write tls = { ca = \"ca.pem\" } beside it");
            return None;
        }
        (false, Some(_)) => {
            place.fault("is plain http, and tls is configured", "write https, or take tls out");
            return None;
        }
        _ => {}
    }
    Some(Some(Remote { url, poll: poll?, tls, token: token?, kept_in: PathBuf::new() }))
}

fn keys(table: Table<'_>) -> Option<BTreeMap<String, PathBuf>> {
    let folder = table.place.document.surroundings.folder;
    let is_id =
        |id: &str| (1..=256).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c));
    let pairs = table.pairs(is_id)?;
    Some(pairs.into_iter().map(|(id, path)| (id, folder.join(path))).collect())
}

fn tls(table: Table<'_>) -> Option<tls::Config> {
    let ca = table.required("ca", "name the PEM file of the authority to trust", Text::into_path);
    let cert = table.optional("cert", Text::into_path);
    let key = table.optional("key", Text::into_path);
    let place = table.place.clone();
    table.finish();
    let client = match (cert?, key?) {
        (Some(cert), Some(key)) => Some(ClientFiles { cert, key }),
        (None, None) => None,
        _ => {
            place.fault("has one of cert and key", "write both, or none where the server asks for no certificate");
            return None;
        }
    };
    Some(tls::Config { ca: Some(ca?), client, ..tls::Config::default() })
}

/// A secret that can stand in a header. It is never quoted, not even as it stands.
fn secret(text: Text<'_>) -> Option<Secret> {
    if text.value.is_empty() || !text.value.chars().all(|c| c.is_ascii_graphic()) {
        text.place.fault("is empty, or has other characters than a secret may have", "use ASCII without white space");
        return None;
    }
    Some(Secret::new(text.value))
}

/// The URL, and whether it is https. Plain http stays on this machine. Its query may be a secret, so it isn't quoted.
fn url(text: Text<'_>) -> Option<(String, bool)> {
    const MEND: &str = "write one such as \"https://opa.internal/bundle.tar.gz\"";
    let fault = |what: &str, mend: &str| {
        text.place.fault(what, mend);
        None
    };
    let Ok(url) = Url::parse(&text.value) else { return fault("is no URL", MEND) };
    if !url.username().is_empty() || url.password().is_some() {
        return fault("holds a user name or a password", "take it out, and write token = \"${credential:…}\"");
    }
    match url.scheme() {
        "https" => Some((text.value, true)),
        "http" if is_loopback(&url) => Some((text.value, false)),
        "http" => fault("is plain http, and anybody on the way could change the bundle", "write https"),
        _ => fault("is no https URL", MEND),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
