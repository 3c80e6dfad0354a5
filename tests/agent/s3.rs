//! An archive in S3: from the agent to SeaweedFS, and back through `verify s3://`.

use crate::bad_input::libfaketime;
use crate::weed::{ADMIN, AGENT, Weed};
use crate::world::{Report, World, run, sealtail, text};
use serde_json::{Value, json};
use std::process::Output;

const BUCKET: &str = "audit";

/// A world whose agent stores in the bucket too, in objects of a few segments.
fn world_with(weed: &Weed) -> World {
    let world = World::new();
    let at = |name: &str| weed.path(name).display().to_string();
    let (url, ca, cert, key, credentials) =
        (weed.url(), at("ca.pem"), at("client.pem"), at("client.key"), at("agent.credentials"));
    let table = format!(
        r#"
[[target]]
name = "worm"
type = "s3"
url = "{url}"
region = "us-east-1"
bucket = "{BUCKET}"
prefix = "production/logs"
path_style = true
object_lock = {{ mode = "compliance", retain = "30d" }}
credentials_file = "{credentials}"
batch = {{ max_size = "64KiB", max_age = "10ms" }}
tls = {{ ca = "{ca}", cert = "{cert}", key = "{key}" }}
"#
    );
    world.configure(|config| config.replacen("\n[telemetry]", &format!("{table}\n[telemetry]"), 1));
    world
}

/// `verify`, with what AWS' own tools take from the environment.
fn verify(world: &World, weed: &Weed, place: &str, more: &[&str], (access, secret): (&str, &str)) -> Output {
    let at = |name: &str| weed.path(name).display().to_string();
    let (cert, key, identity, host) =
        (at("client.pem"), at("client.key"), world.text_path("q/auditor.key"), world.text_path("q/host.pub"));
    let args =
        ["verify", place, "--identity", &identity, "--host-key", &host, "--client-cert", &cert, "--client-key", &key];
    sealtail(&[&args, more].concat())
        .env("AWS_ENDPOINT_URL_S3", weed.url())
        .env("AWS_CA_BUNDLE", weed.path("ca.pem"))
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", access)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .output()
        .unwrap()
}

fn report(world: &World, weed: &Weed, place: &str) -> Report {
    let output = verify(world, weed, place, &["--json"], ADMIN);
    let lines = String::from_utf8(output.stdout.clone()).unwrap();
    let mut findings: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let result = findings.pop().unwrap_or_else(|| panic!("{}", text(&output)));
    Report { exit: output.status.code().unwrap(), findings, result }
}

#[test]
fn an_archive_in_s3_is_intact_until_somebody_tries_to_change_it() {
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    let Some(weed) = Weed::start(&host) else { return };
    weed.make_bucket(BUCKET);
    let mut world = world_with(&weed);
    world.start_receiver();
    let checked = run(&["check", "--config", &world.config()]);
    assert!(checked.status.success(), "{}", text(&checked));
    if let Some(library) = libfaketime() {
        let mut late = sealtail(&["check", "--config", &world.config()]);
        late.env("LD_PRELOAD", library).env("FAKETIME", "+1h").env("DONT_FAKE_MONOTONIC", "1");
        let told = text(&late.output().unwrap());
        assert!(told.contains("RequestTimeTooSkewed") && told.contains("set this host's clock"), "{told}");
    }
    for part in 0..3 {
        // each run is a stream of its own
        world.append((0..1_000).map(|n| format!("line {part} {n}\n")).collect::<String>());
        let ran = world.run_once();
        assert!(ran.status.success(), "{}", text(&ran));
    }
    let (stored, received) = (report(&world, &weed, "s3://audit/production/logs"), world.verify());
    stored.assert_intact(&[]);
    assert_eq!((&stored.result, &stored.result["log_lines"]), (&received.result, &json!(3_000)));
    let told = verify(&world, &weed, "s3://audit/production/logs/", &[], ADMIN);
    assert!(text(&told).contains("intact: "), "{}", text(&told));
    assert!(text(&told).contains("the first retention in bucket audit ends at 20"), "{}", text(&told));

    let listed = weed.ask(ADMIN, json!([["list_object_versions", { "Bucket": BUCKET }]])).remove(0);
    let objects = listed["Versions"].as_array().unwrap();
    assert!(objects.len() >= 3, "{listed:#?}");
    let key = |number: usize| objects[number]["Key"].as_str().unwrap().to_owned();
    let version = |number: usize| objects[number]["VersionId"].as_str().unwrap().to_owned();
    let tried = weed.ask(
        ADMIN,
        json!([
            ["put_object", { "Bucket": BUCKET, "Key": key(0), "Body": "forged" }],
            ["delete_object", { "Bucket": BUCKET, "Key": key(1), "VersionId": version(1) }],
            ["delete_bucket_policy", { "Bucket": BUCKET }],
            ["delete_object", { "Bucket": BUCKET, "Key": key(1), "VersionId": version(1) }],
            ["delete_object", { "Bucket": BUCKET, "Key": key(2) }],
        ]),
    );
    assert!(tried[1]["error"] == "AccessDenied" && tried[3]["error"] == "AccessDenied", "{tried:#?}");
    let (forged, marker) = (tried[0]["VersionId"].as_str().unwrap(), tried[4]["VersionId"].as_str().unwrap());

    let changed = report(&world, &weed, "s3://audit/production/logs");
    assert_eq!(changed.exit, 1);
    // nothing else is wrong: what was stored first is still there, and was checked
    let mut alarms: Vec<&Value> = changed.findings.iter().filter(|finding| finding["weight"] == "alarm").collect();
    alarms.sort_by_key(|alarm| alarm["detail"].as_str());
    let [over, deleted] = &alarms[..] else { panic!("{changed:#?}") };
    for (alarm, number, word, id) in
        [(over, 0, "overwritten with other bytes", forged), (deleted, 2, "deleted: marker", marker)]
    {
        let detail = alarm["detail"].as_str().unwrap();
        let parts = [format!("s3://audit/{}: {word}", key(number)), id.to_owned(), version(number), "owner".to_owned()];
        assert!(alarm["finding"] == "STORE-MUTATED" && parts.iter().all(|part| detail.contains(part)), "{alarm}");
        assert!(alarm["host"] == host && key(number).contains(alarm["stream"].as_str().unwrap()), "{alarm}");
    }
    assert_eq!(changed.result["lines"], stored.result["lines"]);

    // findings of the lines name the place in the store
    let one = verify(&world, &weed, &format!("s3://audit/{}", key(1)), &["--json"], ADMIN);
    assert!(!text(&one).contains("sealtail-verify-"), "{}", text(&one));
}

// what was put before a bucket had versioning has the version "null"; what is put over it afterwards is the newest
#[test]
fn the_oldest_version_is_fetched_where_its_id_is_null() {
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    let Some(weed) = Weed::start(&host) else { return };
    weed.ask(ADMIN, json!([["create_bucket", { "Bucket": BUCKET }]]));
    let mut world = world_with(&weed);
    let lock = r#"object_lock = { mode = "compliance", retain = "30d" }"#;
    world.configure(|config| config.replace(lock, r#"object_lock = { mode = "none-the-archive-can-be-deleted" }"#));
    world.start_receiver();
    world.append((0..100).map(|n| format!("line {n}\n")).collect::<String>());
    assert!(world.run_once().status.success());
    let before = report(&world, &weed, "s3://audit/production/logs");
    before.assert_intact(&[]);
    let key = weed.ask(ADMIN, json!([["list_object_versions", { "Bucket": BUCKET }]]))[0]["Versions"][0]["Key"].clone();
    let versioning = json!({ "Bucket": BUCKET, "VersioningConfiguration": { "Status": "Enabled" } });
    let put = json!({ "Bucket": BUCKET, "Key": key, "Body": "forged" });
    weed.ask(ADMIN, json!([["put_bucket_versioning", versioning], ["put_object", put]]));
    let after = report(&world, &weed, "s3://audit/production/logs");
    let alarms: Vec<&Value> = after.findings.iter().filter(|finding| finding["weight"] == "alarm").collect();
    let [alarm] = &alarms[..] else { panic!("{after:#?}") };
    assert_eq!(alarm["finding"], "STORE-MUTATED");
    assert!(alarm["detail"].as_str().unwrap().contains("checked is what was stored first: version null"), "{alarm}");
    assert_eq!(after.result["lines"], before.result["lines"]);
}

#[test]
fn what_cannot_be_read_is_said_with_its_mend() {
    let Some(weed) = Weed::start("web-1") else { return };
    weed.make_bucket(BUCKET);
    let world = World::new();
    let cases = [
        ("s3://nowhere/logs", ADMIN, "NoSuchBucket"),
        ("s3://audit/logs", ADMIN, "s3://audit/logs: holds no file of an archive"),
        ("s3://audit/logs", (AGENT.0, "guessed"), "give the right access key and secret key"),
        ("s3://audit/../logs", ADMIN, "write s3://bucket/prefix"),
        ("s3://", ADMIN, "write s3://bucket/prefix"),
    ];
    for (place, who, what) in cases {
        let output = verify(&world, &weed, place, &[], who);
        assert!(output.status.code() == Some(2) && text(&output).contains(what), "{place}: {}", text(&output));
        assert!(!text(&output).contains("guessed"), "{}", text(&output));
    }
}

#[test]
fn a_verification_that_is_ended_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    // it hears, and never answers
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let mut verifying = sealtail(&["verify", "s3://audit/logs"])
        .env("TMPDIR", folder.path())
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .spawn()
        .unwrap();
    let _connection = silent.accept().unwrap();
    let fetched_to = || std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(fetched_to(), 1);
    let pid = rustix::process::Pid::from_child(&verifying);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!((verifying.wait().unwrap().code(), fetched_to()), (Some(130), 0));
}
