//! `type = "s3"` against SeaweedFS.

use crate::conformance::{HOST, Place, conforms, is_put_off, is_stored, next};
use crate::link::Link;
use crate::pki::Authority;
use crate::s3_credentials;
use crate::stream::{Stream, digest};
use crate::weed::{ADMIN, AGENT, Weed, write_pair};
use base64::prelude::*;
use sealtail::chain::header::Hash;
use sealtail::forward::{self, ClientFiles, Config, Kind, LockMode, ObjectLock, Outcome, S3Config, TlsConfig, Upload};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
pub(crate) const COMPLIANCE: ObjectLock =
    ObjectLock::Kept { mode: LockMode::Compliance, retain: Duration::from_secs(2 * 24 * 60 * 60), legal_hold: false };

/// A bucket with everything that is wanted of one.
pub(crate) const BUCKET: &str = "audit";

/// A prefix in a bucket of a store.
pub(crate) struct Prefix<'a> {
    pub(crate) weed: &'a Weed,
    pub(crate) config: S3Config,
}

impl<'a> Prefix<'a> {
    pub(crate) fn of(weed: &'a Weed, name: &str) -> Prefix<'a> {
        let mut config = config(weed.url(), BUCKET, weed.folder.path());
        config.prefix = format!("audit/{name}");
        Prefix { weed, config }
    }

    fn edit(&self, change: impl FnOnce(&mut S3Config)) -> Config {
        let mut target = self.target();
        let Kind::S3(s3) = &mut target.kind else { unreachable!("it is one") };
        change(s3);
        target
    }

    fn key(&self, upload: &Upload) -> String {
        format!("{}/{}", self.config.prefix, upload.name())
    }
}

/// Of a store whose certificates and credentials are in `folder`.
pub(crate) fn config(url: String, bucket: &str, folder: &Path) -> S3Config {
    let client = ClientFiles { cert: folder.join("client.pem"), key: folder.join("client.key") };
    S3Config {
        url: Some(url),
        region: Some("us-east-1".into()),
        bucket: bucket.into(),
        prefix: "audit/production".into(),
        path_style: true,
        object_lock: COMPLIANCE,
        profile: None,
        credentials_file: Some(folder.join("agent.credentials")),
        tls: TlsConfig { ca: Some(folder.join("ca.pem")), client: Some(client), ..TlsConfig::default() },
        proxy: None,
    }
}

pub(crate) fn target(config: S3Config) -> Config {
    Config {
        name: "s3".into(),
        required: true,
        max_lag_bytes: None,
        batch_max_size_bytes: 32 << 20,
        batch_max_age: Duration::from_secs(60),
        kind: Kind::S3(config),
    }
}

impl Place for Prefix<'_> {
    fn target(&self) -> Config {
        target(self.config.clone())
    }

    fn holds(&self) -> Vec<(String, Vec<u8>)> {
        let answer = self
            .weed
            .ask(ADMIN, json!([["holds", { "Bucket": self.config.bucket, "Prefix": self.config.prefix }]]))
            .remove(0);
        let held: Vec<(String, String)> = serde_json::from_value(answer).unwrap();
        let name = |key: String| key.strip_prefix(&format!("{}/", self.config.prefix)).unwrap().to_owned();
        held.into_iter().map(|(key, bytes)| (name(key), BASE64_STANDARD.decode(bytes).unwrap())).collect()
    }
}

/// A server takes seconds to start, so that all of these share one.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_store() {
    let Some(weed) = Weed::start(HOST) else { return };
    weed.make_bucket(BUCKET);
    conforms(&Prefix::of(&weed, "conformance")).await;
    nobody_changes_what_is_stored(&Prefix::of(&weed, "worm")).await;
    what_an_intruder_put_first_is_found_out(&Prefix::of(&weed, "intruder")).await;
    retention_is_what_is_configured(&Prefix::of(&weed, "retention")).await;
    a_bucket_that_keeps_nothing_is_refused(&weed).await;
    credentials_that_see_nothing_store_all_the_same(&Prefix::of(&weed, "blind")).await;
    credentials_are_taken_up_when_they_are_right(&Prefix::of(&weed, "credentials")).await;
    certificates_go_both_ways(&Prefix::of(&weed, "certificates")).await;
    an_upload_that_breaks_is_made_again(&Prefix::of(&weed, "breaks")).await;
    s3_credentials::come_from_where_aws_tools_look(&Prefix::of(&weed, "chain")).await;
}

async fn nobody_changes_what_is_stored(place: &Prefix<'_>) {
    let mut target = forward::open(&place.target(), HOST).unwrap();
    let upload = next(&mut Stream::begin(HOST), 3);
    is_stored(&mut target, &upload).await;
    let (name, key) = (place.config.bucket.as_str(), place.key(&upload));
    let head =
        place.weed.ask(ADMIN, json!([["head_object", { "Bucket": name, "Key": key, "ChecksumMode": "ENABLED" }]]));
    assert_eq!(head[0]["ObjectLockMode"], "COMPLIANCE", "{head:?}");
    assert_eq!(head[0]["ChecksumSHA256"], BASE64_STANDARD.encode(upload.digest.0));
    let version = head[0]["VersionId"].as_str().unwrap();
    let shorter = json!({ "Mode": "COMPLIANCE", "RetainUntilDate": "2020-01-01T00:00:00Z" });
    let laxer = json!({ "Mode": "GOVERNANCE", "RetainUntilDate": head[0]["ObjectLockRetainUntilDate"] });
    for who in [AGENT, ADMIN] {
        let tried = place.weed.ask(
            who,
            json!([
                ["put_object", { "Bucket": name, "Key": key, "Body": "forged", "IfNoneMatch": "*" }],
                ["delete_object", { "Bucket": name, "Key": key }],
                ["delete_object", { "Bucket": name, "Key": key, "VersionId": version }],
                ["delete_object", { "Bucket": name, "Key": key, "VersionId": version, "BypassGovernanceRetention": true }],
                ["put_object_retention", { "Bucket": name, "Key": key, "VersionId": version, "Retention": shorter }],
                ["put_object_retention", { "Bucket": name, "Key": key, "VersionId": version, "Retention": laxer }],
            ]),
        );
        assert!(tried.iter().all(|answer| answer["error"].is_string()), "{tried:#?}");
    }
    assert_eq!(place.holds(), [(upload.name(), upload.bytes.to_vec())]);
}

async fn what_an_intruder_put_first_is_found_out(place: &Prefix<'_>) {
    let mut target = forward::open(&place.target(), HOST).unwrap();
    let mut stream = Stream::begin(HOST);
    let (first, second) = (next(&mut stream, 3), next(&mut stream, 3));
    let name = place.config.bucket.as_str();
    // the same length, since that is what would be compared first
    let forged = "x".repeat(first.bytes.len());
    let put = |upload: &Upload, body: &str| {
        let put = json!([["put_object", { "Bucket": name, "Key": place.key(upload), "Body": body }]]);
        let answer = place.weed.ask(AGENT, put).remove(0);
        assert!(answer["VersionId"].is_string(), "{answer}");
    };
    put(&first, &forged);
    match target.store(&first).await {
        Outcome::Refused { is_fork: true, why } => assert!(why.contains("other bytes"), "{why}"),
        other => panic!("a fork is taken for something else: {other:?}"),
    }
    // and what was put over an object: the answer to the first attempt may have been lost
    is_stored(&mut target, &second).await;
    put(&second, "forged");
    match target.store(&second).await {
        Outcome::Refused { is_fork: true, .. } => {}
        other => panic!("a fork is taken for something else: {other:?}"),
    }
    let held: Vec<String> = place.holds().into_iter().map(|(name, _)| name).collect();
    assert_eq!(held, [first.name(), second.name(), second.name()]);
}

async fn retention_is_what_is_configured(place: &Prefix<'_>) {
    let kept = |mode, retain, legal_hold| ObjectLock::Kept { mode, retain, legal_hold };
    let mut stream = Stream::begin(HOST);
    let name = place.config.bucket.as_str();
    let head = |upload: &Upload| {
        place.weed.ask(ADMIN, json!([["head_object", { "Bucket": name, "Key": place.key(upload) }]])).remove(0)
    };
    let upload = next(&mut stream, 1);
    let lax = place.edit(|s3| s3.object_lock = kept(LockMode::Governance, 3 * DAY, true));
    is_stored(&mut forward::open(&lax, HOST).unwrap(), &upload).await;
    let first = head(&upload);
    assert_eq!((&first["ObjectLockMode"], &first["ObjectLockLegalHoldStatus"]), (&json!("GOVERNANCE"), &json!("ON")));
    assert_eq!(days(&first), 3, "{first}");
    // stored by an earlier process that was configured otherwise: it is kept at least as long
    let longer = place.edit(|s3| s3.object_lock = kept(LockMode::Governance, 9 * DAY, false));
    is_stored(&mut forward::open(&longer, HOST).unwrap(), &upload).await;
    assert_eq!(days(&head(&upload)), 9);
    // and never shorter
    is_stored(&mut forward::open(&lax, HOST).unwrap(), &upload).await;
    let last = head(&upload);
    assert_eq!((days(&last), &last["ObjectLockLegalHoldStatus"]), (9, &json!("ON")));
    // what is stronger than is configured stays, and lasts as long as is configured
    let strict = next(&mut stream, 1);
    is_stored(&mut forward::open(&place.target(), HOST).unwrap(), &strict).await;
    for (retain, lasts) in [(DAY, 2), (5 * DAY, 5), (DAY, 5)] {
        let other = place.edit(|s3| s3.object_lock = kept(LockMode::Governance, retain, false));
        is_stored(&mut forward::open(&other, HOST).unwrap(), &strict).await;
        let head = head(&strict);
        assert_eq!((&head["ObjectLockMode"], days(&head)), (&json!("COMPLIANCE"), lasts), "{head}");
    }
    // and what is weaker is told, where the store lets nobody but a bypass change its mode
    let other = place.edit(|s3| s3.object_lock = kept(LockMode::Compliance, DAY, false));
    is_stored(&mut forward::open(&other, HOST).unwrap(), &upload).await;
    let head = head(&upload);
    assert_eq!((&head["ObjectLockMode"], days(&head)), (&json!("GOVERNANCE"), 9), "{head}");
}

/// Days of retention, from when the object was stored.
fn days(head: &Value) -> i64 {
    use time::format_description::well_known::Rfc3339;
    let at = |key: &str| {
        let text = head[key].as_str().unwrap().replace(' ', "T");
        time::OffsetDateTime::parse(&text, &Rfc3339).unwrap()
    };
    let kept = at("ObjectLockRetainUntilDate") - at("LastModified");
    (kept.as_seconds_f64() / DAY.as_secs_f64()).round() as i64
}

async fn a_bucket_that_keeps_nothing_is_refused(weed: &Weed) {
    weed.ask(ADMIN, json!([["create_bucket", { "Bucket": "plain" }]]));
    let mut place = Prefix::of(weed, "plain");
    place.config.bucket = "plain".into();
    let mut target = forward::open(&place.target(), HOST).unwrap();
    let upload = next(&mut Stream::begin(HOST), 2);
    for why in [target.probe().await.unwrap_err(), is_put_off(&mut target, &upload).await] {
        assert!(
            why.contains("bucket plain has no Object Lock") && why.contains("none-the-archive-can-be-deleted"),
            "{why}"
        );
    }
    assert_eq!(place.holds(), []);
    place.config.object_lock = ObjectLock::None;
    let mut target = forward::open(&place.target(), HOST).unwrap();
    target.probe().await.unwrap();
    is_stored(&mut target, &upload).await;
    is_stored(&mut target, &upload).await;
    assert_eq!(place.holds(), [(upload.name(), upload.bytes.to_vec())]);
    place.config.bucket = "nowhere".into();
    let mut target = forward::open(&place.target(), HOST).unwrap();
    let why = is_put_off(&mut target, &upload).await;
    assert!(why.contains("nowhere"), "{why}");
}

async fn credentials_that_see_nothing_store_all_the_same(place: &Prefix<'_>) {
    let blind = place.edit(|s3| s3.credentials_file = Some(place.weed.path("blind.credentials")));
    let mut target = forward::open(&blind, HOST).unwrap();
    target.probe().await.unwrap();
    let upload = next(&mut Stream::begin(HOST), 2);
    is_stored(&mut target, &upload).await;
    // whether it is its own bytes that are there already it can't tell
    let why = is_put_off(&mut target, &upload).await;
    assert!(why.contains("whether with the same bytes can't be seen"), "{why}");
    assert_eq!(place.holds(), [(upload.name(), upload.bytes.to_vec())]);
}

async fn credentials_are_taken_up_when_they_are_right(place: &Prefix<'_>) {
    let file = place.weed.path("renewed.credentials");
    let copy = |name: &str| std::fs::copy(place.weed.path(name), &file).map(drop).unwrap();
    let renewed = place.edit(|s3| s3.credentials_file = Some(file.clone()));
    let mut target = forward::open(&renewed, HOST).unwrap();
    let upload = next(&mut Stream::begin(HOST), 2);
    let why = is_put_off(&mut target, &upload).await;
    assert!(why.contains("credentials"), "{why}");
    copy("wrong.credentials");
    let why = is_put_off(&mut target, &upload).await;
    assert!(why.contains("SignatureDoesNotMatch") && why.contains("secret key") && !why.contains("guessed"), "{why}");
    copy("agent.credentials");
    is_stored(&mut target, &upload).await;
    assert_eq!(place.holds(), [(upload.name(), upload.bytes.to_vec())]);
}

async fn certificates_go_both_ways(place: &Prefix<'_>) {
    let folder = place.weed.folder.path();
    let stranger = Authority::new();
    let at = |name: &str| folder.join(name);
    std::fs::write(at("stranger.pem"), &stranger.pem).unwrap();
    let upload = next(&mut Stream::begin(HOST), 2);
    let nobody = place.edit(|s3| s3.tls.client = None);
    let why = is_put_off(&mut forward::open(&nobody, HOST).unwrap(), &upload).await;
    assert!(why.contains("wants a client certificate"), "{why}");
    let misled = place.edit(|s3| s3.tls.ca = Some(at("stranger.pem")));
    let why = is_put_off(&mut forward::open(&misled, HOST).unwrap(), &upload).await;
    assert!(why.contains("certificate"), "{why}");
    write_pair(folder, "renewed", &stranger.client(&[HOST]));
    let client = ClientFiles { cert: at("renewed.pem"), key: at("renewed.key") };
    let renewed = place.edit(|s3| s3.tls.client = Some(client));
    let mut target = forward::open(&renewed, HOST).unwrap();
    let why = is_put_off(&mut target, &upload).await;
    assert!(why.contains("client certificate"), "{why}");
    place.weed.write_client("renewed", HOST);
    target.reload();
    is_stored(&mut target, &upload).await;
    assert_eq!(place.holds(), [(upload.name(), upload.bytes.to_vec())]);
}

async fn an_upload_that_breaks_is_made_again(place: &Prefix<'_>) {
    let link = Link::to(place.weed.port).await;
    let behind = place.edit(|s3| s3.url = Some(format!("https://localhost:{}", link.port)));
    let mut target = forward::open(&behind, HOST).unwrap();
    let mut stream = Stream::begin(HOST);
    target.probe().await.unwrap();
    let mut upload = next(&mut stream, 2);
    enlarge(&mut upload, 2 << 20);
    link.break_after(1 << 20);
    is_put_off(&mut target, &upload).await;
    assert_eq!((link.broken(), place.holds()), (1, vec![]));
    is_stored(&mut target, &upload).await;
    link.delay(Duration::from_micros(500));
    let mut slow = next(&mut stream, 2);
    enlarge(&mut slow, 256 << 10);
    is_stored(&mut target, &slow).await;
    assert_eq!(place.holds(), [(upload.name(), upload.bytes.to_vec()), (slow.name(), slow.bytes.to_vec())]);
}

/// As many bytes as that, which nothing makes smaller.
pub(crate) fn enlarge(upload: &mut Upload, len: usize) {
    let mut bytes = vec![0; len];
    getrandom::fill(&mut bytes).unwrap();
    upload.batch.len = bytes.len() as u64;
    upload.digest = Hash(digest(&bytes));
    upload.bytes = bytes.into();
}
