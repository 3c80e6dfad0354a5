//! `tls = { ca, cert, key }`.

use crate::config::table::{Table, Text};
use crate::forward::{ClientFiles, TlsConfig};
use std::path::PathBuf;

/// Of a target that certificates go both ways with.
pub(super) fn mutual(table: &Table<'_>) -> Option<TlsConfig> {
    let [ca, cert, key] = files(table)?;
    Some(TlsConfig { ca: Some(ca), client: Some(ClientFiles { cert, key }) })
}

/// Of a target that may be somebody else's service: nothing of it need be there, but a certificate needs its key.
pub(super) fn optional(table: &Table<'_>) -> Option<TlsConfig> {
    let tls = table.table("tls");
    let file = |key| tls.optional(key, Text::into_path);
    let (ca, cert, key) = (file("ca"), file("cert"), file("key"));
    let place = tls.place.clone();
    tls.finish();
    let (ca, cert, key) = (ca?, cert?, key?);
    let client = match (cert, key) {
        (Some(cert), Some(key)) => Some(ClientFiles { cert, key }),
        (None, None) => None,
        _ => {
            place.fault("has one of cert and key", "name both, or neither");
            return None;
        }
    };
    Some(TlsConfig { ca, client })
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
