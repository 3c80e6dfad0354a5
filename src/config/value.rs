//! Sizes and durations: a whole number and its unit.

use std::time::Duration;

/// Units of sizes in bytes, smallest first.
const SIZES: [(&str, u64); 5] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Units of durations in milliseconds, smallest first.
const DURATIONS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60 * 1_000), ("h", 60 * 60 * 1_000), ("d", 24 * 60 * 60 * 1_000)];

/// The bytes of `64MiB` and the like; `Err` is how to write it.
pub(super) fn size(text: &str) -> Result<u64, String> {
    quantity(text, &SIZES).ok_or_else(|| {
        let (number, unit) = split(text);
        // powers of ten are not known here, and reading 64MB as 64MiB would be a guess
        let guess = match unit.trim().to_ascii_lowercase().as_str() {
            "k" | "kb" | "kib" => "KiB",
            "m" | "mb" | "mib" => "MiB",
            "g" | "gb" | "gib" => "GiB",
            "t" | "tb" | "tib" => "TiB",
            "" | "b" => "B",
            _ => return "write a whole number and B, KiB, MiB, GiB or TiB, such as \"64MiB\"".to_owned(),
        };
        hint(number, guess, "64MiB")
    })
}

/// The duration of `250ms` and the like; `Err` is how to write it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    quantity(text, &DURATIONS).map(Duration::from_millis).ok_or_else(|| {
        let (number, unit) = split(text);
        let guess = match unit.trim().to_ascii_lowercase().as_str() {
            "ms" | "msec" | "millis" | "milliseconds" => "ms",
            "" | "s" | "sec" | "secs" | "second" | "seconds" => "s",
            "m" | "min" | "mins" | "minute" | "minutes" => "m",
            "h" | "hr" | "hour" | "hours" => "h",
            "d" | "day" | "days" => "d",
            _ => return "write a whole number and ms, s, m, h or d, such as \"250ms\"".to_owned(),
        };
        hint(number, guess, "250ms")
    })
}

/// `bytes` as a configuration says it.
pub(super) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES)
}

/// `duration` as a configuration says it.
pub(super) fn show_duration(duration: Duration) -> String {
    show(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATIONS)
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = split(text);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn hint(number: &str, unit: &str, example: &str) -> String {
    match number.parse::<u64>() {
        Ok(number) => format!("write \"{number}{unit}\""),
        Err(_) => format!("write a whole number and its unit, such as \"{example}\""),
    }
}

/// In the largest unit that leaves a whole number.
fn show(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, factor): &&(&str, u64)| value >= *factor && value.is_multiple_of(*factor);
    let (unit, factor) = units.iter().rev().find(fits).unwrap_or(&units[0]);
    format!("{}{unit}", value / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("0B", 0), ("512B", 512), ("256KiB", 256 << 10), ("64MiB", 64 << 20), ("2TiB", 2 << 40)] {
            assert_eq!(size(text), Ok(bytes));
        }
        for (text, mend) in [
            ("64", "write \"64B\""),
            ("64MB", "write \"64MiB\""),
            ("64 MiB", "write \"64MiB\""),
            ("1.5GiB", "such as"),
            ("MiB", "such as"),
            ("-1B", "such as"),
            ("99999999999999999999GiB", "such as"),
            ("", "such as"),
        ] {
            assert!(size(text).unwrap_err().contains(mend), "{text}: {:?}", size(text));
        }
        assert!(size("18446744073709551615TiB").is_err());
    }

    #[test]
    fn durations() {
        for (text, ms) in [("250ms", 250), ("1s", 1_000), ("5m", 300_000), ("24h", 86_400_000), ("7d", 604_800_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)));
        }
        for (text, mend) in [("5", "write \"5s\""), ("5min", "write \"5m\""), ("1h30m", "such as"), ("-1s", "such as")]
        {
            assert!(duration(text).unwrap_err().contains(mend), "{text}: {:?}", duration(text));
        }
    }

    #[test]
    fn shown_as_written() {
        assert_eq!(["0B", "512KiB", "64MiB"].map(|text| show_size(size(text).unwrap())), ["0B", "512KiB", "64MiB"]);
        assert_eq!(["10ms", "60s", "7d"].map(|text| show_duration(duration(text).unwrap())), ["10ms", "1m", "7d"]);
    }
}
