//! `type = "https"`.

use super::{headers, proxy, tls};
use crate::config::table::{Table, Text};
use crate::forward::{Format, GenericConfig, HttpsConfig, Kind, PLACEHOLDERS};
use reqwest::Method;

const FORMATS: [(&str, Format); 2] = [("ndjson", Format::Ndjson), ("ndjson.zst", Format::NdjsonZst)];

pub(super) fn config(table: &Table<'_>) -> Option<Kind> {
    let protocol = table.optional("protocol", |text| text.word(&["sealtail", "generic"], &[]));
    match protocol {
        Some(Some("generic")) => generic(table).map(Kind::Generic),
        Some(_) => sealtail(table).map(Kind::Https),
        None => {
            // nothing can be said of the others
            table.holds(&["url", "method", "headers", "format", "durable", "tls", "proxy"]);
            None
        }
    }
}

/// A server that takes NDJSON.
fn generic(table: &Table<'_>) -> Option<GenericConfig> {
    let url = table.required("url", "say where to, such as \"https://logs.internal/{name}\"", template);
    let method = table.optional("method", |text| text.word(&["POST", "PUT"], &[]));
    let headers = headers::config(table);
    let format = table.optional("format", |text| text.one_of(&FORMATS));
    let durable = table.boolean("durable", false);
    let tls = tls::optional(table);
    let proxy = proxy::config(table);
    Some(GenericConfig {
        url: url?,
        method: if method? == Some("PUT") { Method::PUT } else { Method::POST },
        headers: headers?,
        format: format?.unwrap_or(Format::Ndjson),
        durable: durable?,
        tls: tls?,
        proxy: proxy?,
    })
}

/// A URL with placeholders. It may hold a secret.
fn template(text: Text<'_>) -> Option<String> {
    const MEND: &str = "write one such as \"https://logs.internal/{name}\"";
    let url = PLACEHOLDERS.iter().fold(text.value.clone(), |url, name| url.replace(&format!("{{{name}}}"), "x"));
    if url.contains(['{', '}']) {
        let known = PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(" ");
        return text.url_fault("holds braces around something that is not known here", format!("use {known}"));
    }
    let parsed = match reqwest::Url::parse(&url) {
        Ok(url) => url,
        Err(error) => return text.url_fault(&format!("no URL ({})", text.detail(error)), MEND),
    };
    if !parsed.username().is_empty() || parsed.password().is_some() {
        // never quoted, not even as it stands
        text.place.fault(
            "holds a user name or a password",
            "write headers = { authorization = \"${credential:…}\" } beside it",
        );
        return None;
    }
    let host = text.value.split('/').nth(2).unwrap_or_default();
    match parsed.scheme() == "https" && parsed.fragment().is_none() && !host.contains('{') {
        true => Some(text.value),
        false => text.url_fault("not an https URL with a host of its own and without a fragment", MEND),
    }
}

/// A server that speaks the protocol of `sealtail receive`.
fn sealtail(table: &Table<'_>) -> Option<HttpsConfig> {
    let url = table.required("url", "say where it is, such as \"https://archive.internal:7443\"", url);
    let tls = tls::mutual(table);
    let proxy = proxy::config(table);
    Some(HttpsConfig { url: url?, tls: tls?, proxy: proxy? })
}

/// A base, without the slash at its end.
pub(super) fn url(text: Text<'_>) -> Option<String> {
    let url = match reqwest::Url::parse(&text.value) {
        Ok(url) => url,
        Err(error) => {
            let what = format!("no URL ({})", text.detail(error));
            return text.url_fault(&what, "write one such as \"https://archive.internal:7443\"");
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
            return text.url_fault(what, "write https, and give the receiver a certificate");
        }
        _ => return text.url_fault("not an https URL", "write one such as \"https://archive.internal:7443\""),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return text.url_fault("has a query or a fragment, and paths are put after it", "end it before the ? or #");
    }
    Some(text.value.trim_end_matches('/').to_owned())
}
