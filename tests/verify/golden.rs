//! An archive of version 1, which must verify for ever.
//!
//! `golden/` holds a stream that was cut off, its successor, and the keys to check them with (test keys).

use crate::world::{World, after, check};
use sealtail::chain::host_key::HostPublic;
use sealtail::chain::key::load_identities;
use sealtail::chain::trust::Trust;
use sealtail::verify::Options;
use sealtail::verify::Word::*;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify/golden")
}

#[test]
fn the_archive_of_version_1_verifies() {
    let options = Options {
        identities: load_identities(&folder().join("auditor.key")).unwrap(),
        trust: Some(Trust::single(Some("web-1"), HostPublic::load(&folder().join("host.pub")).unwrap())),
        ..Options::default()
    };
    let report = check(&folder().join("archive"), &options);
    report.is(&[(SourceGap, 7), (UncleanEnd, 11)]);
    let summary = &report.summary;
    assert_eq!((summary.lines, summary.log_lines, summary.streams, summary.segments), (18, 8, 2, 4));
    let public = Options { identities: Vec::new(), ..options };
    check(&folder().join("archive"), &public).is(&[(SourceGap, 7), (UncleanEnd, 11)]);
}

/// How the archive was made; it is never made again.
#[test]
#[ignore = "writes the golden archive"]
fn make() {
    use crate::world::{Archive, cursor};
    use age::secrecy::ExposeSecret;
    use sealtail::chain::header::NamedReceipt;
    use sealtail::record::SourceEvent;
    assert!(!folder().exists(), "the golden archive is there already");
    let world = World::new();
    let mut first = world.begin_with(|facts| facts.targets = vec!["archive".into()]);
    first.source(SourceEvent::Opened {
        name: "app".into(),
        cursor: cursor("/var/log/app.log"),
        labels: Default::default(),
    });
    first.log(b"user root logged in").log("“quoted” \u{1F600} \\ \"and\" \t".as_bytes()).segment();
    let receipt = first.receipt();
    first.heartbeat(vec![NamedReceipt { target: "archive".into(), receipt }]).log(b"\xff\x00 not UTF-8");
    first.source(SourceEvent::Truncated { lost: Some(12) }).log(b"").segment().logs(2);
    let (first, tip) = first.finish();
    let mut second = world.begin(Some(after(tip, false)));
    second.logs(1).segment().logs(1);
    let (second, _) = second.close();
    let archive = Archive { streams: vec![first, second.in_one_file()] };
    archive.write(&folder().join("archive"));
    fs::write(folder().join("auditor.key"), world.identity.to_string().expose_secret()).unwrap();
    let key = tempfile::tempdir().unwrap();
    let public = world.host_key.save_new(&key.path().join("host.key")).unwrap();
    fs::copy(public, folder().join("host.pub")).unwrap();
}
