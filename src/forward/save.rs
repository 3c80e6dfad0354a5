//! Saves what a queue has as an archive in a folder, for `verify`.
//!
//! Files are created and never replaced, so that saving again adds what is new. Other bytes under a name that is there are kept
//! beside it, under a name of their own: `verify` reads both, and finds the FORK.

use super::file::{Created, create};
use super::message::Label;
use super::parts::{Parts, Whole};
use super::{Config, Error, FileConfig, Kind, kafka, nats};
use crate::chain::header::Hash;
use crate::chain::key::sha256;
use crate::record::hex;
use std::collections::HashMap;
use std::path::Path;

/// Batches of which parts are missing, and what they take of memory; over either the largest is given up. A host has one such batch
/// at a time.
const UNFINISHED_MAX: usize = 16 << 10;
const UNFINISHED_MAX_BYTES: u64 = 512 << 20;

/// How a saving went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Batches that are new in the folder.
    pub new: u64,
    /// Batches that were there, or that the target has twice.
    pub known: u64,
    /// What is wrong, and was told.
    pub faults: u64,
}

/// Saves all that a target has into a folder, and tells of what is wrong with it. `host` names the client certificate.
pub async fn save(
    config: &Config,
    host: &str,
    dir: &Path,
    tell: impl FnMut(String) + Send + 'static,
) -> Result<Saved, Error> {
    let place = |reason| Error::Place { place: config.kind.place(), reason };
    let mut saver = Saver::new(dir, Box::new(tell));
    match &config.kind {
        Kind::Nats(nats) => {
            let target = nats::Nats::new(&config.name, nats, host, config.batch_max_size_bytes)?;
            target.save(&mut saver).await.map_err(place)?;
        }
        Kind::Kafka(kafka) => {
            let target = kafka::Kafka::new(&config.name, kafka, host, config.batch_max_size_bytes)?;
            target.save(&mut saver).await.map_err(place)?;
        }
        Kind::Https(_) | Kind::File(_) => {
            return Err(place("keeps an archive in files already; `sealtail verify` reads their folder".into()));
        }
        Kind::S3(_) => return Err(place("keeps an archive already; `sealtail verify s3://…` reads it".into())),
        Kind::Otlp(_) | Kind::Generic(_) => return Err(place("keeps no archive".into())),
    }
    saver.finish().await.map_err(place)
}

/// Puts messages together, and files into the folder.
pub(super) struct Saver {
    folder: FileConfig,
    tell: Box<dyn FnMut(String) + Send>,
    /// By name, digest and length.
    unfinished: HashMap<(String, [u8; 32], u64), Parts>,
    unfinished_bytes: u64,
    saved: Saved,
}

impl Saver {
    fn new(dir: &Path, tell: Box<dyn FnMut(String) + Send>) -> Saver {
        let folder = FileConfig { dir: dir.to_owned(), immutable: false };
        Saver { folder, tell, unfinished: HashMap::new(), unfinished_bytes: 0, saved: Saved::default() }
    }

    /// Something is wrong with what the target has.
    pub(super) fn fault(&mut self, what: String) {
        self.saved.faults += 1;
        (self.tell)(what);
    }

    /// Takes a message, which `place` names. An error is the folder's.
    pub(super) async fn take(&mut self, place: &str, label: Label, bytes: &[u8]) -> Result<(), String> {
        if label.range.start == 0 && label.range.end == label.total {
            return self.file(place, &label, bytes.to_vec()).await;
        }
        let (name, begin) = (label.name(), label.range.start);
        let key = (name.clone(), label.digest.0, label.total);
        if begin == 0 {
            self.unfinished.entry(key.clone()).or_insert_with(|| Parts::new(label.clone()));
        }
        let Some(parts) = self.unfinished.get_mut(&key).filter(|parts| parts.goes_on_at(begin)) else {
            self.fault(format!("{place}: a part of {name} from byte {begin} on, and those before it are not there"));
            return Ok(());
        };
        let before = parts.cost();
        let whole = parts.add(place, begin, bytes);
        let cost = parts.cost();
        self.unfinished_bytes += cost - before;
        if let Some(Whole { bytes, forged }) = whole {
            self.unfinished.remove(&key);
            self.unfinished_bytes -= cost;
            for (place, range) in forged {
                let (first, last) = (range.start, range.end - 1);
                self.fault(format!(
                    "{place}: forged: bytes {first} to {last} of {name}, whose digest is that of others; left out"
                ));
            }
            return self.file(place, &label, bytes).await;
        }
        while self.unfinished_bytes > UNFINISHED_MAX_BYTES || self.unfinished.len() > UNFINISHED_MAX {
            self.give_up_largest().await?;
        }
        Ok(())
    }

    async fn file(&mut self, place: &str, label: &Label, bytes: Vec<u8>) -> Result<(), String> {
        let name = label.name();
        let digest = sha256(&[&bytes]);
        if Hash(digest) != label.digest {
            self.fault(format!("{place}: the bytes of {name} are not those of its Repr-Digest; saved as they are"));
        }
        // no archive's own file is called so: what comes before the extension is no number
        let beside = name.replace(".ndjson.zst", &format!(".fork-{}.ndjson.zst", hex(&digest[..8])));
        let folder = self.folder.clone();
        let created = tokio::task::spawn_blocking(move || {
            let created = create(&folder, &name, &bytes)?;
            let second = if created == Created::Other { Some(create(&folder, &beside, &bytes)?) } else { None };
            Ok((created, second))
        });
        let created = created.await.map_err(|error| error.to_string())?;
        match created.map_err(|(path, error): super::file::Failed| format!("{}: {error}", path.display()))? {
            (Created::New, _) => self.saved.new += 1,
            (Created::Same, _) => self.saved.known += 1,
            (Created::Other, second) => {
                match second {
                    Some(Created::New) => self.saved.new += 1,
                    _ => self.saved.known += 1,
                }
                self.fault(format!("FORK: {place}: {} is there with other bytes; both are kept", label.name()));
            }
        }
        Ok(())
    }

    async fn give_up_largest(&mut self) -> Result<(), String> {
        let largest = self.unfinished.iter().max_by_key(|(_, parts)| parts.cost()).map(|(key, _)| key.clone());
        match largest.and_then(|key| self.unfinished.remove(&key)) {
            Some(parts) => {
                self.unfinished_bytes -= parts.cost();
                self.give_up(&parts).await
            }
            None => Ok(()),
        }
    }

    async fn give_up(&mut self, parts: &Parts) -> Result<(), String> {
        match parts.as_they_are() {
            Ok((place, bytes)) => self.file(place, parts.label(), bytes).await,
            Err(missing) => {
                self.fault(missing);
                Ok(())
            }
        }
    }

    async fn finish(mut self) -> Result<Saved, String> {
        for parts in std::mem::take(&mut self.unfinished).into_values() {
            self.give_up(&parts).await?;
        }
        Ok(self.saved)
    }
}
