//! The embedded append-only store and its mTLS server.
//!
//! # Layout
//! - `connection`: TLS handshake, HTTP, bounds of time; `tls`: the certificates; `client`: who the other end is
//! - `handshakes`: connections that did not prove yet who they are; `shares`: what one host may take of what all share
//! - `routes`: what a client may ask; `upload`: a body on its way to the disk; `refusal`: every "no" and its status
//! - `limits`: what may be asked of the receiver; `quota`: what each host has stored; `metrics`: what is counted
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
mod handshakes;
mod limits;
mod metrics;
mod quota;
mod refusal;
mod routes;
mod shares;
mod store;
mod tip;
mod tls;
mod upload;

pub use limits::{Limits, Quota};

use crate::chain::host_key::{self, HostKey};
use crate::chain::trust::{self, Trust};
use crate::durable::{self, Disk, FileSystem, Lock};
use crate::service::{Pulse, Reload};
use crate::tls::{DAY, Expiry, Fault, Watched, expiries, warn};
use archive::FOLDER_MODE;
use connection::{GRACE, Places, Service};
use ed25519_dalek::SigningKey;
use handshakes::Handshakes;
use quota::Accounts;
use rustls::ServerConfig;
use shares::Shares;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{CHECKED_AT_ONCE, CHECKED_OF_HOST, Store, Tips};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use upload::Uploads;

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
    /// What clients may take.
    pub limits: Limits,
    /// What each host may store.
    pub quota: Quota,
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
    /// Every file that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
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

/// How often is looked whether certificates or the trust file changed.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// The receiver, listening.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: Config,
    tls: Arc<ServerConfig>,
    tls_watch: Watched,
    trust_watch: Watched,
    store: Arc<Store>,
    accounts: Arc<Accounts>,
    asked: Reload,
    pulse: Arc<Pulse>,
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
        let accounts = Arc::new(Accounts::new(&config.quota, &config.dir, &store.checks));
        let (asked, pulse) = (Reload::default(), Arc::default());
        Ok(Self { listener, address, config, tls, tls_watch, trust_watch, store, accounts, asked, pulse })
    }

    /// What tells its metrics at any time, in Prometheus' text format.
    pub fn metrics(&self) -> impl Fn() -> String + Clone + Send + Sync + 'static {
        let (metrics, accounts) = (self.store.metrics.clone(), self.accounts.clone());
        move || metrics.text(&accounts)
    }

    /// Where it listens, with the port that the system chose if the configured one is 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What asks it to look at once whether certificates or the trust file changed, also while it runs.
    pub fn reload_handle(&self) -> Reload {
        self.asked.clone()
    }

    /// Whether its loop gets on, also while it runs.
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Serves until `stop`, then lets requests in flight finish, for 10 seconds at most. A batch that is being stored when
    /// that time is over is stored whole or not at all.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let limits = Arc::new(self.config.limits.clone());
        let uploads = Uploads::new(self.store.fs.clone(), self.store.dir.clone(), &limits);
        let router = routes::router(self.store.clone(), uploads, self.accounts.clone());
        let (free, waiting) = (Semaphore::new(limits.connections), Semaphore::new(limits.waiting()));
        let (free, waiting) = (Arc::new(free), Arc::new(waiting));
        let (mut stop_all, stopping) = watch::channel(false);
        let (metrics, places) = (self.store.metrics.clone(), Arc::new(Places::default()));
        let handshakes = Arc::new(Handshakes::new(limits.handshakes));
        let mut service = Service { router, limits, metrics, handshakes, free, waiting, places, stopping };
        let mut connections = JoinSet::new();
        let mut reload = interval(RELOAD_INTERVAL);
        let mut daily = interval(DAY);
        let mut stop = std::pin::pin!(stop);
        let (asked, pulse) = (self.asked.clone(), self.pulse());
        loop {
            pulse.rest();
            let is_asked = tokio::select! {
                () = &mut stop => break,
                () = asked.asked() => true,
                _ = reload.tick() => false,
                _ = daily.tick() => {
                    warn("[receive]", &self.expiries());
                    continue;
                }
                Some(_) = connections.join_next() => continue,
                (tcp, peer) = accept(&self.listener) => {
                    connections.spawn(connection::serve(tcp, peer, self.tls.clone(), service.clone()));
                    continue;
                }
            };
            pulse.work();
            self.reload_trust().await;
            if self.reload_tls().await {
                // who is connected proves anew that it may be, once its requests in flight are done
                stop_all.send_replace(true);
                (stop_all, service.stopping) = watch::channel(false);
            }
            if is_asked {
                asked.done();
            }
        }
        drop(self.listener);
        stop_all.send_replace(true);
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(GRACE, all).await.is_err() {
            tracing::warn!("stopped with requests unfinished; their agents send them again");
        }
        Ok(())
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

/// The next connection.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => {
                // small answers should not wait for more to come; without it they are only slower
                drop(tcp.set_nodelay(true));
                return (tcp, peer);
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}; if files run out, raise the limit of open files");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Makes what a first start makes, which can't be made any more once all around it is out of reach.
pub fn prepare(config: &Config) -> Result<(), Error> {
    let failed = |source| Error::Folder { path: config.dir.clone(), source };
    durable::create_dir_all(&Disk, &config.dir, FOLDER_MODE).map_err(failed)?;
    receipt_key(&config.receipt_key).map(drop)
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
    let (metrics, checks) = (Arc::default(), Arc::new(Shares::new(CHECKED_AT_ONCE, CHECKED_OF_HOST)));
    Ok(Store { dir, fs, trust, key, tips: Tips::default(), metrics, checks, _lock: lock })
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
