//! Asks a running agent, through its socket.

use super::socket::{Ask, Refusal};
use super::status::Status;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An agent answers within five seconds, or says that it can't.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why an agent was not heard.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("no agent listens at {0}; start it with `sealtail run`")]
    NotRunning(PathBuf),
    /// The socket can't be used.
    #[error("{path}: {error}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The agent won't answer.
    #[error("{path}: {why}")]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// The status of the agent that listens at `path`, once.
pub fn ask(path: &Path) -> Result<Status, Error> {
    open(path, Ask::Status)?.next()
}

/// Watches the agent that listens at `path`.
pub fn watch(path: &Path) -> Result<Watch, Error> {
    open(path, Ask::Top)
}

/// An agent that is watched.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    reader: BufReader<UnixStream>,
}

impl Watch {
    /// Waits for its next status.
    #[expect(clippy::should_implement_trait, reason = "an agent's end is an error, with its reason")]
    pub fn next(&mut self) -> Result<Status, Error> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => return Err(Error::NotRunning(self.path.clone())),
            Ok(_) => {}
            Err(error) => return Err(Error::Io { path: self.path.clone(), error }),
        }
        serde_json::from_str(&line).map_err(|error| {
            let refusal = serde_json::from_str(&line).map(|Refusal { error }| error);
            let why = refusal.unwrap_or_else(|_| format!("the answer is not one of this version's: {error}"));
            Error::Refused { path: self.path.clone(), why }
        })
    }
}

fn open(path: &Path, ask: Ask) -> Result<Watch, Error> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Error::NotRunning(path.to_owned()),
        _ => Error::Io { path: path.to_owned(), error },
    };
    let mut stream = UnixStream::connect(path).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let asked = serde_json::to_string(&ask).map_err(io::Error::other).map_err(failed)?;
    writeln!(stream, "{asked}").map_err(failed)?;
    Ok(Watch { path: path.to_owned(), reader: BufReader::new(stream) })
}
