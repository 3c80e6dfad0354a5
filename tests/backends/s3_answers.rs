//! `type = "s3"` against a store that says what a real one can't be made to say.

use crate::conformance::{HOST, is_put_off, next};
use crate::log::Log;
use crate::pki::Authority;
use crate::s3::{COMPLIANCE, config, target};
use crate::stream::Stream;
use crate::terminator::terminate;
use crate::weed::write_pair;
use base64::prelude::*;
use mockito::{Matcher, Mock, ServerGuard};
use sealtail::forward::{self, Backend, Outcome, Upload};
use tempfile::TempDir;

/// A store that answers as it is told, with a bucket that is fit.
struct Store {
    server: ServerGuard,
    folder: TempDir,
    url: String,
    _fit: [Mock; 2],
}

impl Store {
    async fn start() -> Store {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let mut server = mockito::Server::new_async().await;
        let tls13 = &rustls::version::TLS13;
        let outside = terminate(&authority, folder.path(), tls13, &["http/1.1"], server.socket_address()).await;
        write_pair(folder.path(), "client", &authority.client(&[HOST]));
        let credentials = "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = kept-to-itself\n";
        std::fs::write(folder.path().join("agent.credentials"), credentials).unwrap();
        let versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        let lock = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
        let fit = [
            server.mock("GET", "/mock/?versioning").with_body(versioning).create_async().await,
            server.mock("GET", "/mock/?object-lock").with_body(lock).create_async().await,
        ];
        Store { server, folder, url: format!("https://{outside}"), _fit: fit }
    }

    fn target(&self) -> Box<dyn Backend> {
        let config = config(self.url.clone(), "mock", self.folder.path());
        assert_eq!(config.object_lock, COMPLIANCE);
        forward::open(&target(config), HOST).unwrap()
    }

    /// An object that is there already, as HEAD tells of it with more headers.
    async fn holds(&mut self, upload: &Upload, more: &[(&str, &str)]) {
        let key = format!("/mock/audit/production/{}", upload.name());
        let error = "<Error><Code>PreconditionFailed</Code></Error>";
        let put = self.server.mock("PUT", Matcher::Exact(format!("{key}?x-id=PutObject")));
        put.with_status(412).with_body(error).create_async().await;
        let head = self.server.mock("HEAD", key.as_str());
        let head = head.with_header("x-amz-checksum-sha256", &BASE64_STANDARD.encode(upload.digest.0));
        let head = head.with_header("etag", "\"e\"").with_header("x-amz-version-id", "new");
        let head = head.with_header("last-modified", "Thu, 26 Nov 2026 04:00:00 GMT");
        let length = upload.bytes.len().to_string();
        let head = head.with_header("content-length", &length);
        more.iter().fold(head, |head, (name, value)| head.with_header(*name, value)).create_async().await;
    }

    async fn lists(&mut self, versions: &str) {
        let body = format!("<ListVersionsResult><IsTruncated>false</IsTruncated>{versions}</ListVersionsResult>");
        let listing = self.server.mock("GET", Matcher::Regex(r"^/mock/\?versions&".into()));
        listing.with_body(body).create_async().await;
    }
}

/// What S3 says; the object is answered so.
async fn answered(status: usize, headers: &[(&str, &str)], code: &str) -> (Outcome, Outcome) {
    let mut store = Store::start().await;
    let error = format!("<Error><Code>{code}</Code><Message>because</Message></Error>");
    let any = Matcher::Regex("^/mock/audit/production/".into());
    let refusing = store.server.mock("PUT", any.clone()).with_status(status);
    let refusing = refusing.with_body(if code.is_empty() { "" } else { &error });
    let refusing = headers.iter().fold(refusing, |mock, (name, value)| mock.with_header(*name, value));
    let refusing = refusing.create_async().await;
    let mut target = store.target();
    let upload = next(&mut Stream::begin(HOST), 2);
    let outcome = target.store(&upload).await;
    refusing.remove_async().await;
    let _stored = store
        .server
        .mock("PUT", any)
        .match_header("if-none-match", "*")
        .match_header("x-amz-checksum-sha256", BASE64_STANDARD.encode(upload.digest.0).as_str())
        .match_header("x-amz-object-lock-mode", "COMPLIANCE")
        .create_async()
        .await;
    (outcome, target.store(&upload).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_later_with_its_mend() {
    let date = [("Date", "Thu, 26 Nov 2026 04:00:00 GMT")];
    for (status, code, mend) in [
        (403, "RequestTimeTooSkewed", "set this host's clock (is NTP running?): the store's says Thu, 26 Nov 2026"),
        (403, "AccessDenied", "give these credentials the permission"),
        (403, "InvalidAccessKeyId", "give the right access key"),
        (400, "ExpiredToken", "renew the session's credentials"),
        (503, "SlowDown", "larger batches"),
        (507, "InsufficientStorage", "make room there"),
        (507, "", "make room there"),
        (409, "ConditionalRequestConflict", "another writer of this name"),
        (301, "PermanentRedirect", "set region"),
        (400, "BadDigest", "damaged on their way"),
        (501, "NotImplemented", "conditional writes"),
        (502, "", "status 502"),
    ] {
        let (outcome, healed) = answered(status, &date, code).await;
        let Outcome::Later { why, .. } = outcome else { panic!("{status} {code}: {outcome:?}") };
        assert!(why.contains(code) && why.contains(mend) && !why.contains("kept-to-itself"), "{why}");
        assert!(matches!(healed, Outcome::Stored(None)), "{status} {code}: {healed:?}");
    }
    let (outcome, _) = answered(503, &[("Retry-After", "7")], "SlowDown").await;
    assert!(matches!(outcome, Outcome::Later { after: Some(after), .. } if after.as_secs() == 7), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_will_never_take_is_refused() {
    let (outcome, _) = answered(400, &[], "EntityTooLarge").await;
    let Outcome::Refused { is_fork: false, why } = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("EntityTooLarge (because)"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_is_not_read_to_it() {
    let endless = " ".repeat(9 << 20);
    let mut store = Store::start().await;
    let upload = next(&mut Stream::begin(HOST), 2);
    let put = store.server.mock("PUT", Matcher::Any).with_status(500).with_body(&endless).create_async().await;
    let why = is_put_off(&mut store.target(), &upload).await;
    assert!(why.contains("more than 8388608 bytes") && why.contains("is that a store"), "{why}");
    put.remove_async().await;
    store.server.mock("GET", "/mock/?versioning").with_body(&endless).create_async().await;
    let why = store.target().probe().await.unwrap_err();
    assert!(why.contains("versioning of bucket mock") && why.contains("more than 8388608 bytes"), "{why}");
}

const LOCKED: [(&str, &str); 2] =
    [("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-retain-until-date", "2099-01-01T00:00:00Z")];

// some stores leave out of a listing what HEAD tells
#[tokio::test(flavor = "multi_thread")]
async fn what_a_listing_does_not_say_of_a_version_is_asked_and_no_fork() {
    for (length, e_tag, is_fork) in [("same", "\"e\"", false), ("same", "\"other\"", true), ("1", "\"e\"", true)] {
        let mut store = Store::start().await;
        let upload = next(&mut Stream::begin(HOST), 2);
        let key = format!("audit/production/{}", upload.name());
        let length = if length == "same" { upload.bytes.len().to_string() } else { length.to_owned() };
        store.holds(&upload, &LOCKED).await;
        let version = |id: &str| {
            format!(
                "<Version><Key>{key}</Key><VersionId>{id}</VersionId><LastModified>2026-11-26T04:00:00Z</LastModified></Version>"
            )
        };
        store.lists(&(version("new") + &version("null"))).await;
        for (id, length, e_tag) in [("new", &upload.bytes.len().to_string(), "\"e\""), ("null", &length, e_tag)] {
            let head = store.server.mock("HEAD", format!("/mock/{key}?versionId={id}").as_str());
            head.with_header("content-length", length).with_header("etag", e_tag).create_async().await;
        }
        match store.target().store(&upload).await {
            Outcome::Stored(None) => assert!(!is_fork, "{length} {e_tag}"),
            Outcome::Refused { is_fork: true, why } => assert!(is_fork && why.contains("another version"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_weaker_lock_that_nobody_may_strengthen_is_told_as_what_it_is_and_holds_up_nothing() {
    for (until, tries) in [("2099-01-01T00:00:00Z", 1), ("2026-11-26T05:00:00Z", 2)] {
        let mut store = Store::start().await;
        let upload = next(&mut Stream::begin(HOST), 2);
        let governance = [("x-amz-object-lock-mode", "GOVERNANCE"), ("x-amz-object-lock-retain-until-date", until)];
        store.holds(&upload, &governance).await;
        store.lists("").await;
        let denied = "<Error><Code>AccessDenied</Code></Error>";
        let retention = Matcher::Regex(r"\?retention".into());
        let body = |mode: &str| Matcher::Regex(format!("<Mode>{mode}</Mode>"));
        let put = store.server.mock("PUT", retention.clone()).match_body(body("COMPLIANCE"));
        let refused = put.with_status(403).with_body(denied).expect(1).create_async().await;
        let put = store.server.mock("PUT", retention).match_body(body("GOVERNANCE"));
        let longer = put.expect(tries - 1).create_async().await;
        let (log, _listening) = Log::listen();
        let outcome = store.target().store(&upload).await;
        assert!(matches!(outcome, Outcome::Stored(None)), "{outcome:?}");
        refused.assert_async().await;
        longer.assert_async().await;
        let told = log.text();
        assert!(told.contains("ERROR") && told.contains("governance mode, and not in compliance mode"), "{told}");
    }
}
