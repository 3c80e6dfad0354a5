//! S3 and what speaks its protocol, for the target that writes there and for the verifier that reads it back.
//!
//! | file | what it does |
//! | --- | --- |
//! | `connector` | AWS' client on our HTTP client, so that TLS is ours |
//! | `failure` | why a request failed, and how to mend it |
//! | `versions` | every version and delete marker of an archive's objects |
//!
//! Retries are the caller's or, for a reader, AWS' own.

mod connector;
mod failure;
mod versions;

pub(crate) use connector::Http;
pub(crate) use failure::Failure;
pub(crate) use versions::{History, Lock, Version, histories, save};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_s3::Client;
use std::path::PathBuf;

/// Of stores that have no regions, by which requests are signed all the same.
const NO_REGION: &str = "us-east-1";

/// Where the store is and who asks. What is not said comes from where all AWS tools look: the environment, profiles, web
/// identity, the container or the instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Access {
    /// The base URL; AWS' own of the region, if absent.
    pub(crate) url: Option<String>,
    /// The region.
    pub(crate) region: Option<String>,
    /// The bucket in the path, not in the host name.
    pub(crate) path_style: bool,
    /// A profile, to be used instead of what the environment says.
    pub(crate) profile: Option<String>,
    /// A file of profiles, likewise.
    pub(crate) credentials_file: Option<PathBuf>,
    /// Attempts of a request, 1 or more.
    pub(crate) attempts: u32,
}

/// A client; nothing is sent yet, but for what it takes to find out the region.
pub(crate) async fn connect(access: &Access, http: &Http) -> Client {
    let mut files = EnvConfigFiles::builder().include_default_config_file(true);
    files = match &access.credentials_file {
        Some(path) => files.with_file(EnvConfigFileKind::Credentials, path),
        None => files.include_default_credentials_file(true),
    };
    let files = files.build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.for_credentials())
        .profile_files(files.clone());
    if let Some(region) = &access.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &access.profile {
        loader = loader.profile_name(profile);
    }
    if access.profile.is_some() || access.credentials_file.is_some() {
        // what a configuration names comes before what the environment happens to hold
        let region = access.region.clone().unwrap_or_else(|| NO_REGION.to_owned());
        let surroundings = ProviderConfig::without_region()
            .with_http_client(http.for_credentials())
            .with_region(Some(Region::new(region)));
        let mut provider = ProfileFileCredentialsProvider::builder().configure(&surroundings).profile_files(files);
        if let Some(profile) = &access.profile {
            provider = provider.profile_name(profile);
        }
        loader = loader.credentials_provider(provider.build());
    }
    let shared = loader.load().await;
    let mut config = aws_sdk_s3::config::Builder::from(&shared)
        .http_client(http.for_store())
        .retry_config(RetryConfig::standard().with_max_attempts(access.attempts))
        // the limits of time are those of whoever asks
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .force_path_style(access.path_style);
    if let Some(url) = &access.url {
        config = config.endpoint_url(url);
    }
    if shared.region().is_none() && access.url.is_some() {
        config = config.region(Region::new(NO_REGION));
    }
    Client::from_conf(config.build())
}
