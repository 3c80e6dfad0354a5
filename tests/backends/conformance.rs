//! What every kind of target has to do.

use crate::stream::Stream;
use base64::prelude::*;
use sealtail::chain::header::Hash;
use sealtail::forward::{self, Backend, Config, Outcome, Upload};
use sealtail::spool::Frozen;

/// A place where batches go, and what it holds.
pub(crate) trait Place {
    /// A target there.
    fn target(&self) -> Config;

    /// What it holds, by name, sorted.
    fn holds(&self) -> Vec<(String, Vec<u8>)>;
}

pub(crate) const HOST: &str = "web-1";

/// Stored once; again after a retry and after a restart without a second copy; other bytes are a fork; order is kept.
pub(crate) async fn conforms(place: &impl Place) {
    let mut target = forward::open(&place.target(), HOST).unwrap();
    target.probe().await.unwrap();
    let mut stream = Stream::begin(HOST);
    let mut stored = Vec::new();
    for count in [3, 1, 200] {
        let upload = next(&mut stream, count);
        is_stored(&mut target, &upload).await;
        stored.push((upload.name(), upload.bytes.to_vec()));
    }
    assert_eq!(place.holds(), stored);
    // the answer was lost, or the process was killed before it took note
    for again in 0..2 {
        if again == 1 {
            target = forward::open(&place.target(), HOST).unwrap();
        }
        let upload = as_upload(&stream, &stored[2]);
        is_stored(&mut target, &upload).await;
        assert_eq!(place.holds(), stored);
    }
    // somebody else's bytes under the same name
    let mut forged = as_upload(&stream, &stored[2]);
    forged.bytes = Stream::begin(HOST).batch(5).into();
    forged.digest = Hash(crate::stream::digest(&forged.bytes));
    forged.batch.len = forged.bytes.len() as u64;
    match target.store(&forged).await {
        Outcome::Refused { is_fork: true, why } => assert!(!why.is_empty()),
        other => panic!("a fork is taken for something else: {other:?}"),
    }
    assert_eq!(place.holds(), stored, "what is stored is never replaced");
    // and what comes next is stored as ever
    let upload = next(&mut stream, 2);
    is_stored(&mut target, &upload).await;
    stored.push((upload.name(), upload.bytes.to_vec()));
    let mut other = Stream::begin(HOST);
    let upload = next(&mut other, 1);
    is_stored(&mut target, &upload).await;
    stored.push((upload.name(), upload.bytes.to_vec()));
    stored.sort();
    assert_eq!(place.holds(), stored);
}

/// An attempt has to succeed.
pub(crate) async fn is_stored(target: &mut Box<dyn Backend>, upload: &Upload) {
    match target.store(upload).await {
        Outcome::Stored(_) => {}
        other => panic!("{} is not stored: {other:?}", upload.name()),
    }
}

/// An attempt is to be made again; why.
pub(crate) async fn is_put_off(target: &mut Box<dyn Backend>, upload: &Upload) -> String {
    match target.store(upload).await {
        Outcome::Later { why, .. } => why,
        other => panic!("{} is not put off: {other:?}", upload.name()),
    }
}

/// A stream's next batch, with a sign of life: of an agent one comes each minute.
pub(crate) fn next_alive(stream: &mut Stream) -> Upload {
    let first = first_of(stream);
    stream.add(|chain, open, at| {
        chain.heartbeat(open, at, 0, Vec::new());
    });
    let bytes = stream.batch(1);
    let last = stream.next_seq() - 1;
    upload(stream, [first, last], bytes)
}

/// A stream's next batch.
pub(crate) fn next(stream: &mut Stream, lines: usize) -> Upload {
    let first = first_of(stream);
    let bytes = stream.batch(lines);
    let last = stream.next_seq() - 1;
    upload(stream, [first, last], bytes)
}

/// The genesis line is in the first batch.
fn first_of(stream: &mut Stream) -> u64 {
    if stream.next_seq() == 1 { 0 } else { stream.next_seq() }
}

fn upload(stream: &Stream, seq: [u64; 2], bytes: Vec<u8>) -> Upload {
    let batch = Frozen { stream: stream.id, seq, file: 0, offset: 0, len: bytes.len() as u64 };
    Upload { host: HOST.into(), batch, digest: Hash(crate::stream::digest(&bytes)), bytes: bytes.into() }
}

/// The same batch once more, as a restarted process makes it from its ledger.
fn as_upload(stream: &Stream, (name, bytes): &(String, Vec<u8>)) -> Upload {
    let lines = zstd::decode_all(&bytes[..]).unwrap();
    let count = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
    let first: u64 = name.rsplit('/').next().unwrap()[..20].parse().unwrap();
    upload(stream, [first, first + count - 1], bytes.clone())
}

/// What stands in the headers of a message with these bytes of the batch.
pub(crate) fn headers(upload: &Upload, range: &str) -> [(String, String); 7] {
    let (stream, [first, last]) = (upload.batch.stream, upload.batch.seq);
    [
        ("Sealtail-Name", upload.name()),
        ("Sealtail-Host", upload.host.clone()),
        ("Sealtail-Stream", stream.to_string()),
        ("Sealtail-First-Seq", first.to_string()),
        ("Sealtail-Last-Seq", last.to_string()),
        ("Repr-Digest", format!("sha-256=:{}:", BASE64_STANDARD.encode(upload.digest.0))),
        ("Content-Range", range.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

/// Batches as a place holds them.
pub(crate) fn named(uploads: impl IntoIterator<Item = Upload>) -> Vec<(String, Vec<u8>)> {
    uploads.into_iter().map(|upload| (upload.name(), upload.bytes.to_vec())).collect()
}

/// Every file below a folder that is an archive's, by its path from there.
pub(crate) fn files(dir: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !name.starts_with('.') {
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
