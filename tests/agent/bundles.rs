//! Bundles from a server: polled with their ETag, signed, kept for the time when the server is down.

use crate::bundle_server::BundleServer;
use crate::pack::{Files, pack, rego};
use crate::sign::Signer;
use crate::swaps::{IN_FORCE, REFUSED, ids, put, shown};
use crate::world::{World, await_that, run, text};
use base64::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use sealtail::chain::key_file;
use serde_json::json;
use std::fs;

type Owned = Vec<(&'static str, String)>;

const TOKEN: &str = "a-token-that-nobody-may-see";

/// A world whose policies come from a server, signed.
struct Served {
    world: World,
    server: BundleServer,
    signer: Signer,
    lines: usize,
}

impl Served {
    fn new() -> Self {
        let world = World::new();
        let (server, signer) = (BundleServer::start(&world.path("q"), 0), Signer::p256());
        fs::write(world.path("bundle.pub"), signer.public()).unwrap();
        key_file::create(&world.path("token"), format!("{TOKEN}\n").as_bytes(), key_file::SECRET).unwrap();
        let policy = format!(
            "verify = {{ key = \"../bundle.pub\" }}\nbundle = {{ url = \"{}?secret=in-the-query\", poll = \"1s\", \
             token = \"${{file:../token}}\", tls = {{ ca = \"ca.pem\", cert = \"client.pem\", key = \"client.key\" }} }}",
            server.url()
        );
        world.configure_policy(&policy);
        let mut served = Self { world, server, signer, lines: 0 };
        served.world.start_receiver();
        served
    }

    fn signed(&self, id: &str) -> Owned {
        self.signer.signed(&set(id), &json!({}))
    }

    /// Puts a bundle on the server.
    fn give(&self, files: &Files<'_>) {
        self.server.put(pack(files));
    }

    /// Writes a line and awaits the verdicts that the archive has of it.
    fn expect(&mut self, expected: &str) {
        self.lines += 1;
        self.world.append(format!("line {}\n", self.lines));
        self.world.await_archived(self.lines);
        assert_eq!(ids(shown(&self.world).last().unwrap()), [expected]);
    }

    /// What was said, in which no secret stands.
    fn log(&self) -> String {
        let log = self.world.agent_log();
        for secret in [TOKEN, "in-the-query", "/policies/bundle.tar.gz"] {
            assert!(!log.contains(secret), "{secret}: {log}");
        }
        log
    }
}

fn set(id: &str) -> Owned {
    let roots = "{\"roots\":[\"sealtail\"]}".to_owned();
    vec![(".manifest", roots), ("/a.rego", rego("a", id)), ("sealtail/data.json", "{\"x\":1}".to_owned())]
}

#[test]
fn a_bundle_is_polled_with_its_etag_and_taken_up_when_it_changes() {
    let mut served = Served::new();
    served.give(&served.signed("one"));
    served.world.start_agent();
    served.expect("one");
    // three times nothing new
    await_that("polls", || served.server.asked_again() >= 3);
    assert_eq!(served.world.said(IN_FORCE), 0);
    served.give(&served.signed("two"));
    served.world.await_said(IN_FORCE, 1);
    served.expect("two");
    await_that("the new ETag", || served.server.asked_again() >= 1);
    // asked for: taken again, though the server has no other
    served.world.signal_agent(rustix::process::Signal::HUP);
    served.world.await_said("\"why\":\"downloaded\",\"target\"", 1);
    let asked = served.server.shelf.lock().unwrap().asked.clone();
    let bearer = Some(format!("Bearer {TOKEN}"));
    assert!(asked.iter().all(|(_, authorization)| *authorization == bearer));
    assert_eq!(asked.iter().filter(|(etag, _)| etag.is_none()).count(), 2, "at the start and on SIGHUP");
    assert_eq!(served.world.stop_agent(), Some(0));
    // a run that is over at once asks too, before it reads its first line
    served.give(&served.signed("three"));
    served.world.append("once\n");
    assert!(served.world.run_once().status.success());
    assert_eq!(ids(shown(&served.world).last().unwrap()), ["three"]);
    served.log();
    served.world.verify().assert_intact(&[]);
}

#[test]
fn whatever_is_wrong_with_a_bundle_the_running_one_stays() {
    let mut served = Served::new();
    served.give(&served.signed("good"));
    served.world.start_agent();
    served.expect("good");
    let change = |change: &dyn Fn(&mut Owned)| {
        let mut files = served.signed("evil");
        change(&mut files);
        pack(&files)
    };
    let resign = |files: &mut Owned| {
        let signatures: serde_json::Value = serde_json::from_str(&files[3].1).unwrap();
        let token = signatures["signatures"][0].as_str().unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        signature[7] ^= 1;
        let token = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        files[3].1 = json!({"signatures": [token]}).to_string();
    };
    let bad = [
        (change(&resign), "its signature is not by the configured key"),
        (pack(&Signer::p256().signed(&set("evil"), &json!({}))), "its signature is not by the configured key"),
        (change(&|files| files[1].1 = rego("a", "more evil")), "is not what was signed"),
        (change(&|files| drop(files.remove(2))), "lacks \\\"sealtail/data.json\\\", which was signed"),
        (change(&|files| files.push(("b.rego", rego("b", "evil")))), "\\\"b.rego\\\" was not signed"),
        (pack(&set("evil")), "is not signed"),
        (served.well_signed("verdicts contains {"), "a.rego:3:"),
        // on this the engine's parser ends the process, or never ends itself
        (served.well_signed(&format!("x := {}", "[\n".repeat(8_000))), "a.rego:19:1: brackets are nested"),
        (
            served.well_signed(&format!("x := {}1{}", "[".repeat(26), "]".repeat(26))),
            "a.rego:3:22: brackets are nested",
        ),
        (b"<html>not found</html>".to_vec(), "no whole gzip file"),
    ];
    for (n, (bundle, why)) in bad.into_iter().enumerate() {
        served.server.put(bundle);
        served.world.await_said(REFUSED, n + 1);
        assert!(served.log().contains(why), "{why}: {}", served.log());
        served.expect("good");
    }
    assert_eq!(served.world.said(IN_FORCE), 0);
    // what was refused is not what the next start begins with
    served.world.kill_agent();
    let port = served.server.port;
    drop(std::mem::replace(&mut served.server, BundleServer::start(&served.world.path("q"), 0)));
    served.world.start_agent();
    served.expect("good");
    served.world.await_said("no bundle came: the policies before stay in force", 1);
    // and when the server is back, it is heard
    served.server = BundleServer::start(&served.world.path("q"), port);
    served.give(&served.signed("better"));
    served.world.await_said(IN_FORCE, 1);
    served.expect("better");
    assert_eq!(served.world.stop_agent(), Some(0));
    served.log();
    served.world.verify().assert_intact(&["UNCLEAN-END"]);
}

impl Served {
    /// Well signed, and no policy.
    fn well_signed(&self, rule: &str) -> Vec<u8> {
        let mut files = set("evil");
        files[1].1 = format!("package sealtail.a\n\n{rule}");
        pack(&self.signer.signed(&files, &json!({})))
    }
}

#[test]
fn no_line_is_chained_before_the_first_bundle() {
    let mut served = Served::new();
    served.world.append("waits\n");
    served.world.start_agent();
    assert_eq!(served.world.await_agent_end(), Some(1));
    let log = served.log();
    assert!(log.contains("503 Service Unavailable; no good bundle was kept here"), "{log}");
    served.give(&set("unsigned"));
    served.world.start_agent();
    assert_eq!(served.world.await_agent_end(), Some(1));
    let place = format!("https://localhost:{}: is not signed", served.server.port);
    assert!(served.log().contains(&place), "{}", served.log());
    assert!(served.world.archive().is_empty());
    served.give(&served.signed("one"));
    served.world.start_agent();
    served.world.await_archived(1);
    assert_eq!(ids(&shown(&served.world)[0]), ["one"]);
}

#[test]
fn a_new_key_is_taken_up_whether_it_or_its_bundle_comes_first() {
    let mut served = Served::new();
    served.give(&served.signed("one"));
    served.world.start_agent();
    served.expect("one");
    // the bundle first
    served.signer = Signer::ed25519();
    served.give(&served.signed("two"));
    served.world.await_said(REFUSED, 1);
    served.expect("one");
    put(&served.world.path("bundle.pub"), served.signer.public().as_bytes());
    served.world.await_said(IN_FORCE, 1);
    served.expect("two");
    // the key first
    let refused = served.world.said(REFUSED);
    served.signer = Signer::p256();
    put(&served.world.path("bundle.pub"), served.signer.public().as_bytes());
    served.world.await_said(REFUSED, refused + 1);
    served.expect("two");
    served.give(&served.signed("three"));
    served.world.await_said(IN_FORCE, 2);
    served.expect("three");
    // while it was stopped: what was kept is not good any more, what the server has is
    assert_eq!(served.world.stop_agent(), Some(0));
    served.signer = Signer::p256();
    put(&served.world.path("bundle.pub"), served.signer.public().as_bytes());
    served.give(&served.signed("four"));
    served.world.start_agent();
    served.expect("four");
    assert_eq!(served.world.stop_agent(), Some(0));
    served.world.verify().assert_intact(&[]);
}

#[test]
fn a_bundle_that_a_local_test_refused_is_tried_again_when_the_test_is_mended() {
    let mut served = Served::new();
    let test = |served: &Served, what: &str| {
        fs::create_dir_all(served.world.path("local")).unwrap();
        let text = format!("package sealtail.local_test\n\ntest_x if {what}\n");
        put(&served.world.path("local/local_test.rego"), text.as_bytes());
    };
    test(&served, "data.sealtail.x == 1");
    served.world.configure(|config| config.replace("[policy]\n", "[policy]\npaths = [\"../local\"]\n"));
    served.give(&served.signed("one"));
    served.world.start_agent();
    served.expect("one");
    let mut two = set("two");
    two[2].1 = "{\"x\":2}".to_owned();
    served.give(&served.signer.signed(&two, &json!({})));
    served.world.await_said(REFUSED, 1);
    served.expect("one");
    // the server says from now on that it has no other
    await_that("the refused one's ETag", || served.server.asked_again() >= 1);
    test(&served, "data.sealtail.x < 3");
    served.world.await_said(IN_FORCE, 1);
    served.expect("two");
    assert_eq!(served.world.stop_agent(), Some(0));
    served.log();
    served.world.verify().assert_intact(&[]);
}

#[test]
fn check_asks_the_server_and_offline_looks_at_what_was_kept() {
    let mut served = Served::new();
    let check = |served: &Served, more: &[&str]| {
        let output = run(&[&["check", "--config", &served.world.config()], more].concat());
        let said = text(&output);
        assert!(!said.contains(TOKEN) && !said.contains("in-the-query"), "{said}");
        (output.status.success(), said)
    };
    let (is_good, said) = check(&served, &[]);
    assert!(!is_good && said.contains("503"), "{said}");
    assert!(check(&served, &["--offline"]).0);
    served.give(&set("unsigned"));
    let (is_good, said) = check(&served, &[]);
    assert!(!is_good && said.contains("is not signed"), "{said}");
    served.give(&served.signed("one"));
    assert!(check(&served, &[]).0);
    for (from, to, why) in [
        (", cert = \"client.pem\", key = \"client.key\" } }", " } }", "the server wants a client certificate"),
        (
            "tls = { ca = \"ca.pem\", cert = \"client.pem\", key = \"client.key\" } }",
            "tls = { ca = \"../other.pem\" } }",
            "is not from the CA in",
        ),
    ] {
        let key = KeyPair::generate().unwrap();
        let other = CertificateParams::default().self_signed(&key).unwrap();
        fs::write(served.world.path("other.pem"), other.pem()).unwrap();
        served.world.configure(|config| config.replacen(from, to, 1));
        let (is_good, said) = check(&served, &[]);
        assert!(!is_good && said.contains(why), "{said}");
        served.world.configure(|config| config.replacen(to, from, 1));
    }
    served.world.start_agent();
    served.expect("one");
    served.world.kill_agent();
    fs::write(served.world.path("bundle.pub"), Signer::p256().public()).unwrap();
    let (is_good, said) = check(&served, &["--offline"]);
    assert!(!is_good && said.contains("not by the configured key"), "{said}");
}

#[test]
fn plain_http_is_for_loopback_and_a_server_without_etags_is_asked_too() {
    let mut world = World::new();
    let mut server = mockito::Server::new();
    let give = |server: &mut mockito::Server, id: &str| {
        server.reset();
        server.mock("GET", "/b.tar.gz").with_body(pack(&[("a.rego", rego("a", id))])).create()
    };
    give(&mut server, "one");
    world.configure_policy(&format!("bundle = {{ url = \"{}/b.tar.gz\", poll = \"1s\" }}", server.url()));
    world.start_receiver();
    world.start_agent();
    world.append("one\n");
    world.await_archived(1);
    server.reset();
    server.mock("GET", "/b.tar.gz").with_status(500).create();
    world.await_said("500 Internal Server Error", 2);
    // a redirect leads nowhere: it could lead to somebody else
    server.reset();
    server.mock("GET", "/b.tar.gz").with_status(302).with_header("Location", "http://127.0.0.1:1/").create();
    world.await_said("302 Found", 1);
    give(&mut server, "two");
    world.await_said(IN_FORCE, 1);
    world.append("two\n");
    world.await_archived(2);
    assert_eq!(world.stop_agent(), Some(0));
    let lines = shown(&world);
    assert_eq!((ids(&lines[0]), ids(&lines[1])), (vec!["one"], vec!["two"]));
}
