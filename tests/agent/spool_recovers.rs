//! Recovery on a disk that is full, or under a crash, at any step: the next start has all that is good.

use crate::bench::{Bench, open_on};
use sealtail::durable::{Append, Disk, FileSystem};
use sealtail::spool::{Harm, repair, survey};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A disk that takes so many changes and no more.
#[derive(Clone)]
struct Filling {
    left: Arc<AtomicUsize>,
}

struct FillingFile {
    file: Box<dyn Append>,
    disk: Filling,
}

impl Filling {
    fn change(&self) -> io::Result<()> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| io::Error::from(io::ErrorKind::StorageFull))
    }
}

impl FileSystem for Filling {
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Box<dyn Append>> {
        self.change()?;
        Ok(Box::new(FillingFile { file: Disk.create_new(path, mode)?, disk: self.clone() }))
    }
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn Append>> {
        Ok(Box::new(FillingFile { file: Disk.open_append(path)?, disk: self.clone() }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change().and_then(|()| Disk.rename(from, to))
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change().and_then(|()| Disk.rename_new(from, to))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change().and_then(|()| Disk.remove(path))
    }
    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.change().and_then(|()| Disk.create_dir(path, mode))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.change().and_then(|()| Disk.sync_dir(path))
    }
}

impl Append for FillingFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.change()?;
        self.file.write_all(bytes)
    }
    fn sync_data(&mut self) -> io::Result<()> {
        self.disk.change()?;
        self.file.sync_data()
    }
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.disk.change()?;
        self.file.truncate(len)
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

// the damaged file was moved away before its good part was written
#[test]
fn the_good_part_of_a_damaged_file_outlives_a_disk_that_takes_no_more_at_any_step() {
    let mut broken = 0;
    for changes in 0.. {
        let bench = Bench::new(1 << 20);
        let mut stream = bench.begin();
        let last_good = stream.segment();
        // three files: the first is damaged within, and both others stand behind the damage
        (0..3).for_each(|_| stream.file());
        drop(stream);
        let Bench { dir, spool, key } = bench;
        drop(spool);
        let host = dir.path().join("web-1");
        let damaged = files_below(&host).remove(0);
        let mut bytes = fs::read(&damaged).unwrap();
        let at = bytes.len() - 1;
        bytes[at] ^= 1;
        fs::write(&damaged, &bytes).unwrap();
        let all: Vec<Vec<u8>> = files_below(&host).iter().map(|path| fs::read(path).unwrap()).collect();

        let disk = Filling { left: Arc::new(AtomicUsize::new(changes)) };
        let first_start = open_on(dir.path(), 1 << 20, Arc::new(disk));
        let done = first_start.is_ok();
        drop(first_start);
        broken += u64::from(!done);
        // who looks at it now finds the damage, or its good part, and no line missing before that
        let found = survey(dir.path()).unwrap();
        let good = found.streams.iter().filter_map(|stream| stream.seq).next();
        assert_eq!(good, Some([0, last_good]), "after {changes} changes: {found:?}");
        let harms: Vec<Harm> = found.damage.iter().map(|damage| damage.harm).collect();
        assert!(harms.iter().all(|harm| *harm == Harm::BadFrame), "after {changes} changes: {found:?}");
        let (spool, _) = open_on(dir.path(), 1 << 20, Arc::new(Disk)).unwrap();
        let bench = Bench { dir, spool, key };
        let mut taken = Vec::new();
        while let Some(batch) = bench.next("must") {
            assert_eq!(bench.spool.read(&batch).unwrap(), bytes[..batch.len as usize], "after {changes} changes");
            bench.spool.acknowledge("must", &batch, None).unwrap();
            taken.push(batch);
        }
        assert_eq!(taken.iter().map(|batch| batch.seq[1]).max(), Some(last_good), "after {changes} changes: {taken:?}");
        // and nothing of what was damaged, or stood behind it, is gone
        let kept = files_below(&bench.dir.path().join("quarantine"));
        let kept: Vec<Vec<u8>> = kept.iter().map(|path| fs::read(path).unwrap()).collect();
        let lost = all.iter().filter(|bytes| !bytes.is_empty() && !kept.contains(bytes)).count();
        assert_eq!(lost, 0, "after {changes} changes");
        if done {
            break;
        }
    }
    assert!(broken > 10, "{broken}");
}

// a good part that a crash left beside its place was no spool file to who made a ledger anew, and its lines were passed over
#[test]
fn a_good_part_that_is_not_in_its_place_yet_is_known_without_a_ledger() {
    let bench = Bench::new(1 << 20);
    let mut stream = bench.begin();
    let last_good = stream.segment();
    let id = stream.id();
    drop(stream);
    let Bench { dir, spool, key } = bench;
    drop(spool);
    let file = files_below(&dir.path().join("web-1")).remove(0);
    let bytes = fs::read(&file).unwrap();
    fs::rename(&file, format!("{}.good", file.display())).unwrap();
    fs::remove_file(dir.path().join("ledger.json")).unwrap();
    let harms: Vec<Harm> = survey(dir.path()).unwrap().damage.iter().map(|damage| damage.harm).collect();
    assert_eq!(harms, [Harm::Ledger]);
    repair(dir.path(), Some("web-1"), &["must".to_owned(), "may".to_owned()]).unwrap();
    let found = survey(dir.path()).unwrap();
    assert_eq!((found.streams[0].seq, found.damage), (Some([0, last_good]), Vec::new()));
    let bench = Bench { spool: open_on(dir.path(), 1 << 20, Arc::new(Disk)).unwrap().0, dir, key };
    let batch = bench.next("must").unwrap();
    assert_eq!((batch.stream, batch.seq), (id, [0, last_good]));
    assert_eq!(bench.spool.read(&batch).unwrap(), bytes);
}

// and to who looked for streams that the ledger does not name
#[test]
fn a_good_part_of_a_stream_that_the_ledger_does_not_name_is_kept_as_its_file() {
    let bench = Bench::new(1 << 20);
    let mut stream = bench.begin();
    stream.segment();
    let id = stream.id();
    drop(stream);
    let Bench { dir, spool, key: _ } = bench;
    drop(spool);
    let file = files_below(&dir.path().join("web-1")).remove(0);
    let bytes = fs::read(&file).unwrap();
    fs::rename(&file, format!("{}.good", file.display())).unwrap();
    let ledger = dir.path().join("ledger.json");
    let text = fs::read_to_string(&ledger).unwrap();
    fs::write(&ledger, text.replace(&id.to_string(), &"0".repeat(32))).unwrap();
    let harms = |damage: &[sealtail::spool::Damage]| damage.iter().map(|damage| damage.harm).collect::<Vec<_>>();
    assert!(harms(&survey(dir.path()).unwrap().damage).contains(&Harm::UnknownStream));
    repair(dir.path(), None, &[]).unwrap();
    let kept = dir.path().join("quarantine/damaged").join(file.strip_prefix(dir.path()).unwrap());
    assert_eq!(fs::read(kept).unwrap(), bytes);
}
