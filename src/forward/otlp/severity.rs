//! What a line says of its severity and time, where it says so in a way that leaves no doubt: the priority of syslog, the fields of
//! journald, a level in JSON. Nothing is guessed from text.

use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Syslog's severities by their number, as the log data model maps them.
const SYSLOG: [(&str, SeverityNumber); 8] = [
    ("emerg", SeverityNumber::Fatal),
    ("alert", SeverityNumber::Error3),
    ("crit", SeverityNumber::Error2),
    ("err", SeverityNumber::Error),
    ("warning", SeverityNumber::Warn),
    ("notice", SeverityNumber::Info2),
    ("info", SeverityNumber::Info),
    ("debug", SeverityNumber::Debug),
];
/// Other words for levels.
const LEVELS: [(&str, SeverityNumber); 11] = [
    ("trace", SeverityNumber::Trace),
    ("information", SeverityNumber::Info),
    ("informational", SeverityNumber::Info),
    ("warn", SeverityNumber::Warn),
    ("error", SeverityNumber::Error),
    ("critical", SeverityNumber::Error2),
    ("panic", SeverityNumber::Fatal),
    ("dpanic", SeverityNumber::Error2),
    ("emergency", SeverityNumber::Fatal),
    ("fatal", SeverityNumber::Fatal),
    ("verbose", SeverityNumber::Debug),
];

/// What a line says of itself.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) number: SeverityNumber,
    /// In the line's own word, or syslog's for its number.
    pub(super) text: String,
    /// 0: it says none.
    pub(super) time_unix_ns: u64,
}

/// The fields that tell; all others are passed over.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, rename = "PRIORITY")]
    priority: Option<&'a RawValue>,
    #[serde(borrow, rename = "__REALTIME_TIMESTAMP")]
    realtime_us: Option<&'a RawValue>,
    #[serde(borrow)]
    severity: Option<&'a RawValue>,
    #[serde(borrow)]
    level: Option<&'a RawValue>,
}

/// What the message of a log line says.
pub(super) fn of(message: &str) -> Said {
    if let Some(priority) = priority(message) {
        let (word, number) = SYSLOG[usize::from(priority & 7)];
        return Said { number, text: word.to_owned(), time_unix_ns: 0 };
    }
    if !message.starts_with('{') {
        return Said::default();
    }
    let Ok(fields) = serde_json::from_str::<Fields<'_>>(message) else { return Said::default() };
    let text = |value: Option<&RawValue>| value.map(|value| value.get().trim_matches('"').to_owned());
    let time_unix_ns = text(fields.realtime_us).and_then(|us| us.parse::<u64>().ok()?.checked_mul(1000)).unwrap_or(0);
    let journald = text(fields.priority).and_then(|n| SYSLOG.get(n.parse::<usize>().ok()?));
    let word =
        || [fields.severity, fields.level].into_iter().filter_map(text).find_map(|word| Some((level(&word)?, word)));
    let (number, text) = match journald {
        Some((word, number)) => (*number, (*word).to_owned()),
        None => word().unwrap_or_default(),
    };
    Said { number, text, time_unix_ns }
}

fn level(word: &str) -> Option<SeverityNumber> {
    let known = SYSLOG.iter().chain(&LEVELS).find(|(known, _)| word.eq_ignore_ascii_case(known));
    known.map(|(_, number)| *number)
}

/// The number between `<` and `>` at the start of a syslog message.
fn priority(message: &str) -> Option<u8> {
    let (digits, _) = message.strip_prefix('<')?.split_once('>')?;
    let is_canonical = digits == "0" || !digits.starts_with('0');
    let is_number = (1..=3).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|priority| is_canonical && is_number && *priority <= 191)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leaves_no_doubt_is_said() {
        for (message, number, text) in [
            ("<34>1 2003-10-11T22:14:15.003Z host su - ID47 - failed", SeverityNumber::Error2, "crit"),
            ("<0>kernel", SeverityNumber::Fatal, "emerg"),
            ("<191>x", SeverityNumber::Debug, "debug"),
            (r#"{"PRIORITY":"4","MESSAGE":"x"}"#, SeverityNumber::Warn, "warning"),
            (r#"{"level":"WARN","msg":"x"}"#, SeverityNumber::Warn, "WARN"),
            (r#"{"severity":"notice","level":"error"}"#, SeverityNumber::Info2, "notice"),
            (r#"{"level":"Metadata","severity":{"a":1}}"#, SeverityNumber::Unspecified, ""),
            (r#"{"level":30}"#, SeverityNumber::Unspecified, ""),
            (r#"{"level":"error""#, SeverityNumber::Unspecified, ""),
            ("<192>x", SeverityNumber::Unspecified, ""),
            ("<034>x", SeverityNumber::Unspecified, ""),
            ("<a>x", SeverityNumber::Unspecified, ""),
            ("ERROR: all is lost", SeverityNumber::Unspecified, ""),
        ] {
            let said = of(message);
            assert_eq!((said.number, said.text.as_str()), (number, text), "{message}");
        }
        assert_eq!(of(r#"{"__REALTIME_TIMESTAMP":"1700000000000001"}"#).time_unix_ns, 1_700_000_000_000_001_000);
        assert_eq!(of(r#"{"__REALTIME_TIMESTAMP":"99999999999999999999"}"#).time_unix_ns, 0);
    }
}
