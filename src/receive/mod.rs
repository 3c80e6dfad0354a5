//! The embedded append-only store and its mTLS server.
//!
//! # Layout
//! - `connection`: TLS handshake, HTTP, bounds of time; `tls`: the certificates; `client`: who the other end is
//! - `routes`: what a client may ask; `upload`: a body on its way into memory; `refusal`: every "no" and its status
//! - `store`: takes a batch or finds that it is there already; `tip`: where a stream stands
//! - `frames` and `check`: a batch's bytes into lines, and whether these are the stream's next ones
//! - `archive`: the files of a stream; what is stored becomes durable there, before the client hears of it
//!
//! A batch is checked whole before anything is stored, and stored whole or not at all ([`crate::durable`]). Nothing is
//! ever changed or deleted. The receiver holds no secret of the chain: it can say that lines are contiguous, that the
//! stream's own key signed their tree and that a trusted key endorsed the stream, not that their tags are right.

mod archive;
mod check;
mod client;
mod connection;
mod frames;
mod refusal;
mod routes;
mod store;
mod tip;
mod tls;
mod upload;

use crate::chain::host_key::{self, HostKey};
use crate::chain::trust::{self, Trust};
use crate::durable::{self, Disk, FileSystem, Lock};
use crate::tls::{DAY, Expiry, Fault, Watched, expiries, warn};
use axum::Router;
use connection::GRACE;
use ed25519_dalek::SigningKey;
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Store, Tips};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

/// `[receive]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Address and port.
    pub listen: SocketAddr,
    /// The archive.
    pub dir: PathBuf,
    /// CA of the clients, and the server's own certificate and key.
    pub tls: TlsConfig,
    /// Which host keys may endorse which host.
    pub trust: Option<PathBuf>,
    /// Signs receipts; made when absent.
    pub receipt_key: PathBuf,
}

/// Certificate files in PEM.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsConfig {
    /// Whose certificates are let in.
    pub ca: PathBuf,
    /// The server's certificate chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Revocation lists. With any, each authority on the way from a client to `ca` must have one here.
    pub crls: Vec<PathBuf>,
}

impl TlsConfig {
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.ca, &self.cert, &self.key].into_iter().chain(&self.crls)
    }
}

/// Why the receiver can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Certificates or the server's key.
    #[error(transparent)]
    Tls(#[from] Fault),
    /// The trust file.
    #[error(transparent)]
    Trust(#[from] trust::Error),
    /// The key that signs receipts.
    #[error("[receive] receipt_key: {0}")]
    ReceiptKey(#[from] host_key::Error),
    /// The key that signs receipts is of another kind.
    #[error(
        "[receive] receipt_key: {path}: not an Ed25519 key, which receipts are signed with; \
         name a file that isn't there yet, and a key is made"
    )]
    ReceiptKeyKind {
        /// Its file.
        path: PathBuf,
    },
    /// The archive's folder.
    #[error("[receive] dir: {path}: {source}; the receiver must be able to read it and write there")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another receiver works on the archive.
    #[error("[receive] dir: {path}: another receiver is running on this archive; stop it, or choose another folder")]
    Locked {
        /// Which folder.
        path: PathBuf,
    },
    /// The address.
    #[error("[receive] listen: cannot listen on {address}: {source}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Connections at once: fewer than the 1,024 open files that a process usually may have.
const CONNECTIONS_MAX: usize = 768;
/// How often is looked whether certificates or the trust file changed.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
const FOLDER_MODE: u32 = 0o750;

/// The receiver, listening.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: Config,
    tls: Arc<ServerConfig>,
    tls_watch: Watched,
    trust_watch: Watched,
    store: Arc<Store>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({} in {})", self.address, self.store.dir.display())
    }
}

impl Server {
    /// Loads the keys, takes the archive, clears up what a crash left there, and listens. Connections wait until
    /// [`Server::run`].
    pub async fn bind(config: &Config) -> Result<Self, Error> {
        Self::bind_on(config, Arc::new(Disk)).await
    }

    /// As [`Server::bind`], with another file system; tests have faulty ones.
    pub async fn bind_on(config: &Config, fs: Arc<dyn FileSystem>) -> Result<Self, Error> {
        let tls_watch = Watched::new(config.tls.files());
        let trust_watch = Watched::new(&config.trust);
        let prepared = config.clone();
        let prepare = move || -> Result<_, Error> { Ok((tls::load(&prepared.tls)?, open_store(&prepared, fs)?)) };
        let prepared = tokio::task::spawn_blocking(prepare).await;
        // a panic there is one here
        let (tls, store) = prepared.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let failed = |source| Error::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (config, store) = (config.clone(), Arc::new(store));
        Ok(Self { listener, address, config, tls, tls_watch, trust_watch, store })
    }

    /// Where it listens, with the port that the system chose if the configured one is 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then lets requests in flight finish, for 10 seconds at most. A batch that is being stored when
    /// that time is over is stored whole or not at all.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let router = routes::router(self.store.clone());
        let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let (mut stopping, mut stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut reload = interval(RELOAD_INTERVAL);
        let mut daily = interval(DAY);
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = daily.tick() => warn("[receive]", &self.expiries()),
                _ = reload.tick() => {
                    self.reload_trust().await;
                    if self.reload_tls().await {
                        // who is connected proves anew that it may be, once its requests in flight are done
                        stopping.send_replace(true);
                        (stopping, stopped) = watch::channel(false);
                    }
                }
                Some(_) = connections.join_next() => {}
                (tcp, peer, permit) = accept(&self.listener, &free) => {
                    let connection = self.connection(tcp, peer, &router, &stopped);
                    connections.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
            }
        }
        drop(self.listener);
        stopping.send_replace(true);
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(GRACE, all).await.is_err() {
            tracing::warn!("stopped with requests unfinished; their agents send them again");
        }
        Ok(())
    }

    fn connection(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        router: &Router,
        stopped: &watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + use<> {
        connection::serve(tcp, peer, self.tls.clone(), router.clone(), stopped.clone())
    }

    /// Takes up certificates that changed, for the connections to come; whether it did. Files that are wrong, perhaps for the
    /// moment of their exchange, change nothing, and are looked at again.
    async fn reload_tls(&mut self) -> bool {
        let Some(versions) = self.tls_watch.changed() else { return false };
        let files = self.config.tls.clone();
        let loaded = tokio::task::spawn_blocking(move || tls::load(&files).map_err(|error| error.to_string())).await;
        match loaded.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(tls) => {
                self.tls = tls;
                self.tls_watch.take_up(versions);
                tracing::info!("took up changed certificates");
                true
            }
            Err(error) => {
                if self.tls_watch.refuse(versions) {
                    tracing::error!("kept the certificates as they were: {error}");
                }
                false
            }
        }
    }

    /// Takes up a trust file that changed, for the streams to come.
    async fn reload_trust(&mut self) {
        let Some(path) = self.config.trust.clone() else { return };
        let Some(versions) = self.trust_watch.changed() else { return };
        let loaded = tokio::task::spawn_blocking(move || Trust::load(&path).map_err(|error| error.to_string())).await;
        match loaded.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(trust) => {
                self.store.set_trust(trust);
                self.trust_watch.take_up(versions);
                tracing::info!("took up the changed trust file");
            }
            Err(error) if self.trust_watch.refuse(versions) => {
                tracing::error!("kept the trust file as it was: {error}");
            }
            Err(_) => {}
        }
    }

    fn expiries(&self) -> Vec<Expiry> {
        let files = &self.config.tls;
        expiries(Some(&files.ca), Some(&files.cert), &files.crls)
    }
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, free: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let permit = free.clone().acquire_owned().await.expect("this semaphore is never closed");
        match listener.accept().await {
            Ok((tcp, peer)) => {
                // small answers should not wait for more to come; without it they are only slower
                drop(tcp.set_nodelay(true));
                return (tcp, peer, permit);
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}; if files run out, raise the limit of open files");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn open_store(config: &Config, fs: Arc<dyn FileSystem>) -> Result<Store, Error> {
    let trust = Mutex::new(config.trust.as_deref().map(Trust::load).transpose()?.map(Arc::new));
    let key = receipt_key(&config.receipt_key)?;
    let dir = config.dir.clone();
    let failed = |source| Error::Folder { path: dir.clone(), source };
    durable::create_dir_all(&*fs, &dir, FOLDER_MODE).map_err(failed)?;
    let lock = Lock::acquire(&dir).map_err(failed)?.ok_or_else(|| Error::Locked { path: dir.clone() })?;
    let leftovers = archive::remove_leftovers(&*fs, &dir).map_err(failed)?;
    if leftovers > 0 {
        tracing::info!("removed {leftovers} unfinished files that a crash had left in the archive");
    }
    Ok(Store { dir, fs, trust, key, tips: Tips::default(), _lock: lock })
}

fn receipt_key(path: &Path) -> Result<SigningKey, Error> {
    let key = match path.exists() {
        true => HostKey::load(path)?,
        false => {
            let key = HostKey::generate_ed25519()?;
            let public = key.save_new(path)?;
            tracing::info!("made a key for receipts; who checks them needs {}", public.display());
            key
        }
    };
    match key {
        HostKey::Ed25519(key) => Ok(key),
        HostKey::P256(_) => Err(Error::ReceiptKeyKind { path: path.to_owned() }),
    }
}
