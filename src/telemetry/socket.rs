//! The local socket of a running agent, for `status` and `top`: a client writes a line that says what it wants, and gets one
//! document, or one a second until it goes away.
//!
//! Two things keep others out: the file's mode 0660, and the kernel's word on who is at the other end (SO_PEERCRED): root, or somebody with
//! the agent's own user or group.

use super::off_thread::Source;
use super::status::Status;
use serde::{Deserialize, Serialize};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Where an agent listens that is told nothing else, if the folder is there and it may write to it.
pub const DEFAULT: &str = "/run/sealtail/status.sock";
/// Its name in the spool's folder, where it listens otherwise.
const NAME: &str = "status.sock";
/// Clients at one time.
const CLIENTS_MAX: usize = 8;
/// Bytes of what a client says.
const ASK_MAX: u64 = 256;
/// So long a client may take to say what it wants, or to take a document.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often one that watches gets a document.
const INTERVAL: Duration = Duration::from_secs(1);

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// One document, without text of log lines.
    Status,
    /// One a second, with the latest flagged lines.
    Top,
}

/// The last word to a client that is turned away.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub error: String,
}

/// The socket's file, which goes with this.
#[derive(Debug)]
pub struct Listening {
    path: PathBuf,
    id: Option<(u64, u64)>,
}

impl Listening {
    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // another agent may have taken the name meanwhile
        if self.id.is_some() && id(&self.path) == self.id {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Where an agent listens: as configured, or by default.
pub fn place(configured: Option<&Path>, spool: &Path) -> PathBuf {
    use rustix::fs::Access;
    let default = Path::new(DEFAULT);
    let is_usable = |folder: &Path| rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    match configured {
        Some(path) => path.to_owned(),
        None if default.parent().is_some_and(is_usable) => default.to_owned(),
        None => spool.join(NAME),
    }
}

/// Where to look for an agent that listens by default.
pub fn usual_places(spool: &Path) -> [PathBuf; 2] {
    [PathBuf::from(DEFAULT), spool.join(NAME)]
}

/// Listens in `path`, and answers from tasks of its own as long as the runtime lives.
pub fn listen(path: &Path, status: impl Fn() -> Status + Send + Sync + 'static) -> io::Result<Listening> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another sealtail listens there"));
    }
    if path.symlink_metadata().is_ok_and(|found| found.mode() & 0o170_000 != 0o140_000) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else than a socket has this name"));
    }
    // made under another name, so that nobody meets it before it has its mode; what an agent left that was killed is replaced
    let made = path.with_extension(format!("{}.new", std::process::id()));
    drop(fs::remove_file(&made));
    let listener = UnixListener::bind(&made)?;
    let shown = fs::set_permissions(&made, Permissions::from_mode(0o660)).and_then(|()| fs::rename(&made, path));
    if let Err(error) = shown {
        drop(fs::remove_file(&made));
        return Err(error);
    }
    tokio::spawn(accept(listener, Source::new(status)));
    Ok(Listening { path: path.to_owned(), id: id(path) })
}

fn id(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|found| (found.dev(), found.ino()))
}

async fn accept(listener: UnixListener, source: Source) {
    let free = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        // the semaphore is never closed
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let source = source.clone();
                tokio::spawn(async move {
                    let _permit = permit;
                    // one that goes away is no fault
                    let _: io::Result<()> = answer(client, &source).await;
                });
            }
            // too many descriptors are open, say
            Err(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}

async fn answer(client: UnixStream, source: &Source) -> io::Result<()> {
    let is_welcome = is_welcome(&client)?;
    let mut client = BufReader::new(client);
    let mut line = String::new();
    let mut limited = (&mut client).take(ASK_MAX);
    tokio::time::timeout(PATIENCE, limited.read_line(&mut line)).await??;
    let refuse = |error: String| Refusal { error };
    if !is_welcome {
        let why = "only root, and whoever has the agent's user or group (sg GROUP -c COMMAND), may ask it";
        return send(&mut client, &refuse(why.to_owned())).await;
    }
    match serde_json::from_str(&line) {
        Ok(Ask::Status) => match source.ask().await {
            Some(status) => send(&mut client, &status.without_lines()).await,
            None => send(&mut client, &refuse("the agent does not answer; its disk may hang".to_owned())).await,
        },
        Ok(Ask::Top) => watch(&mut client, source).await,
        Err(_) => send(&mut client, &refuse("ask for \"status\" or \"top\"".to_owned())).await,
    }
}

async fn watch(client: &mut BufReader<UnixStream>, source: &Source) -> io::Result<()> {
    let mut seconds = tokio::time::interval(INTERVAL);
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = seconds.tick() => {}
            // whatever it says now, it is going
            _ = client.read_u8() => return Ok(()),
        }
        if let Some(status) = source.ask().await {
            send(client, &status).await?;
        }
    }
}

async fn send(client: &mut BufReader<UnixStream>, document: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(document)?;
    bytes.push(b'\n');
    tokio::time::timeout(PATIENCE, client.write_all(&bytes)).await?
}

fn is_welcome(client: &UnixStream) -> io::Result<bool> {
    use rustix::process::{getegid, geteuid};
    let peer = client.peer_cred()?;
    Ok(peer.uid() == 0 || peer.uid() == geteuid().as_raw() || peer.gid() == getegid().as_raw())
}
