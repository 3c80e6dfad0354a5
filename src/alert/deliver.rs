//! One task a target: each notification is tried at once, and those that failed again and again, each by its own clock, so that
//! one that its target can't stomach holds up no other for longer than an attempt.

use super::counters::Counters;
use super::http::Http;
use super::journal::{Journal, Kept};
use super::{Alert, Config, Kind, alertmanager, command, webhook};
use crate::record::Secret;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

/// Notifications of a target that are raised and not settled; beyond them groups wait.
pub const QUEUE: usize = 64;

/// What came of an attempt.
pub(super) enum Outcome {
    Delivered,
    /// Perhaps later; why, and when the target said so.
    Later {
        why: String,
        after: Option<Duration>,
    },
    /// Never.
    Refused {
        why: String,
    },
}

/// A target as those see it who raise alerts.
#[derive(Clone)]
pub struct Target {
    /// Its configuration.
    pub config: Config,
    /// What became of its alerts.
    pub counters: Arc<Counters>,
    /// Its queue's room.
    pub room: Arc<Semaphore>,
}

/// A notification whose lines are durable.
#[derive(Debug)]
pub struct Queued {
    /// What to tell.
    pub alert: Alert,
    /// Its place in the queue, given back once it is settled.
    pub room: OwnedSemaphorePermit,
}

/// Checks a target without telling it anything.
pub fn check(config: &Config) -> Result<(), String> {
    Channel::new(config).map(drop)
}

impl Target {
    /// A target with nothing in its queue.
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone(), counters: Arc::default(), room: Arc::new(Semaphore::new(QUEUE)) }
    }

    /// What delivers its notifications, those first that the last run left in the journal below `spool`, whose lock the caller has.
    pub fn deliverer(&self, spool: &Path) -> Result<Deliverer, String> {
        let channel = Channel::new(&self.config)?;
        let journal = Journal::new(spool, &self.config.name);
        let (config, counters) = (self.config.clone(), Arc::clone(&self.counters));
        let mut deliverer =
            Deliverer { config, counters, channel, journal, pending: Vec::new(), told: None, quiet_until: None };
        deliverer.take_up(&self.room);
        Ok(deliverer)
    }
}

/// How a target is told.
enum Channel {
    Webhook(Http, Secret),
    Alertmanager(Http),
    Command(Vec<String>),
}

impl Channel {
    fn new(config: &Config) -> Result<Self, String> {
        Ok(match &config.kind {
            Kind::Webhook { url, secret, tls } => Self::Webhook(Http::new(url, tls, config.timeout)?, secret.clone()),
            Kind::Alertmanager { url, tls } => {
                let url = format!("{}/api/v2/alerts", url.trim_end_matches('/'));
                Self::Alertmanager(Http::new(&url, tls, config.timeout)?)
            }
            Kind::Command { argv } => {
                command::check(argv)?;
                Self::Command(argv.clone())
            }
        })
    }

    async fn send(&mut self, config: &Config, alert: &Alert) -> Outcome {
        match self {
            Self::Webhook(http, secret) => webhook::send(http, secret, alert).await,
            Self::Alertmanager(http) => alertmanager::send(http, config.group_interval, alert).await,
            Self::Command(argv) => command::run(argv, config.timeout, alert).await,
        }
    }
}

/// Delivers one target's notifications.
pub struct Deliverer {
    config: Config,
    counters: Arc<Counters>,
    channel: Channel,
    journal: Journal,
    pending: Vec<Pending>,
    /// When a failure was last told in the log.
    told: Option<Instant>,
    /// The target said that nothing may come before.
    quiet_until: Option<Instant>,
}

/// A notification that is not settled.
struct Pending {
    kept: Kept,
    attempts: u32,
    due: Instant,
    _room: Option<OwnedSemaphorePermit>,
}

impl Deliverer {
    /// Until the queue is closed and all is settled. Dropped before that, what is left stays in the journal.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Queued>) {
        let mut open = true;
        while open || !self.pending.is_empty() {
            let due = self.pending.iter().map(|pending| pending.due).min();
            let due = due.map(|due| self.quiet_until.map_or(due, |until| due.max(until)));
            tokio::select! {
                biased;
                queued = queue.recv(), if open => match queued {
                    Some(queued) => self.begin(queued).await,
                    None => open = false,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.retry().await,
            }
        }
    }

    /// What the last run left is due at once.
    fn take_up(&mut self, room: &Arc<Semaphore>) {
        for kept in self.journal.kept() {
            let room = Arc::clone(room).try_acquire_owned().ok();
            // the first attempt of this run is one after the first of all
            self.pending.push(Pending { kept, attempts: 1, due: Instant::now(), _room: room });
        }
        if !self.pending.is_empty() {
            tracing::info!(alert = %self.config.name, notifications = self.pending.len(), "going on with what was not delivered");
        }
    }

    async fn begin(&mut self, queued: Queued) {
        let kept = Kept { since: SystemTime::now(), alert: queued.alert };
        let (journal, copy) = (self.journal.clone(), kept.clone());
        match tokio::task::spawn_blocking(move || journal.keep(&copy)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(alert = %self.config.name, %error, "a notification is in no journal"),
            Err(error) => tracing::warn!(alert = %self.config.name, %error, "a notification is in no journal"),
        }
        let due = Instant::now();
        let pending = Pending { kept, attempts: 0, due, _room: Some(queued.room) };
        match self.quiet_until {
            Some(until) if until > due => self.pending.push(pending),
            _ => self.attempt(pending).await,
        }
    }

    /// The one that is due first.
    async fn retry(&mut self) {
        let first = self.pending.iter().enumerate().min_by_key(|(_, pending)| pending.due);
        if let Some(at) = first.map(|(at, _)| at) {
            let pending = self.pending.swap_remove(at);
            self.attempt(pending).await;
        }
    }

    async fn attempt(&mut self, mut pending: Pending) {
        if pending.attempts > 0 {
            self.counters.retry();
        }
        pending.attempts = pending.attempts.saturating_add(1);
        match self.channel.send(&self.config, &pending.kept.alert).await {
            Outcome::Delivered => {
                self.counters.deliver();
                self.journal.settle(&pending.kept.alert);
                if self.told.take().is_some() {
                    tracing::info!(alert = %self.config.name, "alerts are delivered again");
                }
            }
            Outcome::Refused { why } => self.give_up(&pending, &why),
            Outcome::Later { why, after } => {
                self.quiet_until = after.map(|after| Instant::now() + after);
                let wait = backoff(pending.attempts).max(after.unwrap_or_default());
                // a clock that was set back makes it no older
                let age = pending.kept.since.elapsed().unwrap_or_default();
                if age + wait > self.config.give_up_after {
                    return self.give_up(&pending, &why);
                }
                self.complain(&why, wait);
                pending.due = Instant::now() + wait;
                self.pending.push(pending);
            }
        }
    }

    fn give_up(&self, pending: &Pending, why: &str) {
        self.counters.give_up(&pending.kept.alert, why);
        self.journal.settle(&pending.kept.alert);
    }

    /// The first failure, then one a minute.
    fn complain(&mut self, why: &str, wait: Duration) {
        const QUIET: Duration = Duration::from_secs(60);
        if self.told.is_none_or(|at| at.elapsed() >= QUIET) {
            self.told = Some(Instant::now());
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(alert = %self.config.name, wait_ms, "cannot deliver an alert, and tries again: {why}");
        }
    }
}

/// After so many attempts: doubling from 200 ms to 30 s, drawn from the upper half so that many agents don't come back at the
/// same moment.
fn backoff(attempts: u32) -> Duration {
    const FIRST_MS: u64 = 200;
    const LONGEST_MS: u64 = 30_000;
    let ceiling = (FIRST_MS << attempts.saturating_sub(1).min(16)).min(LONGEST_MS);
    // without randomness the wait is only less scattered
    let random = getrandom::u64().unwrap_or(0);
    Duration::from_millis(ceiling / 2 + random % (ceiling / 2 + 1))
}
