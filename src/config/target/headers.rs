//! `headers = { … }`.

use crate::config::table::Table;
use crate::record::Secret;
use reqwest::header::{HeaderName, HeaderValue};

/// What is sent besides; all values are taken for secrets.
pub(super) fn config(target: &Table<'_>) -> Option<Vec<(String, Secret)>> {
    let table = target.table("headers");
    let place = table.place.clone();
    let is_name = |name: &str| HeaderName::try_from(name).is_ok();
    let pairs = table.pairs(is_name)?;
    let mut headers = Vec::new();
    for (name, value) in pairs {
        if HeaderValue::from_str(&value).is_err() {
            place.fault(format!("the value of {name} can't stand in a header"), "use ASCII, and no line breaks");
            return None;
        }
        headers.push((name, Secret::new(value)));
    }
    Some(headers)
}
