//! What is configured of a target.

use super::{S3Config, TlsConfig};
use crate::record::Secret;
use crate::tls::origin;
use std::path::PathBuf;
use std::time::Duration;

/// A `[[target]]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Names the target in receipts, metrics and the ledger.
    pub name: String,
    /// A segment stays spooled until every required target gave a receipt for it.
    pub required: bool,
    /// Of an optional target: what it may hold of the spool that every required target has, before it is skipped.
    pub max_lag_bytes: Option<u64>,
    /// A batch is sent when it has this many bytes …
    pub batch_max_size_bytes: u64,
    /// … or when its first segment is this old.
    pub batch_max_age: Duration,
    /// What it is.
    pub kind: Kind,
}

/// What a target is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `type = "https"`.
    Https(HttpsConfig),
    /// `type = "https"` with `protocol = "generic"`.
    Generic(GenericConfig),
    /// `type = "otlp"`.
    Otlp(OtlpConfig),
    /// `type = "file"`.
    File(FileConfig),
    /// `type = "nats"`.
    Nats(NatsConfig),
    /// `type = "kafka"`.
    Kafka(KafkaConfig),
    /// `type = "s3"`.
    S3(S3Config),
}

impl Kind {
    /// Where it is, for people.
    pub fn place(&self) -> String {
        match self {
            Kind::Https(https) => origin(&https.url),
            Kind::Generic(generic) => origin(&generic.url),
            Kind::Otlp(otlp) => origin(&otlp.url),
            Kind::File(file) => file.dir.display().to_string(),
            Kind::Nats(nats) => format!("{} {}", nats.url, nats.stream),
            Kind::Kafka(kafka) => format!("{} {}", kafka.brokers.join(","), kafka.topic),
            Kind::S3(s3) => s3.place(),
        }
    }

    /// The certificates of one that has any.
    pub fn tls(&self) -> Option<&TlsConfig> {
        match self {
            Kind::Https(https) => Some(&https.tls),
            Kind::Generic(generic) => Some(&generic.tls),
            Kind::Otlp(otlp) => Some(&otlp.tls),
            Kind::Nats(nats) => Some(&nats.tls),
            Kind::Kafka(kafka) => Some(&kafka.tls),
            Kind::S3(s3) => Some(&s3.tls),
            Kind::File(_) => None,
        }
    }

    /// Whether it vouches that what it took is durable. One that doesn't is not enough to delete lines after.
    pub fn is_durable(&self) -> bool {
        match self {
            Kind::Https(_) | Kind::File(_) | Kind::S3(_) | Kind::Nats(_) | Kind::Kafka(_) => true,
            Kind::Generic(generic) => generic.durable,
            Kind::Otlp(_) => false,
        }
    }
}

/// `type = "https"`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpsConfig {
    /// The base URL, `https` always.
    pub url: String,
    /// Certificates.
    pub tls: TlsConfig,
    /// The way there.
    pub proxy: Option<Proxy>,
}

/// An HTTP proxy that is asked for a tunnel (`CONNECT`); TLS goes through it to the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// Its URL, `http`.
    pub url: String,
    /// User and password.
    pub login: Option<(String, Secret)>,
}

/// `type = "https"` with `protocol = "generic"`.
#[derive(Clone, Debug, PartialEq)]
pub struct GenericConfig {
    /// The URL, `https` always, with [`super::PLACEHOLDERS`] between braces.
    pub url: String,
    /// The method.
    pub method: reqwest::Method,
    /// What is sent besides.
    pub headers: Vec<(String, Secret)>,
    /// What a body is.
    pub format: Format,
    /// The operator's word that what was answered with 2xx is durable.
    pub durable: bool,
    /// Certificates; our own may be missing.
    pub tls: TlsConfig,
    /// The way there.
    pub proxy: Option<Proxy>,
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines.
    Ndjson,
    /// Lines, compressed, byte for byte as they are spooled.
    NdjsonZst,
}

/// `type = "otlp"`.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpConfig {
    /// The base URL, `https` always.
    pub url: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// What is sent besides, such as a key of the API.
    pub headers: Vec<(String, Secret)>,
    /// Certificates.
    pub tls: TlsConfig,
    /// The way there.
    pub proxy: Option<Proxy>,
}

/// How an OTLP receiver is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Protobuf over HTTP.
    Http,
    /// gRPC.
    Grpc,
}

/// `type = "file"`.
#[derive(Clone, Debug, PartialEq)]
pub struct FileConfig {
    /// The archive's folder, which must be there.
    pub dir: PathBuf,
    /// Files get the attribute `i` of chattr(1), and their folders `a`.
    pub immutable: bool,
}

/// `type = "nats"`.
#[derive(Clone, Debug, PartialEq)]
pub struct NatsConfig {
    /// Servers of one cluster, `tls` always, with commas between.
    pub url: String,
    /// Whether the server begins with TLS, before its greeting.
    pub tls_first: bool,
    /// The JetStream stream.
    pub stream: String,
    /// Where a host publishes, with `{host}` in it once.
    pub subject: String,
    /// Certificates.
    pub tls: TlsConfig,
}

impl NatsConfig {
    /// The subject of a host.
    pub fn subject_of(&self, host: &str) -> String {
        self.subject.replace("{host}", host)
    }
}

/// `type = "kafka"`.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaConfig {
    /// Host and port of brokers to begin with; they name the others.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// Certificates.
    pub tls: TlsConfig,
}
