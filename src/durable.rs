//! The one module that owns durability: how bytes get to the disk so that a crash at any moment leaves either all of
//! them under their name or none.
//!
//! Two ways to make a whole file ([`Unnamed`] is the first one in steps), and what a crash (kill -9 or power cut) leaves after each system call:
//!
//! | call | [`write_new`] | [`replace`] |
//! | --- | --- | --- |
//! | `open(.tmp-…, O_CREAT\|O_EXCL)`, `write` | a `.tmp-` file, removed at the next start | the same |
//! | `fdatasync(.tmp-…)` | the same, its bytes durable | the same |
//! | `renameat2(…, RENAME_NOREPLACE)` / `rename` | the file or the `.tmp-` file, never half of it | the old file or the new one |
//! | `fsync(folder)`: the COMMIT POINT | the file | the new file |
//!
//! The bytes are synced before they get their name, since file systems may order a rename before the data. A file that is
//! seen after a start may not be committed: the process can have died between the rename and the `fsync`. Whoever
//! finds one therefore calls [`FileSystem::sync_dir`] before it vouches for it.
//!
//! After a failed `fdatasync` the kernel forgets which pages were not written, and the next one succeeds without them: it
//! is never tried again on the same file. [`write_new`] and [`replace`] begin anew with another file; who appends ends the file.
//!
//! Files that grow ([`Append`]) are their owner's: bytes up to the last successful [`Append::sync_data`] are durable,
//! provided that the folder was synced after the file was made; what follows them may be there, torn or absent.
//!
//! Only what changes the disk goes through [`FileSystem`], the seam where tests inject faults; reading is `std::fs`'s.

use rustix::fs::{CWD, FlockOperation, RenameFlags};
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What leftovers of a crash are named with; no other file may begin so.
pub const TEMPORARY_PREFIX: &str = ".tmp-";

/// What changes a disk.
pub trait FileSystem: Send + Sync {
    /// Makes an empty file to append to; `AlreadyExists` if there is one. Not durable before its folder is synced.
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Box<dyn Append>>;
    /// Opens a file that is there to append to.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn Append>>;
    /// Renames over whatever is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames; `AlreadyExists` if there is a file of the new name, which stays as it is.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes one folder; `AlreadyExists` if there is something.
    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Makes the names in a folder durable: those made, renamed and removed.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// A file that grows at its end.
pub trait Append: Send {
    /// Appends all of `bytes`; after an error any part of them may be there.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was appended durable (`fdatasync`). Once failed, the file is not to be appended to any more.
    fn sync_data(&mut self) -> io::Result<()>;
    /// Cuts the file off at `len` bytes; durable after the next `sync_data`.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// Makes `path` with `bytes`, durably and whole, or not at all. `AlreadyExists` if there is a file of that name, which
/// stays as it is. The folder must be there.
pub fn write_new(fs: &dyn FileSystem, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = write_temporary(fs, path, bytes, mode)?;
    fs.rename_new(&temporary, path).inspect_err(|_| discard(fs, &temporary))?;
    // named but perhaps not durable: taken away again, so that the next attempt doesn't find it and believe in it
    fs.sync_dir(folder_of(path)).inspect_err(|_| discard(fs, path))
}

/// [`write_new`] in steps, for bytes that come little by little and are looked at before they get their name. Dropped
/// without a name it is removed.
pub struct Unnamed {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    file: Option<Box<dyn Append>>,
}

impl Unnamed {
    /// An empty file in `folder`, which is on the file system of the name to come.
    pub fn create(fs: Arc<dyn FileSystem>, folder: &Path, mode: u32) -> io::Result<Self> {
        let (file, path) = create_temporary(&*fs, folder, mode)?;
        Ok(Self { fs, path, file: Some(file) })
    }

    /// Appends; after an error the file is of no use.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_mut().map_or(Err(ErrorKind::BrokenPipe.into()), |file| file.write_all(bytes))
    }

    /// To read what was written.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// Makes it durable under its name, or not at all, as [`write_new`] does.
    pub fn name(mut self, path: &Path) -> io::Result<()> {
        if let Some(mut file) = self.file.take() {
            file.sync_data()?;
        }
        self.fs.rename_new(&self.path, path)?;
        self.path = PathBuf::new();
        self.fs.sync_dir(folder_of(path)).inspect_err(|_| discard(&*self.fs, path))
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            discard(&*self.fs, &self.path);
        }
    }
}

/// Puts a file with `bytes` in the place of `path`, durably: whoever looks finds the old bytes or the new ones. After an
/// error either may be there.
pub fn replace(fs: &dyn FileSystem, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = write_temporary(fs, path, bytes, mode)?;
    fs.rename(&temporary, path).inspect_err(|_| discard(fs, &temporary))?;
    fs.sync_dir(folder_of(path))
}

/// Makes `path` and the folders above it where they are missing, and makes the name of each of those durable. That of
/// `path` is synced even if it is there: a crash may have come between making and syncing it.
pub fn create_dir_all(fs: &dyn FileSystem, path: &Path, mode: u32) -> io::Result<()> {
    let parent = folder_of(path);
    match fs.create_dir(path, mode) {
        Ok(()) => {}
        Err(_) if path.is_dir() => {
            return match fs.sync_dir(parent) {
                // somebody else's folder, in which this process could not have made anything
                Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
                synced => synced,
            };
        }
        Err(error) if error.kind() == ErrorKind::NotFound && parent != path => {
            create_dir_all(fs, parent, mode)?;
            fs.create_dir(path, mode)?;
        }
        Err(error) => return Err(error),
    }
    fs.sync_dir(parent)
}

/// Removes what a crash left unfinished in `folder`; only its owner, holding its [`Lock`], may call this. Returns how many
/// files these were.
pub fn remove_leftovers(fs: &dyn FileSystem, folder: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if is_temporary(&entry.file_name()) {
            fs.remove(&entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether a file's name is that of an unfinished one.
pub fn is_temporary(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMPORARY_PREFIX.as_bytes())
}

/// Keeps a second process out of a folder; ends with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Locks `folder` by its file `.lock`; `None` if another process holds it.
    pub fn acquire(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(".lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// The disk as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl FileSystem for Disk {
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Box<dyn Append>> {
        Ok(Box::new(OpenOptions::new().append(true).create_new(true).mode(mode).open(path)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn Append>> {
        Ok(Box::new(OpenOptions::new().append(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        use rustix::io::Errno;
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // some file systems (NFS among them) know no such flag, but a link is never made over a file either; should the
            // temporary name stay, by a crash or an error, it is removed at the next start
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                std::fs::hard_link(from, to)?;
                drop(std::fs::remove_file(from));
                Ok(())
            }
            other => Ok(other?),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        DirBuilder::new().mode(mode).create(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl Append for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// Writes and syncs a temporary file beside `path`, which it leaves there only if all went well.
fn write_temporary(fs: &dyn FileSystem, path: &Path, bytes: &[u8], mode: u32) -> io::Result<PathBuf> {
    let (mut file, temporary) = create_temporary(fs, folder_of(path), mode)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_data());
    drop(file);
    match written {
        Ok(()) => Ok(temporary),
        Err(error) => {
            discard(fs, &temporary);
            Err(error)
        }
    }
}

fn create_temporary(fs: &dyn FileSystem, folder: &Path, mode: u32) -> io::Result<(Box<dyn Append>, PathBuf)> {
    // unique among the living; a dead process of the same number (always 1 in a container) may have left its own
    static COUNT: AtomicU64 = AtomicU64::new(0);
    const ATTEMPTS: usize = 1000;
    let mut last = io::Error::from(ErrorKind::AlreadyExists);
    for _ in 0..ATTEMPTS {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = OsString::from(format!("{TEMPORARY_PREFIX}{}-{count}", std::process::id()));
        let path = folder.join(name);
        match fs.create_new(&path, mode) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Removes a file that is of no use; should that fail, the error that made it useless is the one to tell.
fn discard(fs: &dyn FileSystem, path: &Path) {
    drop(fs.remove(path));
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        // the root is its own folder
        None => path,
    }
}

/// A path without symbolic links, as far as it is there.
pub fn real(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|folder| Some((folder.canonicalize().ok()?, folder)));
    there.map_or_else(|| path.to_owned(), |(real, folder)| real.join(path.strip_prefix(folder).unwrap_or(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_new(&Disk, &path, b"one", 0o640).unwrap();
        assert_eq!(write_new(&Disk, &path, b"two", 0o640).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        replace(&Disk, &path, b"three", 0o640).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn makes_folders_and_removes_leftovers() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x/y/z");
        create_dir_all(&Disk, &deep, 0o700).unwrap();
        create_dir_all(&Disk, &deep, 0o700).unwrap();
        fs::write(deep.join(".tmp-1-0"), b"torn").unwrap();
        fs::write(deep.join("kept"), b"").unwrap();
        assert_eq!(remove_leftovers(&Disk, &deep).unwrap(), 1);
        assert_eq!(names(&deep), ["kept"]);
        fs::write(folder.path().join("file"), b"").unwrap();
        assert!(create_dir_all(&Disk, &folder.path().join("file"), 0o700).is_err());
    }

    #[test]
    fn appends_and_cuts_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut file = Disk.create_new(&path, 0o600).unwrap();
        file.write_all(b"whole torn").unwrap();
        let mut file = Disk.open_append(&path).unwrap();
        file.truncate(6).unwrap();
        file.write_all(b"again").unwrap();
        file.sync_data().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole again");
    }

    #[test]
    fn a_folder_has_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::acquire(folder.path()).unwrap();
        assert!(lock.is_some());
        assert!(Lock::acquire(folder.path()).unwrap().is_none());
        drop(lock);
        assert!(Lock::acquire(folder.path()).unwrap().is_some());
    }
}
