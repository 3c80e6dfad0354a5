//! Saves what a queue has as an archive in a folder, for `verify`.
//!
//! Files are created and never replaced, so that saving again adds what is new. Other bytes under a name that is there are kept
//! beside it, under a name of their own: `verify` reads both, and finds the FORK.

use super::file::{Created, create};
use super::message::Label;
use super::{Config, Error, FileConfig, Kind, kafka, nats};
use crate::chain::header::Hash;
use crate::chain::key::sha256;
use crate::record::hex;
use std::collections::HashMap;
use std::path::Path;

/// Batches of which parts are missing, and their bytes; over either the largest is given up. A host has one such batch at a time.
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
    Ok(saver.finish())
}

/// A batch of which parts are missing.
struct Unfinished {
    label: Label,
    bytes: Vec<u8>,
}

/// Puts messages together, and files into the folder.
pub(super) struct Saver {
    folder: FileConfig,
    tell: Box<dyn FnMut(String) + Send>,
    unfinished: HashMap<(String, [u8; 32]), Unfinished>,
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
        let key = (label.name(), label.digest.0);
        if label.range.start == 0 {
            let unfinished = self.unfinished.entry(key.clone());
            unfinished.or_insert_with(|| Unfinished { label: label.clone(), bytes: Vec::new() });
        }
        let has = |unfinished: &Unfinished| unfinished.bytes.len() as u64;
        let unfinished = self.unfinished.get_mut(&key);
        let fits = |one: &&mut Unfinished| label.range.start <= has(one) && label.total == one.label.total;
        let Some(unfinished) = unfinished.filter(fits) else {
            let (name, at) = (label.name(), label.range.start);
            self.fault(format!("{place}: a part of {name} from byte {at} on, and those before it are not there"));
            return Ok(());
        };
        let has = has(unfinished);
        // a part that came twice adds nothing
        let fresh = bytes.get((has - label.range.start) as usize..).unwrap_or_default();
        unfinished.bytes.extend_from_slice(fresh);
        self.unfinished_bytes += fresh.len() as u64;
        if unfinished.bytes.len() as u64 == label.total
            && let Some(whole) = self.unfinished.remove(&key)
        {
            self.unfinished_bytes -= label.total;
            return self.file(place, &label, whole.bytes).await;
        }
        if self.unfinished_bytes > UNFINISHED_MAX_BYTES || self.unfinished.len() > UNFINISHED_MAX {
            self.give_up_largest();
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

    fn give_up_largest(&mut self) {
        let largest = self.unfinished.iter().max_by_key(|(_, unfinished)| unfinished.bytes.len());
        if let Some(key) = largest.map(|(key, _)| key.clone())
            && let Some(unfinished) = self.unfinished.remove(&key)
        {
            self.unfinished_bytes -= unfinished.bytes.len() as u64;
            self.fault(unfinished.missing());
        }
    }

    fn finish(mut self) -> Saved {
        for unfinished in std::mem::take(&mut self.unfinished).into_values() {
            self.fault(unfinished.missing());
        }
        self.saved
    }
}

impl Unfinished {
    fn missing(&self) -> String {
        let (name, has, total) = (self.label.name(), self.bytes.len(), self.label.total);
        format!("{name}: {has} of {total} bytes are there: left out; its last part may be on its way, or is gone")
    }
}
