//! `[[target]]`.

mod file;
mod headers;
mod https;
mod kafka;
mod nats;
mod otlp;
mod proxy;
mod s3;
mod tls;

pub(super) use tls::{client_files, server as server_tls};

use super::sections::Names;
use super::table::{Table, Text};
use crate::forward::{Config, Kind};
use std::ops::RangeInclusive;
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// All of them; `spool_bytes` is what the spool may hold.
pub(super) fn configs(tables: Vec<Table<'_>>, spool_bytes: u64) -> Option<Vec<Config>> {
    let first = tables.first().map(|table| table.place.clone());
    let mut names = Names::default();
    let read: Vec<_> = tables.into_iter().map(|table| config(table, &mut names, spool_bytes)).collect();
    let targets: Vec<Config> = read.into_iter().collect::<Option<_>>()?;
    if !targets.iter().any(|target| target.required) {
        let what = "no target is required, so that lines would be deleted before anything has them";
        first?.fault(what, "set required = true in one of them");
        return None;
    }
    if !targets.iter().any(|target| target.required && target.kind.is_durable()) {
        let what =
            "no required target says that what it took is durable, so that lines would be deleted on a mere \"got it\"";
        first?.fault(what, "add a required target that does, such as https or file, beside it; of protocol = \"generic\" you may say it: durable = true");
        return None;
    }
    Some(targets)
}

fn config(table: Table<'_>, names: &mut Names, spool_bytes: u64) -> Option<Config> {
    let kind = |text: Text<'_>| text.word(&["https", "s3", "otlp", "file", "nats", "kafka"], &[]);
    // without its type nothing can be said of the other keys
    let kind = table.required("type", "choose a type, such as type = \"https\"", kind)?;
    let name = names.claim(&table, None);
    let required = table.boolean("required", true);
    let max_lag_bytes = max_lag(&table, required, spool_bytes);
    let batch = table.table("batch");
    let (size, sizes, age) = batch_bounds(kind);
    let batch_max_size_bytes = batch.size("max_size", size, sizes);
    let ages = Duration::from_millis(10)..=Duration::from_secs(60 * 60);
    let batch_max_age = batch.duration("max_age", age, ages);
    batch.finish();
    let kind = match kind {
        "file" => file::config(&table).map(Kind::File),
        "nats" => nats::config(&table).map(Kind::Nats),
        "kafka" => kafka::config(&table).map(Kind::Kafka),
        "otlp" => otlp::config(&table).map(Kind::Otlp),
        "s3" => s3::config(&table).map(Kind::S3),
        _ => https::config(&table),
    };
    table.finish();
    Some(Config {
        name: name?,
        required: required?,
        max_lag_bytes: max_lag_bytes?,
        batch_max_size_bytes: batch_max_size_bytes?,
        batch_max_age: batch_max_age?,
        kind: kind?,
    })
}

/// Of an optional target: a quarter of the spool, unless said otherwise, and never more than half of it.
fn max_lag(table: &Table<'_>, required: Option<bool>, spool_bytes: u64) -> Option<Option<u64>> {
    let bounds = MIB..=(spool_bytes / 2).max(MIB);
    if required != Some(false) {
        let given = table.optional("max_lag", |text| {
            text.fault::<()>("a required target is never skipped", "take it out, or set required = false")
        });
        return given.map(|_| None);
    }
    table.size("max_lag", (spool_bytes / 4).max(MIB), bounds).map(Some)
}

/// By the type of a target: how large a batch is unless said otherwise, how large it may be, and how old it gets.
fn batch_bounds(kind: &str) -> (u64, RangeInclusive<u64>, Duration) {
    let sizes = 64 * KIB..=64 * MIB;
    match kind {
        // each object costs
        "s3" => (32 * MIB, sizes, Duration::from_secs(60)),
        // below the 1 MiB that servers take in a message unless told otherwise
        "nats" => (960 * KIB, sizes, Duration::from_secs(1)),
        // and no larger than the client buffers
        "kafka" => (960 * KIB, 64 * KIB..=16 * MIB, Duration::from_secs(1)),
        _ => (4 * MIB, sizes, Duration::from_secs(1)),
    }
}
