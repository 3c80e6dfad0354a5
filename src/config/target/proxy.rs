//! `proxy = { url, user, password }`.

use crate::config::table::{Table, Text};
use crate::forward::Proxy;
use crate::record::Secret;

/// The way to a target; `Some(None)` where none is asked.
pub(super) fn config(target: &Table<'_>) -> Option<Option<Proxy>> {
    if !target.holds(&["proxy"]) {
        return Some(None);
    }
    let table = target.table("proxy");
    let url = table.required("url", "say where it is, such as \"http://proxy.internal:3128\"", url);
    let user = table.optional("user", |text| Some(text.value));
    let password = table.optional("password", |text| Some(Secret::new(text.value)));
    let place = table.place.clone();
    table.finish();
    let login = match (user?, password?) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        _ => {
            place.fault("has one of user and password", "write both, or none where the proxy asks for none");
            return None;
        }
    };
    Some(Some(Proxy { url: url?, login }))
}

fn url(text: Text<'_>) -> Option<String> {
    const MEND: &str = "write one such as \"http://proxy.internal:3128\"";
    let url = match reqwest::Url::parse(&text.value) {
        Ok(url) => url,
        Err(error) => return text.url_fault(&format!("no URL ({})", text.detail(error)), MEND),
    };
    if !url.username().is_empty() || url.password().is_some() {
        // never quoted, not even as it stands
        text.place.fault(
            "holds a user name or a password",
            "write user = \"…\", password = \"${credential:proxy}\" beside it instead",
        );
        return None;
    }
    match url.scheme() == "http" && url.has_host() && url.path() == "/" && url.query().is_none() {
        true => Some(text.value),
        false => text.url_fault("not the http URL of a proxy", MEND),
    }
}
