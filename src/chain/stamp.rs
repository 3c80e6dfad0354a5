//! When a line was chained, rendered once for all lines of a group.

use std::time::{Instant, SystemTime};
use time::{Date, Month, OffsetDateTime, Time};

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

/// Nanoseconds since 1970 of a time as [`rfc3339`] writes it; `None` for any other spelling.
pub fn parse_rfc3339(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    let shape = b"0000-00-00T00:00:00.000000000Z";
    let same = |(byte, model): (&u8, &u8)| if *model == b'0' { byte.is_ascii_digit() } else { byte == model };
    if bytes.len() != shape.len() || !bytes.iter().zip(shape).all(same) {
        return None;
    }
    let number = |from: usize, to: usize| bytes[from..to].iter().fold(0u32, |n, b| n * 10 + u32::from(b - b'0'));
    let small = |from: usize| number(from, from + 2) as u8;
    let date = Date::from_calendar_date(number(0, 4) as i32, Month::try_from(small(5)).ok()?, small(8)).ok()?;
    let time = Time::from_hms_nano(small(11), small(14), small(17), number(20, 29)).ok()?;
    Some(OffsetDateTime::new_utc(date, time).unix_timestamp_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_time_comes_back() {
        for ns in [0, 1, 1_795_000_000_123_456_789] {
            let text = rfc3339(UNIX_EPOCH + Duration::from_nanos(ns));
            assert_eq!(parse_rfc3339(&text), Some(i128::from(ns)));
        }
        for odd in ["", "2026-11-23T09:00:00Z", "2026-13-23T09:00:00.000000001Z", "2026-11-23t09:00:00.000000001Z"] {
            assert_eq!(parse_rfc3339(odd), None, "{odd}");
        }
    }
}
