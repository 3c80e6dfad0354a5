//! `tls = { ca, cert, key, … }`.

use crate::config::table::{Table, Text};
use crate::forward::{ClientFiles, TlsConfig};
use crate::receive;
use crate::tls::{Pin, Version};
use rustls_pki_types::ServerName;
use std::path::PathBuf;

/// Of a target that certificates go both ways with.
pub(super) fn mutual(table: &Table<'_>) -> Option<TlsConfig> {
    let tls = required(table)?;
    let files = files(&tls);
    read(tls, files.map(|[ca, cert, key]| (Some(ca), Some(ClientFiles { cert, key }))))
}

/// Of a target that need not ask who we are, and whom the whole world may trust.
pub(super) fn optional(table: &Table<'_>) -> Option<TlsConfig> {
    let tls = table.table("tls");
    let (ca, client) = (tls.optional("ca", Text::into_path), client_files(&tls));
    if matches!(ca, Some(None)) && tls.holds(&["crl"]) {
        tls.missing("ca", "name the PEM file of the authority whose lists crl has");
    }
    read(tls, ca.zip(client))
}

/// `cert` and `key`, both or none.
pub(in crate::config) fn client_files(tls: &Table<'_>) -> Option<Option<ClientFiles>> {
    let cert = tls.optional("cert", Text::into_path);
    let key = tls.optional("key", Text::into_path);
    match (cert?, key?) {
        (Some(cert), Some(key)) => Some(Some(ClientFiles { cert, key })),
        (None, None) => Some(None),
        (Some(_), None) => {
            tls.missing("key", "name the PEM file of the certificate's key, or take cert out");
            None
        }
        (None, Some(_)) => {
            tls.missing("cert", "name the PEM file of the key's certificate, or take key out");
            None
        }
    }
}

/// What every target may ask for besides its files.
fn read(tls: Table<'_>, files: Option<(Option<PathBuf>, Option<ClientFiles>)>) -> Option<TlsConfig> {
    let crls = crls(&tls);
    let server_name = tls.optional("server_name", server_name);
    let pins = tls.list("pin", pin);
    let versions = [("1.2", Version::Tls12), ("1.3", Version::Tls13)];
    let min_version = tls.optional("min_version", |text| text.one_of(&versions));
    tls.finish();
    let (ca, client) = files?;
    let min_version = min_version?.unwrap_or_default();
    Some(TlsConfig { ca, client, server_name: server_name?, pins: pins?, crls: crls?, min_version })
}

/// Of the receiver.
pub(in crate::config) fn server(table: &Table<'_>) -> Option<receive::TlsConfig> {
    let tls = required(table)?;
    let files = files(&tls);
    let crls = crls(&tls);
    tls.finish();
    let [ca, cert, key] = files?;
    Some(receive::TlsConfig { ca, cert, key, crls: crls? })
}

fn required<'t>(table: &Table<'t>) -> Option<Table<'t>> {
    if !table.holds(&["tls"]) {
        table.missing("tls", "write tls = { ca = \"ca.pem\", cert = \"….pem\", key = \"….key\" }");
        return None;
    }
    Some(table.table("tls"))
}

/// Certificates go both ways, so that all three are needed.
fn files(tls: &Table<'_>) -> Option<[PathBuf; 3]> {
    let ca = tls.required("ca", "name the PEM file of the authority to trust", Text::into_path);
    let cert = tls.required("cert", "name the PEM file of the own certificate and its chain", Text::into_path);
    let key = tls.required("key", "name the PEM file of the certificate's key", Text::into_path);
    Some([ca?, cert?, key?])
}

fn crls(tls: &Table<'_>) -> Option<Vec<PathBuf>> {
    tls.list("crl", Text::into_path)
}

fn server_name(text: Text<'_>) -> Option<ServerName<'static>> {
    match ServerName::try_from(text.value.as_str()) {
        Ok(name) => Some(name.to_owned()),
        Err(_) => text.fault("no name that a certificate can be for", "write a DNS name or an IP address"),
    }
}

fn pin(text: Text<'_>) -> Option<Pin> {
    const MEND: &str = "write \"sha256//…\", the base64 of a public key's SHA-256: openssl x509 -in server.pem -noout -pubkey | \
        openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64";
    text.value.parse().ok().or_else(|| text.fault("no pin of a public key", MEND))
}
