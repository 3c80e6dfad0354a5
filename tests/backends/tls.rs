//! What is asked of a server before it gets a line, and the way there.

use crate::conformance::{HOST, Place, is_put_off, is_stored, next};
use crate::pki::Authority;
use crate::receiver::Receiver;
use crate::stream::Stream;
use crate::terminator::{proxy, terminate};
use base64::prelude::*;
use rustls::version::TLS12;
use sealtail::forward::{self, Proxy};
use sealtail::record::Secret;
use sealtail::tls::Version;
use sha2::{Digest, Sha256};
use std::fs;
use x509_parser::pem::parse_x509_pem;

/// Why a batch is not stored, or none if it is.
async fn refusal(receiver: &Receiver) -> Option<String> {
    let mut target = forward::open(&receiver.target(), HOST).unwrap();
    let upload = next(&mut Stream::begin(HOST), 2);
    match target.store(&upload).await {
        forward::Outcome::Stored(_) => None,
        forward::Outcome::Later { why, .. } => Some(why),
        other @ forward::Outcome::Refused { .. } => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_says(refusal: Option<String>, what: &str) {
    assert!(refusal.as_ref().is_some_and(|why| why.contains(what)), "{what}: {refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_must_have_the_name_that_is_asked_for() {
    let mut receiver = Receiver::start().await;
    receiver.tls.server_name = Some("localhost".try_into().unwrap());
    assert_eq!(refusal(&receiver).await, None);
    receiver.tls.server_name = Some("archive.internal".try_into().unwrap());
    assert_says(refusal(&receiver).await, "for another name than the url's");
    receiver.tls.server_name = None;
    assert_eq!(refusal(&receiver).await, None);
    assert_eq!(receiver.holds().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_key_is_the_only_one_that_is_spoken_to() {
    let mut receiver = Receiver::start().await;
    let pem = fs::read(receiver.path("server.pem")).unwrap();
    let (_, pem) = parse_x509_pem(&pem).unwrap();
    let key = Sha256::digest(pem.parse_x509().unwrap().public_key().raw);
    let shown = format!("sha256//{}", BASE64_STANDARD.encode(key));
    let other = format!("sha256//{}", BASE64_STANDARD.encode([7; 32]));
    receiver.tls.pins = vec![other.parse().unwrap()];
    let why = refusal(&receiver).await;
    assert_says(why.clone(), "shows another key");
    assert_says(why, &shown);
    receiver.tls.pins.push(shown.parse().unwrap());
    assert_eq!(refusal(&receiver).await, None);
    for wrong in ["sha256//AAAA", "sha1//AAAA", "", "sha256//!"] {
        assert!(wrong.parse::<sealtail::tls::Pin>().is_err(), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_server_gets_nothing_once_the_list_says_so() {
    let mut receiver = Receiver::start().await;
    let list = receiver.path("revoked.pem");
    receiver.tls.crls = vec![list.clone()];
    fs::write(&list, receiver.authority.crl(&[], 7)).unwrap();
    let mut target = forward::open(&receiver.target(), HOST).unwrap();
    let mut stream = Stream::begin(HOST);
    is_stored(&mut target, &next(&mut stream, 2)).await;
    fs::write(&list, receiver.authority.crl(&[5.into()], 7)).unwrap();
    target.reload();
    let upload = next(&mut stream, 2);
    let why = is_put_off(&mut target, &upload).await;
    assert!(why.contains("revoked, by a list in tls.crl"), "{why}");
    // a list that is overdue counts, and one of an authority that has signed nothing says nothing
    fs::write(&list, receiver.authority.crl(&[], -1)).unwrap();
    target.reload();
    is_stored(&mut target, &upload).await;
    fs::write(&list, Authority::named("another").crl(&[], 7)).unwrap();
    target.reload();
    let why = is_put_off(&mut target, &next(&mut stream, 2)).await;
    assert!(why.contains("has no list in tls.crl"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_is_spoken_where_it_is_asked_for() {
    let mut receiver = Receiver::start().await;
    let mut plain = mockito::Server::new_async().await;
    let put = plain.mock("PUT", mockito::Matcher::Any).with_status(503).create_async().await;
    let plain = plain.socket_address();
    let address = terminate(&receiver.authority, receiver.path("").as_path(), &TLS12, &["http/1.1"], plain).await;
    receiver.url = format!("https://{address}");
    assert_says(refusal(&receiver).await, "does not speak TLS 1.3");
    receiver.tls.min_version = Version::Tls12;
    assert_says(refusal(&receiver).await, "503");
    put.assert_async().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_asked_for_a_tunnel_and_told_who_asks() {
    let mut receiver = Receiver::start().await;
    // printf 'agent:s3cret' | base64
    let way = receiver.url.strip_prefix("https://").unwrap().parse().unwrap();
    let (address, heads) = proxy("YWdlbnQ6czNjcmV0", way).await;
    // only the proxy can tell where that is, and it is not what the certificate says
    receiver.url = "https://archive.internal:7443".into();
    receiver.tls.server_name = Some("localhost".try_into().unwrap());
    receiver.proxy = Some(Proxy { url: format!("http://{address}"), login: None });
    let why = refusal(&receiver).await;
    assert_says(why, "the proxy wants");
    receiver.proxy.as_mut().unwrap().login = Some(("agent".into(), Secret::new("s3cret")));
    assert!(!format!("{:?}", receiver.target()).contains("s3cret"));
    assert_eq!(refusal(&receiver).await, None);
    let heads = heads.lock().unwrap();
    let connect = "CONNECT archive.internal:7443 HTTP/1.1";
    assert!(heads.len() == 2 && heads.iter().all(|head| head.starts_with(connect)), "{heads:?}");
    assert_eq!(receiver.holds().len(), 1);
}
