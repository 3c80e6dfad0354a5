//! `type = "https"` with `protocol = "generic"` against a store that knows `Idempotency-Key`, and against one with faults.

use crate::conformance::{HOST, is_put_off, is_stored, next};
use crate::pki::Authority;
use crate::receiver::write_client;
use crate::stream::Stream;
use crate::terminator::terminate;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use reqwest::Method as Verb;
use rustls::version::TLS13;
use sealtail::forward::{self, Backend, ClientFiles, Config, Format, GenericConfig, Kind, TlsConfig, Upload};
use sealtail::record::Secret;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// What came, by its idempotency key: method, path, encoding and body.
type Kept = Arc<Mutex<BTreeMap<String, (String, String, String, Vec<u8>)>>>;

/// Keeps what it is sent once; other bytes under the same key are a conflict.
async fn store(kept: Kept) -> SocketAddr {
    let take = async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        if headers.get("authorization").is_none_or(|value| value != "Bearer s3cret") {
            return StatusCode::UNAUTHORIZED;
        }
        if method == Method::OPTIONS {
            return StatusCode::METHOD_NOT_ALLOWED;
        }
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        assert_eq!(
            (text("content-type"), text("content-length")),
            ("application/x-ndjson".into(), body.len().to_string())
        );
        let coming = (method.to_string(), uri.to_string(), text("content-encoding"), body.to_vec());
        let mut kept = kept.lock().unwrap();
        match kept.get(&text("idempotency-key")) {
            Some(there) if *there == coming => StatusCode::OK,
            Some(_) => StatusCode::CONFLICT,
            None => {
                kept.insert(text("idempotency-key"), coming);
                StatusCode::CREATED
            }
        }
    };
    let router = axum::Router::new().fallback(take).layer(DefaultBodyLimit::disable());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A target of TLS in front of a server without it.
struct Front {
    folder: TempDir,
    config: GenericConfig,
}

impl Front {
    async fn of(plain: SocketAddr) -> Front {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let address = terminate(&authority, folder.path(), &TLS13, &["http/1.1"], plain).await;
        write_client(folder.path(), &authority.client(&[HOST]));
        let at = |name: &str| folder.path().join(name);
        let client = ClientFiles { cert: at("client.pem"), key: at("client.key") };
        let config = GenericConfig {
            url: format!(
                "https://{address}/hooks/p4th-t0ken/{{host}}/{{stream}}/{{first}}-{{last}}?name={{name}}&token=t0ken-of-ours"
            ),
            method: Verb::POST,
            headers: vec![("authorization".to_owned(), Secret::new("Bearer s3cret"))],
            format: Format::Ndjson,
            durable: true,
            tls: TlsConfig { ca: Some(at("ca.pem")), client: Some(client), ..TlsConfig::default() },
            proxy: None,
        };
        Front { folder, config }
    }

    fn target(&self) -> Box<dyn Backend> {
        let config = Config {
            name: "logs".into(),
            required: true,
            batch_max_size_bytes: 4 << 20,
            batch_max_age: Duration::from_secs(1),
            max_lag_bytes: None,
            kind: Kind::Generic(self.config.clone()),
        };
        assert!(!config.kind.place().contains("p4th") && !format!("{config:?}").contains("s3cret"));
        forward::open(&config, HOST).unwrap()
    }
}

fn path(upload: &Upload, ending: &str) -> String {
    let (stream, [first, last]) = (upload.batch.stream, upload.batch.seq);
    format!(
        "/hooks/p4th-t0ken/{HOST}/{stream}/{first}-{last}?name={HOST}/{stream}/{first:020}.{ending}&token=t0ken-of-ours"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_kept_once_under_its_name_and_never_replaced() {
    let kept = Kept::default();
    let mut front = Front::of(store(Arc::clone(&kept)).await).await;
    let (mut target, mut stream) = (front.target(), Stream::begin(HOST));
    target.probe().await.unwrap();
    let plain = next(&mut stream, 3000);
    // a lost answer, and a restart
    for _ in 0..2 {
        is_stored(&mut target, &plain).await;
        target = front.target();
    }
    front.config.format = Format::NdjsonZst;
    front.config.method = Verb::PUT;
    let packed = next(&mut stream, 2);
    is_stored(&mut front.target(), &packed).await;
    let lines = zstd::decode_all(&plain.bytes[..]).unwrap();
    let expected = [
        (format!("{HOST}/{}/0", stream.id), ("POST".into(), path(&plain, "ndjson"), String::new(), lines)),
        (
            format!("{HOST}/{}/{}", stream.id, packed.batch.seq[0]),
            ("PUT".into(), path(&packed, "ndjson.zst"), "zstd".into(), packed.bytes.to_vec()),
        ),
    ];
    assert_eq!(*kept.lock().unwrap(), BTreeMap::from(expected.clone()));
    // only in sealtail's own protocol a conflict is a fork: here it may be anything, and is tried again
    let mut forged = plain.clone();
    forged.bytes = Stream::begin(HOST).batch(5).into();
    assert!(is_put_off(&mut target, &forged).await.contains("409"));
    assert_eq!(*kept.lock().unwrap(), BTreeMap::from(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_a_2xx_is_final() {
    let mut plain = mockito::Server::new_async().await;
    let front = Front::of(plain.socket_address()).await;
    let (mut target, upload) = (front.target(), next(&mut Stream::begin(HOST), 2));
    // as many servers do
    let repeats = format!("not\nnow: Cannot POST /hooks/p4th-t0ken/{HOST}?token=t0ken-of-ours");
    for status in [301, 307, 400, 401, 404, 409, 413, 422, 429, 500, 503] {
        let mock = plain
            .mock("POST", mockito::Matcher::Any)
            .with_status(status)
            .with_body(repeats.as_str())
            .create_async()
            .await;
        let why = is_put_off(&mut target, &upload).await;
        assert!(why.contains(&status.to_string()) && why.contains("not now") && !why.contains("p4th"), "{why}");
        assert!(!why.contains("t0ken") && why.len() < 600, "{why}");
        mock.assert_async().await;
        plain.reset();
    }
    let mut damaged = upload.clone();
    damaged.bytes.truncate(upload.bytes.len() / 2);
    assert!(is_put_off(&mut target, &damaged).await.contains("damaged"));
    let taken = plain.mock("POST", mockito::Matcher::Any).with_status(204).create_async().await;
    is_stored(&mut target, &upload).await;
    taken.assert_async().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_is_told_before_anything_is_sent() {
    let mut front = Front::of(store(Kept::default()).await).await;
    front.config.headers.clear();
    assert!(front.target().probe().await.unwrap_err().contains("are headers and tls right?"));
    // where no certificate of ours is configured none is shown, and this server wants one
    front.config.tls.client = None;
    let why = front.target().probe().await.unwrap_err();
    assert!(why.contains("client certificate"), "{why}");
    assert!(front.folder.path().join("client.pem").exists());
}
