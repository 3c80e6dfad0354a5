//! Which files an agent works with.

use super::Agent;
use crate::forward::Kind;
use crate::hardening::Places;
use crate::tls;
use std::path::{Path, PathBuf};

impl Agent {
    /// What an agent that is configured so by the file at `config` reads and writes. Of files the folders, since whoever renews one
    /// puts another in its place.
    pub fn places(&self, config: &Path) -> Places {
        let targets = self.targets.iter().filter_map(|target| target.kind.tls());
        let alerts = self.alerts.iter().filter_map(|alert| alert.kind.tls());
        let bundle = self.policy.bundle.iter().filter_map(|bundle| bundle.tls.as_ref());
        let certificates = targets.chain(alerts).chain(bundle).flat_map(tls::Config::files).cloned();
        let credentials = self.targets.iter().filter_map(|target| match &target.kind {
            Kind::S3(s3) => s3.credentials_file.clone(),
            _ => None,
        });
        let policies = self.policy.files();
        let files = [config.to_owned(), self.host.key.clone()].into_iter();
        let files = files.chain(certificates).chain(credentials).chain(self.erasure.clone()).chain(policies.clone());
        let folders = files.filter_map(|file| Some(std::path::absolute(file).ok()?.parent()?.to_owned()));
        let sources = self.sources.iter().flat_map(|source| source.places());
        let written = self.targets.iter().filter_map(|target| match &target.kind {
            Kind::File(file) => Some(file.dir.clone()),
            _ => None,
        });
        Places {
            read: folders.chain(policies).chain(sources).collect(),
            write: std::iter::once(self.spool.dir.clone()).chain(written).collect::<Vec<PathBuf>>(),
        }
    }
}
