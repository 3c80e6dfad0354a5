//! The trust file: who may endorse which host, and when.

use sealtail::chain::host_key::{HostKey, HostPublic};
use sealtail::chain::trust::Trust;
use std::fs;
use std::path::Path;

const Y2026_NS: i128 = 1_767_225_600_000_000_000;

fn key(folder: &Path, name: &str) -> HostPublic {
    let key = HostKey::generate_ed25519().unwrap();
    key.save_new(&folder.join(format!("{name}.key"))).unwrap();
    key.public()
}

fn load(folder: &Path, text: &str) -> Result<Trust, Vec<String>> {
    let path = folder.join("trust.toml");
    fs::write(&path, text).unwrap();
    Trust::load(&path).map_err(|error| error.faults)
}

#[test]
fn a_key_counts_for_its_host_and_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (key(folder.path(), "old"), key(folder.path(), "new"));
    let trust = load(
        folder.path(),
        r#"
        [[host]]
        name = "web-1"
        key = "old.pub"
        valid_until = "2026-01-01T00:00:00Z"
        [[host]]
        name = "web-1"
        key = "new.pub"
        valid_from = 2026-01-01T00:00:00Z
        "#,
    )
    .unwrap();
    assert!(trust.allows("web-1", &old, Y2026_NS - 1) && !trust.allows("web-1", &old, Y2026_NS));
    assert!(!trust.allows("web-1", &new, Y2026_NS - 1) && trust.allows("web-1", &new, Y2026_NS));
    assert!(!trust.allows("web-2", &new, Y2026_NS));
}

#[test]
fn a_single_key_counts_for_one_host_or_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let (key, other) = (key(folder.path(), "a"), key(folder.path(), "b"));
    let any = Trust::single(None, key);
    assert!(any.allows("web-1", &key, 0) && any.allows("db", &key, Y2026_NS) && !any.allows("db", &other, 0));
    let one = Trust::single(Some("web-1"), key);
    assert!(one.allows("web-1", &key, 0) && !one.allows("db", &key, 0));
}

#[test]
fn faults_name_their_places_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    key(folder.path(), "a");
    let faults = load(
        folder.path(),
        "[[host]]\nname = \"../x\"\nkey = \"a.pub\"\n[[host]]\nname = \"b\"\nkey = \"gone.pub\"\n\
         valid_from = \"yesterday\"\n[[host]]\nname = \"c\"\nkey = \"a.pub\"\n\
         valid_from = 2026-02-01T00:00:00Z\nvalid_until = 2026-01-01T00:00:00Z\n[[ca]]\nfile = \"ca.pem\"\n",
    )
    .unwrap_err();
    let expected = [
        (":2:8: [[host]] name", "no dot first"),
        (":6:7: [[host]] key", "gone.pub"),
        (":7:14: [[host]] valid_from", "2026-01-01T00:00:00Z"),
        (":12:15: [[host]] valid_until", "not after valid_from"),
        (":13:1: [[ca]]", "not in this version"),
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, (place, what)) in faults.iter().zip(expected) {
        assert!(fault.contains(place) && fault.contains(what), "{fault}");
    }
}

#[test]
fn a_file_that_trusts_nobody_or_is_not_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(load(folder.path(), "").unwrap_err()[0].contains("no host is trusted"));
    assert!(load(folder.path(), "[[host]]\nnom = 1\n").unwrap_err()[0].contains("trust.toml:2:1: unknown field `nom`"));
    assert!(load(folder.path(), "[[host]\n").unwrap_err()[0].contains("trust.toml:1:"));
    assert!(Trust::load(&folder.path().join("none")).unwrap_err().to_string().contains("cannot read"));
}
