//! What stands in front of servers that don't speak TLS, and on the way to others.

use crate::pki::Authority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Speaks TLS, demands a client certificate of the authority, and hands on what it hears to `plain`. Ends with the test's runtime.
pub(crate) async fn terminate(
    authority: &Authority,
    folder: &Path,
    version: &'static SupportedProtocolVersion,
    alpn: &[&str],
    plain: SocketAddr,
) -> SocketAddr {
    authority.write_server_files(folder);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let (folder, alpn): (_, Vec<_>) = (folder.to_owned(), alpn.iter().map(|name| name.as_bytes().to_vec()).collect());
    // a certificate that was exchanged is shown from then on
    let config = move || {
        let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[version]).unwrap();
        let config = config.with_client_cert_verifier(clients.clone());
        let mut config = config.with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = alpn.clone();
        config
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = TlsAcceptor::from(Arc::new(config()));
            tokio::spawn(async move {
                tcp.set_nodelay(true).unwrap();
                let Ok(mut outside) = acceptor.accept(tcp).await else { return };
                let Ok(mut inside) = TcpStream::connect(plain).await else { return };
                inside.set_nodelay(true).unwrap();
                // either end may hang up as it likes
                drop(copy_bidirectional(&mut outside, &mut inside).await);
            });
        }
    });
    address
}

/// An HTTP proxy that has one way to go, and the heads of the requests that it was sent. It wants `login` as Basic credentials.
pub(crate) async fn proxy(login: &'static str, way: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(tunnel(tcp, login, way, Arc::clone(&seen)));
        }
    });
    (address, heads)
}

async fn tunnel(tcp: TcpStream, login: &str, way: SocketAddr, heads: Arc<Mutex<Vec<String>>>) {
    let mut client = BufReader::new(tcp);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    heads.lock().unwrap().push(head.clone());
    if !head.to_lowercase().contains(&format!("proxy-authorization: basic {login}").to_lowercase()) {
        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
        return client.write_all(answer.as_bytes()).await.unwrap();
    }
    let mut server = TcpStream::connect(way).await.unwrap();
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    drop(copy_bidirectional(&mut client, &mut server).await);
}
