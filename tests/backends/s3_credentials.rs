//! Credentials come from where AWS' own tools look: environment, profile, web identity, instance.

use crate::conformance::HOST;
use crate::s3::Prefix;
use crate::terminator::terminate;
use crate::weed::AGENT;
use std::path::{Path, PathBuf};
use std::process::Command;

const EXPIRATION: &str = "2035-01-01T00:00:00Z";

/// Each way, by `sealtail check`, which asks the store.
pub(crate) async fn come_from_where_aws_tools_look(place: &Prefix<'_>) {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), place);
    let (access, secret) = AGENT;
    let check = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealtail"));
        command.args(["check", "--config"]).arg(&config).env_clear().env("HOME", folder.path());
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let nowhere = ("AWS_EC2_METADATA_DISABLED", "true");
    let is_good = |how: &str, (good, text): (bool, String)| assert!(good && text.contains(": good"), "{how}: {text}");

    let (good, text) = check(&[nowhere]);
    assert!(!good && text.contains("environment, profile, web identity"), "{text}");
    let keys = [("AWS_ACCESS_KEY_ID", access), ("AWS_SECRET_ACCESS_KEY", secret)];
    is_good("environment", check(&keys));
    let (good, text) = check(&[keys[0], ("AWS_SECRET_ACCESS_KEY", "guessed-by-somebody")]);
    assert!(!good && text.contains("SignatureDoesNotMatch") && !text.contains("guessed-by-somebody"), "{text}");

    let profiles = format!("[other]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n");
    let file = folder.path().join("profiles");
    std::fs::write(&file, profiles).unwrap();
    let file = file.to_str().unwrap();
    is_good("profile", check(&[nowhere, ("AWS_SHARED_CREDENTIALS_FILE", file), ("AWS_PROFILE", "other")]));

    let mut service = mockito::Server::new_async().await;
    let token = folder.path().join("token");
    std::fs::write(&token, "the-token-of-the-pod").unwrap();
    let sts = format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{access}</AccessKeyId>\
         <SecretAccessKey>{secret}</SecretAccessKey><SessionToken></SessionToken><Expiration>{EXPIRATION}</Expiration>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    );
    let body = mockito::Matcher::Regex("WebIdentityToken=the-token-of-the-pod".into());
    let assumed = service.mock("POST", "/").match_body(body).with_body(sts).create_async().await;
    let tls = folder.path().join("sts");
    std::fs::create_dir(&tls).unwrap();
    let tls13 = &rustls::version::TLS13;
    let outside =
        terminate(&place.weed.authority, &tls, tls13, &["http/1.1"], service.socket_address()).await.to_string();
    is_good(
        "web identity",
        check(&[
            nowhere,
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/audit"),
            ("AWS_ENDPOINT_URL_STS", &format!("https://{outside}")),
        ]),
    );
    assumed.assert_async().await;

    let session = service.mock("PUT", "/latest/api/token").with_header("x-aws-ec2-metadata-token-ttl-seconds", "600");
    let _session = session.with_body("session").create_async().await;
    let roles = "/latest/meta-data/iam/security-credentials";
    let _extended =
        service.mock("GET", mockito::Matcher::Regex("-extended".into())).with_status(404).create_async().await;
    let _role = service.mock("GET", format!("{roles}/").as_str()).with_body("audit").create_async().await;
    let keys = format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"{access}","SecretAccessKey":"{secret}","Token":"","Expiration":"{EXPIRATION}","LastUpdated":"2026-01-01T00:00:00Z"}}"#
    );
    let told = service.mock("GET", format!("{roles}/audit").as_str()).with_body(keys).create_async().await;
    is_good("instance", check(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &service.url())]));
    told.assert_async().await;
}

/// Of an agent whose only target is the bucket, without a word of credentials.
fn write_config(folder: &Path, place: &Prefix<'_>) -> PathBuf {
    let made = Command::new(env!("CARGO_BIN_EXE_sealtail"))
        .args(["keys", "host", "--out"])
        .arg(folder.join("host.key"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let recipient = age::x25519::Identity::generate().to_public();
    let at = |name: &str| place.weed.path(name).display().to_string();
    let (name, url, ca, cert, key) =
        (&place.config.bucket, place.weed.url(), at("ca.pem"), at("client.pem"), at("client.key"));
    let text = format!(
        r#"
[host]
name = "{HOST}"
key = "host.key"
[auditors]
recipients = ["{recipient}"]
[[source]]
type = "stdin"
[spool]
dir = "spool"
[[target]]
name = "s3"
type = "s3"
url = "{url}"
region = "us-east-1"
bucket = "{name}"
path_style = true
object_lock = {{ mode = "compliance", retain = "2d" }}
tls = {{ ca = "{ca}", cert = "{cert}", key = "{key}" }}
"#
    );
    let path = folder.join("sealtail.toml");
    std::fs::write(&path, text).unwrap();
    path
}
