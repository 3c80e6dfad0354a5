//! `[receive]`.

use super::table::{Table, Text};
use super::target::server_tls;
use crate::receive::Config;

/// The receiver's part.
pub(super) fn config(table: Table<'_>) -> Option<Config> {
    let listen =
        table.required("listen", "write an address and a port, such as \"127.0.0.1:7443\"", Text::into_address);
    let dir =
        table.required("dir", "name the archive's folder, such as \"/var/lib/sealtail/archive\"", Text::into_path);
    let trust = table.optional("trust", Text::into_path);
    let receipt_key = table.optional("receipt_key", Text::into_path);
    let beside = table.place.document.surroundings.folder.join("receipt.key");
    let tls = server_tls(&table);
    table.finish();
    Some(Config { listen: listen?, dir: dir?, tls: tls?, trust: trust?, receipt_key: receipt_key?.unwrap_or(beside) })
}
