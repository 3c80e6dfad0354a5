//! `type = "nats"`.

use super::tls;
use crate::config::table::{Table, Text};
use crate::forward::NatsConfig;

pub(super) fn config(table: &Table<'_>) -> Option<NatsConfig> {
    const STREAM: &str = "name a JetStream stream, such as \"AUDIT\"";
    let url = table.required("url", "say where it is, such as \"tls://nats.internal:4222\"", url);
    let tls_first = table.boolean("tls_first", false);
    let stream = table.required("stream", STREAM, |text| match is_token(&text.value) {
        true => Some(text.value),
        false => text.fault("no stream's name", STREAM),
    });
    let subject = table.required("subject", SUBJECT, subject);
    let tls = tls::mutual(table);
    Some(NatsConfig { url: url?, tls_first: tls_first?, stream: stream?, subject: subject?, tls: tls? })
}

const SUBJECT: &str = "write one such as \"audit.{host}\"";

/// Servers of a cluster, with commas between.
fn url(text: Text<'_>) -> Option<String> {
    const MEND: &str = "write one such as \"tls://nats.internal:4222\", or several with commas between";
    let count = text.value.split(',').count();
    for (n, server) in text.value.split(',').enumerate() {
        // as much of the text as is shown ends in the first of them
        let which = if count > 1 { format!("server {} of {count}: ", n + 1) } else { String::new() };
        let fault = |what: &str| text.url_fault(&format!("{which}{what}"), MEND);
        let url = match reqwest::Url::parse(server) {
            Ok(url) => url,
            Err(error) => return fault(&format!("no URL ({})", text.detail(error))),
        };
        if !url.username().is_empty() || url.password().is_some() {
            // never quoted, not even as it stands
            text.place
                .fault("holds a user name or a password", "take it out: the certificate in tls says who this host is");
            return None;
        }
        if url.scheme() != "tls" {
            return fault("not a tls URL");
        }
        let is_bare = url.path().trim_matches('/').is_empty() && url.query().is_none() && url.fragment().is_none();
        if !url.has_host() || !is_bare {
            return fault("more or less than a host and a port");
        }
    }
    Some(text.value)
}

/// One subject for each host: what is stored last on it tells where sending goes on.
fn subject(text: Text<'_>) -> Option<String> {
    let whole = text.value.replacen("{host}", "host", 1);
    if whole == text.value {
        return text.fault("without {host}, all hosts would share one", SUBJECT);
    }
    if !whole.split('.').all(is_token) || whole.starts_with('$') {
        return text.fault("no subject to publish to", SUBJECT);
    }
    Some(text.value)
}

/// A part of a subject that is no wildcard.
fn is_token(text: &str) -> bool {
    let forbidden =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>' | '/' | '\\' | '{' | '}');
    !text.is_empty() && !text.contains(forbidden)
}
