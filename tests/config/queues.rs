//! `type = "nats"` and `type = "kafka"`.

use crate::{RECIPIENT, load, load_in};
use sealtail::config::Targets;
use sealtail::forward::Kind;
use std::fs;

const NATS: &str =
    "type = \"nats\"\nurl = \"tls://nats.internal:4222\"\nstream = \"AUDIT\"\nsubject = \"audit.{host}\"\n";
const KAFKA: &str = "type = \"kafka\"\nbrokers = [\"kafka-1.internal:9093\"]\ntopic = \"audit\"\n";
const TLS: &str = "tls = { ca = \"ca.pem\", cert = \"client.pem\", key = \"client.key\" }\n";

fn agent(target: &str) -> String {
    format!(
        "[host]\nkey = \"host.key\"\n[auditors]\nrecipients = [\"{RECIPIENT}\"]\n[[source]]\ntype = \"file\"\n\
         include = [\"/var/log/*.log\"]\n[spool]\ndir = \"spool\"\n[[target]]\nname = \"queue\"\n{target}"
    )
}

#[test]
fn batches_stay_below_what_servers_take_in_a_message() {
    for target in [NATS, KAFKA] {
        let config = load(&agent(&format!("{target}{TLS}"))).unwrap();
        assert_eq!(config.agent.unwrap().targets[0].batch_max_size_bytes, 960 << 10);
    }
}

#[test]
fn each_value_that_cannot_be_is_told() {
    for (target, from, to, what) in [
        (
            NATS,
            "tls://nats.internal:4222",
            "nats://nats.internal:4222",
            "url: \"nats://nats.internal:4222\": not a tls URL",
        ),
        (NATS, "tls://nats.internal:4222", "tls://a,http://b", "server 2 of 2: not a tls URL"),
        (NATS, "tls://nats.internal:4222", "tls://me:s3cret@a", "holds a user name or a password"),
        (NATS, "tls://nats.internal:4222", "tls://a/b", "more or less than a host and a port"),
        (NATS, "tls://nats.internal:4222", "tls://a,", "no URL"),
        (NATS, "AUDIT", "A.B", "no stream's name"),
        (NATS, "audit.{host}", "audit", "without {host}, all hosts would share one"),
        (NATS, "audit.{host}", "audit.*.{host}", "no subject"),
        (NATS, "audit.{host}", "audit..{host}", "no subject"),
        (NATS, "audit.{host}", "{host}.{host}", "no subject"),
        (NATS, "audit.{host}", "$JS.{host}", "no subject"),
        (NATS, "stream = \"AUDIT\"\n", "", "stream: missing"),
        (KAFKA, "kafka-1.internal:9093", "kafka-1.internal", "not a host and a port"),
        (KAFKA, "kafka-1.internal:9093", "https://kafka-1.internal:9093", "not a host and a port"),
        (KAFKA, "kafka-1.internal:9093", "a:0", "not a host and a port"),
        (KAFKA, "[\"kafka-1.internal:9093\"]", "[]", "brokers: missing"),
        (KAFKA, "topic = \"audit\"", "topic = \"a b\"", "no topic's name"),
    ] {
        assert!(target.contains(from));
        let faults = load(&agent(&(target.replace(from, to) + TLS))).unwrap_err();
        assert!(matches!(&faults[..], [one] if one.contains(what) && !one.contains("s3cret")), "{to}: {faults:#?}");
    }
    let crl = TLS.replace(" }", ", crl = [\"crl.pem\"] }");
    let faults = load(&agent(&(KAFKA.to_owned() + &crl))).unwrap_err();
    assert!(matches!(&faults[..], [one] if one.contains("tls.crl: not checked by a kafka target")), "{faults:#?}");
    let old = TLS.replace(" }", ", min_version = \"1.2\" }");
    let faults = load(&agent(&(KAFKA.to_owned() + &old))).unwrap_err();
    let says =
        |one: &str| one.contains("tls.min_version: a kafka target speaks TLS 1.3 alone") && !one.contains("tls.ca");
    assert!(matches!(&faults[..], [one] if says(one)), "{faults:#?}");
    assert!(load(&agent(&(KAFKA.to_owned() + &old.replace("1.2", "1.3")))).is_ok());
}

#[test]
fn whoever_saves_needs_the_targets_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("save.toml");
    fs::write(&path, format!("[host]\nname = \"auditor-1\"\n[[target]]\nname = \"queue\"\n{NATS}{TLS}")).unwrap();
    let Targets { host, targets } = Targets::load(&path).unwrap();
    assert_eq!((host.as_str(), targets.len()), ("auditor-1", 1));
    assert!(matches!(&targets[0].kind, Kind::Nats(nats) if nats.subject_of("web-1") == "audit.web-1"));
    // and an agent's file will do
    load_in(folder.path(), &agent(&format!("{KAFKA}{TLS}"))).unwrap();
    fs::write(&path, agent(&format!("{KAFKA}{TLS}"))).unwrap();
    assert!(matches!(&Targets::load(&path).unwrap().targets[0].kind, Kind::Kafka(kafka) if kafka.topic == "audit"));
    fs::write(&path, "[host]\nname = \"a b\"\n").unwrap();
    let faults = Targets::load(&path).unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:#?}");
}
