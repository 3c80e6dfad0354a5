//! Files that match and are not followed: each is said once, so that nobody waits for its lines.

use super::patterns::compressed;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What was said of which path, so that it is not said again at each look around.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    said: HashMap<PathBuf, Said>,
}

#[derive(Debug)]
struct Said {
    what: String,
    /// The look around that last met the path; what is not met any more is forgotten, which bounds the map.
    round: u64,
}

impl LeftOut {
    /// A matching file that is no log; nothing to mend.
    pub(super) fn note(&mut self, path: &Path, round: u64, why: &dyn Display) {
        if self.is_news(path, round, why.to_string()) {
            tracing::info!(path = %path.display(), "left out: {why}");
        }
    }

    /// A file or folder that should be read and can't be.
    pub(super) fn warn(&mut self, path: &Path, round: u64, why: &dyn Display) {
        if self.is_news(path, round, why.to_string()) {
            tracing::warn!(path = %path.display(), "not read for now: {why}");
        }
    }

    /// Forgets what no look around since `round` has met.
    pub(super) fn forget_before(&mut self, round: u64) {
        self.said.retain(|_, said| said.round >= round);
    }

    fn is_news(&mut self, path: &Path, round: u64, what: String) -> bool {
        match self.said.get_mut(path) {
            Some(said) if said.what == what => {
                said.round = round;
                false
            }
            _ => {
                self.said.insert(path.to_owned(), Said { what, round });
                true
            }
        }
    }
}

/// What to say of a file or folder that can't be opened, with the mend.
pub(super) fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => format!(
            "{error}; let sealtail's user read it (a group such as adm, or `setfacl -m u:sealtail:r`), it is tried again each second"
        ),
        _ => format!("{error}; it is tried again each second"),
    }
}

/// Why a file of this name holds no lines.
pub(super) fn by_name(path: &Path) -> Option<&'static str> {
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
    let stem = name.split(|byte| matches!(byte, b'.' | b'-')).next().unwrap_or_default();
    if [b"wtmp".as_slice(), b"btmp", b"utmp", b"lastlog"].contains(&stem) {
        Some("a binary login record")
    } else if name.ends_with(b".journal") || name.ends_with(b".journal~") {
        Some("a journald file; a source of type journald reads those")
    } else if compressed(path) {
        Some("a compressed file")
    } else {
        None
    }
}

/// Why a file that begins like this holds no lines. Only unmistakable heads: a log may hold any bytes.
pub(super) fn by_head(head: &[u8]) -> Option<&'static str> {
    const MAGICS: [(&[u8], &str); 7] = [
        (b"\x7fELF", "a program"),
        (b"\x1f\x8b\x08", "compressed with gzip"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b"\xfd7zXZ\0", "compressed with xz"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"LPKSHHRH", "a journald file; a source of type journald reads those"),
        (b"1AY&SY", "compressed with bzip2"),
    ];
    let begins = |magic: &[u8]| match magic {
        b"1AY&SY" => head.starts_with(b"BZh") && head.get(4..).is_some_and(|rest| rest.starts_with(magic)),
        _ => head.starts_with(magic),
    };
    MAGICS.iter().find(|(magic, _)| begins(magic)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_are_told_by_name_or_head_and_odd_logs_are_not() {
        for name in ["/var/log/wtmp", "/var/log/btmp.1", "/x/system.journal", "/x/a.log.2.gz"] {
            assert!(by_name(Path::new(name)).is_some(), "{name}");
        }
        assert_eq!(by_name(Path::new("/var/log/wtmpfile.log")), None);
        assert!(by_head(b"BZh91AY&SY...").is_some() && by_head(b"\x1f\x8b\x08\0").is_some());
        for head in [b"BZhang logged in".as_slice(), b"\0\xff\xfe", b""] {
            assert_eq!(by_head(head), None);
        }
    }
}
