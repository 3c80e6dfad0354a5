//! Which files, ports and rights an agent or a receiver works with.

use super::{Agent, Config};
use crate::alert;
use crate::forward::Kind;
use crate::hardening::{Needs, Places, Ports};
use crate::tls;
use reqwest::Url;
use rustix::thread::CapabilitySet;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Of names, where an answer is too long for UDP.
const DNS: u16 = 53;
/// Of NATS, where no other is named.
const NATS: u16 = 4222;
/// Where AWS gives credentials: STS, and the metadata of containers and machines.
const AWS: [u16; 2] = [443, 80];
/// Others may be listened on without any right.
const UNPRIVILEGED: u16 = 1024;

impl Config {
    /// What an agent that is configured so by the file at `path` works with; None where that configures none.
    pub fn agent_needs(&self, path: &Path) -> Option<Needs> {
        let agent = self.agent.as_ref()?;
        let is_immutable = |kind: &Kind| matches!(kind, Kind::File(file) if file.immutable);
        let connect = &self.hardening.connect;
        let connect = (!connect.is_empty()).then(|| agent.ports().into_iter().chain(connect.iter().copied()).collect());
        let ports = Ports { bind: self.telemetry.listen.iter().map(SocketAddr::port).collect(), connect };
        // files that were rotated are opened later, whoever owns them
        let mut capabilities = CapabilitySet::DAC_READ_SEARCH | listening(self.telemetry.listen);
        capabilities.set(CapabilitySet::LINUX_IMMUTABLE, agent.targets.iter().any(|target| is_immutable(&target.kind)));
        Some(Needs { places: agent.places(path), ports, may_execute: agent.may_execute(), capabilities })
    }

    /// What a receiver works with; None where none is configured. It connects to nobody.
    pub fn receiver_needs(&self) -> Option<Needs> {
        let receive = self.receive.as_ref()?;
        // where one file configures both, the address is the agent's
        let metrics = self.telemetry.listen.filter(|_| self.agent.is_none());
        let listen: Vec<SocketAddr> = [receive.listen].into_iter().chain(metrics).collect();
        let files = receive.tls.files().chain(&receive.trust).chain([&receive.receipt_key]);
        let places =
            Places { read: files.filter_map(|file| folder_of(file)).collect(), write: vec![receive.dir.clone()] };
        let bind = listen.iter().map(SocketAddr::port).collect();
        Some(Needs {
            places,
            ports: Ports { bind, connect: Some(BTreeSet::new()) },
            may_execute: false,
            capabilities: listening(listen),
        })
    }
}

impl Agent {
    /// What it reads and writes. Of files the folders, since whoever renews one puts another in its place.
    fn places(&self, config: &Path) -> Places {
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
        let folders = files.filter_map(|file| folder_of(&file));
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

    /// Where its targets, alert targets and bundles are, and names are told.
    fn ports(&self) -> BTreeSet<u16> {
        let alerts = self.alerts.iter().filter_map(|alert| match &alert.kind {
            alert::Kind::Webhook { url, .. } | alert::Kind::Alertmanager { url, .. } => port_of(url),
            alert::Kind::Command { .. } => None,
        });
        let bundle = self.policy.bundle.iter().filter_map(|bundle| port_of(&bundle.url));
        let targets = self.targets.iter().flat_map(|target| ports_of(&target.kind));
        [DNS].into_iter().chain(alerts).chain(bundle).chain(targets).collect()
    }
}

/// Of servers and brokers those that are asked first; they may name others.
fn ports_of(kind: &Kind) -> Vec<u16> {
    let (url, proxy) = match kind {
        Kind::Https(https) => (Some(&https.url), &https.proxy),
        Kind::Generic(generic) => (Some(&generic.url), &generic.proxy),
        Kind::Otlp(otlp) => (Some(&otlp.url), &otlp.proxy),
        Kind::S3(s3) => {
            let urls = s3.url.iter().chain(s3.proxy.as_ref().map(|proxy| &proxy.url));
            return urls.filter_map(|url| port_of(url)).chain(AWS).collect();
        }
        Kind::Kafka(kafka) => {
            return kafka.brokers.iter().filter_map(|broker| broker.rsplit_once(':')?.1.parse().ok()).collect();
        }
        Kind::Nats(nats) => {
            let servers = nats.url.split(',').filter_map(|url| Url::parse(url.trim()).ok());
            return servers.map(|url| url.port().unwrap_or(NATS)).collect();
        }
        Kind::File(_) => (None, &None),
    };
    proxy.as_ref().map(|proxy| &proxy.url).or(url).and_then(|url| port_of(url)).into_iter().collect()
}

/// None where it is no fixed one.
fn port_of(url: &str) -> Option<u16> {
    Url::parse(url).ok()?.port_or_known_default()
}

/// The right to listen there.
fn listening(addresses: impl IntoIterator<Item = SocketAddr>) -> CapabilitySet {
    let is_privileged = addresses.into_iter().any(|address| (1..UNPRIVILEGED).contains(&address.port()));
    if is_privileged { CapabilitySet::NET_BIND_SERVICE } else { CapabilitySet::empty() }
}

fn folder_of(file: &Path) -> Option<PathBuf> {
    Some(std::path::absolute(file).ok()?.parent()?.to_owned())
}
