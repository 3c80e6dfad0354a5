//! Archives in S3, fetched for `verify`, with what the store says happened to them.
//!
//! Endpoint, region, credentials and authority come from the environment and profiles, as AWS' own tools read them. Of each object
//! the oldest version is fetched, which is what was stored first.

use crate::chain::erasure;
use crate::record::is_name;
use crate::s3::{Access, History, Http, Lock, Version, connect, histories, save};
use crate::tls::{self, ClientFiles};
use crate::verify::{Finding, StoreReport, Word};
use aws_sdk_s3::Client;
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const SCHEME: &str = "s3://";
const EXTENSION: &str = ".ndjson.zst";
/// Objects that are fetched side by side.
const SIDE_BY_SIDE: usize = 8;
/// Versions and delete markers of an archive that are held in memory.
const VERSIONS_MAX: usize = 2_000_000;
/// Attempts of a request, by AWS' own rules.
const ATTEMPTS: u32 = 5;
/// A store that says nothing for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Retention that ends within this is worth a word.
const ENDS_SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Arguments for `s3://`.
#[derive(Debug, Args)]
pub(super) struct StoreArgs {
    /// For s3:// at an endpoint that asks for one: the certificate to show
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// The key of --client-cert
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

/// Where everything is now.
pub(super) struct Fetched {
    /// The paths that were given, those in S3 in a folder of ours.
    pub(super) paths: Vec<PathBuf>,
    /// What the stores tell.
    pub(super) report: StoreReport,
    /// Deleted at the end, and when a signal ends the process before that.
    folder: Option<(TempDir, Runtime)>,
}

impl Fetched {
    /// A text about files with the names that they have in the store.
    pub(super) fn named_as_stored(&self, text: String) -> String {
        let real = self.folder.as_ref().and_then(|(folder, _)| folder.path().canonicalize().ok());
        match real.as_ref().and_then(|folder| folder.to_str()) {
            Some(folder) => text.replace(&format!("{folder}/"), SCHEME),
            None => text,
        }
    }
}

/// Fetches those of the paths that are in S3.
pub(super) fn fetch(paths: &[PathBuf], args: &StoreArgs) -> Result<Fetched, String> {
    let mut fetched = Fetched { paths: Vec::new(), report: StoreReport::default(), folder: None };
    let is_stored = |path: &&PathBuf| path.as_os_str().as_encoded_bytes().starts_with(SCHEME.as_bytes());
    if !paths.iter().any(|path| is_stored(&path)) {
        fetched.paths = paths.to_vec();
        return Ok(fetched);
    }
    let folder =
        TempDir::with_prefix("sealtail-verify-").map_err(|e| format!("no folder to fetch to: {e}; set TMPDIR"))?;
    let runtime = super::runtime()?;
    runtime.block_on(delete_on_signal(folder.path())).map_err(|e| format!("cannot listen for signals: {e}"))?;
    let client = runtime.block_on(client(args))?;
    for path in paths {
        if !is_stored(&path) {
            fetched.paths.push(path.clone());
            continue;
        }
        let place = Place::parse(path)?;
        fetched.paths.push(runtime.block_on(place.fetch(&client, folder.path(), &mut fetched.report))?);
    }
    fetched.folder = Some((folder, runtime));
    Ok(fetched)
}

/// Audit logs are not to be left behind in a folder for all sorts of things.
async fn delete_on_signal(folder: &Path) -> std::io::Result<()> {
    let (signalled, folder) = (super::stop::on_signal(|| ())?, folder.to_owned());
    tokio::spawn(async move {
        signalled.come().await;
        // a download may put one more file there meanwhile
        let gone = (0..10).any(|_| std::fs::remove_dir_all(&folder).is_ok());
        if !gone {
            anstream::eprintln!("sealtail verify: {} is left behind; delete it", folder.display());
        }
        std::process::exit(130)
    });
    Ok(())
}

async fn client(args: &StoreArgs) -> Result<Client, String> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let client = args.client_cert.clone().zip(args.client_key.clone()).map(|(cert, key)| ClientFiles { cert, key });
    let tls = tls::Config { ca: set("AWS_CA_BUNDLE").map(PathBuf::from), client, ..tls::Config::default() };
    let store = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client(&tls).map_err(|fault| named_as_here(&fault.to_string()))?)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(SILENCE_MAX)
        .read_timeout(SILENCE_MAX)
        .build();
    let http = store.map_err(tls::explain).and_then(Http::new)?;
    // stores that are not AWS' seldom have a host name for each bucket
    let path_style = set("AWS_ENDPOINT_URL_S3").or_else(|| set("AWS_ENDPOINT_URL")).is_some();
    Ok(connect(&Access { path_style, attempts: ATTEMPTS, ..Access::default() }, &http).await)
}

/// What a configuration calls by the names of its keys.
fn named_as_here(why: &str) -> String {
    let names = [
        ("tls = { ca = \"….pem\" }", "AWS_CA_BUNDLE"),
        ("tls.ca", "AWS_CA_BUNDLE"),
        ("tls.cert", "--client-cert"),
        ("tls.key", "--client-key"),
    ];
    names.iter().fold(why.to_owned(), |why, (there, here)| why.replace(there, here))
}

/// `s3://bucket/prefix`.
struct Place {
    bucket: String,
    prefix: String,
}

impl Place {
    fn parse(path: &Path) -> Result<Self, String> {
        let what = || format!("{}: no place in S3; write s3://bucket/prefix", path.display());
        let rest = path.to_str().and_then(|text| text.strip_prefix(SCHEME)).ok_or_else(what)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        match is_name(bucket) && (prefix.is_empty() || local(prefix).is_some()) {
            true => Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() }),
            false => Err(what()),
        }
    }

    /// Into a folder; where they are there.
    async fn fetch(&self, client: &Client, folder: &Path, report: &mut StoreReport) -> Result<PathBuf, String> {
        let Self { bucket, prefix } = self;
        let listed =
            if prefix.is_empty() || prefix.ends_with(EXTENSION) { prefix.clone() } else { format!("{prefix}/") };
        let listed = histories(client, bucket, &listed, VERSIONS_MAX).await;
        let listed = listed.map_err(|failure| format!("s3://{bucket}/{prefix}: {}", named_as_here(&failure.why)))?;
        if !listed.is_whole {
            return Err(format!(
                "s3://{bucket}/{prefix}: not all versions can be listed, or there are more than {VERSIONS_MAX}; verify a host or a stream at a time"
            ));
        }
        let mut histories = listed.by_key;
        histories.retain(|key, _| key.ends_with(EXTENSION) || key.ends_with(erasure::EXTENSION));
        report.findings.extend(histories.iter().filter_map(|(key, history)| mutation(bucket, key, history)));
        let asked = folder.join(bucket).join(prefix);
        let kept = download(client, bucket, &histories, folder, report).await?;
        report.notes.extend(retention(bucket, &kept));
        let unversioned = histories.values().flat_map(|history| &history.versions);
        if unversioned.filter(|version| version.put.version_id.as_deref().unwrap_or("null") == "null").count() > 0 {
            report.notes.push(format!("bucket {bucket} keeps no versions: what was overwritten there left no trace"));
        }
        if !asked.exists() {
            // then it is an empty archive that is found wanting, not a folder
            std::fs::create_dir_all(&asked).map_err(|e| format!("{}: {e}", asked.display()))?;
        }
        Ok(asked)
    }
}

/// Fetches the oldest version of each object; how each is kept.
async fn download(
    client: &Client,
    bucket: &str,
    histories: &BTreeMap<String, History>,
    folder: &Path,
    report: &mut StoreReport,
) -> Result<Vec<Option<Lock>>, String> {
    let (mut running, mut kept) = (JoinSet::new(), Vec::new());
    let mut waiting = histories.iter().filter_map(|(key, history)| Some((key, history.versions.first()?)));
    loop {
        while running.len() < SIDE_BY_SIDE
            && let Some((key, version)) = waiting.next()
        {
            let Some(local) = local(key) else {
                report.unchecked.push(format!("s3://{bucket}/{key:?}: cannot be the name of a file"));
                continue;
            };
            let path = folder.join(bucket).join(local);
            let parent = path.parent().unwrap_or(folder);
            std::fs::create_dir_all(parent).map_err(|e| format!("{}: {e}; set TMPDIR", parent.display()))?;
            let (client, bucket, key) = (client.clone(), bucket.to_owned(), key.clone());
            let version = version.clone();
            running.spawn(async move { save(&client, &bucket, &key, &version, &path).await });
        }
        match running.join_next().await {
            Some(Ok(Ok(lock))) => kept.push(lock),
            Some(Ok(Err(why))) => report.unchecked.push(why),
            Some(Err(error)) => return Err(format!("a download died: {error}")),
            None => return Ok(kept),
        }
    }
}

/// What was done to an object after it was stored.
fn mutation(bucket: &str, key: &str, history: &History) -> Option<Finding> {
    let mut tried = Vec::new();
    if let Some((first, later)) = history.versions.split_first() {
        tried.extend(later.iter().map(|version| {
            let bytes = match version.has(first.size_bytes, first.e_tag.as_deref()) {
                Some(true) => "the same bytes",
                Some(false) => "other bytes",
                None => "bytes that the store tells nothing of",
            };
            format!("overwritten with {bytes} ({} bytes): {}", size(version), version.put.told())
        }));
    }
    tried.extend(history.markers.iter().map(|marker| format!("deleted: marker, {}", marker.told())));
    if tried.is_empty() {
        return None;
    }
    tried.push(match history.versions.first() {
        Some(first) => format!("checked is what was stored first: {} ({} bytes)", first.put.told(), size(first)),
        None => "nothing of it is left".to_owned(),
    });
    let word = Word::StoreMutated;
    let mut parts = key.rsplit('/').skip(1);
    let stream = parts.next().and_then(|stream| stream.parse().ok());
    let host = parts.next().filter(|host| is_name(host)).map(str::to_owned);
    let detail = format!("s3://{bucket}/{key}: {}", tried.join("; "));
    Some(Finding { word, weight: word.weight(), host, stream, seq: None, detail })
}

fn size(version: &Version) -> String {
    version.size_bytes.map_or_else(|| "?".to_owned(), |size| size.to_string())
}

/// What there is to say of how objects are kept.
fn retention(bucket: &str, kept: &[Option<Lock>]) -> Vec<String> {
    let mut notes = Vec::new();
    let total = kept.len();
    let bare = kept.iter().filter(|lock| lock.is_none()).count();
    if bare > 0 {
        notes.push(format!("{bare} of {total} objects in bucket {bucket} have no retention that these credentials may see (s3:GetObjectRetention)"));
    }
    let lax = kept.iter().flatten().filter(|lock| !lock.is_compliance).count();
    if lax > 0 {
        notes.push(format!("{lax} of {total} objects in bucket {bucket} are in governance mode: whoever has s3:BypassGovernanceRetention can delete them"));
    }
    let end = kept.iter().flatten().map(|lock| lock.until).min();
    if let Some(end) = end.filter(|end| *end < SystemTime::now() + ENDS_SOON) {
        let end = OffsetDateTime::from(end).format(&Rfc3339).unwrap_or_default();
        notes.push(format!("the first retention in bucket {bucket} ends at {end}"));
    }
    notes
}

/// A key as a path below a folder, if it is one that stays there.
fn local(key: &str) -> Option<&Path> {
    let path = Path::new(key);
    let is_sound = |part| matches!(part, Component::Normal(name) if !name.is_empty());
    let goes_down = path.components().all(is_sound) && !key.contains(['\0', '\\']) && !key.contains("//");
    goes_down.then_some(path)
}
