//! OPA bundles: what is in them counts as it would in OPA, and one with anything wrong is refused as a whole.

use crate::pack::{Files, pack, policy_digest, rego};
use crate::sign::Signer;
use crate::{err, out, policy};
use base64::prelude::*;
use sealtail::policy::bundle::{Keys, Verify};
use sealtail::policy::{Candidate, Config, PolicySet};
use sealtail::record::Secret;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

fn files() -> Vec<(&'static str, String)> {
    vec![
        (".manifest", r#"{"rego_version": 1, "revision": "7", "roots": ["sealtail/a", "names"]}"#.to_owned()),
        ("sealtail/a/a.rego", rego("a", "x")),
        ("names/data.json", r#"{"b": {"c": [1.50, "é"]}}"#.to_owned()),
        ("names/more/data.yaml", "{\"of\": [\"one\", 2]}\n".to_owned()),
        (
            "sealtail/a/a_test.rego",
            "package sealtail.a_test\n\ntest_data if data.names.more.of == [\"one\", 2]\n".to_owned(),
        ),
        ("README", "not for the engine".to_owned()),
    ]
}

/// The roots let no test package in that is not below sealtail/a.
fn sound() -> Vec<(&'static str, String)> {
    let mut files = files();
    files[4].1 = files[4].1.replace("sealtail.a_test", "sealtail.a.checks");
    files
}

/// Loads bundles as an agent does, with the key if any.
fn load(bundles: &[&Files<'_>], verify: Option<Verify>) -> Result<PolicySet, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = |n: usize| dir.path().join(format!("{n}.tar.gz"));
    for (n, files) in bundles.iter().enumerate() {
        fs::write(path(n), pack(files)).unwrap();
    }
    let paths = (0..bundles.len()).map(path).collect();
    let loaded = Candidate::read(&Config { paths, verify, ..Config::default() }, None).compile_tested();
    loaded.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn why(bundles: &[&Files<'_>]) -> String {
    load(bundles, None).map(|_| ()).unwrap_err()
}

fn changed(at: usize, text: &str) -> Vec<(&'static str, String)> {
    let mut files = sound();
    files[at].1 = text.to_owned();
    files
}

#[test]
fn a_bundle_is_checked_and_tested_by_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bundle.tar.gz");
    let text = path.to_str().unwrap();
    fs::write(&path, pack(&sound())).unwrap();
    let checked = policy(&["check", text]);
    assert!(checked.status.success(), "{}", err(&checked));
    assert!(out(&checked).contains("1 packages, 1 rules: no fault"));
    assert!(out(&policy(&["test", text])).contains("PASS: 1/1"));
    fs::write(&path, pack(&changed(1, "package sealtail.a\n\nverdicts contains {"))).unwrap();
    let checked = policy(&["check", text]);
    assert!(!checked.status.success());
    assert!(err(&checked).contains("bundle.tar.gz/sealtail/a/a.rego:3:"), "{}", err(&checked));
    fs::write(&path, "no bundle").unwrap();
    assert!(err(&policy(&["check", text])).contains("no whole gzip file"));
}

#[test]
fn the_digest_is_that_of_the_files_as_a_folder_has_them() {
    let all = sound();
    let in_force: Vec<(&str, String)> = all.iter().filter(|(name, _)| *name != "README").cloned().collect();
    let digest = |files: &Files<'_>| BASE64_URL_SAFE_NO_PAD.encode(load(&[files], None).unwrap().digest());
    assert_eq!(digest(&all), policy_digest(&in_force));
    // tests are not in force; what the manifest says is
    assert_eq!(digest(&changed(4, "package sealtail.a.checks\n\ntest_other if true\n")), digest(&all));
    assert_ne!(digest(&changed(0, &all[0].1.replace('7', "8"))), digest(&all));
    assert_ne!(digest(&changed(2, r#"{"b": 1}"#)), digest(&all));
}

#[test]
fn what_stands_outside_of_the_roots_refuses_the_bundle() {
    let why_not = why(&[&files()]);
    assert!(why_not.contains("a_test.rego: its package is outside of the manifest's roots: sealtail/a"), "{why_not}");
    let mut elsewhere = sound();
    elsewhere.push(("other/data.json", r#"{"x": 1}"#.to_owned()));
    assert!(why(&[&elsewhere]).contains("holds data at \"other\""));
    assert!(why(&[&changed(0, r#"{"roots": ["sealtail", "names", "sealtail/a"]}"#)]).contains("overlap"));
}

#[test]
fn two_bundles_may_not_own_the_same() {
    let other = |root: &str, package: &str| {
        vec![(".manifest", format!("{{\"roots\": [\"{root}\"]}}")), ("b.rego", rego(package, "y"))]
    };
    assert_eq!(load(&[&sound(), &other("sealtail/b", "b")], None).unwrap().packages().count(), 2);
    let why_not = why(&[&sound(), &other("sealtail/a/deeper", "a.deeper")]);
    assert!(why_not.contains("\"sealtail/a\" and \"sealtail/a/deeper\" of"), "{why_not}");
    assert!(why(&[&sound(), &[("b.rego", rego("b", "y"))]]).contains("give each bundle roots of its own"));
}

#[test]
fn a_bundle_without_a_policy_does_not_silence_those_before() {
    for files in [vec![], vec![sound()[2].clone()], vec![sound()[4].clone()]] {
        assert!(why(&[&files]).contains("hold no policy"), "{files:?}");
    }
    assert!(load(&[], None).is_ok(), "nothing is configured");
}

#[test]
fn what_cannot_be_run_here_is_said() {
    let with = |name: &'static str, text: &str| {
        let mut files = sound();
        files.push((name, text.to_owned()));
        why(&[&files])
    };
    assert!(with("policy.wasm", "\0asm").contains("opa build -t rego"));
    assert!(with("patch.json", "{}").contains("delta bundle"));
    assert!(with("names/.manifest", "{}").contains("second manifest"));
    assert!(why(&[&[("a.rego", rego("a", "x")), ("data.json", "[1]".to_owned())]]).contains("must hold an object"));
    assert!(with("names/bad/data.yaml", "a: &x 1\nb: *x\n").contains("data.yaml:2:1: aliases"));
    assert!(with("names/b/data.json", r#"{"c": 1}"#).contains("data.json"), "two documents at one place");
    assert!(why(&[&changed(4, "package sealtail.a.checks\n\ntest_no if data.names.b == 1\n")]).contains("test_no is"));
}

/// Keys in a folder, and a configuration that wants them.
struct Auditors {
    dir: tempfile::TempDir,
}

impl Auditors {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn key(&self, name: &str, signer: &Signer) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, signer.public()).unwrap();
        path
    }
}

fn one(path: &Path) -> Option<Verify> {
    Some(Verify { keys: Keys::One(path.to_owned()), key_id: None, scope: String::new() })
}

fn verdict(files: &Files<'_>, verify: Option<Verify>) -> String {
    load(&[files], verify).map_or_else(|why| why, |_| "good".to_owned())
}

#[test]
fn a_signed_bundle_is_taken_with_each_kind_of_key() {
    let auditors = Auditors::new();
    for signer in [Signer::rsa(), Signer::p256(), Signer::p384(), Signer::ed25519()] {
        let verify = one(&auditors.key("bundle.pub", &signer));
        assert_eq!(verdict(&signer.signed(&sound(), &json!({})), verify), "good", "{}", signer.algorithm());
    }
    let secret = "shared-by-two";
    let verify =
        |secret: &str| Some(Verify { keys: Keys::Secret(Secret::new(secret)), key_id: None, scope: String::new() });
    let signed = Signer::Secret(secret.into()).signed(&sound(), &json!({}));
    assert_eq!(verdict(&signed, verify(secret)), "good");
    assert!(verdict(&signed, verify("another")).contains("not by the configured key"));
    assert!(!format!("{:?}", verify(secret)).contains(secret));
}

#[test]
fn whatever_was_changed_after_signing_refuses_the_bundle() {
    let (auditors, signer) = (Auditors::new(), Signer::p256());
    let key = auditors.key("bundle.pub", &signer);
    let signed = signer.signed(&sound(), &json!({}));
    for (at, (name, _)) in signed.iter().enumerate() {
        let mut tampered = signed.clone();
        tampered[at].1.push(' ');
        let found = verdict(&tampered, one(&key));
        // white space is no change of a document, and none of the list of signatures
        let is_document = name.contains("data.") || name.starts_with('.');
        let expected = if is_document { "good" } else { "is not what was signed" };
        assert!(found.contains(expected), "{name}: {found}");
        let mut lacking = signed.clone();
        lacking.remove(at);
        let found = verdict(&lacking, one(&key));
        let expected = if *name == ".signatures.json" { "is not signed" } else { "lacks" };
        assert!(found.contains(expected), "{name}: {found}");
    }
    let mut changed = signed.clone();
    changed[2].1 = changed[2].1.replace("1.50", "1.5");
    assert!(verdict(&changed, one(&key)).contains("names/data.json\" is not what was signed"));
    let mut more = signed.clone();
    more.push(("sealtail/a/more.rego", rego("a", "more")));
    assert!(verdict(&more, one(&key)).contains("more.rego\" was not signed"));
    // without a configured key a signature is a file like others
    assert_eq!(verdict(&signed, None), "good");
}

#[test]
fn a_signature_counts_by_its_key_its_algorithm_and_its_scope_only() {
    let (auditors, signer, other) = (Auditors::new(), Signer::p256(), Signer::p256());
    let key = auditors.key("bundle.pub", &signer);
    assert!(verdict(&other.signed(&sound(), &json!({})), one(&key)).contains("not by the configured key"));
    let rsa = Signer::rsa();
    assert!(
        verdict(&rsa.signed(&sound(), &json!({})), one(&key)).contains("\"RS256\", which the configured key is not")
    );
    // the public key as an HMAC secret, and no algorithm at all
    let confused = Signer::Secret(signer.public());
    assert!(verdict(&confused.signed(&sound(), &json!({})), one(&key)).contains("\"HS256\", which"));
    let token = |header: Value| {
        let mut files = signer.signed(&sound(), &json!({}));
        let claims = claims_of(&files.last().unwrap().1);
        files.last_mut().unwrap().1 = json!({"signatures": [signer.token(&header, &claims)]}).to_string();
        verdict(&files, one(&key))
    };
    assert_eq!(token(json!({"alg": "ES256", "kid": "whatever"})), "good");
    assert!(token(json!({"alg": "none"})).contains("\"none\", which"));
    assert!(token(json!({"alg": "ES256", "crit": ["b64"], "b64": false})).contains("crit"));
    let scoped = signer.signed(&sound(), &json!({"scope": "write"}));
    assert!(verdict(&scoped, one(&key)).contains("the scope \"write\", not \"\""));
    let verify = one(&key).map(|verify| Verify { scope: "write".to_owned(), ..verify });
    assert_eq!(verdict(&scoped, verify), "good");
}

#[test]
fn of_several_keys_the_one_that_is_named_counts() {
    let (auditors, old, new) = (Auditors::new(), Signer::ed25519(), Signer::p256());
    let keys = [("2025", auditors.key("old.pub", &old)), ("2026", auditors.key("new.pub", &new))];
    let verify = |key_id: Option<&str>| {
        let keys = keys.iter().map(|(id, path)| ((*id).to_owned(), path.clone())).collect();
        Some(Verify { keys: Keys::ById(keys), key_id: key_id.map(str::to_owned), scope: String::new() })
    };
    let by = |signer: &Signer, id: &str| signer.signed(&sound(), &json!({"keyid": id}));
    assert_eq!(verdict(&by(&old, "2025"), verify(None)), "good");
    assert_eq!(verdict(&by(&new, "2026"), verify(None)), "good");
    assert!(verdict(&by(&new, "2025"), verify(None)).contains("\"ES256\", which the configured key"));
    assert!(verdict(&by(&old, "2024"), verify(None)).contains("\"2024\", which is not among"));
    assert!(verdict(&new.signed(&sound(), &json!({})), verify(None)).contains("names no key"));
    assert_eq!(verdict(&by(&new, "2024"), verify(Some("2026"))), "good");
    assert!(verdict(&by(&old, "2025"), verify(Some("2026"))).contains("\"EdDSA\", which"));
}

fn claims_of(signatures: &str) -> Value {
    let signatures: Value = serde_json::from_str(signatures).unwrap();
    let claims = signatures["signatures"][0].as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}
