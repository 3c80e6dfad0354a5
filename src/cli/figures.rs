//! Numbers as `status` and `top` show them to people.

use time::OffsetDateTime;
use time::macros::format_description;

/// `12,345`.
pub(super) fn count(of: u64) -> String {
    let digits = of.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `5.8 MiB`.
pub(super) fn bytes(of: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if of < 1000 {
        return format!("{of} B");
    }
    let (mut value, mut unit) = (of as f64 / 1024.0, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    let places = usize::from(value < 99.95);
    format!("{value:.places$} {}", UNITS[unit])
}

/// `3.2 s`, `2m 13s`, `3h 04m`, `5d 06h`.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match whole {
        0..10 => format!("{:.1} s", seconds.max(0.0)),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{minutes}m {:02}s", whole % 60),
        3600..86_400 => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours:02}h"),
    }
}

/// The same, and `-` for what does not wait.
pub(super) fn waits(seconds: f64) -> String {
    if seconds < 0.05 { "-".to_owned() } else { duration(seconds) }
}

/// How long ago it was.
pub(super) fn ago(at_unix_s: Option<f64>, now_unix_s: f64) -> String {
    at_unix_s.map_or_else(|| "never".to_owned(), |at| format!("{} ago", duration(now_unix_s - at)))
}

/// `2026-11-26 05:12:03Z`.
pub(super) fn date_and_time(unix_s: f64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    at(unix_s).format(&format).unwrap_or_default()
}

/// `05:12:03`.
pub(super) fn clock(unix_s: f64) -> String {
    at(unix_s).format(&format_description!("[hour]:[minute]:[second]")).unwrap_or_default()
}

/// `2026-11-26`.
pub(super) fn date(unix_s: f64) -> String {
    at(unix_s).format(&format_description!("[year]-[month]-[day]")).unwrap_or_default()
}

fn at(unix_s: f64) -> OffsetDateTime {
    // what is out of bounds is no time that an agent tells
    OffsetDateTime::from_unix_timestamp(unix_s as i64).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let counts = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        counts.iter().for_each(|(of, shown)| assert_eq!(count(*of), *shown));
        let sizes =
            [(999, "999 B"), (1000, "1.0 KiB"), (1 << 20, "1.0 MiB"), (1_048_000_000, "999 MiB"), (1 << 40, "1.0 TiB")];
        sizes.iter().for_each(|(of, shown)| assert_eq!(bytes(*of), *shown));
        let times = [(0.04, "0.0 s"), (59.9, "59 s"), (133.0, "2m 13s"), (11_045.0, "3h 04m"), (500_000.0, "5d 18h")];
        times.iter().for_each(|(of, shown)| assert_eq!(duration(*of), *shown));
        assert_eq!((waits(0.0), date_and_time(0.0)), ("-".to_owned(), "1970-01-01 00:00:00Z".to_owned()));
    }
}
