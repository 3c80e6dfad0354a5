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
    /// Of its bytes; none where the store does not say.
    pub(crate) size_bytes: Option<i64>,
    /// Of its bytes too, unless it was put in parts; none likewise.
    pub(crate) e_tag: Option<String>,
    /// When and by whom.
    pub(crate) put: Put,
}

impl Version {
    /// Whether the bytes are these, as far as is known of both.
    pub(crate) fn has(&self, size_bytes: Option<i64>, e_tag: Option<&str>) -> Option<bool> {
        match (self.size_bytes.zip(size_bytes), self.e_tag.as_deref().zip(e_tag)) {
            (Some((one, other)), _) if one != other => Some(false),
            (_, Some((one, other))) => Some(one == other),
            _ => None,
        }
    }
}

/// When something was put, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    /// `null` of what was put while the bucket had no versioning; none where the store does not say.
    pub(crate) version_id: Option<String>,
    at: Option<DateTime>,
    owner: Option<String>,
}

impl Put {
    fn new(id: Option<&str>, at: Option<&DateTime>, owner: Option<&Owner>) -> Self {
        let owner = owner.and_then(|owner| owner.display_name().or(owner.id())).filter(|name| !name.is_empty());
        Self { version_id: id.map(str::to_owned), at: at.copied(), owner: owner.map(str::to_owned) }
    }

    /// Which, when and by whom, for people.
    pub(crate) fn told(&self) -> String {
        let at = self.at.and_then(|at| at.fmt(DateTimeFormat::DateTime).ok());
        let at = at.unwrap_or_else(|| "an unknown time".to_owned());
        let owner = self.owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
        format!("version {} of {at}{owner}", self.version_id.as_deref().unwrap_or("null"))
    }
}

/// What happened under every key that begins with a prefix.
pub(crate) struct Histories {
    /// By their keys, a few hundred bytes each.
    pub(crate) by_key: BTreeMap<String, History>,
    /// Whether there was no more than was asked for.
    pub(crate) is_whole: bool,
}

/// What happened under every key that begins with `prefix`: so many versions and markers of it, in the order of keys.
pub(crate) async fn histories(client: &Client, bucket: &str, prefix: &str, max: usize) -> Result<Histories, Failure> {
    let mut histories = Histories { by_key: BTreeMap::new(), is_whole: true };
    let (mut pages, mut count) = (client.list_object_versions().bucket(bucket).prefix(prefix), 0);
    let mut before = (None, None);
    loop {
        let page = pages.clone().send().await;
        let page = page.map_err(|error| Failure::of("the versions cannot be listed", &error))?;
        for found in page.versions() {
            let Some(key) = found.key() else { continue };
            histories.by_key.entry(key.to_owned()).or_default().versions.push(Version {
                size_bytes: found.size(),
                e_tag: found.e_tag().filter(|e_tag| !e_tag.is_empty()).map(str::to_owned),
                put: Put::new(found.version_id(), found.last_modified(), found.owner()),
            });
        }
        for found in page.delete_markers() {
            let Some(key) = found.key() else { continue };
            let put = Put::new(found.version_id(), found.last_modified(), found.owner());
            histories.by_key.entry(key.to_owned()).or_default().markers.push(put);
        }
        count += page.versions().len() + page.delete_markers().len();
        let next = (page.next_key_marker().map(str::to_owned), page.next_version_id_marker().map(str::to_owned));
        if page.is_truncated() != Some(true) {
            break;
        }
        // a store that says there is more and not where, or the same place again, would be asked for ever
        if count >= max || next.0.is_none() || next == before {
            histories.is_whole = false;
            break;
        }
        pages = pages.set_key_marker(next.0.clone()).set_version_id_marker(next.1.clone());
        before = next;
    }
    for (key, history) in &mut histories.by_key {
        // listed newest first, which also orders those of one second
        history.versions.reverse();
        history.versions.sort_by_key(|version| version.put.at);
        history.markers.reverse();
        history.markers.sort_by_key(|put| put.at);
        if history.versions.len() > 1 {
            complete(client, bucket, key, &mut history.versions).await?;
        }
    }
    Ok(histories)
}

/// Asks of each version what the listing did not say, so that it can be compared with the others.
async fn complete(client: &Client, bucket: &str, key: &str, versions: &mut [Version]) -> Result<(), Failure> {
    for version in versions.iter_mut().filter(|version| version.size_bytes.is_none() || version.e_tag.is_none()) {
        let head = client.head_object().bucket(bucket).key(key).set_version_id(version.put.version_id.clone());
        match head.send().await {
            Ok(head) => {
                version.size_bytes = version.size_bytes.or(head.content_length());
                version.e_tag = version.e_tag.take().or(head.e_tag().map(str::to_owned));
            }
            Err(error) => {
                let failure = Failure::of(&format!("s3://{bucket}/{key}: {}", version.put.told()), &error);
                if !failure.is_denied() {
                    return Err(failure);
                }
            }
        }
    }
    Ok(())
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
    version: &Version,
    path: &Path,
) -> Result<Option<Lock>, String> {
    let here = |error: std::io::Error| {
        format!("{}: {error}; set TMPDIR to a folder with room for the archive", path.display())
    };
    let mut file = File::create_new(path).await.map_err(here)?;
    let what = format!("s3://{bucket}/{key} cannot be read");
    // `null` too: without it the store would give the newest
    let version_id = version.put.version_id.clone();
    let got = client.get_object().bucket(bucket).key(key).set_version_id(version_id).send().await;
    let mut got = got.map_err(|error| Failure::of(&what, &error).why)?;
    let (listed, mut len) = (version.size_bytes.or(got.content_length), 0);
    while let Some(chunk) = got.body.next().await {
        let chunk = chunk.map_err(|error| Failure::cut_off(&what, &error).why)?;
        len += chunk.len() as i64;
        if let Some(listed) = listed.filter(|listed| len > *listed) {
            return Err(format!("{what}: it has more than the {listed} bytes that it is listed with"));
        }
        file.write_all(&chunk).await.map_err(here)?;
    }
    file.flush().await.map_err(here)?;
    let is_compliance = got.object_lock_mode == Some(ObjectLockMode::Compliance);
    let until = got.object_lock_retain_until_date.and_then(|at| SystemTime::try_from(at).ok());
    Ok(until.map(|until| Lock { is_compliance, until }))
}
