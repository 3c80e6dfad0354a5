//! Receipts, kept for the auditor: `<spool>/receipts/<target>.ndjson`, as `sealtail verify --receipts` takes them.
//!
//! They are evidence only where this host can't change them, so they are to be collected from here; what delivery needs of them
//! stands in the ledger.

use super::Shared;
use crate::chain::receipt::Receipt;
use crate::durable;
use std::io;

/// A file this long is put aside as `<target>.1.ndjson`, in the place of the one before: some 40,000 receipts.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Appends a receipt. That it can't be kept stops no delivery: it is told, and the next one is tried again.
pub(super) fn keep(shared: &Shared, target: &str, receipt: &Receipt) {
    if let Err(error) = append(shared, target, receipt) {
        tracing::warn!(target_name = target, %error, "a receipt could not be kept");
    }
}

fn append(shared: &Shared, target: &str, receipt: &Receipt) -> io::Result<()> {
    let dir = shared.dir.join("receipts");
    let path = dir.join(format!("{target}.ndjson"));
    let mut line = serde_json::to_vec(receipt)?;
    line.push(b'\n');
    let len = std::fs::metadata(&path).map(|meta| meta.len());
    if len.as_ref().is_ok_and(|len| *len >= FILE_BYTES_MAX) {
        shared.fs.rename(&path, &dir.join(format!("{target}.1.ndjson")))?;
    }
    let mut file = match len {
        Ok(len) if len < FILE_BYTES_MAX => shared.fs.open_append(&path)?,
        _ => {
            durable::create_dir_all(&*shared.fs, &dir, 0o700)?;
            shared.fs.create_new(&path, 0o600)?
        }
    };
    file.write_all(&line)
}
