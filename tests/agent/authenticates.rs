//! Who may ship, and to whom.

use crate::targets::{add_folder, archived};
use crate::world::{World, await_that, run, text};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use time::{Duration, OffsetDateTime};

/// A CA of the test's own, with a server and a client certificate, in place of quickstart's.
pub(crate) struct Pki {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn issue(&self, folder: &Path, role: &str, name: &str, valid_until: OffsetDateTime) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = OffsetDateTime::now_utc() - Duration::days(30);
        params.not_after = valid_until;
        fs::write(folder.join(format!("{role}.pem")), params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        fs::write(folder.join(format!("{role}.key")), key.serialize_pem()).unwrap();
    }
}

pub(crate) fn later() -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::days(30)
}

pub(crate) fn host_name(world: &World) -> String {
    let config = fs::read_to_string(world.config()).unwrap();
    config.lines().find_map(|line| line.strip_prefix("name = ")).unwrap().trim_matches('"').to_owned()
}

/// The agent tries; what it says contains `expected`, and nothing is stored.
fn refused(world: &mut World, expected: &str) {
    world.append("never stored\n");
    world.start_agent();
    await_that(expected, || world.agent_log().contains(expected));
    world.kill_agent();
    assert!(world.archive().is_empty());
}

#[test]
fn a_client_certificate_from_another_ca_is_refused() {
    let mut world = World::new();
    let name = host_name(&world);
    Pki::new().issue(&world.path("q"), "client", &name, later());
    world.start_receiver();
    refused(&mut world, "the server does not know the CA of our client certificate");
    assert!(
        world.receiver_log().contains("UnknownIssuer") || world.receiver_log().contains("not from"),
        "{}",
        world.receiver_log()
    );
}

#[test]
fn an_expired_or_foreign_client_certificate_is_found_before_anything_starts() {
    let world = World::new();
    let name = host_name(&world);
    let pki = Pki::new();
    pki.issue(&world.path("q"), "client", &name, OffsetDateTime::now_utc() - Duration::days(1));
    let expired = world.run_once();
    assert_eq!(expired.status.code(), Some(1));
    assert!(text(&expired).contains("client.pem: not valid now"), "{}", text(&expired));
    pki.issue(&world.path("q"), "client", "another-host", later());
    let foreign = world.run_once();
    assert_eq!(foreign.status.code(), Some(1));
    assert!(text(&foreign).contains("not for this host"), "{}", text(&foreign));
    let checked = run(&["check", "--offline", "--config", &world.config()]);
    assert!(text(&checked).contains("not for this host"), "{}", text(&checked));
}

#[test]
fn an_agent_that_runs_waits_for_a_certificate_and_its_other_targets_do_not() {
    let mut world = World::new();
    let (name, pki) = (host_name(&world), Pki::new());
    fs::create_dir(world.path("worm")).unwrap();
    add_folder(&world, "worm", false);
    pki.issue(&world.path("q"), "server", "localhost", later());
    pki.issue(&world.path("q"), "client", &name, OffsetDateTime::now_utc() - Duration::days(1));
    fs::write(world.path("q/ca.pem"), &pki.pem).unwrap();
    world.append("one\n");
    world.start_receiver();
    world.start_agent();
    await_that("it says what is wrong", || world.agent_log().contains("client.pem: not valid now"));
    await_that("the folder has the line", || archived(&world.path("worm")) == 1);
    assert!(world.archive().is_empty());
    pki.issue(&world.path("q"), "client", &name, later());
    await_that("the line is archived", || world.messages() == ["one"]);
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&[]);
}

#[test]
fn a_receiver_with_an_unknown_certificate_gets_nothing() {
    let mut world = World::new();
    let pki = Pki::new();
    pki.issue(&world.path("q"), "server", "localhost", later());
    world.start_receiver();
    refused(&mut world, "the server's certificate is not from the CA in tls.ca");
}

#[test]
fn a_receiver_that_speaks_only_tls_1_2_gets_nothing() {
    let mut world = World::new();
    let pki = Pki::new();
    pki.issue(&world.path("q"), "server", "localhost", later());
    fs::write(world.path("q/ca.pem"), &pki.pem).unwrap();
    let port = url_port(&world);
    let mut server = Command::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-tls1_2",
            "-accept",
            &port,
            "-cert",
            &world.text_path("q/server.pem"),
            "-key",
            &world.text_path("q/server.key"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    refused(&mut world, "the server does not speak TLS 1.3");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn a_plain_http_server_gets_nothing_readable() {
    let mut world = World::new();
    let port: u16 = url_port(&world).parse().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = vec![0; 4096];
        let count = stream.read(&mut seen).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        seen.truncate(count);
        seen
    });
    refused(&mut world, "is it plain http?");
    let seen = server.join().unwrap();
    assert!(!seen.windows(5).any(|window| window == b"never"));
    assert_eq!(seen.first(), Some(&0x16), "a TLS handshake is all it sees");
}

#[test]
fn a_plain_http_url_is_refused_with_its_place() {
    let world = World::new();
    world.configure(|config| config.replace("url = \"https://", "url = \"http://"));
    let output = world.run_once();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    assert!(said.contains("url") && said.contains("https"), "{said}");
}

#[test]
fn renewed_certificates_are_taken_up_without_a_restart() {
    let mut world = World::new();
    let name = host_name(&world);
    let pki = Pki::new();
    Pki::new().issue(&world.path("q"), "client", &name, later());
    pki.issue(&world.path("q"), "server", "localhost", later());
    fs::write(world.path("q/ca.pem"), &pki.pem).unwrap();
    world.append("waits for a certificate\n");
    world.start_receiver();
    world.start_agent();
    await_that("the first certificate is refused", || world.agent_log().contains("cannot deliver"));
    pki.issue(&world.path("q"), "client", &name, later());
    await_that("the line is archived", || world.messages() == ["waits for a certificate"]);
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&[]);
}

fn url_port(world: &World) -> String {
    let config = fs::read_to_string(world.config()).unwrap();
    let rest = config.split_once("url = \"https://localhost:").unwrap().1;
    rest.split('"').next().unwrap().to_owned()
}
