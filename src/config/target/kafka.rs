//! `type = "kafka"`.

use super::tls;
use crate::config::document::Place;
use crate::config::table::{Table, Text};
use crate::forward::KafkaConfig;
use crate::tls::Version;

const BROKERS: &str = "list brokers with their ports, such as [\"kafka-1.internal:9093\"]";
const TOPIC: &str = "name a topic, such as \"audit\": 1 to 249 of A-Z a-z 0-9 . _ -";

pub(super) fn config(table: &Table<'_>) -> Option<KafkaConfig> {
    let brokers = table.required_list("brokers", BROKERS, broker);
    let topic = table.required("topic", TOPIC, topic);
    let tls = tls::mutual(table)?;
    // the client reads the files by itself, and knows none of these
    const UNCHECKED: [&str; 2] =
        ["not checked by a kafka target", "take it out, and let tls.ca be an authority of the brokers' own"];
    let given = [
        ("tls.pin", !tls.pins.is_empty(), UNCHECKED),
        ("tls.crl", !tls.crls.is_empty(), UNCHECKED),
        (
            "tls.min_version",
            tls.min_version != Version::Tls13,
            ["a kafka target speaks TLS 1.3 alone", "take it out, and let the brokers speak TLS 1.3"],
        ),
    ];
    for (key, is_given, [what, mend]) in given {
        if is_given {
            let place = Place { key: key.to_owned(), ..table.place.clone() };
            place.fault(what, mend);
            return None;
        }
    }
    Some(KafkaConfig { brokers: brokers?, topic: topic?, tls })
}

fn broker(text: Text<'_>) -> Option<String> {
    let is_host = |host: &str| !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/@,".contains(c));
    let parts = text.value.rsplit_once(':').map(|(host, port)| (is_host(host), port.parse::<u16>()));
    match parts {
        Some((true, Ok(1..))) => Some(text.value),
        _ => text.url_fault("not a host and a port", BROKERS),
    }
}

fn topic(text: Text<'_>) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_name = (1..=249).contains(&text.value.len()) && text.value.chars().all(allowed);
    match is_name && !matches!(text.value.as_str(), "." | "..") {
        true => Some(text.value),
        false => text.fault("no topic's name", TOPIC),
    }
}
