//! Recovery on a disk that is full, or under a crash, at any step: the next start has all that is good.

use crate::bench::{Bench, open_on};
use crate::targets::{archived, verify_as};
use crate::world::{World, await_that, text};
use sealtail::durable::{Append, Disk, FileSystem};
use sealtail::spool::{Harm, Skipped, repair, survey};
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

/// The spool is opened anew after its first file was damaged in its first bytes.
fn damaged_and_reopened(bench: Bench) -> Bench {
    let file = files_below(&bench.dir.path().join("web-1")).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    bytes[..4].fill(0);
    fs::write(file, bytes).unwrap();
    bench.reopened()
}

// its archive was then excused from everything before
#[test]
fn a_crash_as_a_stream_begins_lets_no_target_begin_anew() {
    let bench = Bench::new(1 << 20);
    let mut first = bench.begin();
    first.file();
    first.close();
    bench.take_all("must");
    drop(bench.begin());
    assert_eq!(bench.next("must"), None, "it goes on to the stream that has no line yet");
    let other = bench.next("may").unwrap();
    bench.spool.acknowledge("may", &other, None).unwrap();
    let bench = bench.reopened();
    let mut second = bench.begin();
    second.file();
    let batch = bench.next("must").unwrap();
    assert_eq!((batch.stream, batch.seq[0]), (second.id(), 0));
    assert!(!second.joining.contains(&"must".to_owned()));
}

#[test]
fn a_stream_that_was_set_aside_is_one_that_its_targets_began_with() {
    let bench = Bench::new(1 << 20);
    let mut first = bench.begin();
    first.file();
    drop(first);
    let bench = damaged_and_reopened(bench);
    // nor is it forgotten by a crash as the next one begins
    drop(bench.begin());
    assert_eq!(bench.next("must"), None);
    let bench = bench.reopened();
    let mut second = bench.begin();
    second.file();
    let batch = bench.next("must").unwrap();
    assert_eq!((batch.stream, batch.seq[0]), (second.id(), 0));
    assert!(second.joining.is_empty(), "{:?}", second.joining);
}

#[test]
fn what_a_target_lacks_is_told_again_where_the_line_that_says_so_was_set_aside() {
    let bench = Bench::new(0);
    let mut first = bench.begin();
    (0..2).for_each(|_| first.file());
    bench.take_all("must");
    let lacked = [Skipped { target: "may".into(), stream: first.id(), from: 0, to: first.close() }];
    assert_eq!(bench.spool.skipped(), lacked);
    bench.take_all("must");
    let mut second = bench.begin();
    second.file();
    bench.spool.told(&lacked, second.id(), 0).unwrap();
    drop(second);
    let bench = damaged_and_reopened(bench);
    assert_eq!(bench.spool.skipped(), lacked);
}

// the stream that came next named the target as if it had never had another
#[test]
fn lines_that_the_spool_lost_are_missing_in_the_archive_of_their_target() {
    let mut world = World::new();
    world.configure(|config| config.replace("dir = \"spool\"", "dir = \"spool\"\ndrain_timeout = \"1s\""));
    world.start_receiver();
    world.start_agent();
    world.append("early\n");
    world.await_archived(1);
    assert_eq!(world.stop_agent(), Some(0));
    world.kill_receiver();
    world.append((0..1_000).map(|number| format!("line {number}\n")).collect::<String>());
    world.start_agent();
    let spooled = || {
        let mut files = files_below(&world.path("q/spool")).into_iter();
        files.find(|path| path.extension().is_some_and(|e| e == "zst") && archived(path) == 1_000)
    };
    await_that("they are spooled", || spooled().is_some());
    let lost = spooled().unwrap();
    assert_eq!(world.stop_agent(), Some(0));
    let mut bytes = fs::read(&lost).unwrap();
    bytes[..4].fill(0);
    fs::write(&lost, bytes).unwrap();
    world.append("late\n");
    world.start_receiver();
    world.start_agent();
    await_that("the next stream is archived", || world.messages() == ["early", "late"]);
    assert_eq!(world.stop_agent(), Some(0));
    let told = verify_as(&world, "q/archive", "archive");
    let stream = lost.parent().unwrap().file_name().unwrap().to_str().unwrap();
    assert_eq!(told.status.code(), Some(1), "{}", text(&told));
    assert!(
        text(&told).lines().any(|line| line.contains("STREAM-MISSING") && line.contains(stream)),
        "{}",
        text(&told)
    );
}
