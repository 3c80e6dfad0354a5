//! The kafka backend: one record a batch, keyed by its stream, to a topic that deletes nothing.
//!
//! `Stored` is said when the partition's leader says that all in-sync replicas have the record (`acks=all`); how many these have
//! to be is the topic's `min.insync.replicas`. The producer is idempotent, so that its own retries make no second copy. Whatever it
//! gives up is uncertain: the connection is given up with it, and the partition's tail is read for the last stored record of the stream
//! before anything is sent again, as after a restart. Kafka has no way to refuse a record that is not the successor of
//! another: should an answer stay out and its record come after that look, a second copy with the same bytes is there,
//! which `sealtail save` finds to be one.

mod fit;
mod handshake;
mod look;
mod record;
mod session;

use super::backend::{Backend, Outcome, Pending, Upload};
use super::save::Saver;
use super::{Error, KafkaConfig, TlsConfig, http, tls, within};
use look::Look;
use rustls::ClientConfig;
use session::Session;

/// One target.
pub(super) struct Kafka {
    name: String,
    config: KafkaConfig,
    batch_max_size_bytes: u64,
    tls: ClientConfig,
    certificates: tls::Watch,
    session: Option<Session>,
    /// How far the last look back came, should it have come to no end.
    look: Option<Look>,
}

impl Kafka {
    pub(super) fn new(name: &str, config: &KafkaConfig, host: &str, batch_max_size_bytes: u64) -> Result<Self, Error> {
        // the client reads the files itself, and says less of what is wrong with them
        let (certificates, tls) = tls::Watch::load(name, &config.tls, host)?;
        if !speaks_only_tls13() {
            let reason = "the TLS of this process is set up for 1.2 too, which a kafka target must not speak".into();
            return Err(Error::Place { place: config.brokers.join(","), reason });
        }
        let (name, config) = (name.to_owned(), config.clone());
        Ok(Self { name, config, batch_max_size_bytes, tls, certificates, session: None, look: None })
    }

    async fn open(&self) -> Result<Session, String> {
        let opening = Session::open(&self.name, &self.config, self.batch_max_size_bytes);
        match within(http::time_for(0), opening).await {
            Ok(session) => Ok(session),
            Err(why) => Err(handshake::fault(&self.config.brokers, &self.tls).await.unwrap_or(why)),
        }
    }

    async fn attempt(&mut self, upload: &Upload) -> Result<Outcome, String> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.open().await?,
        };
        // in a time of its own: what there is to read has nothing to do with the batch's size
        if let Err(why) = session.look(upload, &mut self.look).await {
            session.close().await;
            return Err(why);
        }
        let stored = within(http::time_for(upload.batch.len), session.store(upload)).await;
        match stored {
            Ok(_) => self.session = Some(session),
            // nothing that is under way may come after the next look
            Err(_) => session.close().await,
        }
        stored
    }

    async fn ask(&mut self) -> Result<(), String> {
        let session = self.open().await?;
        let read = session.read().await;
        self.session = Some(session);
        read
    }

    /// Reads the whole topic.
    pub(super) async fn save(&self, saver: &mut Saver) -> Result<(), String> {
        match session::save(&self.config, saver).await {
            Ok(()) => Ok(()),
            Err(why) => Err(handshake::fault(&self.config.brokers, &self.tls).await.unwrap_or(why)),
        }
    }
}

impl Backend for Kafka {
    fn store<'a>(&'a mut self, upload: &'a Upload) -> Pending<'a, Outcome> {
        Box::pin(async move {
            match self.attempt(upload).await {
                Ok(outcome) => outcome,
                Err(why) => Outcome::Later { why, after: None },
            }
        })
    }

    fn probe(&mut self) -> Pending<'_, Result<(), String>> {
        Box::pin(within(http::time_for(0), self.ask()))
    }

    fn reload(&mut self) {
        if let Some(tls) = self.certificates.renewed() {
            self.tls = tls;
            self.session = None;
        }
    }
}

/// The client sets TLS up by itself, with the process's cryptography, and speaks each version for which that has cipher suites. Nothing
/// else here goes by the process's.
fn speaks_only_tls13() -> bool {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.retain(|suite| suite.tls13().is_some());
    // an earlier target did, or somebody else
    drop(provider.install_default());
    let installed = rustls::crypto::CryptoProvider::get_default();
    installed.is_some_and(|provider| provider.cipher_suites.iter().all(|suite| suite.tls13().is_some()))
}

/// The certificates as the client takes them.
fn certificates(tls: &TlsConfig) -> krafka::auth::AuthConfig {
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let mut config = krafka::auth::TlsConfig::new();
    if let Some(ca) = &tls.ca {
        config = config.with_ca_cert(text(ca));
    }
    if let Some(client) = &tls.client {
        config = config.with_client_cert(text(&client.cert), text(&client.key));
    }
    if let Some(name) = &tls.server_name {
        config = config.with_sni_hostname(name.to_str());
    }
    krafka::auth::AuthConfig::ssl(config)
}
