//! Who else may change a file that counts: sealtail runs by nothing that somebody other than its owner, root's group or the
//! group that it runs as can write, as sudo and sshd don't either.

use rustix::fs::{StatVfsMountFlags, statvfs};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// In such a folder only an entry's owner can rename or remove it.
const STICKY: u32 = 0o1000;

/// Somebody can change it who must not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}; {}", self.what(), self.mend())]
pub struct Writable {
    path: PathBuf,
    who: String,
    mode: u32,
    mend: &'static str,
}

impl Writable {
    /// Where, and who.
    pub fn what(&self) -> String {
        let Self { path, who, mode, .. } = self;
        format!("{}: {who} can write here (mode {mode:04o}), and so change what sealtail does", path.display())
    }

    /// What mends it.
    pub fn mend(&self) -> String {
        format!("run: chmod {} {}", self.mend, self.path.display())
    }
}

/// Whether nobody else can write this file or folder, put another in its place in its folder, or move a folder above away. What
/// is on a read-only mount nobody can; what is not there is for its reader to say.
pub fn check(path: &Path) -> Result<(), Writable> {
    let Ok(real) = fs::canonicalize(path) else { return Ok(()) };
    if statvfs(&real).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY)) {
        return Ok(());
    }
    let own_group = rustix::process::getegid().as_raw();
    // where a link stands is as good as where it leads
    let linked = std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_owned));
    let places = [(real.as_path(), false)].into_iter();
    let places = places.chain(real.ancestors().skip(1).chain(linked.as_deref()).map(|folder| (folder, true)));
    for (place, is_above) in places {
        let Ok(metadata) = fs::metadata(place) else { continue };
        if let Some((who, mend)) = writer(&metadata, is_above, own_group) {
            return Err(Writable { path: place.to_owned(), who, mode: metadata.mode() & 0o7777, mend });
        }
    }
    Ok(())
}

/// Who can write it, and the mode that mends that.
fn writer(metadata: &Metadata, is_above: bool, own_group: u32) -> Option<(String, &'static str)> {
    let mode = metadata.mode();
    if is_above && mode & STICKY != 0 {
        return None;
    }
    if mode & OTHERS_WRITE != 0 {
        return Some(("everybody".to_owned(), "o-w"));
    }
    let group = metadata.gid();
    let is_other = mode & GROUP_WRITES != 0 && group != 0 && group != own_group;
    is_other.then(|| (format!("group {group}"), "g-w"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_can_write_is_refused_with_the_mend() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file) = (dir.path().join("etc"), dir.path().join("etc/sealtail.toml"));
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "").unwrap();
        let link = dir.path().join("link.toml");
        symlink(&file, &link).unwrap();
        for (folder_mode, file_mode, at, mend) in [
            (0o755, 0o644, None, ""),
            (0o755, 0o646, Some(&file), "o-w"),
            (0o777, 0o644, Some(&folder), "o-w"),
            (0o1777, 0o644, None, ""),
            // the group that this process runs as
            (0o775, 0o664, None, ""),
        ] {
            set(&folder, folder_mode);
            set(&file, file_mode);
            for path in [&file, &link] {
                let refused = check(path).err();
                assert_eq!(refused.as_ref().map(|refused| &refused.path), at, "{folder_mode:o} {file_mode:o}");
                assert_eq!(refused.map_or("", |refused| refused.mend), mend);
            }
        }
        set(&folder, 0o1777);
        assert_eq!(check(&folder).unwrap_err().mend, "o-w", "a sticky folder takes new files from everybody");
        assert_eq!(check(&dir.path().join("missing")), Ok(()));
    }

    #[test]
    fn a_group_is_refused_unless_it_is_roots_or_ones_own() {
        let file = tempfile::NamedTempFile::new().unwrap();
        set(file.path(), 0o664);
        let metadata = file.as_file().metadata().unwrap();
        assert_eq!(writer(&metadata, false, metadata.gid()), None);
        let other = writer(&metadata, false, metadata.gid() + 1);
        assert_eq!(other.is_none(), metadata.gid() == 0);
    }
}
