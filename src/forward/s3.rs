//! The s3 backend: an object a batch, created once (`If-None-Match: *`), with its checksum and its own retention.
//!
//! `Stored` is said when the store answered the request that created the object, or when the object that is there already has
//! the same bytes, no other version, and the retention that is configured. Before anything is stored the bucket is looked at: one
//! that is known to keep nothing from being deleted is refused, unless the configuration says so in as many words.

use super::backend::{Backend, Outcome, Pending, Upload};
use super::{Error, Proxy, TlsConfig, http, tls};
use crate::chain::header::Hash;
use crate::s3::{Access, Failure, Http, Version, connect, histories};
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    BucketVersioningStatus, ChecksumMode, ObjectLockEnabled, ObjectLockLegalHold, ObjectLockLegalHoldStatus,
    ObjectLockMode, ObjectLockRetention, ObjectLockRetentionMode,
};
use base64::prelude::*;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// `type = "s3"`.
#[derive(Clone, Debug, PartialEq)]
pub struct S3Config {
    /// The base URL, `https` always; AWS' own of the region, if absent.
    pub url: Option<String>,
    /// The region; as all AWS tools find it, if absent.
    pub region: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// What keys begin with, without a slash at its ends; may be empty.
    pub prefix: String,
    /// The bucket in the path, not in the host name.
    pub path_style: bool,
    /// What keeps an object from being deleted.
    pub object_lock: ObjectLock,
    /// A profile, to be used instead of what the environment says.
    pub profile: Option<String>,
    /// A file of profiles, likewise.
    pub credentials_file: Option<PathBuf>,
    /// Certificates.
    pub tls: TlsConfig,
    /// On the way.
    pub proxy: Option<Proxy>,
}

/// What keeps an object from being deleted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ObjectLock {
    /// Nothing does.
    None,
    /// Object Lock.
    Kept {
        /// Against whom.
        mode: LockMode,
        /// From when it is stored.
        retain: Duration,
        /// Also without end, until somebody takes the hold off.
        legal_hold: bool,
    },
}

/// Against whom a retention holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LockMode {
    /// Everybody.
    Compliance,
    /// Everybody who may not bypass it.
    Governance,
}

impl S3Config {
    /// `s3://bucket/prefix`.
    pub(super) fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }
}

/// A bucket.
pub(super) struct S3 {
    config: S3Config,
    access: Access,
    http: Http,
    certificates: tls::Watch,
    /// Made when it is first needed, and anew where its credentials are of no use any more.
    client: Option<Client>,
    /// Whether the bucket was looked at.
    looked_at: bool,
}

impl S3 {
    pub(super) fn new(name: &str, config: &S3Config, host: &str) -> Result<Self, Error> {
        let (certificates, tls) = tls::Watch::load(name, &config.tls, host)?;
        let access = Access {
            url: config.url.clone(),
            region: config.region.clone(),
            path_style: config.path_style,
            profile: config.profile.clone(),
            credentials_file: config.credentials_file.clone(),
            // the forwarder tries again, and says so
            attempts: 1,
        };
        let http = sender(config, tls)?;
        Ok(Self { config: config.clone(), access, http, certificates, client: None, looked_at: false })
    }

    async fn attempt(&mut self, upload: &Upload) -> Outcome {
        let limit = http::time_for(upload.batch.len);
        match tokio::time::timeout(limit, self.try_to_store(upload)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(failure)) => self.put_off(failure),
            Err(_) => {
                let why = format!("{}: not stored within {} s", self.config.place(), limit.as_secs());
                Outcome::Later { why, after: None }
            }
        }
    }

    fn put_off(&mut self, failure: Failure) -> Outcome {
        if failure.is_of_credentials() {
            self.client = None;
        }
        match failure.is("EntityTooLarge") {
            true => Outcome::Refused { is_fork: false, why: failure.why },
            false => Outcome::Later { why: failure.why, after: failure.after },
        }
    }

    async fn try_to_store(&mut self, upload: &Upload) -> Result<Outcome, Failure> {
        let bucket = self.bucket().await;
        if !self.looked_at {
            if let Err(why) = bucket.look().await? {
                return Ok(Outcome::Later { why, after: None });
            }
            self.looked_at = true;
        }
        match bucket.create(upload).await {
            Ok(()) => Ok(Outcome::Stored(None)),
            Err(failure) if failure.is("PreconditionFailed") || failure.status == Some(412) => {
                bucket.there_already(upload).await
            }
            Err(failure) => Err(failure),
        }
    }

    async fn ask(&mut self) -> Result<(), String> {
        let bucket = self.bucket().await;
        let looked = tokio::time::timeout(http::time_for(0), bucket.look()).await;
        looked.map_err(|_| "does not answer".to_owned())?.map_err(|failure| failure.why)?
    }

    async fn bucket(&mut self) -> Bucket {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => self.client.insert(connect(&self.access, &self.http).await).clone(),
        };
        Bucket { client, config: self.config.clone() }
    }
}

impl Backend for S3 {
    fn store<'a>(&'a mut self, upload: &'a Upload) -> Pending<'a, Outcome> {
        Box::pin(self.attempt(upload))
    }

    fn probe(&mut self) -> Pending<'_, Result<(), String>> {
        Box::pin(self.ask())
    }

    fn reload(&mut self) {
        let Some(tls) = self.certificates.renewed() else { return };
        match sender(&self.config, tls) {
            Ok(http) => (self.http, self.client) = (http, None),
            Err(error) => tracing::warn!(%error, "changed certificates are not usable"),
        }
    }
}

fn sender(config: &S3Config, tls: rustls::ClientConfig) -> Result<Http, Error> {
    let place = config.place();
    let store = http::client(&place, tls, config.proxy.as_ref())?;
    Http::new(store).map_err(|reason| Error::Place { place, reason })
}

/// A bucket and what is wanted of it.
struct Bucket {
    client: Client,
    config: S3Config,
}

/// Of an object that is there already so many versions are looked at. Whoever puts more there shows in `verify`.
const VERSIONS_MAX: usize = 10_000;

/// How long before the retention that is wanted one may end that an earlier attempt began: clocks differ by as much.
const SKEW: Duration = Duration::from_secs(15 * 60);

impl Bucket {
    /// Whether it keeps what is stored there. What may not be looked at is told, and no obstacle; what is known to be missing is.
    async fn look(&self) -> Result<Result<(), String>, Failure> {
        let name = &self.config.bucket;
        let versioned = self.client.get_bucket_versioning().bucket(name).send().await;
        let versioned = match versioned {
            Ok(answer) => Some(answer.status() == Some(&BucketVersioningStatus::Enabled)),
            Err(error) => known(Failure::of(&format!("the versioning of bucket {name}"), &error))?,
        };
        if self.config.object_lock == ObjectLock::None {
            tracing::warn!("bucket {name}: whoever may delete there can delete the archive, as object_lock says");
            return Ok(Ok(()));
        }
        let locked = self.client.get_object_lock_configuration().bucket(name).send().await;
        let locked = match locked {
            Ok(answer) => {
                let lock = answer.object_lock_configuration().and_then(|lock| lock.object_lock_enabled());
                Some(lock == Some(&ObjectLockEnabled::Enabled))
            }
            Err(error) => {
                let failure = Failure::of(&format!("the Object Lock of bucket {name}"), &error);
                match failure.is("ObjectLockConfigurationNotFoundError") {
                    true => Some(false),
                    false => known(failure)?,
                }
            }
        };
        let missing = match (versioned, locked) {
            (_, Some(false)) => "no Object Lock",
            (Some(false), _) => "no versioning",
            _ => return Ok(Ok(())),
        };
        Ok(Err(format!(
            "bucket {name} has {missing}, so that what is stored there could be changed or deleted; make one that has both, or write \
             object_lock = {{ mode = \"none-the-archive-can-be-deleted\" }}"
        )))
    }

    async fn create(&self, upload: &Upload) -> Result<(), Failure> {
        let mut put = self
            .client
            .put_object()
            .bucket(&self.config.bucket)
            .key(self.key(upload))
            .if_none_match("*")
            .content_type("application/zstd")
            .checksum_sha256(BASE64_STANDARD.encode(upload.digest.0))
            .body(ByteStream::from(upload.bytes.clone()));
        if let ObjectLock::Kept { mode, retain, legal_hold } = self.config.object_lock {
            put = put.object_lock_mode(match mode {
                LockMode::Compliance => ObjectLockMode::Compliance,
                LockMode::Governance => ObjectLockMode::Governance,
            });
            put = put.object_lock_retain_until_date(DateTime::from(SystemTime::now() + retain));
            if legal_hold {
                put = put.object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On);
            }
        }
        put.send().await.map(drop).map_err(|error| Failure::of(&self.object(upload), &error))
    }

    /// An object of this name: the same bytes are a repetition, others a fork.
    async fn there_already(&self, upload: &Upload) -> Result<Outcome, Failure> {
        let (bucket, key, object) = (&self.config.bucket, self.key(upload), self.object(upload));
        let head = self.client.head_object().bucket(bucket).key(&key).checksum_mode(ChecksumMode::Enabled).send().await;
        let head = head.map_err(|error| {
            let what = format!("{object} is there already, and whether with the same bytes can't be seen");
            Failure::of(&what, &error)
        })?;
        if !self.is_same(&head, upload).await? {
            let why = format!("{object} holds other bytes; whoever wrote them was not this stream");
            return Ok(Outcome::Refused { is_fork: true, why });
        }
        match histories(&self.client, bucket, &key, VERSIONS_MAX).await {
            Ok(mut histories) => {
                let history = histories.by_key.remove(&key).unwrap_or_default();
                let size_bytes = i64::try_from(upload.batch.len).ok();
                let is_other = |version: &&Version| version.has(size_bytes, head.e_tag()) == Some(false);
                if let Some(other) = history.versions.iter().find(is_other) {
                    let why = format!("{object} has another version besides, with other bytes: {}", other.put.told());
                    return Ok(Outcome::Refused { is_fork: true, why });
                }
                if history.versions.len() > 1 || !history.markers.is_empty() || !histories.is_whole {
                    tracing::warn!("{object} has more than one version, or was deleted; sealtail verify tells more");
                }
            }
            Err(failure) if failure.is_denied() || failure.is_unknown_there() => {
                tracing::warn!(
                    "{object} was stored by an earlier attempt; whether it has other versions is for verify to see: {}",
                    failure.why
                );
            }
            Err(failure) => return Err(failure),
        }
        self.keep(&head, &key, &object).await?;
        Ok(Outcome::Stored(None))
    }

    /// Whether the object has the batch's bytes: by the checksum that the store keeps, or else by reading them back.
    async fn is_same(&self, head: &HeadObjectOutput, upload: &Upload) -> Result<bool, Failure> {
        if head.content_length().is_some_and(|len| Some(len) != i64::try_from(upload.batch.len).ok()) {
            return Ok(false);
        }
        let whole = head.checksum_sha256().and_then(|text| BASE64_STANDARD.decode(text).ok());
        if let Some(whole) = whole.filter(|digest| digest.len() == upload.digest.0.len()) {
            return Ok(whole == upload.digest.0);
        }
        let (bucket, object) = (&self.config.bucket, self.object(upload));
        let got = self.client.get_object().bucket(bucket).key(self.key(upload)).send().await;
        let mut got = got.map_err(|error| Failure::of(&format!("{object} cannot be read back"), &error))?;
        let (mut digest, mut len) = (Sha256::new(), 0);
        while let Some(chunk) = got.body.next().await {
            let chunk = chunk.map_err(|error| Failure::cut_off(&format!("{object} cannot be read back"), &error))?;
            len += chunk.len() as u64;
            if len > upload.batch.len {
                return Ok(false);
            }
            digest.update(&chunk);
        }
        Ok(Hash(digest.finalize().into()) == upload.digest)
    }

    /// Sees to it that an object that was there has the retention that is wanted, whoever put it. What is stronger than that stays; what is
    /// weaker, and can't be made stronger, is told: the bytes are there, and no other attempt would find it otherwise.
    async fn keep(&self, head: &HeadObjectOutput, key: &str, object: &str) -> Result<(), Failure> {
        let ObjectLock::Kept { mode, retain, legal_hold } = self.config.object_lock else { return Ok(()) };
        let there = match head.object_lock_mode() {
            Some(ObjectLockMode::Compliance) => Some(LockMode::Compliance),
            Some(ObjectLockMode::Governance) => Some(LockMode::Governance),
            _ => None,
        };
        let stored_at = head.last_modified().and_then(|at| SystemTime::try_from(*at).ok());
        let until = head.object_lock_retain_until_date().and_then(|at| SystemTime::try_from(*at).ok());
        let lasts = stored_at.zip(until).is_some_and(|(stored_at, until)| until + SKEW >= stored_at + retain);
        let version = head.version_id();
        // never shorter than it is, which no store would take
        let end = (SystemTime::now() + retain).max(until.unwrap_or(SystemTime::UNIX_EPOCH));
        match there {
            Some(LockMode::Compliance) if lasts => {}
            Some(LockMode::Governance) if lasts && mode == LockMode::Governance => {}
            // compliance stays compliance, whatever is configured
            Some(LockMode::Compliance) => self.retain(key, object, version, (LockMode::Compliance, end)).await?,
            Some(LockMode::Governance) if mode == LockMode::Compliance => {
                if let Err(failure) = self.retain(key, object, version, (mode, end)).await {
                    if !failure.is_denied() {
                        return Err(failure);
                    }
                    if !lasts {
                        self.retain(key, object, version, (LockMode::Governance, end)).await?;
                    }
                    tracing::error!(
                        "{object} is kept in governance mode, and not in compliance mode as object_lock says: whoever has s3:BypassGovernanceRetention can delete it ({})",
                        failure.why
                    );
                }
            }
            _ => self.retain(key, object, version, (mode, end)).await?,
        }
        if legal_hold && head.object_lock_legal_hold_status() != Some(&ObjectLockLegalHoldStatus::On) {
            let hold = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::On).build();
            let held = self.client.put_object_legal_hold().bucket(&self.config.bucket).key(key);
            let held = held.set_version_id(version.map(str::to_owned)).legal_hold(hold).send().await;
            held.map_err(|error| Failure::of(&format!("{object} is there, and without a legal hold"), &error))?;
        }
        Ok(())
    }

    async fn retain(
        &self,
        key: &str,
        object: &str,
        version: Option<&str>,
        (mode, end): (LockMode, SystemTime),
    ) -> Result<(), Failure> {
        let mode = match mode {
            LockMode::Compliance => ObjectLockRetentionMode::Compliance,
            LockMode::Governance => ObjectLockRetentionMode::Governance,
        };
        let retention = ObjectLockRetention::builder().mode(mode).retain_until_date(DateTime::from(end)).build();
        let kept = self.client.put_object_retention().bucket(&self.config.bucket).key(key);
        let kept = kept.set_version_id(version.map(str::to_owned)).retention(retention).send().await;
        let what = format!("{object} is there, and not with the retention that object_lock says");
        kept.map(drop).map_err(|error| Failure::of(&what, &error))
    }

    fn key(&self, upload: &Upload) -> String {
        match self.config.prefix.as_str() {
            "" => upload.name(),
            prefix => format!("{prefix}/{}", upload.name()),
        }
    }

    /// For people.
    fn object(&self, upload: &Upload) -> String {
        format!("s3://{}/{}", self.config.bucket, self.key(upload))
    }
}

/// What a failed look at the bucket still tells: nothing if it is not allowed, that there is no such thing in a store that does not
/// know it. Everything else is the failure that it is.
fn known(failure: Failure) -> Result<Option<bool>, Failure> {
    if failure.is_unknown_there() {
        return Ok(Some(false));
    }
    if failure.is_denied() {
        tracing::warn!("not checked: {}", failure.why);
        return Ok(None);
    }
    Err(failure)
}
