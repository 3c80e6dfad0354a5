//! `type = "https"`.

use super::{proxy, tls};
use crate::config::table::{Table, Text};
use crate::forward::HttpsConfig;

pub(super) fn config(table: &Table<'_>) -> Option<HttpsConfig> {
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
