//! When a line was chained, rendered once for all lines of a group.

use std::time::{Instant, SystemTime};
use time::OffsetDateTime;

/// A moment by two clocks: the one people read, which can be set, and one that only goes forward.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// RFC 3339, UTC, with nanoseconds.
    pub time: String,
    /// Nanoseconds since the stream's genesis.
    pub mono_ns: u64,
}

impl Stamp {
    /// Now, in a stream that began at `genesis`.
    pub fn now(genesis: Instant) -> Self {
        let mono_ns = u64::try_from(genesis.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Self { time: rfc3339(SystemTime::now()), mono_ns }
    }
}

/// `2026-11-23T09:00:00.000000001Z`: always nine digits, always UTC.
pub fn rfc3339(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    let (date, time) = (at.date(), at.time());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let (h, m, s, ns) = time.as_hms_nano();
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ns:09}Z")
}
