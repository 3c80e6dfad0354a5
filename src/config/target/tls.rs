//! `tls = { ca, cert, key }`.

use crate::config::table::{Table, Text};
use crate::forward::{ClientFiles, TlsConfig};
use std::path::PathBuf;

/// Of a target that certificates go both ways with.
pub(super) fn mutual(table: &Table<'_>) -> Option<TlsConfig> {
    let [ca, cert, key] = files(table)?;
    Some(TlsConfig { ca: Some(ca), client: Some(ClientFiles { cert, key }) })
}

/// Certificates go both ways, so that all three are needed.
pub(in crate::config) fn files(table: &Table<'_>) -> Option<[PathBuf; 3]> {
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
