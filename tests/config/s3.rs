//! `[[target]]` of type s3.

use crate::{agent_text, load, load_in};
use sealtail::forward::{Kind, LockMode, ObjectLock, S3Config};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LOCK: &str = "object_lock = { mode = \"compliance\", retain = \"365d\" }";

/// A configuration with such a target.
fn text(keys: &str) -> String {
    agent_text(&format!("\n[[target]]\nname = \"worm\"\ntype = \"s3\"\n{keys}\n"))
}

#[test]
fn what_is_written_counts_and_the_rest_is_left_to_aws() {
    let folder = tempfile::tempdir().unwrap();
    let read = |keys: &str| {
        let target = load_in(folder.path(), &text(keys)).unwrap().agent.unwrap().targets.remove(1);
        let Kind::S3(s3) = target.kind else { panic!("{:?}", target.kind) };
        (s3, target.batch_max_size_bytes, target.batch_max_age)
    };
    let kept = |mode, retain, legal_hold| ObjectLock::Kept { mode, retain, legal_hold };
    let least = S3Config {
        url: None,
        region: None,
        bucket: "audit".into(),
        prefix: String::new(),
        path_style: false,
        object_lock: kept(LockMode::Compliance, 365 * DAY, false),
        profile: None,
        credentials_file: None,
        tls: Default::default(),
        proxy: None,
    };
    assert_eq!(read(&format!("bucket = \"audit\"\n{LOCK}")), (least.clone(), 32 << 20, Duration::from_secs(60)));
    let (most, ..) = read(
        "bucket = \"audit\"\nurl = \"https://s3.internal/\"\nregion = \"eu-central-1\"\nprefix = \"a/b/\"\npath_style = true\n\
         object_lock = { mode = \"governance\", retain = \"2d\", legal_hold = true }\nprofile = \"audit\"\n\
         credentials_file = \"aws\"\ntls = { ca = \"ca.pem\" }",
    );
    assert_eq!(most.url.as_deref(), Some("https://s3.internal"));
    assert_eq!((most.region.as_deref(), most.profile.as_deref()), (Some("eu-central-1"), Some("audit")));
    assert_eq!((most.prefix.as_str(), most.path_style), ("a/b", true));
    assert_eq!(most.object_lock, kept(LockMode::Governance, 2 * DAY, true));
    assert_eq!(most.credentials_file, Some(folder.path().join("aws")));
    assert_eq!((most.tls.ca, most.tls.client), (Some(folder.path().join("ca.pem")), None));
    let (open, ..) = read("bucket = \"audit\"\nobject_lock = { mode = \"none-the-archive-can-be-deleted\" }");
    assert_eq!(open, S3Config { object_lock: ObjectLock::None, ..least });
}

#[test]
fn what_cannot_be_is_told() {
    let bucket = "bucket = \"audit\"";
    for (keys, place, what) in [
        (LOCK.to_owned(), "bucket", "missing; name the bucket"),
        (bucket.to_owned(), "object_lock", "missing; write object_lock = { mode = \"compliance\""),
        (format!("bucket = \"Audit/logs\"\n{LOCK}"), "bucket", "the rest of the path as prefix"),
        (format!("{bucket}\n{LOCK}\nprefix = \"/a\""), "prefix", "no prefix"),
        (format!("{bucket}\n{LOCK}\nprefix = \"a/../b\""), "prefix", "no prefix"),
        (format!("{bucket}\n{LOCK}\nurl = \"http://s3.internal\""), "url", "plain http lets everybody"),
        (format!("{bucket}\n{LOCK}\nregion = \"\""), "region", "no name"),
        (format!("{bucket}\n{LOCK}\ntls = {{ cert = \"c.pem\" }}"), "tls.key", "missing"),
        (
            format!("{bucket}\n{LOCK}\ntls = {{ crl = [\"c.pem\"] }}"),
            "tls.ca",
            "missing; name the PEM file of the authority whose lists",
        ),
        (format!("{bucket}\n{LOCK}\nacl = \"x\""), "acl", "not known here"),
        (format!("{bucket}\nobject_lock = {{ mode = \"compliance\" }}"), "object_lock.retain", "missing"),
        (format!("{bucket}\nobject_lock = {{ retain = \"2d\" }}"), "object_lock.mode", "missing"),
        (
            format!("{bucket}\nobject_lock = {{ mode = \"none\" }}"),
            "object_lock.mode",
            "none-the-archive-can-be-deleted",
        ),
        (
            format!("{bucket}\nobject_lock = {{ mode = \"governance\", retain = \"1h\" }}"),
            "object_lock.retain",
            "choose 1d to 36500d",
        ),
        (
            format!("{bucket}\nobject_lock = {{ mode = \"none-the-archive-can-be-deleted\", legal_hold = true }}"),
            "object_lock",
            "take retain and legal_hold out",
        ),
    ] {
        let faults = load(&text(&keys)).unwrap_err();
        let [fault] = &faults[..] else { panic!("{keys}: {faults:#?}") };
        assert!(fault.contains(&format!("[[target]] {place}: ")) && fault.contains(what), "{keys}: {fault}");
    }
}
