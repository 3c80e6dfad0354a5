//! One client's connection, from its TLS handshake to its end, with bounds of time on each part.

use super::client::Client;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

const HANDSHAKE: Duration = Duration::from_secs(10);
/// Of a request's head.
const HEAD_BYTES_MAX: u32 = 16 * 1024;
/// How long a connection stays open without a request, whose head must have come by then too.
const IDLE: Duration = Duration::from_secs(60);
/// How long any connection stays open: then its certificate is asked for again.
const AGE_MAX: Duration = Duration::from_secs(3600);
/// How long requests in flight may take once the connection is to end.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// Requests of one connection at once, and bytes that it may send ahead for one and for all of them.
const REQUESTS_MAX: u32 = 16;
const REQUEST_WINDOW: u32 = 512 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Serves a connection until its end, or until `stopping` and its requests in flight are done.
pub(super) async fn serve(
    tcp: TcpStream,
    peer: SocketAddr,
    tls: Arc<ServerConfig>,
    router: Router,
    stopping: watch::Receiver<bool>,
) {
    let stream = match timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(tcp)).await {
        Ok(Ok(stream)) => stream,
        // load balancers look whether the port is open, and say nothing
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return tracing::debug!(%peer, "a connection ended before its TLS handshake did");
        }
        Ok(Err(error)) => return tracing::warn!(%peer, "refused: its TLS handshake failed: {error}"),
        Err(_) => return tracing::warn!(%peer, "refused: no TLS handshake within {} s", HANDSHAKE.as_secs()),
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let client = certificate.map(|certificate| Client::of(peer, certificate));
    match client {
        Some(Ok(client)) => serve_requests(stream, client, router, stopping).await,
        Some(Err(error)) => tracing::warn!(%peer, "refused: {error}"),
        None => tracing::warn!(%peer, "refused: it has no certificate"),
    }
}

async fn serve_requests(
    stream: TlsStream<TcpStream>,
    client: Client,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let peer = client.peer;
    let activity =
        Arc::new(Activity { requests: AtomicUsize::new(0), last_ms: AtomicU64::new(0), began: Instant::now() });
    let counted = activity.clone();
    let service = tower::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(client.clone());
        let busy = counted.clone().begin();
        let response = router.clone().oneshot(request);
        async move {
            let response = response.await;
            drop(busy);
            response
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(HEAD_BYTES_MAX as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(REQUESTS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .initial_stream_window_size(REQUEST_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    let outlived = tokio::select! {
        ended = connection.as_mut() => return log_end(peer, ended),
        // an error means that the server is gone, which is a stop too
        _ = stopping.wait_for(|stop| *stop) => "the receiver stops",
        reason = activity.outlived() => reason,
    };
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection.as_mut() => log_end(peer, ended),
        () = sleep(GRACE) => tracing::debug!(%peer, "closed with requests unfinished: {outlived}"),
    }
}

fn log_end(peer: SocketAddr, ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%peer, "the connection broke: {error}");
    }
}

/// When a connection was last of use.
struct Activity {
    requests: AtomicUsize,
    /// When the last request ended, in milliseconds since `began`.
    last_ms: AtomicU64,
    began: Instant,
}

/// A request in flight, until dropped.
struct Busy(Arc<Activity>);

impl Activity {
    fn age(&self) -> Duration {
        self.began.elapsed()
    }

    fn begin(self: Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    /// Returns, with the reason, once the connection should end.
    async fn outlived(&self) -> &'static str {
        let mut tick = interval(Duration::from_secs(5));
        loop {
            tick.tick().await;
            let age = self.age();
            let idle = age.saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)));
            if age > AGE_MAX {
                return "it is an hour old";
            }
            if self.requests.load(Ordering::Relaxed) == 0 && idle > IDLE {
                return "it was idle";
            }
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let now_ms = u64::try_from(self.0.age().as_millis()).unwrap_or(u64::MAX);
        self.0.last_ms.store(now_ms, Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
