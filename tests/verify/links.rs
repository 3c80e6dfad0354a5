//! Who vouches for a stream, and what streams, receipts and the inventory say of each other.

use crate::world::{Archive, HOST, World, after, check};
use sealtail::chain::header::NamedReceipt;
use sealtail::chain::host_key::HostKey;
use sealtail::chain::trust::Trust;
use sealtail::verify::Word::*;
use sealtail::verify::{Options, Outcome};

#[test]
fn a_stream_that_nobody_trusted_endorses_is_unendorsed() {
    let (world, attacker) = (World::new(), World::new());
    let archive = world.archive();
    let other_key = Trust::single(Some(HOST), attacker.host_key.public());
    let options = Options { trust: Some(other_key), ..world.auditor() };
    archive.check(&options).is(&[(Unendorsed, 0), (Unendorsed, 0)]);
    let other_host = Trust::single(Some("db-1"), world.host_key.public());
    archive.check(&Options { trust: Some(other_host), ..world.auditor() }).has(Unendorsed);
    let report = archive.check(&Options { trust: None, ..world.auditor() });
    report.is(&[(Unendorsed, 0), (Unendorsed, 0)]);
    assert!(report.findings[0].detail.contains("--host-key"));
}

#[test]
fn p256_host_keys_endorse_too() {
    let world = World { host_key: HostKey::generate_p256().unwrap(), ..World::new() };
    world.archive().check(&world.auditor()).is(&[]);
}

#[test]
fn an_identity_that_does_not_fit_leaves_it_unchecked() {
    let (world, other) = (World::new(), World::new());
    let archive = world.archive();
    let report = archive.check(&Options { identities: other.auditor().identities, ..world.public() });
    assert_eq!(report.summary.result, Outcome::Unchecked);
    assert_eq!((report.found().len(), report.summary.unchecked.len()), (0, 2));
}

#[test]
fn a_genesis_sealed_wrongly_is_told() {
    use sealtail::chain::key::Sealed;
    let world = World::new();
    let archive = world.archive();
    let recipients = [world.identity.to_public()];
    let donor = archive.streams[1].clone().line(0).clone();
    let mut moved = archive.clone();
    reseal(&world, moved.streams[0].line(0), &field(&donor, "sealed"));
    moved.check(&world.auditor()).has(SealMismatch);
    // the right stream and key, and another K0
    let genesis: serde_json::Value = serde_json::from_slice(archive.streams[0].clone().line(0)).unwrap();
    let key = genesis["h"]["key"].as_str().unwrap();
    let key = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, key).unwrap();
    let key_digest = <sha2::Sha256 as sha2::Digest>::digest(key).into();
    let other = Sealed { k0: [9; 32], stream: archive.streams[0].id.0, key_digest };
    let other = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, other.seal(&recipients).unwrap());
    let mut moved = archive;
    reseal(&world, moved.streams[0].line(0), &other);
    moved.check(&world.auditor()).has(KeyCommitMismatch);
}

fn field(line: &[u8], name: &str) -> String {
    let line: serde_json::Value = serde_json::from_slice(line).unwrap();
    line["p"][name].as_str().unwrap().to_owned()
}

/// Puts another sealed key into a genesis and endorses it again, as a host that lies would.
fn reseal(world: &World, line: &mut Vec<u8>, sealed: &str) {
    use base64::prelude::*;
    let raw = sealtail::chain::line::RawLine::parse(line).unwrap();
    let age = BASE64_STANDARD.decode(sealed).unwrap();
    let signature = world.host_key.sign(&sealtail::chain::genesis::endorsed_bytes(raw.header, &age));
    let text = String::from_utf8(line.clone()).unwrap();
    let text = text.replace(&field(line, "sealed"), sealed);
    let old: serde_json::Value = serde_json::from_slice(line).unwrap();
    let old = old["p"]["endorsement"]["sig"].as_str().unwrap();
    *line = text.replace(old, &BASE64_STANDARD.encode(signature)).into_bytes();
}

#[test]
fn a_deleted_stream_is_missing() {
    let world = World::new();
    let mut archive = world.archive();
    let gone = archive.streams.remove(0);
    let report = archive.check(&world.auditor());
    report.has(StreamMissing);
    assert_eq!(report.findings[0].stream, Some(gone.id));
    // the target begins with this stream: it never had the one before
    let (first, tip) = world.begin(None).close();
    let mut second = world.begin_with(|facts| {
        facts.prev = Some(after(tip, true));
        facts.targets = vec!["archive".into()];
    });
    second.logs(1).segment();
    let archive = Archive { streams: vec![second.finish().0] };
    archive.check(&Options { targets: vec!["archive".into()], ..world.auditor() }).is(&[(Skipped, 0)]);
    // the inventory and receipts name it
    let options = Options { inventory: vec![(HOST.into(), first.id)], ..world.auditor() };
    archive.check(&options).has(StreamMissing);
}

#[test]
fn a_second_first_stream_is_unlinked() {
    let world = World::new();
    let mut archive = world.archive();
    let (third, _) = world.begin(None).close();
    archive.streams.push(third);
    archive.check(&world.auditor()).is(&[(Unlinked, 0)]);
}

#[test]
fn two_successors_are_a_fork() {
    let world = World::new();
    let (first, tip) = world.begin(None).close();
    let (second, _) = world.begin(Some(after(tip, true))).close();
    let (third, _) = world.begin(Some(after(tip, true))).close();
    Archive { streams: vec![first, second, third] }.check(&world.auditor()).is(&[(Fork, 0)]);
}

#[test]
fn receipts_show_what_is_gone_or_exchanged() {
    let world = World::new();
    let mut writer = world.begin(None);
    writer.logs(3).segment();
    let early = writer.receipt();
    writer.logs(3).segment();
    let late = writer.receipt();
    let archive = Archive { streams: vec![writer.finish().0] };
    let with = |receipts: Vec<_>| Options { receipts, ..world.auditor() };
    archive.check(&with(vec![early.clone(), late.clone()])).is(&[]);

    let mut cut = archive.clone();
    cut.streams[0].files.pop();
    cut.check(&world.auditor()).is(&[]);
    cut.check(&with(vec![early.clone(), late.clone()])).is(&[(Rollback, 5)]);
    let mut cut = archive.clone();
    cut.streams[0].files[1].lines().pop();
    cut.check(&with(vec![late.clone()])).is(&[(Truncated, 8)]);

    let mut other = early.clone();
    other.root.0[0] ^= 1;
    archive.check(&with(vec![other])).is(&[(Fork, 4)]);

    // only signed receipts count where there is a key to check them with
    let key = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let mut forged = late.clone();
    forged.size += 10;
    let signed = |receipt: sealtail::chain::receipt::Receipt| Options {
        receipts: vec![receipt],
        receipt_key: Some(key.verifying_key()),
        ..world.auditor()
    };
    let report = archive.check(&signed(forged.clone()));
    report.is(&[]);
    assert_eq!(report.summary.notes.len(), 1);
    archive.check(&signed(forged.sign(&key))).has(Rollback);
}

#[test]
fn receipts_in_heartbeats_count() {
    let world = World::new();
    let named = |receipt| vec![NamedReceipt { target: "archive".into(), receipt }];
    let mut writer = world.begin(None);
    writer.logs(3).segment();
    let good = writer.receipt();
    let mut other = good.clone();
    other.root.0[0] ^= 1;
    writer.heartbeat(named(good.clone())).segment();
    let sound = writer.receipt();
    writer.heartbeat(named(other.clone())).heartbeat(named(other)).segment();
    let (first, tip) = writer.finish();
    let archive = Archive { streams: vec![first] };
    archive.check(&world.auditor()).is(&[(Fork, 4)]);

    // the next stream knows of more lines of the one before
    let mut cut = archive;
    cut.streams[0].files.truncate(1);
    let mut second = world.begin(Some(after(tip, false)));
    second.heartbeat(named(sound)).segment();
    cut.streams.push(second.finish().0);
    cut.check(&world.auditor()).is(&[(Rollback, 5)]);
}

#[test]
fn lines_before_since_are_left_out() {
    let world = World::new();
    let mut writer = world.begin(None);
    for _ in 0..6 {
        writer.logs(3).segment();
    }
    let since = writer.stamp().time;
    writer.logs(3).segment().logs(3).segment();
    let mut archive = Archive { streams: vec![writer.close().0] };
    let since_ns = sealtail::chain::stamp::parse_rfc3339(&since);
    let options = Options { since_ns, ..world.auditor() };
    let report = archive.check(&options);
    report.is(&[]);
    assert!(report.summary.lines < archive.streams[0].len());
    archive.check(&Options { since_ns, ..world.public() }).is(&[]);
    // an early change is not looked at, a late one is found
    let early = archive.streams[0].line(2);
    early[200] ^= 1;
    let seq = archive.streams[0].len() - 4;
    let late = archive.streams[0].line(seq);
    let end = late.len();
    late[end - 4] ^= 1;
    archive.check(&options).is(&[(Tampered, seq)]);
}

#[test]
fn a_single_file_or_folder_of_an_archive_can_be_given() {
    let world = World::new();
    let archive = Archive { streams: vec![world.archive().streams.remove(0)] };
    let dir = tempfile::tempdir().unwrap();
    archive.write(dir.path());
    let host = dir.path().join(HOST);
    let stream = host.join(archive.streams[0].id.to_string());
    for path in [&host, &stream] {
        check(path, &world.auditor()).is(&[]);
    }
    let loose = dir.path().join("loose.ndjson.zst");
    std::fs::write(&loose, archive.streams[0].clone().in_one_file().files[0].compressed()).unwrap();
    check(&loose, &world.auditor()).is(&[]);
    // as `zstdcat` gives it
    let plain = zstd::decode_all(std::fs::File::open(&loose).unwrap()).unwrap();
    std::fs::write(dir.path().join("plain.ndjson"), plain).unwrap();
    check(&dir.path().join("plain.ndjson"), &world.auditor()).is(&[]);
}
