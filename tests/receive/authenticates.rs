//! Who is let in, and as whom.

use crate::pki::Authority;
use crate::stream::Stream;
use crate::world::World;
use reqwest::{Identity, tls};
use sealtail::chain::host_key::HostKey;
use sealtail::durable::Disk;
use sealtail::receive::Server;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn nobody_enters_without_a_certificate_of_the_ca() {
    let world = World::start().await;
    let mut stream = Stream::begin("web-1");
    let batch = stream.batch(1);
    let identity = |pem: &str| Identity::from_pem(pem.as_bytes()).unwrap();
    let expired = world.authority.expired_client("web-1", Duration::hours(1));
    let good = world.authority.client(&["web-1"]);
    let clients = [
        ("no certificate", world.builder()),
        ("another CA", world.builder().identity(identity(&Authority::new().client(&["web-1"])))),
        ("a CA of another name", world.builder().identity(identity(&Authority::named("another").client(&["web-1"])))),
        ("expired", world.builder().identity(identity(&expired))),
        ("TLS 1.2", world.builder().identity(identity(&good)).tls_version_max(tls::Version::TLS_1_2)),
    ];
    for (why, builder) in clients {
        let client = builder.build().unwrap();
        let answer = client.put(world.url(&stream.path(0))).body(batch.clone()).send().await;
        assert!(answer.is_err(), "{why}: {answer:?}");
    }
    assert_eq!(world.archived(), [""; 0]);
    assert_eq!(world.send(&stream, 0, &batch).await.status, 201);
}

#[tokio::test]
async fn a_certificate_speaks_for_the_hosts_it_names() {
    let world = World::start().await;
    let authority = &world.authority;
    for (identity, allowed) in [
        (authority.client(&["web-1"]), true),
        (authority.client(&["web-2", "web-1"]), true),
        (authority.client_with_uri("spiffe://example.org/host/web-1"), true),
        (authority.client(&["web-2"]), false),
        (authority.client(&["WEB-1"]), false),
        (authority.client(&["web-1.example.org"]), false),
        (authority.client(&["*.example.org"]), false),
        (authority.client_with_uri("spiffe://web-1"), false),
        (authority.client_with_uri("spiffe://example.org/web-1/other"), false),
        (authority.client(&[]), false),
    ] {
        let mut stream = Stream::begin("web-1");
        let before = world.archived();
        let answer = world.put(&world.client_with(&identity), &stream.path(0), &stream.batch(1)).await;
        if allowed {
            assert_eq!(answer.status, 201, "{answer:?}");
        } else {
            answer.expect(403, "not for web-1");
            assert_eq!(world.archived(), before);
        }
    }
}

#[tokio::test]
async fn a_refused_client_sees_its_answer_over_http_1_too() {
    let world = World::start().await;
    let identity = Identity::from_pem(world.authority.client(&["web-2"]).as_bytes()).unwrap();
    let client = world.builder().identity(identity).http1_only().build().unwrap();
    let stream = Stream::begin("web-1");
    world.put(&client, &stream.path(0), &vec![7; 6 << 20]).await.expect(403, "web-2");
}

#[tokio::test]
async fn what_is_not_tls_gets_nothing() {
    let world = World::start().await;
    let mut tcp = tokio::net::TcpStream::connect(world.address()).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    drop(tcp.read_to_end(&mut answer).await);
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn changed_certificates_are_taken_up() {
    let mut world = World::start().await;
    let stream = Stream::begin("web-1");
    let old = world.client("web-1");
    assert_eq!(world.ask(&old, reqwest::Method::GET, &stream.path(0)).await.status, 405);
    world.authority = Authority::new();
    world.authority.write_server_files(world.folder());
    for attempt in 0.. {
        let client = world.client("web-1");
        let Err(error) = client.get(world.url(&stream.path(0))).send().await else { break };
        assert!(attempt < 100, "{error:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_revoked_client_is_let_in_no_more_not_even_where_it_is_connected() {
    let mut world = World::prepare();
    let list = world.folder().join("revoked.pem");
    std::fs::write(&list, world.authority.crl(&[], 7)).unwrap();
    world.config.tls.crls = vec![list.clone()];
    world.run(Arc::new(Disk)).await;
    let stream = Stream::begin("web-1");
    let (identity, serial) = world.authority.revocable_client("web-1");
    let (revoked, other) = (world.client_with(&identity), world.client("web-1"));
    for client in [&revoked, &other] {
        assert_eq!(world.ask(client, reqwest::Method::GET, &stream.path(0)).await.status, 405);
    }
    std::fs::write(&list, world.authority.crl(&[serial], 7)).unwrap();
    for attempt in 0.. {
        let Err(error) = revoked.get(world.url(&stream.path(0))).send().await else {
            assert!(attempt < 100, "still let in");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            continue;
        };
        assert!(format!("{error:?}").contains("CertificateRevoked"), "{error:?}");
        break;
    }
    assert_eq!(world.ask(&other, reqwest::Method::GET, &stream.path(0)).await.status, 405);
    // a list that is gone changes nothing
    std::fs::write(&list, "").unwrap();
    assert_eq!(world.ask(&other, reqwest::Method::GET, &stream.path(0)).await.status, 405);
}

#[tokio::test]
async fn hosts_are_added_to_the_trust_file_while_it_runs() {
    let mut world = World::prepare();
    for name in ["one", "two"] {
        HostKey::generate_ed25519().unwrap().save_new(&world.folder().join(format!("{name}.key"))).unwrap();
    }
    let entry = |host: &str, key: &str| format!("[[host]]\nname = \"{host}\"\nkey = \"{key}.pub\"\n");
    let trust = world.folder().join("trust.toml");
    std::fs::write(&trust, entry("web-1", "one")).unwrap();
    world.config.trust = Some(trust.clone());
    world.run(Arc::new(Disk)).await;
    let key = HostKey::load(&world.folder().join("two.key")).unwrap();
    let mut stream = Stream::endorsed_by("web-2", &key);
    let batch = stream.batch(1);
    world.send(&stream, 0, &batch).await.expect(403, "UNENDORSED");
    std::fs::write(&trust, entry("web-1", "one") + &entry("web-2", "two")).unwrap();
    for attempt in 0.. {
        let answer = world.send(&stream, 0, &batch).await;
        if answer.status == 201 {
            break;
        }
        answer.expect(403, "UNENDORSED");
        assert!(attempt < 100, "{answer:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn wrong_files_are_named_at_the_start() {
    let mut world = World::prepare();
    let list = world.folder().join("revoked.pem");
    std::fs::write(&list, world.authority.crl(&[], 7)).unwrap();
    world.config.tls.crls = vec![list];
    let fault = async |what: &str| {
        let error = Server::bind(&world.config).await.unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    let set_mode = |mode| {
        std::fs::set_permissions(&world.config.tls.key, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(0o644);
    fault("chmod 600").await;
    set_mode(0o600);
    let swap = |name: &str, text: &str| {
        let path = world.folder().join(name);
        let old = std::fs::read(&path).unwrap();
        std::fs::write(&path, text).unwrap();
        move || std::fs::write(path, old).unwrap()
    };
    for (name, text, what) in [
        ("ca.pem", "", "ca.pem: no certificate in PEM"),
        ("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA", "ca.pem: damaged PEM"),
        ("server.pem", &world.authority.client(&["other"]), "don't work together"),
        ("server.key", "hello", "server.key: no private key"),
        ("revoked.pem", "hello", "revoked.pem: no revocation list in PEM"),
    ] {
        let put_back = swap(name, text);
        fault(what).await;
        put_back();
    }
    let _lock = Server::bind_on(&world.config, Arc::new(Disk)).await.unwrap();
    fault("another receiver").await;
}
