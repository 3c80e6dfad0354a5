//! A disk that fails: nothing is acknowledged that isn't durable, and the batch is taken once the disk works again.

use crate::stream::Stream;
use crate::world::World;
use sealtail::durable::{Append, Disk, FileSystem};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What fails from now on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Open,
    /// Part of the bytes are written.
    Write(ErrorKind),
    Sync,
    Rename,
    /// The error comes although the file has its name.
    RenameThatWorked,
    SyncFolder,
    /// And what was made can't be taken back either.
    SyncFolderAndRemove,
    CreateFolder,
}

#[derive(Clone, Default)]
struct Faulty {
    fault: Arc<Mutex<Option<Fault>>>,
}

struct FaultyFile {
    file: Box<dyn Append>,
    fs: Faulty,
}

impl Faulty {
    fn set(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap() = fault;
    }

    fn is(&self, faults: &[Fault]) -> bool {
        self.fault.lock().unwrap().is_some_and(|fault| faults.contains(&fault))
    }

    fn fail_if(&self, faults: &[Fault]) -> io::Result<()> {
        match self.is(faults) {
            true => Err(io::Error::other("injected")),
            false => Ok(()),
        }
    }
}

impl FileSystem for Faulty {
    fn create_new(&self, path: &Path, mode: u32) -> io::Result<Box<dyn Append>> {
        self.fail_if(&[Fault::Open])?;
        Ok(Box::new(FaultyFile { file: Disk.create_new(path, mode)?, fs: self.clone() }))
    }
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn Append>> {
        Disk.open_append(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fail_if(&[Fault::Rename])?;
        Disk.rename_new(from, to)?;
        self.fail_if(&[Fault::RenameThatWorked])
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.fail_if(&[Fault::SyncFolderAndRemove])?;
        Disk.remove(path)
    }
    fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.fail_if(&[Fault::CreateFolder])?;
        Disk.create_dir(path, mode)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.fail_if(&[Fault::SyncFolder, Fault::SyncFolderAndRemove])?;
        Disk.sync_dir(path)
    }
}

impl Append for FaultyFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fault = *self.fs.fault.lock().unwrap();
        if let Some(Fault::Write(kind)) = fault {
            self.file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(kind.into());
        }
        self.file.write_all(bytes)
    }
    fn sync_data(&mut self) -> io::Result<()> {
        self.fs.fail_if(&[Fault::Sync])?;
        self.file.sync_data()
    }
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
}

#[tokio::test]
async fn a_failing_disk_acknowledges_nothing_and_loses_nothing() {
    for fault in [
        Fault::Open,
        Fault::Write(ErrorKind::StorageFull),
        Fault::Write(ErrorKind::QuotaExceeded),
        Fault::Write(ErrorKind::Other),
        Fault::Sync,
        Fault::Rename,
        Fault::RenameThatWorked,
        Fault::SyncFolder,
        Fault::SyncFolderAndRemove,
        Fault::CreateFolder,
    ] {
        let disk = Faulty::default();
        let mut world = World::start_on(Arc::new(disk.clone())).await;
        let mut stream = Stream::begin("web-1");
        let mut batches = vec![(0, stream.batch(2))];
        batches.push((stream.next_seq(), stream.batch(2)));
        for (first, batch) in &batches {
            // the second batch needs no folder
            if fault == Fault::CreateFolder && *first > 0 {
                continue;
            }
            disk.set(Some(fault));
            for _ in 0..3 {
                let answer = world.send(&stream, *first, batch).await;
                let full = matches!(fault, Fault::Write(ErrorKind::StorageFull | ErrorKind::QuotaExceeded));
                let renamed = fault == Fault::RenameThatWorked && answer.status == 200;
                assert!(renamed || answer.status == if full { 507 } else { 503 }, "{fault:?}: {answer:?}");
                assert_eq!(answer.retry_after.is_some(), !renamed);
                assert!(!answer.text.contains(&world.folder().display().to_string()), "{answer:?}");
            }
            disk.set(None);
            let healed = world.send(&stream, *first, batch).await;
            assert!(matches!(healed.status, 200 | 201), "{fault:?}: {healed:?}");
            assert!(healed.receipt().verify(&world.receipt_key()));
            assert_eq!(world.send(&stream, *first, batch).await.receipt(), healed.receipt());
        }
        // what could not be removed is removed at the next start
        world.restart().await;
        let temporary = world.archived().into_iter().filter(|name| name.contains(".tmp-")).count();
        assert_eq!(temporary, 0, "{fault:?}: {:?}", world.archived());
    }
}

#[tokio::test]
async fn what_a_crash_left_unfinished_is_cleared_up() {
    let mut world = World::start().await;
    let mut stream = Stream::begin("web-1");
    let first = stream.batch(2);
    assert_eq!(world.send(&stream, 0, &first).await.status, 201);
    world.stop().await;
    let folder = world.config.dir.join("web-1").join(stream.id.to_string());
    let next = stream.next_seq();
    let second = stream.batch(5);
    fs::write(folder.join(".tmp-1-0"), &second[..second.len() / 2]).unwrap();
    // and a batch that got its name just before the crash, of which no agent heard
    fs::write(folder.join(format!("{next:020}.ndjson.zst")), &second).unwrap();
    world.run(Arc::new(Disk)).await;
    assert_eq!(world.archived().len(), 2);
    assert_eq!(world.send(&stream, next, &second).await.status, 200);
    let next = stream.next_seq();
    let third = stream.batch(1);
    assert_eq!(world.send(&stream, next, &third).await.status, 201);
}

#[tokio::test]
async fn a_damaged_archive_is_left_alone() {
    let mut world = World::start().await;
    let mut stream = Stream::begin("web-1");
    let first = stream.batch(2);
    assert_eq!(world.send(&stream, 0, &first).await.status, 201);
    let next = stream.next_seq();
    let second = stream.batch(2);
    world.stop().await;
    let path = world.config.dir.join("web-1").join(stream.id.to_string()).join(format!("{:020}.ndjson.zst", 0));
    let mut bent = first.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 1;
    fs::write(&path, &bent).unwrap();
    world.run(Arc::new(Disk)).await;
    let answer = world.send(&stream, next, &second).await;
    answer.expect(503, "damaged");
    assert_eq!(world.archived().len(), 1);
    fs::write(&path, &first).unwrap();
    assert_eq!(world.send(&stream, next, &second).await.status, 201);
}

#[tokio::test]
async fn stopping_lets_requests_in_flight_finish() {
    let mut world = World::start().await;
    let mut stream = Stream::begin("web-1");
    let batch = stream.batch(200);
    let mut connection = world.raw_connection("web-1").await;
    let (path, size) = (stream.path(0), batch.len());
    let head = format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&batch[..size / 2]).await.unwrap();
    connection.flush().await.unwrap();
    // long enough for the request to be begun
    tokio::time::sleep(Duration::from_millis(300)).await;
    let address = world.address();
    let rest = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(TcpStream::connect(address).await.is_err(), "it still listens");
        connection.write_all(&batch[size / 2..]).await.unwrap();
        let mut answer = String::new();
        drop(connection.read_to_string(&mut answer).await);
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    };
    tokio::join!(world.stop(), rest);
    assert_eq!(world.archived().len(), 1);
}
