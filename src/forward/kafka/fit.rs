//! Whether a topic is fit for an archive: it keeps what it has.

use krafka::admin::ConfigValue;
use std::collections::HashMap;

pub(super) const MAX_BYTES: &str = "max.message.bytes";

type Settings = HashMap<String, ConfigValue>;

/// What must be mended before anything is sent.
pub(super) fn unfit(topic: &str, settings: &Settings) -> Option<String> {
    let policy = settings.get("cleanup.policy")?.as_str()?;
    let compacts = policy.split(',').any(|word| word.trim() == "compact");
    compacts.then(|| {
        format!(
            "topic {topic} is compacted: of each stream only the last batch would stay; kafka-configs --alter --topic {topic} --add-config cleanup.policy=delete"
        )
    })
}

/// What is done nonetheless, and should be known.
pub(super) fn doubts(topic: &str, settings: &Settings) -> Vec<String> {
    let value = |key: &str| settings.get(key).and_then(ConfigValue::as_str);
    let alter = |change: &str| format!("kafka-configs --alter --topic {topic} --add-config {change}");
    let mut doubts = Vec::new();
    // unless the topic says otherwise brokers delete after a week
    if value("retention.ms") != Some("-1") {
        let after = value("retention.ms").map_or("as its broker's default says".into(), |ms| format!("after {ms} ms"));
        doubts.push(format!("topic {topic} deletes records {after}; {}", alter("retention.ms=-1")));
    }
    if let Some(bytes) = value("retention.bytes").filter(|bytes| *bytes != "-1") {
        doubts.push(format!(
            "topic {topic} deletes records when a partition has {bytes} bytes; {}",
            alter("retention.bytes=-1")
        ));
    }
    if value("min.insync.replicas") == Some("1") {
        doubts.push(format!(
            "topic {topic} takes a record that one broker has, which may lose it; {}",
            alter("min.insync.replicas=2")
        ));
    }
    doubts
}
