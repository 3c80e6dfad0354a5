//! The nats backend: one message a batch to a JetStream stream that nobody can delete from.
//!
//! `Stored` is said when the server's PubAck says that the wanted stream has the message: written by the stream's leader and, with
//! replicas, by a quorum of them. A server syncs its file store to the disk every two minutes, unless its `sync_interval` is `always`.
//!
//! Each publication names the stream, the batch as its message id, and the last message of its subject as this end knows it; the
//! server takes it only if that still is the last. So an earlier attempt whose answer was lost can't come after, and nothing
//! rests on the server's memory of message ids. What the last message is, is looked up before the first publication of a
//! connection, and a connection is given up with whatever was uncertain on it.

mod fit;
mod session;

use super::backend::{Backend, Outcome, Pending, Upload};
use super::save::Saver;
use super::{Error, NatsConfig, http, tls, within};
use rustls::ClientConfig;
use session::Session;

/// One target.
pub(super) struct Nats {
    name: String,
    config: NatsConfig,
    host: String,
    batch_max_size_bytes: u64,
    tls: ClientConfig,
    certificates: tls::Watch,
    session: Option<Session>,
}

impl Nats {
    pub(super) fn new(name: &str, config: &NatsConfig, host: &str, batch_max_size_bytes: u64) -> Result<Self, Error> {
        if host.split('.').any(str::is_empty) {
            let reason = format!(
                "the host's name {host:?} can't stand in a subject, whose parts between dots must not be empty; set [host] name"
            );
            return Err(Error::Place { place: config.subject.clone(), reason });
        }
        let (certificates, tls) = tls::Watch::load(name, &config.tls, host)?;
        let (name, config, host) = (name.to_owned(), config.clone(), host.to_owned());
        Ok(Self { name, config, host, batch_max_size_bytes, tls, certificates, session: None })
    }

    async fn open(&self) -> Result<Session, String> {
        let session = Session::open(&self.config, self.tls.clone(), &self.host).await?;
        session.tell_of_limits(&self.name, self.batch_max_size_bytes);
        Ok(session)
    }

    async fn attempt(&mut self, upload: &Upload) -> Result<Outcome, String> {
        let mut session = match self.session.take().filter(Session::is_sound) {
            Some(session) => session,
            None => self.open().await?,
        };
        let outcome = session.store(upload).await?;
        self.session = Some(session);
        Ok(outcome)
    }

    async fn ask(&mut self) -> Result<(), String> {
        let mut session = self.open().await?;
        session.look().await?;
        self.session = Some(session);
        Ok(())
    }

    /// Reads the whole stream.
    pub(super) async fn save(&self, saver: &mut Saver) -> Result<(), String> {
        self.open().await?.save(saver).await
    }
}

impl Backend for Nats {
    fn store<'a>(&'a mut self, upload: &'a Upload) -> Pending<'a, Outcome> {
        Box::pin(async move {
            let limit = http::time_for(upload.batch.len);
            match within(limit, self.attempt(upload)).await {
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
