//! One client's connection, from its TLS handshake to its end, with bounds of time on each part.

use super::client::Client;
use super::handshakes::{Handshake, Handshakes};
use super::limits::Limits;
use super::metrics::Metrics;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

/// Of a request's head.
const HEAD_BYTES_MAX: u32 = 16 * 1024;
/// How long any connection stays open: then its certificate is asked for again.
const AGE_MAX: Duration = Duration::from_secs(3600);
/// How long requests in flight may take once the connection is to end.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// Requests of one connection at once, and bytes that it may send ahead for one and for all of them.
const REQUESTS_MAX: u32 = 16;
const REQUEST_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;

/// What all connections are served with.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) router: Router,
    pub(super) limits: Arc<Limits>,
    pub(super) metrics: Arc<Metrics>,
    /// Those whose TLS handshake is not done.
    pub(super) handshakes: Arc<Handshakes>,
    /// Places of connections whose client is known.
    pub(super) free: Arc<Semaphore>,
    /// Places of connections that wait for one of these.
    pub(super) waiting: Arc<Semaphore>,
    pub(super) places: Arc<Places>,
    /// Whether the receiver stops.
    pub(super) stopping: watch::Receiver<bool>,
}

/// How many connections each client has.
#[derive(Default)]
pub(super) struct Places {
    taken: Mutex<HashMap<String, usize>>,
}

/// A client's place among its connections, until dropped.
struct Place {
    places: Arc<Places>,
    client: String,
}

/// Serves a connection until its end, or until the receiver stops and its requests in flight are done.
pub(super) async fn serve(tcp: TcpStream, peer: SocketAddr, tls: Arc<ServerConfig>, service: Service) {
    let metrics = service.metrics.clone();
    let _counted = metrics.connected();
    let Some(stream) = shake_hands(tcp, peer, tls, &service).await else { return };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let client = certificate.map(|certificate| Client::of(peer, certificate));
    match client {
        Some(Ok(client)) => match Places::take(&service.places, &client, service.limits.connections_per_host) {
            Some(_place) => {
                if let Some(_permit) = place(&client, &service).await {
                    serve_requests(stream, client, service).await;
                }
            }
            None => {
                metrics.refused("connections");
                tracing::warn!(%peer, client = client.name(), "refused: [receive.limits] connections_per_host are open");
            }
        },
        Some(Err(error)) => tracing::warn!(%peer, "refused: {error}"),
        None => tracing::warn!(%peer, "refused: it has no certificate"),
    }
}

/// A place among all connections, which is waited for, though by few and not for long. `None` where there is none, or the receiver stops.
async fn place(client: &Client, service: &Service) -> Option<OwnedSemaphorePermit> {
    let (metrics, free, mut stopping) = (&service.metrics, service.free.clone(), service.stopping.clone());
    if let Ok(permit) = free.clone().try_acquire_owned() {
        return Some(permit);
    }
    if let Ok(_waiting) = service.waiting.try_acquire() {
        let _counted = metrics.waiting();
        tokio::select! {
            permit = timeout(service.limits.idle_timeout, free.acquire_owned()) => {
                if let Ok(Ok(permit)) = permit {
                    return Some(permit);
                }
            }
            // an error means that the server is gone, which is a stop too
            _ = stopping.wait_for(|stop| *stop) => return None,
        }
    }
    metrics.refused("connections");
    tracing::warn!(peer = %client.peer, client = client.name(), "refused: [receive.limits] connections are open");
    None
}

/// The TLS handshake; `None` where it came to nothing.
async fn shake_hands(
    tcp: TcpStream,
    peer: SocketAddr,
    tls: Arc<ServerConfig>,
    service: &Service,
) -> Option<TlsStream<TcpStream>> {
    let (metrics, within) = (&service.metrics, service.limits.handshake_timeout);
    let mut handshake: Handshake = Handshakes::begin(&service.handshakes, peer.ip());
    let mut stopping = service.stopping.clone();
    let done = tokio::select! {
        done = timeout(within, TlsAcceptor::from(tls).accept(tcp)) => done,
        () = handshake.closed() => {
            metrics.refused("handshakes");
            tracing::debug!(%peer, "refused: [receive.limits] handshakes are open, and this was the oldest");
            return None;
        }
        // an error means that the server is gone, which is a stop too
        _ = stopping.wait_for(|stop| *stop) => return None,
    };
    match done {
        Ok(Ok(stream)) => return Some(stream),
        // load balancers look whether the port is open, and say nothing
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            tracing::debug!(%peer, "a connection ended before its TLS handshake did");
        }
        Ok(Err(error)) => {
            metrics.refused("handshake");
            tracing::warn!(%peer, "refused: its TLS handshake failed: {error}");
        }
        Err(_) => {
            metrics.refused("handshake_timeout");
            tracing::warn!(%peer, "refused: no TLS handshake within {} s", within.as_secs());
        }
    }
    None
}

async fn serve_requests(stream: TlsStream<TcpStream>, client: Client, service: Service) {
    let Service { router, limits, mut stopping, .. } = service;
    let (peer, idle) = (client.peer, limits.idle_timeout);
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
    builder.http1().timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(HEAD_BYTES_MAX as usize);
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
        reason = activity.outlived(idle) => reason,
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

impl Places {
    fn take(places: &Arc<Self>, client: &Client, most: usize) -> Option<Place> {
        // nothing panics under this lock
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(client.name().to_owned()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { places: places.clone(), client: client.name().to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
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
    async fn outlived(&self, idle_timeout: Duration) -> &'static str {
        let mut tick = interval(idle_timeout.min(Duration::from_secs(5)));
        loop {
            tick.tick().await;
            let age = self.age();
            let idle = age.saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)));
            if age > AGE_MAX {
                return "it is an hour old";
            }
            if self.requests.load(Ordering::Relaxed) == 0 && idle > idle_timeout {
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
