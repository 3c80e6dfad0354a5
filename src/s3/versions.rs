//! Every version and delete marker of an archive's objects.
//!
//! A store with versioning keeps what was overwritten and deleted: the oldest version of an object is what was stored first,
//! and anything that came after it is a trace of an attempt to change it.

use super::Failure;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::{ObjectLockMode, Owner};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

/// What happened under one key, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// What was put.
    pub(crate) versions: Vec<Version>,
    /// What only says that the object is deleted.
    pub(crate) markers: Vec<Put>,
}

/// A version.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// Of its bytes.
    pub(crate) size_bytes: i64,
    /// Of its bytes too, unless it was put in parts.
    pub(crate) e_tag: String,
    /// When and by whom.
    pub(crate) put: Put,
}

/// When something was put, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    /// `null` in a bucket without versioning.
    pub(crate) version_id: String,
    at: Option<DateTime>,
    owner: Option<String>,
}

impl Put {
    fn new(id: Option<&str>, at: Option<&DateTime>, owner: Option<&Owner>) -> Self {
        let owner = owner.and_then(|owner| owner.display_name().or(owner.id())).filter(|name| !name.is_empty());
        Self { version_id: id.unwrap_or("null").to_owned(), at: at.copied(), owner: owner.map(str::to_owned) }
    }

    /// Which, when and by whom, for people.
    pub(crate) fn told(&self) -> String {
        let at = self.at.and_then(|at| at.fmt(DateTimeFormat::DateTime).ok());
        let at = at.unwrap_or_else(|| "an unknown time".to_owned());
        let owner = self.owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
        format!("version {} of {at}{owner}", self.version_id)
    }
}

/// What happened under every key that begins with `prefix`, a few hundred bytes each.
pub(crate) async fn histories(
    client: &Client,
    bucket: &str,
    prefix: &str,
) -> Result<BTreeMap<String, History>, Failure> {
    let mut histories: BTreeMap<String, History> = BTreeMap::new();
    let mut pages = client.list_object_versions().bucket(bucket).prefix(prefix);
    loop {
        let page = pages.clone().send().await;
        let page = page.map_err(|error| Failure::of("the versions cannot be listed", &error))?;
        for found in page.versions() {
            let Some(key) = found.key() else { continue };
            histories.entry(key.to_owned()).or_default().versions.push(Version {
                size_bytes: found.size().unwrap_or_default(),
                e_tag: found.e_tag().unwrap_or_default().to_owned(),
                put: Put::new(found.version_id(), found.last_modified(), found.owner()),
            });
        }
        for found in page.delete_markers() {
            let Some(key) = found.key() else { continue };
            let put = Put::new(found.version_id(), found.last_modified(), found.owner());
            histories.entry(key.to_owned()).or_default().markers.push(put);
        }
        let next = (page.next_key_marker(), page.next_version_id_marker());
        // a store that says there is more and not where would be asked for ever
        if page.is_truncated() != Some(true) || next.0.is_none() {
            break;
        }
        pages = pages.set_key_marker(next.0.map(str::to_owned)).set_version_id_marker(next.1.map(str::to_owned));
    }
    for history in histories.values_mut() {
        // listed newest first, which also orders those of one second
        history.versions.reverse();
        history.versions.sort_by_key(|version| version.put.at);
        history.markers.reverse();
        history.markers.sort_by_key(|put| put.at);
    }
    Ok(histories)
}

/// How an object is kept from being deleted, as far as the store tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lock {
    /// Whether there is nobody who may take it off.
    pub(crate) is_compliance: bool,
    /// Its end.
    pub(crate) until: SystemTime,
}

/// Writes a version's bytes to a file, which must not be there yet.
pub(crate) async fn save(
    client: &Client,
    bucket: &str,
    key: &str,
    version_id: &str,
    path: &Path,
) -> Result<Option<Lock>, String> {
    let here = |error: std::io::Error| {
        format!("{}: {error}; set TMPDIR to a folder with room for the archive", path.display())
    };
    let mut file = File::create_new(path).await.map_err(here)?;
    let what = format!("s3://{bucket}/{key} cannot be read");
    // in a bucket without versioning there is no other to ask for
    let version_id = (version_id != "null").then(|| version_id.to_owned());
    let got = client.get_object().bucket(bucket).key(key).set_version_id(version_id).send().await;
    let mut got = got.map_err(|error| Failure::of(&what, &error).why)?;
    while let Some(chunk) = got.body.next().await {
        let chunk = chunk.map_err(|error| Failure::cut_off(&what, &error).why)?;
        file.write_all(&chunk).await.map_err(here)?;
    }
    file.flush().await.map_err(here)?;
    let is_compliance = got.object_lock_mode == Some(ObjectLockMode::Compliance);
    let until = got.object_lock_retain_until_date.and_then(|at| SystemTime::try_from(at).ok());
    Ok(until.map(|until| Lock { is_compliance, until }))
}
