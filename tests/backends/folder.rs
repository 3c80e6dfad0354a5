//! `type = "file"`.

use crate::conformance::{HOST, Place, conforms, files, is_put_off, is_stored, next};
use crate::stream::Stream;
use rustix::fs::IFlags;
use sealtail::forward::{self, Config, FileConfig, Kind, Outcome};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

struct Folder {
    dir: PathBuf,
    immutable: bool,
    _temporary: TempDir,
}

impl Folder {
    fn new() -> Folder {
        // not in /tmp, which may be a tmpfs without attributes
        let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let dir = temporary.path().join("archive");
        fs::create_dir(&dir).unwrap();
        Folder { dir, immutable: false, _temporary: temporary }
    }
}

impl Place for Folder {
    fn target(&self) -> Config {
        Config {
            name: "worm".into(),
            required: true,
            max_lag_bytes: None,
            batch_max_size_bytes: 4 << 20,
            batch_max_age: Duration::from_secs(1),
            kind: Kind::File(FileConfig { dir: self.dir.clone(), immutable: self.immutable }),
        }
    }

    fn holds(&self) -> Vec<(String, Vec<u8>)> {
        files(&self.dir)
    }
}

#[tokio::test]
async fn conforms_to_the_contract() {
    conforms(&Folder::new()).await;
}

#[tokio::test]
async fn a_folder_that_is_not_mounted_is_not_made_anew() {
    let folder = Folder::new();
    let mut target = forward::open(&folder.target(), HOST).unwrap();
    fs::remove_dir(&folder.dir).unwrap();
    assert!(target.probe().await.unwrap_err().contains("mount it"));
    let upload = next(&mut Stream::begin(HOST), 2);
    let why = is_put_off(&mut target, &upload).await;
    assert!(why.contains("is it mounted?"), "{why}");
    assert!(!folder.dir.exists());
    fs::create_dir(&folder.dir).unwrap();
    is_stored(&mut target, &upload).await;
    assert_eq!(folder.holds(), [(upload.name(), upload.bytes.to_vec())]);
}

#[tokio::test]
async fn an_attempt_that_was_cut_off_is_made_again() {
    let folder = Folder::new();
    let mut target = forward::open(&folder.target(), HOST).unwrap();
    let upload = next(&mut Stream::begin(HOST), 2);
    fs::create_dir(folder.dir.join(".incoming")).unwrap();
    fs::write(folder.dir.join(".incoming").join(upload.name().replace('/', "-")), "half of").unwrap();
    is_stored(&mut target, &upload).await;
    assert_eq!(fs::read_dir(folder.dir.join(".incoming")).unwrap().count(), 0);
    assert_eq!(folder.holds(), [(upload.name(), upload.bytes.to_vec())]);
}

#[tokio::test]
async fn a_full_disk_puts_off_until_there_is_room() {
    let folder = Folder::new();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(&folder.dir).status();
    if !mounted.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount a tmpfs");
        return eprintln!("SKIPPED: mounting a tmpfs needs root");
    }
    let mut target = forward::open(&folder.target(), HOST).unwrap();
    let mut stream = Stream::begin(HOST);
    let upload = next(&mut stream, 2);
    fs::write(folder.dir.join("full"), vec![7; 200 << 10]).unwrap();
    let _ = fs::write(folder.dir.join("fuller"), vec![7; 256 << 10]);
    let why = is_put_off(&mut target, &upload).await;
    fs::remove_file(folder.dir.join("full")).unwrap();
    fs::remove_file(folder.dir.join("fuller")).unwrap();
    let stored = target.store(&upload).await;
    let holds = folder.holds();
    let unmounted = Command::new("umount").arg(&folder.dir).status().unwrap();
    assert!(unmounted.success());
    assert!(why.contains("make room"), "{why}");
    assert!(matches!(stored, Outcome::Stored(None)), "{stored:?}");
    assert_eq!(holds, [(upload.name(), upload.bytes.to_vec())]);
}

#[tokio::test]
async fn immutable_files_can_neither_be_changed_nor_taken_away() {
    let mut folder = Folder::new();
    folder.immutable = true;
    let mut target = forward::open(&folder.target(), HOST).unwrap();
    let mut stream = Stream::begin(HOST);
    let first = next(&mut stream, 2);
    match target.store(&first).await {
        Outcome::Stored(None) => {}
        Outcome::Later { why, .. } if why.contains("CAP_LINUX_IMMUTABLE") => {
            return eprintln!("SKIPPED: {why}");
        }
        other => panic!("{other:?}"),
    }
    let path = folder.dir.join(first.name());
    let tried = [
        fs::remove_file(&path).is_err(),
        fs::write(&path, "forged").is_err(),
        fs::rename(&path, folder.dir.join("away")).is_err(),
        fs::remove_dir_all(path.parent().unwrap()).is_err(),
    ];
    let second = next(&mut stream, 2);
    let again = [target.store(&second).await, target.store(&first).await];
    let holds = folder.holds();
    for path in [&path, &folder.dir.join(second.name()), path.parent().unwrap()] {
        release(path);
    }
    assert_eq!(tried, [true; 4]);
    assert!(again.iter().all(|outcome| matches!(outcome, Outcome::Stored(None))), "{again:?}");
    assert_eq!(holds, [(first.name(), first.bytes.to_vec()), (second.name(), second.bytes.to_vec())]);
}

/// So that the test's folder can be removed.
fn release(path: &Path) {
    let file = File::open(path).unwrap();
    let flags = rustix::fs::ioctl_getflags(&file).unwrap() - IFlags::IMMUTABLE - IFlags::APPEND;
    rustix::fs::ioctl_setflags(&file, flags).unwrap();
}

// an empty mount point looks like an empty folder
#[tokio::test]
async fn what_came_before_must_be_there() {
    let folder = Folder::new();
    let mut target = forward::open(&folder.target(), HOST).unwrap();
    let mut stream = Stream::begin(HOST);
    let (first, second) = (next(&mut stream, 2), next(&mut stream, 2));
    is_stored(&mut target, &first).await;
    let away = folder.dir.with_file_name("away");
    fs::rename(&folder.dir, &away).unwrap();
    fs::create_dir(&folder.dir).unwrap();
    let why = is_put_off(&mut target, &second).await;
    assert!(why.contains("is it mounted?"), "{why}");
    fs::remove_dir(&folder.dir).unwrap();
    fs::rename(&away, &folder.dir).unwrap();
    is_stored(&mut target, &second).await;
    assert_eq!(folder.holds(), [(first.name(), first.bytes.to_vec()), (second.name(), second.bytes.to_vec())]);
}
