//! The agent: every stage put together, run, and drained.
//!
//! ```text
//! source threads --Batch--> label thread --Labelled--> scribe thread --spool--> forwarder tasks
//! ```
//! The line's path is CPU work and has threads of its own; tokio serves the network. Channels between them are short, and a
//! full one stops the stage before it: that is the backpressure, up to the files themselves.

mod alerts;
mod board;
mod label;
mod live;
mod process;
mod reload;
mod scribe;
mod tally;

pub use board::Board;
pub use reload::Reload;

use crate::alert;
use crate::chain;
use crate::chain::erasure;
use crate::chain::host_key::{self, HostKey, HostPublic};
use crate::chain::key::Bytes32;
use crate::config;
use crate::durable::Disk;
use crate::forward::{self, Event, Forwarder};
use crate::policy::{self, PolicySet};
use crate::service::Pulse;
use crate::source::{self, Keys, Source, Stop};
use crate::spool::{self, Recovered, Spool};
use crate::telemetry::status::State;
use crate::tls;
use alerts::{Alerts, Delivery};
use board::Reading;
use live::Live;
use reload::Reloader;
use scribe::{Control, Identity, Scribe, Seen};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tally::Tally;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Batches between two stages; one is at most a few hundred KiB.
const BETWEEN_STAGES: usize = 8;
/// Receipts that wait to be looked at.
const EVENTS: usize = 16;
/// After a stop, how long targets may take to store what is spooled; the rest is sent at the next start.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
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
pub struct Agent {
    config: config::Agent,
    digest: Bytes32,
    host_key: Arc<HostKey>,
    policies: Arc<Live>,
    erasure: Vec<String>,
    board: Arc<Board>,
    reload: Reload,
    reloader: Arc<tokio::sync::Mutex<Reloader>>,
}

impl Agent {
    /// Loads the keys and policies that `config` names; a bundle from its server if none was kept.
    pub async fn new(config: &config::Agent, digest: Bytes32) -> Result<Self, Error> {
        let host_key = Arc::new(HostKey::load(&config.host.key)?);
        let seen = reload::stamp(&config.policy);
        let policy::First { set, bundle } = PolicySet::first(&config.policy).await.map_err(Error::Policy)?;
        let named = |path: &PathBuf| HostPublic::load(path).map(|key| erasure::named(&key));
        let erasure = config.erasure.iter().map(named).collect::<Result<_, _>>()?;
        forward::apart(&config.targets, &config.spool.dir).map_err(|(name, error)| Error::Target { name, error })?;
        for target in &config.alerts {
            alert::check(target).map_err(|reason| Error::Alert { name: target.name.clone(), reason })?;
        }
        let (policies, board, reload) = (Arc::new(Live::new(set)), Arc::new(Board::new(config)), Reload::default());
        let reloader = Reloader {
            config: config.policy.clone(),
            live: Arc::clone(&policies),
            board: Arc::clone(&board),
            asked: reload.clone(),
            bundle,
            seen,
            state: reload::State::default(),
        };
        let reloader = Arc::new(tokio::sync::Mutex::new(reloader));
        Ok(Self { config: config.clone(), digest, host_key, erasure, policies, board, reload, reloader })
    }

    /// What asks it to read its policies again, also while it runs.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Where it can be asked what it is doing, also while it runs.
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Runs until `stop`, until every source has ended, or, with `once`, until everything that is there is stored.
    /// `on_event` sees each receipt.
    pub async fn run(&self, options: &Options, stop: &Stop, mut on_event: impl FnMut(&Event)) -> Result<(), Error> {
        if options.once {
            self.check_required()?;
        }
        let mut delivery = Delivery::new(&self.config.alerts);
        self.board.put_alerts(delivery.counters());
        let result = self.run_streams(options, stop, &mut on_event, &mut delivery).await;
        delivery.drain().await;
        result
    }

    /// Stream after stream, also when the spool fails one.
    async fn run_streams(
        &self,
        options: &Options,
        stop: &Stop,
        on_event: &mut impl FnMut(&Event),
        delivery: &mut Delivery,
    ) -> Result<(), Error> {
        const ATTEMPTS_ONCE: u32 = 5;
        // ended with this run
        let mut tasks = JoinSet::new();
        let reloader = Arc::clone(&self.reloader);
        match options.once {
            true => reloader.lock().await.ask_server().await,
            false => drop(tasks.spawn(async move { reloader.lock().await.run().await })),
        }
        tasks.spawn(warn_daily(self.certificates()));
        let mut wait = Duration::from_secs(1);
        for attempt in 1.. {
            let result = self.run_stream(options, stop, on_event, delivery).await;
            // the stream is abandoned; recovery takes up what is durable, as after a crash
            let failed = match result {
                Err(Error::Spool(error)) if error.ends_stream() || (attempt > 1 && error.is_locked()) => error.into(),
                // they were good at the start: they are being exchanged, or wait for their renewal
                Err(error @ Error::Target { error: forward::Error::Tls(_), .. }) if attempt > 1 => error,
                other => return other,
            };
            if stop.is_set() || (options.once && attempt >= ATTEMPTS_ONCE) {
                return Err(failed);
            }
            self.board.enter(State::Recovering);
            tracing::error!(error = %failed, wait_s = wait.as_secs(), "the stream is abandoned; beginning again from what is durable");
            let waited = tokio::time::Instant::now();
            while waited.elapsed() < wait && !stop.is_set() {
                tokio::time::sleep(LOOK).await;
            }
            wait = (wait * 2).min(Duration::from_secs(30));
        }
        Ok(())
    }

    async fn run_stream(
        &self,
        options: &Options,
        stop: &Stop,
        on_event: &mut impl FnMut(&Event),
        delivery: &mut Delivery,
    ) -> Result<(), Error> {
        let (spool, recovered) = self.open_spool().await?;
        self.board.put_spool(spool.viewer());
        delivery.start(&self.config.spool.dir)?;
        let (alerts, gate) = delivery.open(&self.config.host.name, spool.durable());
        let (events, mut heard) = mpsc::channel(EVENTS);
        let mut forwarders = JoinSet::new();
        for (at, target) in self.config.targets.iter().enumerate() {
            let (name, meter) = (target.name.clone(), self.board.meter(at));
            let forwarder = Forwarder::new(target, &self.config.host.name, &spool, events.clone(), meter);
            forwarders.spawn(async move { (name, forwarder.run().await) });
        }
        let mut refused = None;
        let mut line = self.start_line(options, stop, &spool, recovered, alerts)?;
        let _ready = self.tell_ready(&spool);
        self.board.enter(State::Running);
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
                Some(ended) = forwarders.join_next() => if let Err(error) = forwarder_ended(ended) {
                    line.abandon().await;
                    break Err(error);
                },
            }
        };
        if chained.is_err() {
            // nobody may hold the spool when it is opened again
            forwarders.shutdown().await;
        }
        chained?;
        // the stream is closed and durable, so that nothing is held back any more
        while gate.join_next().await.is_some() {}
        self.board.enter(State::Draining);
        spool.drain();
        let mut hear = |event: Event| {
            on_event(&event);
            if let Event::Refused { target } = event {
                refused = Some(target);
            }
        };
        if !drain(&spool, &mut heard, &mut forwarders, &mut hear, options.once, stop).await? {
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
            Err(_) => Ok(()),
        }
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
        let (mut durable, board) = (spool.durable(), Arc::clone(&self.board));
        JoinSet::from_iter([async move {
            if durable.wait_for(|durable| durable.is_some_and(|durable| durable.next > 0)).await.is_ok() {
                board.is_ready();
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
        let (read, unlabelled) = crossbeam_channel::bounded(BETWEEN_STAGES);
        let (label, labelled) = crossbeam_channel::bounded(BETWEEN_STAGES);
        let (failed, failures) = crossbeam_channel::bounded(self.config.sources.len());
        let keys = Arc::new(Keys::sharing(self.config.sources.len(), recovered.hash_key));
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
        self.board.put(board);
        let formats = self.config.sources.iter().map(|source| (source.name().to_owned(), source.format()));
        let [labels, chains] = [(); 2].map(|()| Arc::new(Pulse::default()));
        let host = &self.config.host.name;
        let labeller = label::Labeller::new(&self.policies, host, formats.collect(), labels.clone());
        let identity = self.identity(labeller.policies().digest());
        alerts.take_up(labeller.policies());
        let ends = stop.clone();
        let counts = self.board.counts();
        self.board.put_threads(vec![("policy", labels), ("chain", chains.clone()), ("sync", spool.pulse())]);
        spawn("sealtail-policy", move || labeller.run(&unlabelled, &label, &ends, &counts))?;
        let (control, orders) = crossbeam_channel::bounded(1);
        let (finished, done) = oneshot::channel();
        let seen = Seen { pulse: chains.clone(), tally: Tally::new(self.board.counts()) };
        let scribe = Scribe::new(identity, &self.config.chain, spool, recovered, alerts, stop.clone(), seen);
        spawn("sealtail-chain", move || {
            // the receiver is gone only when the agent is
            let _: Result<(), _> = finished.send(scribe.run(&labelled, &orders));
            chains.rest();
        })?;
        Ok(Line { done, control, failures, _end: end })
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

/// The running threads, as the composition root sees them.
struct Line {
    done: oneshot::Receiver<Result<(), Error>>,
    control: crossbeam_channel::Sender<Control>,
    failures: crossbeam_channel::Receiver<source::Error>,
    /// Dropped, it ends the sources of this run.
    _end: crossbeam_channel::Sender<std::convert::Infallible>,
}

/// A stop that comes with `stop`, or when what is returned beside it is dropped: the sources of a run that failed must not read
/// on beside those of the next.
fn until_ended(stop: &Stop) -> Result<(crossbeam_channel::Sender<std::convert::Infallible>, Stop), Error> {
    let (end, ended) = crossbeam_channel::bounded(0);
    let ((stopper, both), stop) = (Stop::pair(), stop.clone());
    spawn("sealtail-stop", move || {
        crossbeam_channel::select! {
            recv(stop.channel()) -> _ => {}
            recv(ended) -> _ => {}
        }
        stopper.stop();
    })?;
    Ok((end, both))
}

impl Line {
    /// Ends the stream where it stands, and waits until its thread is gone.
    async fn abandon(&mut self) {
        let (gone, _) = crossbeam_channel::bounded(0);
        self.control = gone;
        // whatever it says now, the first error is the one to tell
        let _: Result<_, _> = (&mut self.done).await;
    }
}

/// Waits until every required target has everything: with `once` for as long as nobody says stop, else, and after that, no
/// longer than the limit. Returns whether they have it.
async fn drain(
    spool: &Spool,
    heard: &mut mpsc::Receiver<Event>,
    forwarders: &mut JoinSet<(String, Result<(), forward::Error>)>,
    hear: &mut impl FnMut(Event),
    once: bool,
    stop: &Stop,
) -> Result<bool, Error> {
    let mut news = spool.watch();
    let mut stopped: Option<tokio::time::Instant> = None;
    while !spool.is_drained() {
        if stopped.is_none() && (!once || stop.is_set()) {
            stopped = Some(tokio::time::Instant::now());
        }
        if stopped.is_some_and(|at| at.elapsed() >= DRAIN_LIMIT) {
            return Ok(false);
        }
        tokio::select! {
            Some(event) = heard.recv() => hear(event),
            _ = news.changed() => {}
            Some(ended) = forwarders.join_next() => forwarder_ended(ended)?,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    while let Ok(event) = heard.try_recv() {
        hear(event);
    }
    Ok(true)
}

type Ended = Result<(String, Result<(), forward::Error>), tokio::task::JoinError>;

/// Forwarders retry for ever; one that ends has lost the spool.
fn forwarder_ended(ended: Ended) -> Result<(), Error> {
    match ended {
        Ok((_, Err(forward::Error::Spool(error)))) => Err(error.into()),
        Ok((name, Err(error))) => Err(Error::Target { name, error }),
        Ok((_, Ok(()))) => Ok(()),
        Err(error) => Err(Error::Thread(format!("a forwarder died: {error}"))),
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = std::thread::Builder::new().name(name.chars().take(15).collect()).spawn(work);
    thread.map(drop).map_err(|e| Error::Thread(format!("cannot start a thread: {e}; is the limit of tasks too low?")))
}
