//! Files that hold keys: made once, never written over, and a secret one is read only when nobody else can read it.

use crate::modes;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Mode of a file with a secret.
pub const SECRET: u32 = 0o600;
/// Mode of a file with a public key.
pub const PUBLIC: u32 = 0o644;

/// A key file is a few hundred bytes; what is larger is something else.
const SIZE_MAX: u64 = 64 * 1024;

/// Why a key file could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system said no.
    #[error("{path}: cannot {doing} this key file: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// Somebody other than the owner may read, write or run it.
    #[error(
        "{path}: others than its owner can reach this secret key (mode {mode:04o}); run: chmod 600 {path} (for a Secret in Kubernetes: defaultMode: 0440)"
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is a file of this name already.
    #[error("{path}: exists already, and a key is never written over; choose another name, or move the old one away")]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// Somebody could put another key there.
    #[error(transparent)]
    Writable(#[from] modes::Writable),
    /// Not text, or far too long.
    #[error("{path}: not a key file (a key is text of at most 64 KiB); name the file that holds the key")]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
}

/// Makes `path` with `contents`, durably; whatever is there already stays as it is.
pub fn create(path: &Path, contents: &[u8], mode: u32) -> Result<(), Error> {
    let fault = |doing| move |source| Error::Io { path: path.to_owned(), doing, source };
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::Exists { path: path.to_owned() });
        }
        Err(error) => return Err(fault("make")(error)),
    };
    if let Err(error) = fill(&mut file, contents, mode) {
        // ours and incomplete: left behind, it would look like a key and block the next attempt
        drop(fs::remove_file(path));
        return Err(fault("write")(error));
    }
    sync_folder_of(path).map_err(fault("make durable"))
}

/// Reads a file with a public key, unless others could put another there.
pub fn read_public(path: &Path) -> Result<String, Error> {
    modes::check(path)?;
    let file = open(path)?;
    Ok(std::mem::take(&mut *read_text(path, file)?))
}

/// Reads a file with a secret, unless others can read it too.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, Error> {
    let file = open(path)?;
    // asked of the open file, so that it can't be exchanged between the question and the reading
    let metadata = file.metadata().map_err(|source| Error::Io { path: path.to_owned(), doing: "examine", source })?;
    if let Some(mode) = exposure(&metadata) {
        return Err(Error::Exposed { path: path.to_owned(), mode });
    }
    read_text(path, file)
}

/// The mode of a file with a secret if others than who is meant to can get at it.
pub fn exposure(metadata: &Metadata) -> Option<u32> {
    is_exposed(metadata).then(|| metadata.permissions().mode() & 0o7777)
}

/// Whether others than who is meant to can get at a file with a secret: its owner alone, or the group to which root hands
/// it (a Secret of Kubernetes, a credential of systemd, a key below /etc). So PostgreSQL has it, too.
fn is_exposed(metadata: &Metadata) -> bool {
    let is_handed_on = metadata.uid() == 0;
    metadata.mode() & if is_handed_on { 0o037 } else { 0o077 } != 0
}

fn fill(file: &mut File, contents: &[u8], mode: u32) -> io::Result<()> {
    // the umask may have taken bits that a public file is meant to have
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(contents)?;
    file.sync_all()
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::Io { path: path.to_owned(), doing: "open", source })
}

fn read_text(path: &Path, file: File) -> Result<Zeroizing<String>, Error> {
    // room for all of it at once: a growing buffer would leave copies of the secret behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(SIZE_MAX as usize + 1));
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes).map_err(|source| Error::Io {
        path: path.to_owned(),
        doing: "read",
        source,
    })?;
    let text = str::from_utf8(&bytes).ok().filter(|text| text.len() as u64 <= SIZE_MAX);
    match text {
        Some(text) => Ok(Zeroizing::new(text.to_owned())),
        None => Err(Error::NotAKey { path: path.to_owned() }),
    }
}
