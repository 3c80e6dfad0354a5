//! Reads a file by `pread` through a few windows. Never by `mmap`: a mapped file that is truncated kills its reader.

use super::format::{Damage, ENTRY_ARRAY, OBJECT_BYTES, TYPE_MAX, le64};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of a window.
const WINDOW: usize = 64 * 1024;
/// Windows of one file: one moves on with the entries, the others lie where its older data objects do.
const WINDOWS: usize = 6;
/// Offsets of windows are rounded down to this.
const PAGE: u64 = 4096;

/// A file and what was read of it lately.
#[derive(Debug)]
pub(super) struct Pages {
    file: File,
    /// Its length when it was last asked for.
    len: u64,
    windows: Vec<Window>,
    turn: u64,
}

#[derive(Debug)]
struct Window {
    at: u64,
    bytes: Vec<u8>,
    used: u64,
}

impl Pages {
    pub(super) fn new(file: File) -> io::Result<Pages> {
        let len = file.metadata()?.len();
        Ok(Pages { file, len, windows: Vec::new(), turn: 0 })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Forgets what was read: the file was written since.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        self.len = self.file.metadata()?.len();
        self.windows.clear();
        Ok(())
    }

    /// Up to `bytes.len()` bytes from `at` on, as they are now.
    pub(super) fn read_now(&self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read_at(&mut bytes[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Exactly these bytes.
    pub(super) fn get(&mut self, at: u64, len: u64) -> Result<&[u8], Damage> {
        let end = at.checked_add(len).filter(|end| *end <= self.len);
        let end = end.ok_or_else(|| Damage::new(at, "it ends before the object does"))?;
        self.turn += 1;
        let known = self.windows.iter().position(|w| w.at <= at && w.at + w.bytes.len() as u64 >= end);
        let index = match known {
            Some(index) => index,
            None => self.load(at, end)?,
        };
        let window = &mut self.windows[index];
        window.used = self.turn;
        // both differences are inside the window, which is in memory
        Ok(&window.bytes[(at - window.at) as usize..(end - window.at) as usize])
    }

    fn load(&mut self, at: u64, end: u64) -> Result<usize, Damage> {
        let start = at & !(PAGE - 1);
        let wanted = (end - start).max(WINDOW as u64).min(self.len - start);
        let size = usize::try_from(wanted).map_err(|_| Damage::new(at, "an object larger than memory"))?;
        let index = if self.windows.len() < WINDOWS {
            self.windows.push(Window { at: 0, bytes: Vec::new(), used: 0 });
            self.windows.len() - 1
        } else {
            (0..self.windows.len()).min_by_key(|index| self.windows[*index].used).unwrap_or(0)
        };
        let mut bytes = std::mem::take(&mut self.windows[index].bytes);
        if bytes.capacity() > 4 * WINDOW {
            // one giant must not be kept
            bytes = Vec::new();
        }
        bytes.resize(size, 0);
        let read = self.read_now(start, &mut bytes);
        let read = read.map_err(|error| Damage::new(at, format!("it can't be read there: {error}")))?;
        bytes.truncate(read);
        self.windows[index] = Window { at: start, bytes, used: self.turn };
        if start + (read as u64) < end {
            return Err(Damage::new(at, "it was cut off while it was read"));
        }
        Ok(index)
    }

    /// The size of the object at `at`, which must be of the type, have `least` bytes and lie inside the file.
    pub(super) fn object(&mut self, at: u64, kind: u8, least: u64) -> Result<(u8, u64), Damage> {
        let (found, flags, size) = self.any_object(at)?;
        if found != kind || size < least {
            return Err(Damage::new(
                at,
                format!("an object of type {found} and {size} bytes where one of type {kind} should be"),
            ));
        }
        Ok((flags, size))
    }

    /// Type, flags and size of the object at `at`.
    pub(super) fn any_object(&mut self, at: u64) -> Result<(u8, u8, u64), Damage> {
        if at == 0 || !at.is_multiple_of(8) {
            return Err(Damage::new(at, "no object can begin there"));
        }
        let len = self.len;
        let head = self.get(at, OBJECT_BYTES)?;
        let (kind, flags, size) = (head[0], head[1], le64(head, 8));
        let reserved = head[2..8].iter().any(|byte| *byte != 0);
        // of an array in a file that was cut off the first items may be there
        let fits = kind == ENTRY_ARRAY || size <= len - at;
        if kind == 0 || kind > TYPE_MAX || reserved || size < OBJECT_BYTES || !fits {
            return Err(Damage::new(at, "no object begins there"));
        }
        Ok((kind, flags, size))
    }
}
