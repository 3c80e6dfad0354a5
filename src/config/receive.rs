//! `[receive]`.

use super::table::{Table, Text};
use super::target::server_tls;
use crate::receive::{Config, Limits, Quota};
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

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
    let limits = limits(table.table("limits"));
    let batch_max_bytes = limits.as_ref().map_or(64 * MIB, |limits| limits.batch_max_bytes);
    let quota = quota(table.table("quota"), batch_max_bytes);
    table.finish();
    Some(Config {
        listen: listen?,
        dir: dir?,
        tls: tls?,
        trust: trust?,
        receipt_key: receipt_key?.unwrap_or(beside),
        limits: limits?,
        quota: quota?,
    })
}

fn limits(table: Table<'_>) -> Option<Limits> {
    let default = Limits::default();
    let seconds = Duration::from_secs(1)..=Duration::from_secs(60 * 60);
    let max_batch = table.size("max_batch", default.batch_max_bytes, 64 * KIB..=64 * MIB);
    // the largest batch must fit in a host's share, which is half of this at most
    let in_flight = table.size("in_flight", default.in_flight_max_bytes, 128 * MIB..=TIB);
    let connections = table.integer("connections", default.connections as u64, 1..=100_000);
    let per_host = table.integer("connections_per_host", default.connections_per_host as u64, 1..=100_000);
    let handshakes = table.integer("handshakes", default.handshakes as u64, 4..=100_000);
    let handshake = table.duration("handshake_timeout", default.handshake_timeout, seconds.clone());
    let idle = table.duration("idle_timeout", default.idle_timeout, seconds.clone());
    let body = table.duration("body_timeout", default.body_timeout, seconds);
    let min_rate = table.size("min_rate", default.min_rate_bytes, 1..=64 * MIB);
    table.finish();
    Some(Limits {
        batch_max_bytes: max_batch?,
        in_flight_max_bytes: in_flight?,
        connections: usize::try_from(connections?).ok()?,
        connections_per_host: usize::try_from(per_host?).ok()?,
        handshakes: usize::try_from(handshakes?).ok()?,
        handshake_timeout: handshake?,
        idle_timeout: idle?,
        body_timeout: body?,
        min_rate_bytes: min_rate?,
    })
}

/// Sizes are at least a batch's, since a batch that never fits would be sent again for ever.
fn quota(table: Table<'_>, batch_max_bytes: u64) -> Option<Quota> {
    let requests = table.optional_integer("requests_per_second", 1..=1_000_000);
    let size = table.optional_size("size", batch_max_bytes..=1024 * TIB);
    let day = table.optional_size("day", batch_max_bytes..=1024 * TIB);
    table.finish();
    Some(Quota { requests_per_second: requests?, size_bytes: size?, day_bytes: day? })
}
