//! The file backend: a folder in the layout of an archive, for hosts without a network and for write-once mounts.
//!
//! A batch is written beside the archive, synced, and renamed to its name, which no other file may have (RENAME_NOREPLACE);
//! `Stored` comes after the folder was synced. With `immutable` the file then gets the attribute `i` of chattr(1), and its
//! folder `a`, so that names can be added but none taken away, by anybody without CAP_LINUX_IMMUTABLE.

use super::FileConfig;
use super::backend::{Backend, Outcome, Pending, Upload};
use crate::durable::{self, Disk, FileSystem};
use rustix::fs::{Access, IFlags};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where batches are written before they get their name.
const INCOMING: &str = ".incoming";
/// Readable by a group that collects the archive, writable by nobody.
const FILE_MODE: u32 = 0o440;
const FOLDER_MODE: u32 = 0o750;

/// A folder.
pub(super) struct Folder {
    config: FileConfig,
}

impl Folder {
    pub(super) fn new(config: &FileConfig) -> Self {
        Self { config: config.clone() }
    }
}

impl Backend for Folder {
    fn store<'a>(&'a mut self, upload: &'a Upload) -> Pending<'a, Outcome> {
        let (config, upload) = (self.config.clone(), upload.clone());
        Box::pin(async move {
            let stored = tokio::task::spawn_blocking(move || store(&config, &upload)).await;
            stored.unwrap_or_else(|error| Outcome::Later { why: format!("the writer died: {error}"), after: None })
        })
    }

    fn probe(&mut self) -> Pending<'_, Result<(), String>> {
        let config = self.config.clone();
        Box::pin(async move {
            let probed = tokio::task::spawn_blocking(move || probe(&config)).await;
            probed.unwrap_or_else(|error| Err(error.to_string()))
        })
    }
}

fn probe(config: &FileConfig) -> Result<(), String> {
    let dir = &config.dir;
    if !dir.is_dir() {
        return Err(format!("{}: not there, or not a folder; mount it, or make it", dir.display()));
    }
    rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| format!("{}: this user may not write there: {error}", dir.display()))?;
    if config.immutable {
        let opened = File::open(dir).and_then(|dir| Ok(rustix::fs::ioctl_getflags(&dir)?));
        opened.map_err(|error| no_attributes(dir, &error))?;
    }
    Ok(())
}

fn store(config: &FileConfig, upload: &Upload) -> Outcome {
    match write(config, upload) {
        Ok(outcome) => outcome,
        Err((path, error)) => {
            let mend = match error.kind() {
                ErrorKind::NotFound => "; is it mounted?",
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room, or mount a larger one",
                ErrorKind::PermissionDenied => "; give this user the right to write there",
                ErrorKind::ReadOnlyFilesystem => "; mount it for writing",
                _ => "",
            };
            Outcome::Later { why: format!("{}: {error}{mend}", path.display()), after: None }
        }
    }
}

pub(super) type Failed = (PathBuf, io::Error);

fn write(config: &FileConfig, upload: &Upload) -> Result<Outcome, Failed> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| (path, error)
    };
    // an unmounted folder must not be made anew on the disk below
    config.dir.metadata().map_err(at(&config.dir))?;
    let path = config.dir.join(upload.name());
    let stream_dir = path.parent().unwrap_or(&config.dir);
    if upload.batch.seq[0] > 0 && !stream_dir.exists() {
        // an empty mount point, or another disk: what is put there would be taken for the rest
        let why = format!("{} is not there, and holds what came before; is it mounted?", stream_dir.display());
        return Ok(Outcome::Later { why, after: None });
    }
    Ok(match create(config, &upload.name(), &upload.bytes)? {
        Created::New | Created::Same => Outcome::Stored(None),
        Created::Other => {
            let why = format!("{} holds other bytes; whoever wrote them was not this stream", path.display());
            Outcome::Refused { is_fork: true, why }
        }
    })
}

/// What came of creating a file.
#[derive(Debug, PartialEq)]
pub(super) enum Created {
    New,
    /// It was there, with the same bytes.
    Same,
    /// It was there, with other bytes, and still is.
    Other,
}

/// Creates an archive's file and its folders, durably; one that is there is never replaced.
pub(super) fn create(config: &FileConfig, name: &str, bytes: &[u8]) -> Result<Created, Failed> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| (path, error)
    };
    let path = config.dir.join(name);
    let folder = path.parent().unwrap_or(&config.dir);
    durable::create_dir_all(&Disk, folder, FOLDER_MODE).map_err(at(folder))?;
    if path.exists() {
        return there_already(config, bytes, &path).map_err(at(&path));
    }
    let incoming = config.dir.join(INCOMING);
    durable::create_dir_all(&Disk, &incoming, FOLDER_MODE).map_err(at(&incoming))?;
    let written = incoming.join(name.replace('/', "-"));
    if written.exists() {
        // left by an attempt that was cut off; nobody else writes this file
        Disk.remove(&written).map_err(at(&written))?;
    }
    durable::write_new(&Disk, &written, bytes, FILE_MODE).map_err(at(&written))?;
    match Disk.rename_new(&written, &path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Disk.remove(&written).map_err(at(&written))?;
            return there_already(config, bytes, &path).map_err(at(&path));
        }
        renamed => renamed.map_err(at(&path))?,
    }
    keep(config, &path, folder).map_err(at(&path))?;
    Ok(Created::New)
}

/// A file of this name: the same bytes are a repetition, others a fork.
fn there_already(config: &FileConfig, bytes: &[u8], path: &Path) -> io::Result<Created> {
    if std::fs::read(path)? != bytes {
        return Ok(Created::Other);
    }
    // a crash may have come between its rename and here
    keep(config, path, path.parent().unwrap_or(&config.dir))?;
    Ok(Created::Same)
}

/// Makes the name durable, and, if so configured, the file and its folder immutable.
fn keep(config: &FileConfig, path: &Path, folder: &Path) -> io::Result<()> {
    Disk.sync_dir(folder)?;
    if config.immutable {
        set(path, IFlags::IMMUTABLE)?;
        set(folder, IFlags::APPEND)?;
    }
    Ok(())
}

/// Sets an attribute of chattr(1).
fn set(path: &Path, attribute: IFlags) -> io::Result<()> {
    let file = File::open(path)?;
    let set = || -> io::Result<()> {
        let now = rustix::fs::ioctl_getflags(&file)?;
        if !now.contains(attribute) {
            rustix::fs::ioctl_setflags(&file, now | attribute)?;
        }
        Ok(())
    };
    set().map_err(|error| io::Error::new(error.kind(), no_attributes(path, &error)))
}

fn no_attributes(path: &Path, error: &io::Error) -> String {
    format!(
        "{}: its attributes can't be set ({error}); `immutable` needs a file system with chattr(1) attributes and CAP_LINUX_IMMUTABLE",
        path.display()
    )
}
