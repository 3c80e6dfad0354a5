//! The agent: every stage put together, run, and drained.
//!
//! ```text
//! source threads --Batch--> label thread --Labelled--> scribe thread --spool--> forwarder tasks
//! ```
//! The line's path is CPU work and has threads of its own; tokio serves the network. Channels between them are short, and a
//! full one stops the stage before it: that is the backpressure, up to the files themselves.

mod alerts;
mod board;
mod drain;
mod label;
mod line;
mod live;
mod memory;
mod process;
mod reconfigure;
mod reload;
mod scribe;
mod tally;

pub use board::Board;
pub use process::memory_limit;
pub use reload::Reload;

use crate::alert;
use crate::chain;
use crate::chain::erasure;
use crate::chain::host_key::{self, HostKey, HostPublic};
use crate::chain::key::Bytes32;
use crate::config;
use crate::durable::Disk;
use crate::forward::{self, Event, Forwarder};
use crate::policy;
use crate::service::Pulse;
use crate::source::{self, Keys, Source, Stop};
use crate::spool::{self, Recovered, Spool};
use crate::telemetry::status::State;
use crate::tls;
use alerts::{Alerts, Delivery};
use board::Reading;
use drain::{Forwarders, drain, forwarder_ended, retire};
use line::{Line, spawn, until_ended};
use live::Live;
use memory::{Pressure, Shares};
use reconfigure::{Lasting, Parting};
use reload::{Policies, Reloader};
use scribe::{Control, Identity, Scribe, Seen};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tally::Tally;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;

/// What waits to be looked at of what became of batches: each holds the batch's bytes.
const EVENTS: usize = 1;
/// How often a wait that nothing may end looks whether it should.
const LOOK: Duration = Duration::from_millis(200);

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Read to the end of what is there, wait for every receipt, and stop.
    pub once: bool,
    /// Folders of sealtail's own besides the spool: never followed.
    pub own: Vec<PathBuf>,
}

/// Why the agent stopped, when nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host key.
    #[error(transparent)]
    HostKey(#[from] host_key::Error),
    /// Policies.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Policy(Vec<policy::Fault>),
    /// A source.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The spool.
    #[error(transparent)]
    Spool(#[from] spool::Error),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] chain::Error),
    /// A target.
    #[error("target {name:?}: {error}")]
    Target {
        /// Which.
        name: String,
        /// Why.
        error: forward::Error,
    },
    /// An alert target.
    #[error("alert {name:?}: {reason}")]
    Alert {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// With `once`: not everything was stored.
    #[error(
        "target {target:?} refused a batch for good (see the log); what it refused is kept in the spool's quarantine/"
    )]
    Refused {
        /// Which.
        target: String,
    },
    /// A thread could not be started, or died.
    #[error("{0}")]
    Thread(String),
}

/// What an agent is made of before it runs: everything that can be wrong with its files is found here.
#[derive(Clone)]
pub struct Agent {
    config: config::Agent,
    digest: Bytes32,
    host_key: Arc<HostKey>,
    policies: Arc<Live>,
    erasure: Vec<String>,
    reloader: Arc<tokio::sync::Mutex<Reloader>>,
    lasting: Lasting,
    /// It took the place of another, and who asked for that waits.
    is_successor: bool,
    /// Told when a stream of it has begun.
    begun: Arc<Notify>,
}

impl Agent {
    /// Loads the keys and policies that `config` names; a bundle from its server if none was kept.
    pub async fn new(config: &config::Agent, digest: Bytes32) -> Result<Self, Error> {
        let lasting = Lasting::new(config);
        let policies = Reloader::first(&config.policy, &lasting).await?;
        Self::of(config, digest, policies, lasting)
    }

    fn of(
        config: &config::Agent,
        digest: Bytes32,
        (policies, reloader): Policies,
        lasting: Lasting,
    ) -> Result<Self, Error> {
        let host_key = Arc::new(HostKey::load(&config.host.key)?);
        let named = |path: &PathBuf| HostPublic::load(path).map(|key| erasure::named(&key));
        let erasure = config.erasure.iter().map(named).collect::<Result<_, _>>()?;
        forward::apart(&config.targets, &config.spool.dir).map_err(|(name, error)| Error::Target { name, error })?;
        for target in &config.alerts {
            alert::check(target).map_err(|reason| Error::Alert { name: target.name.clone(), reason })?;
        }
        let (config, begun, is_successor) = (config.clone(), Arc::default(), false);
        Ok(Self { config, digest, host_key, policies, erasure, reloader, lasting, is_successor, begun })
    }

    /// What asks it to read its configuration and policies again, also while it runs.
    pub fn reload(&self) -> Reload {
        self.lasting.reload.clone()
    }

    /// Where it can be asked what it is doing, also while it runs.
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.lasting.board)
    }

    /// Runs until `stop`, until every source has ended, or, with `once`, until everything that is there is stored.
    /// `on_event` sees each receipt.
    pub async fn run(&self, options: &Options, stop: &Stop, mut on_event: impl FnMut(&Event)) -> Result<(), Error> {
        if options.once {
            self.check_required()?;
        }
        let mut delivery = Delivery::new(&self.config.alerts);
        let mut result = self.run_configured(options, stop, &mut on_event, &mut delivery).await;
        while let Ok(Some(next)) = result {
            if !delivery.is_for(&next.config.alerts) {
                std::mem::replace(&mut delivery, Delivery::new(&next.config.alerts))
                    .drain(next.config.spool.drain_timeout)
                    .await;
            }
            result = next.run_configured(options, stop, &mut on_event, &mut delivery).await;
        }
        delivery.drain(self.config.spool.drain_timeout).await;
        result.map(drop)
    }

    /// The same, or until another configuration counts: then the agent that goes on by that.
    async fn run_configured(
        &self,
        options: &Options,
        stop: &Stop,
        on_event: &mut impl FnMut(&Event),
        delivery: &mut Delivery,
    ) -> Result<Option<Agent>, Error> {
        self.lasting.board.take_up(&self.config);
        self.lasting.board.put_alerts(delivery.counters());
        // ended with this run
        let mut tasks = JoinSet::new();
        let (found, next) = mpsc::channel(1);
        let reloader = Arc::clone(&self.reloader);
        match options.once {
            true => reloader.lock().await.ask_server().await,
            false => {
                tasks.spawn(async move { reloader.lock().await.run().await });
                tasks.spawn(self.clone().watch(found));
            }
        }
        tasks.spawn(warn_daily(self.certificates()));
        self.run_streams(options, stop, on_event, delivery, next).await
    }

    /// Stream after stream, also when the spool fails one.
    async fn run_streams(
        &self,
        options: &Options,
        stop: &Stop,
        on_event: &mut impl FnMut(&Event),
        delivery: &mut Delivery,
        mut next: mpsc::Receiver<Agent>,
    ) -> Result<Option<Agent>, Error> {
        const ATTEMPTS_ONCE: u32 = 5;
        let mut wait = Duration::from_secs(1);
        for attempt in 1.. {
            let result = self.run_stream(options, stop, on_event, delivery, &mut next).await;
            // one that took another's place began long ago
            let is_first = attempt == 1 && !self.is_successor;
            // the stream is abandoned; recovery takes up what is durable, as after a crash
            let failed = match result {
                Err(Error::Spool(error)) if error.ends_stream() || (!is_first && error.is_locked()) => error.into(),
                // they were good at the start: they are being exchanged, or wait for their renewal
                Err(error @ Error::Target { error: forward::Error::Tls(_), .. }) if !is_first => error,
                other => return other,
            };
            if stop.is_set() || (options.once && attempt >= ATTEMPTS_ONCE) {
                return Err(failed);
            }
            self.lasting.board.enter(State::Recovering);
            tracing::error!(error = %failed, wait_s = wait.as_secs(), "the stream is abandoned; beginning again from what is durable");
            let waited = tokio::time::Instant::now();
            while waited.elapsed() < wait && !stop.is_set() {
                if let Ok(next) = next.try_recv() {
                    return Ok(Some(next));
                }
                tokio::time::sleep(LOOK).await;
            }
            wait = (wait * 2).min(Duration::from_secs(30));
        }
        Ok(None)
    }

    async fn run_stream(
        &self,
        options: &Options,
        stop: &Stop,
        on_event: &mut impl FnMut(&Event),
        delivery: &mut Delivery,
        next: &mut mpsc::Receiver<Agent>,
    ) -> Result<Option<Agent>, Error> {
        let (spool, recovered) = self.open_spool().await?;
        self.lasting.board.put_spool(spool.viewer());
        delivery.start(&self.config.spool.dir)?;
        let (alerts, gate) = delivery.open(&self.config.host.name, spool.durable());
        let (events, mut heard) = mpsc::channel(EVENTS);
        let mut forwarders = self.forwarders(&spool, &events);
        let (mut refused, mut successor) = (None, None);
        let mut line = self.start_line(options, stop, &spool, recovered, alerts)?;
        let _ready = self.tell_ready(&spool);
        self.lasting.board.enter(State::Running);
        let mut gate = JoinSet::from_iter([gate]);
        let chained = loop {
            tokio::select! {
                result = &mut line.done => break result.unwrap_or_else(|_| Err(Error::Thread("the chain's thread died".into()))),
                Some(event) = heard.recv() => {
                    on_event(&event);
                    if let Event::Refused { target } = event {
                        // a full channel means that a new stream is on its way already
                        let _: Result<(), _> = line.control.try_send(Control::NewStream { why: format!("refused by {target}") });
                        refused = Some(target);
                    }
                }
                Some(next) = next.recv() => {
                    self.part_for(&next, &line.parting);
                    line.end = None;
                    successor = Some(next);
                }
                Some(ended) = forwarders.join_next() => if let Err(error) = forwarder_ended(ended) {
                    line.abandon().await;
                    break Err(error);
                },
            }
        };
        let mut hear = |event: Event| {
            on_event(&event);
            if let Event::Refused { target } = event {
                refused = Some(target);
            }
        };
        if chained.is_err() || successor.is_some() {
            retire(&spool, &mut heard, &mut forwarders, &mut hear).await;
        }
        if let (Err(error @ Error::Spool(_)), Some(_)) = (&chained, &successor) {
            tracing::error!(%error, "the stream ends without its close line; what is not durable is read again");
            return Ok(successor);
        }
        chained?;
        // the stream is closed and durable, so that nothing is held back any more
        while gate.join_next().await.is_some() {}
        if successor.is_some() {
            return Ok(successor);
        }
        self.lasting.board.enter(State::Draining);
        spool.drain();
        let limit = self.config.spool.drain_timeout;
        if !drain(&spool, &mut heard, &mut forwarders, &mut hear, options.once, stop, limit).await? {
            tracing::warn!(
                bytes = spool.bytes(),
                "stopping before the targets have everything; the spool keeps the rest"
            );
        }
        if let Some(target) = refused.filter(|_| options.once) {
            return Err(Error::Refused { target });
        }
        match line.failures.try_recv() {
            Ok(error) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    fn forwarders(&self, spool: &Spool, events: &mpsc::Sender<Event>) -> Forwarders {
        let mut forwarders = Forwarders::new();
        let shares = self.shares();
        for target in &self.config.targets {
            let batch_max_size_bytes = target.batch_max_size_bytes.min(shares.target_batch_bytes);
            if batch_max_size_bytes < target.batch_max_size_bytes {
                tracing::info!(target_name = %target.name, batch_max_size_bytes, "its batches are smaller than configured: their share of [resources] memory");
            }
            let target = &forward::Config { batch_max_size_bytes, ..target.clone() };
            let (name, meter) = (target.name.clone(), self.lasting.board.meter(&target.name));
            let forwarder = Forwarder::new(target, &self.config.host.name, spool, events.clone(), meter);
            forwarders.spawn(async move { (name, forwarder.run().await) });
        }
        forwarders
    }

    fn shares(&self) -> Shares {
        Shares::of(memory::bound(self.config.memory_bytes), self.config.targets.len())
    }

    /// An agent that goes on waits for certificates to be mended, since one that stopped would read nothing meanwhile. With `once`
    /// nobody would wait for it.
    fn check_required(&self) -> Result<(), Error> {
        for target in self.config.targets.iter().filter(|target| target.required) {
            let checked = forward::check(target, &self.config.host.name);
            checked.map_err(|error| Error::Target { name: target.name.clone(), error })?;
        }
        Ok(())
    }

    async fn open_spool(&self) -> Result<(Spool, Recovered), Error> {
        let (config, host) = (self.config.spool.clone(), self.config.host.name.clone());
        let target = |t: &forward::Config| spool::Target { name: t.name.clone(), max_lag_bytes: t.max_lag_bytes };
        let targets: Vec<spool::Target> = self.config.targets.iter().map(target).collect();
        let open = move || Spool::open(&config, &host, &targets, Arc::new(Disk));
        let opened = tokio::task::spawn_blocking(open).await.map_err(|e| Error::Thread(e.to_string()))?;
        Ok(opened?)
    }

    /// Tells the board once the genesis is durable, which is written after the sources were opened.
    fn tell_ready(&self, spool: &Spool) -> JoinSet<()> {
        let (mut durable, board, begun) = (spool.durable(), self.board(), Arc::clone(&self.begun));
        JoinSet::from_iter([async move {
            if durable.wait_for(|durable| durable.is_some_and(|durable| durable.next > 0)).await.is_ok() {
                board.is_ready();
                begun.notify_one();
            }
        }])
    }

    /// Starts the threads of the line's path.
    fn start_line(
        &self,
        options: &Options,
        stop: &Stop,
        spool: &Spool,
        recovered: Recovered,
        mut alerts: Alerts,
    ) -> Result<Line, Error> {
        let Shares { bound_bytes, between_stages, held_bytes, .. } = self.shares();
        let (read, unlabelled) = crossbeam_channel::bounded(between_stages);
        let (label, labelled) = crossbeam_channel::bounded(between_stages);
        let (failed, failures) = crossbeam_channel::bounded(self.config.sources.len());
        let keys =
            Arc::new(Keys::sharing(self.config.sources.len(), recovered.hash_key, Arc::clone(&self.lasting.handover)));
        let (end, stop) = until_ended(stop)?;
        let mut own = options.own.clone();
        own.push(self.config.spool.dir.clone());
        let mut board = Vec::new();
        for config in &self.config.sources {
            let name = config.name().to_owned();
            let source = Source::new(config, recovered.cursors.known(&name), Arc::clone(&keys), &own)?;
            let reading = Arc::new(Reading::new(source.progress()));
            board.push((name.clone(), Arc::clone(&reading)));
            let (read, stop, failed, once) = (read.clone(), stop.clone(), failed.clone(), options.once);
            spawn(&format!("sealtail-{name}"), move || {
                if let Err(error) = source.run(once, &read, &stop) {
                    tracing::error!(source = %name, %error, "a source failed; the others go on");
                    reading.fail(&error);
                    // there is room for one from each source
                    let _: Result<(), _> = failed.try_send(error);
                }
            })?;
        }
        self.lasting.board.put(board);
        let formats = self.config.sources.iter().map(|source| (source.name().to_owned(), source.format()));
        let [labels, chains] = [(); 2].map(|()| Arc::new(Pulse::default()));
        let host = &self.config.host.name;
        let pressure = Pressure::new(bound_bytes);
        let labeller =
            label::Labeller::new(&self.policies, host, formats.collect(), labels.clone(), held_bytes, pressure);
        let identity = self.identity(labeller.policies().digest());
        alerts.take_up(labeller.policies());
        let ends = stop.clone();
        let counts = self.lasting.board.counts();
        self.lasting.board.put_threads(vec![("policy", labels), ("chain", chains.clone()), ("sync", spool.pulse())]);
        spawn("sealtail-policy", move || labeller.run(&unlabelled, &label, &ends, &counts))?;
        let (control, orders) = crossbeam_channel::bounded(1);
        let (finished, done) = oneshot::channel();
        let parting = Parting::new(&self.lasting.handover);
        let seen = Seen { pulse: chains.clone(), tally: Tally::new(self.lasting.board.counts()) };
        let scribe = Scribe::new(identity, &self.config.chain, spool, recovered, alerts, stop.clone(), seen)
            .parting(parting.clone());
        spawn("sealtail-chain", move || {
            // the receiver is gone only when the agent is
            let _: Result<(), _> = finished.send(scribe.run(&labelled, &orders));
            chains.rest();
        })?;
        Ok(Line { done, control, failures, parting, end: Some(end) })
    }

    /// What everything that it calls names as certificates, with whose they are.
    fn certificates(&self) -> Vec<(String, tls::Config)> {
        let named = |of: &str, name: &str, tls: Option<&tls::Config>| Some((format!("{of} {name:?}"), tls?.clone()));
        let targets = self.config.targets.iter().filter_map(|target| named("target", &target.name, target.kind.tls()));
        let alerts = self.config.alerts.iter().filter_map(|alert| named("alert", &alert.name, alert.kind.tls()));
        let bundle =
            self.config.policy.bundle.iter().filter_map(|bundle| Some(("[policy] bundle".into(), bundle.tls.clone()?)));
        targets.chain(alerts).chain(bundle).collect()
    }

    fn identity(&self, policy: Bytes32) -> Identity {
        Identity {
            host: self.config.host.name.clone(),
            config: self.digest,
            policy,
            recipients: self.config.recipients.clone(),
            host_key: Arc::clone(&self.host_key),
            erasure: self.erasure.clone(),
        }
    }
}

/// Warns of certificates that expire soon.
async fn warn_daily(certificates: Vec<(String, tls::Config)>) {
    let mut daily = tokio::time::interval(tls::DAY);
    loop {
        daily.tick().await;
        for (of, config) in &certificates {
            tls::warn(of, &config.expiries());
        }
    }
}
