//! A bundle from a server, as OPA polls for it: `GET` with `If-None-Match`. The last good one is kept on disk, so that an
//! agent begins while the server is down.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::PACKED_MAX_BYTES;
use crate::durable::{self, Disk};
use crate::record::{Secret, hex};
use crate::tls::{self, explain};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that sends nothing for so long is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// An attempt is over after this: 32 MiB at 110 KiB a second.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(300);
/// An ETag is a hash or a version; what is longer is not sent back.
const ETAG_MAX_BYTES: usize = 1024;
/// The wait after a first failure; it doubles with each further one, up to `poll`.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// `[policy] bundle`: where a bundle is downloaded from.
#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    /// Its URL; plain http for loopback addresses only.
    pub url: String,
    /// How often it is asked for.
    pub poll: Duration,
    /// Whom to trust and, where the server wants to know, who asks.
    pub tls: Option<tls::Config>,
    /// A bearer token.
    pub token: Option<Secret>,
    /// The folder in which the last good one is kept.
    pub kept_in: PathBuf,
}

/// A bundle as it came from the server.
#[derive(Clone, Debug)]
pub struct Downloaded {
    /// Its bytes.
    pub bytes: Vec<u8>,
    etag: Option<String>,
}

/// Asks the server again and again; knows what it saw last.
#[derive(Clone, Debug)]
pub struct Downloads {
    remote: Remote,
    etag: Option<String>,
    digest: Option<[u8; 32]>,
    failures: u32,
}

/// What is kept beside the bytes. If the digest is not theirs, a crash came between the two, and the ETag is not believed.
#[derive(Serialize, Deserialize)]
struct Kept {
    digest: String,
    etag: Option<String>,
}

impl Remote {
    /// Of the URL what may be shown.
    pub(in crate::policy) fn shown(&self) -> String {
        tls::origin(&self.url)
    }

    fn file(&self) -> PathBuf {
        self.kept_in.join("bundle.tar.gz")
    }

    fn kept(&self) -> PathBuf {
        self.kept_in.join("bundle.json")
    }
}

impl Downloads {
    /// Nothing was seen yet.
    pub fn new(remote: &Remote) -> Self {
        Self { remote: remote.clone(), etag: None, digest: None, failures: 0 }
    }

    /// The bundle that an earlier run kept.
    pub fn kept(&mut self) -> Result<Option<Downloaded>, String> {
        let path = self.remote.file();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: can't be read: {error}", path.display())),
        };
        let kept = std::fs::read(self.remote.kept()).ok().and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        let etag = kept.filter(|kept| kept.digest == hex(&digest)).and_then(|kept| kept.etag);
        let downloaded = Downloaded { bytes, etag };
        self.saw(&downloaded);
        Ok(Some(downloaded))
    }

    /// Keeps a bundle for the next start.
    pub fn keep(&self, downloaded: &Downloaded) -> Result<(), String> {
        let kept = Kept { digest: hex(&Sha256::digest(&downloaded.bytes)), etag: downloaded.etag.clone() };
        let kept = serde_json::to_vec(&kept).map_err(|error| error.to_string())?;
        let written = durable::create_dir_all(&Disk, &self.remote.kept_in, 0o700)
            .and_then(|()| durable::replace(&Disk, &self.remote.file(), &downloaded.bytes, 0o600))
            .and_then(|()| durable::replace(&Disk, &self.remote.kept(), &kept, 0o600));
        written.map_err(|error| format!("{}: the bundle can't be kept here: {error}", self.remote.kept_in.display()))
    }

    /// Asks the server once; `None` if it has what was seen last. `anew` takes it even so.
    pub async fn fetch(&mut self, anew: bool) -> Result<Option<Downloaded>, String> {
        if anew {
            (self.etag, self.digest) = (None, None);
        }
        match self.attempt().await {
            Ok(fetched) => {
                self.failures = 0;
                let fetched = fetched.filter(|new| self.digest != Some(Sha256::digest(&new.bytes).into()));
                if let Some(downloaded) = &fetched {
                    self.saw(downloaded);
                }
                Ok(fetched)
            }
            Err(why) => {
                self.failures = self.failures.saturating_add(1);
                Err(format!("{}: {why}", self.remote.shown()))
            }
        }
    }

    /// How long to wait before the next [`fetch`](Self::fetch): what is configured, less after failures; never quite the
    /// same, so that many hosts don't ask at one moment.
    pub fn wait(&self) -> Duration {
        let poll = self.remote.poll;
        let full = match self.failures {
            0 => poll,
            n => FIRST_RETRY.saturating_mul(1 << (n - 1).min(16)).min(poll),
        };
        let mut random = [0; 2];
        // without randomness there is no jitter, which hurts nobody but the server
        let _: Result<(), _> = getrandom::fill(&mut random);
        full.mul_f64(1.0 - f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX) / 4.0)
    }

    fn saw(&mut self, downloaded: &Downloaded) {
        self.etag.clone_from(&downloaded.etag);
        self.digest = Some(Sha256::digest(&downloaded.bytes).into());
    }

    async fn attempt(&self) -> Result<Option<Downloaded>, String> {
        let mut request = client(&self.remote)?.get(&self.remote.url);
        if let Some(etag) = self.etag.as_ref().and_then(|etag| HeaderValue::from_str(etag).ok()) {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(token) = &self.remote.token {
            request = request.bearer_auth(token.expose());
        }
        let mut response = request.send().await.map_err(explain)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if self.etag.is_some() => return Ok(None),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(format!("{status}; is [policy] bundle.token right?"));
            }
            status => return Err(status.to_string()),
        }
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.filter(|etag| etag.len() <= ETAG_MAX_BYTES).map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(explain)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > PACKED_MAX_BYTES {
                return Err(format!("is longer than {PACKED_MAX_BYTES} bytes; divide the bundle"));
            }
        }
        Ok(Some(Downloaded { bytes, etag }))
    }
}

/// Made for each attempt, so that certificates are read again.
fn client(remote: &Remote) -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder();
    let builder = match &remote.tls {
        Some(tls) => builder.tls_backend_preconfigured(tls::client(tls)?).https_only(true),
        None => builder.tls_backend_preconfigured(tls::plain()?),
    };
    let client = builder
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .timeout(ATTEMPT_TIMEOUT)
        .user_agent(concat!("sealtail/", env!("CARGO_PKG_VERSION")))
        .build();
    client.map_err(explain)
}
