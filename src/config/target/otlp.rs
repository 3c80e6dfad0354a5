//! `type = "otlp"`.

use super::{headers, https, proxy, tls};
use crate::config::table::Table;
use crate::forward::{OtlpConfig, Protocol};

const PROTOCOLS: [(&str, Protocol); 2] = [("http", Protocol::Http), ("grpc", Protocol::Grpc)];

pub(super) fn config(table: &Table<'_>) -> Option<OtlpConfig> {
    let url = table.required("url", "say where it is, such as \"https://otel.internal:4318\"", https::url);
    let protocol = table.required("protocol", "choose protocol = \"http\" or \"grpc\"", |text| text.one_of(&PROTOCOLS));
    let headers = headers::config(table);
    let tls = tls::mutual(table);
    let proxy = proxy::config(table);
    Some(OtlpConfig { url: url?, protocol: protocol?, headers: headers?, tls: tls?, proxy: proxy? })
}
