//! What the agent says of itself while it runs: to its log on SIGUSR1, as a status for metrics, health, `status` and `top`, and to a
//! service manager, which also hears whether the line's threads get on.

use super::tally::{Counts, Present};
use crate::alert::Counters;
use crate::config;
use crate::forward::{self, Meter};
use crate::record::hex;
use crate::service::Pulse;
use crate::source::{Doing, Progress};
use crate::spool::{View, Viewer};
use crate::telemetry::health;
use crate::telemetry::status::{self, State, Status};
use crate::tls;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Certificates are read anew no more often than this.
const CERTIFICATES_AGE_MAX: Duration = Duration::from_secs(5);

/// One for each agent; whoever holds it can ask at any time.
#[derive(Debug)]
pub struct Board {
    /// What the agent goes by now.
    config: Mutex<Arc<config::Agent>>,
    started: SystemTime,
    counts: Arc<Counts>,
    state: Mutex<State>,
    sources: Mutex<Vec<(String, Arc<Reading>)>>,
    spool: Mutex<Viewer>,
    /// By the targets' names, so that another configuration counts on.
    targets: Mutex<BTreeMap<String, Arc<Meter>>>,
    alerts: Mutex<Vec<(String, Arc<Counters>)>>,
    guards: Mutex<Vec<status::Guard>>,
    certificates: Mutex<Option<(Instant, Vec<status::Certificate>)>>,
    /// Policies that were read again: taken up, refused.
    reloads: [AtomicU64; 2],
    /// The same of configurations.
    configurations: [AtomicU64; 2],
    /// The threads of the line's path.
    threads: Mutex<Vec<(&'static str, Arc<Pulse>)>>,
    /// At which step each of them was seen, and since when.
    seen: Mutex<Vec<(&'static str, u64, Instant)>>,
    /// The sources are open, and the first genesis is durable.
    is_ready: watch::Sender<bool>,
}

/// A source of the present stream.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub progress: Arc<Progress>,
    failed: Mutex<Option<String>>,
}

impl Reading {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        Self { progress, ..Self::default() }
    }

    /// Its thread gave up.
    pub(super) fn fail(&self, why: &impl ToString) {
        *lock(&self.failed) = Some(why.to_string());
    }
}

impl Board {
    /// Of an agent that is configured so.
    pub(super) fn new(config: &config::Agent) -> Self {
        let board = Self {
            started: SystemTime::now(),
            counts: Arc::default(),
            state: Mutex::default(),
            sources: Mutex::default(),
            spool: Mutex::default(),
            targets: Mutex::default(),
            alerts: Mutex::default(),
            guards: Mutex::default(),
            certificates: Mutex::default(),
            reloads: Default::default(),
            configurations: Default::default(),
            threads: Mutex::default(),
            seen: Mutex::default(),
            is_ready: watch::Sender::default(),
            config: Mutex::new(Arc::new(config.clone())),
        };
        board.take_up(config);
        board
    }

    /// The agent goes by this configuration: what that no longer names is no longer told of, and the rest counts on.
    pub(super) fn take_up(&self, config: &config::Agent) {
        self.counts.keep(config.sources.iter().map(|source| source.name()));
        let mut targets = lock(&self.targets);
        let kept = |name: &String| (name.clone(), targets.get(name).cloned().unwrap_or_default());
        let now = config.targets.iter().map(|target| kept(&target.name)).collect();
        *targets = now;
        drop(targets);
        *lock(&self.certificates) = None;
        *lock(&self.config) = Arc::new(config.clone());
    }

    fn config(&self) -> Arc<config::Agent> {
        Arc::clone(&lock(&self.config))
    }

    /// Where the line's threads count.
    pub(super) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Where the forwarder of the target of this name counts.
    pub(super) fn meter(&self, target: &str) -> Arc<Meter> {
        Arc::clone(lock(&self.targets).entry(target.to_owned()).or_default())
    }

    /// What the agent is at.
    pub(super) fn enter(&self, state: State) {
        *lock(&self.state) = state;
    }

    /// The spool that was opened.
    pub(super) fn put_spool(&self, spool: Viewer) {
        *lock(&self.spool) = spool;
    }

    /// The sources of a stream that begins.
    pub(super) fn put(&self, sources: Vec<(String, Arc<Reading>)>) {
        *lock(&self.sources) = sources;
    }

    /// What this process gave up.
    pub(super) fn put_guards(&self, guards: &[(&'static str, bool)]) {
        let of =
            |(name, is_in_force): &(&str, bool)| status::Guard { name: (*name).to_owned(), is_in_force: *is_in_force };
        *lock(&self.guards) = guards.iter().map(of).collect();
    }

    /// The threads of a stream that begins.
    pub(super) fn put_threads(&self, threads: Vec<(&'static str, Arc<Pulse>)>) {
        *lock(&self.threads) = threads;
    }

    /// Each thread of the line's path, from its batches to the disk, by its name.
    pub fn threads(&self) -> Vec<(&'static str, Arc<Pulse>)> {
        lock(&self.threads).clone()
    }

    pub(super) fn is_ready(&self) {
        self.is_ready.send_replace(true);
    }

    /// Waits until the sources are open and the genesis of the first stream is durable.
    pub async fn ready(self: Arc<Self>) {
        let mut is_ready = self.is_ready.subscribe();
        // the sender is this board's
        let _: Result<_, _> = is_ready.wait_for(|is_ready| *is_ready).await;
    }

    /// The alert targets of an agent that runs.
    pub(super) fn put_alerts(&self, alerts: Vec<(String, Arc<Counters>)>) {
        *lock(&self.alerts) = alerts;
    }

    /// Counts policies that were read again.
    pub(super) fn reloaded(&self, is_good: bool) {
        self.reloads[usize::from(!is_good)].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts configurations that were read again and said something else.
    pub(super) fn reconfigured(&self, is_good: bool) {
        self.configurations[usize::from(!is_good)].fetch_add(1, Ordering::Relaxed);
    }

    /// Each source by its name.
    pub fn sources(&self) -> Vec<(String, Doing)> {
        lock(&self.sources).iter().map(|(name, reading)| (name.clone(), reading.progress.doing())).collect()
    }

    /// Writes a line for each source, target and alert target into the log, and one for each problem.
    pub fn log(&self) {
        let Status { sources, targets, alerts, spool, problems, .. } = self.look();
        for of in sources {
            tracing::info!(
                source = of.name,
                lines = of.lines,
                bytes = of.bytes,
                files = of.files,
                open = of.open_files,
                behind_bytes = of.behind_bytes,
                behind_entries = of.behind_entries,
                unread_for_s = of.unread_s,
                "what the source is doing"
            );
        }
        tracing::info!(
            bytes = spool.bytes,
            max_bytes = spool.max_bytes,
            oldest_s = spool.oldest_s,
            is_full = spool.is_full,
            "what the spool holds"
        );
        for of in targets {
            tracing::info!(
                target_name = of.name,
                batches = of.batches,
                retries = of.retries,
                behind_bytes = of.behind_bytes,
                behind_s = of.behind_s,
                "what the target has"
            );
        }
        for of in alerts {
            tracing::info!(
                alert = of.name,
                seen = of.seen,
                raised = of.raised,
                grouped = of.grouped,
                delivered = of.delivered,
                retried = of.retried,
                failed = of.failed,
                "what became of the alerts"
            );
        }
        for problem in problems {
            tracing::warn!(part = problem.part, "{}", problem.what);
        }
    }

    /// One line for people: what the sources follow, and what of it is unread.
    pub fn status(&self) -> String {
        let doing: Vec<Doing> = self.sources().into_iter().map(|(_, doing)| doing).collect();
        let sum = |of: fn(&Doing) -> u64| doing.iter().map(of).sum::<u64>();
        format!(
            "{} sources, {} files; unread: {} bytes, {} journal entries, for {:.0} s",
            doing.len(),
            sum(|doing| doing.files),
            sum(|doing| doing.behind_bytes),
            sum(|doing| doing.behind_entries),
            doing.iter().map(unread_s).fold(0.0, f64::max)
        )
    }

    /// All of it. Asks the disk, so not for the network's threads.
    pub fn look(&self) -> Status {
        let config = self.config();
        let view = lock(&self.spool).view();
        let present = self.counts.present();
        let mut status = Status {
            version: status::VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            host: config.host.name.clone(),
            state: *lock(&self.state),
            started_unix_s: unix_s(self.started),
            now_unix_s: unix_s(SystemTime::now()),
            problems: Vec::new(),
            chain: self.chain(present, view.as_ref()),
            sources: self.source_statuses(&config.sources),
            verdicts: self.counts.verdicts(),
            undecided_lines: self.counts.undecided_lines(),
            configuration: status::Reloads {
                taken_up: self.configurations[0].load(Ordering::Relaxed),
                refused: self.configurations[1].load(Ordering::Relaxed),
            },
            policy: status::Policy {
                digest: present.map_or_else(String::new, |present| hex(&present.policy)),
                seconds: self.counts.policy_s(),
                reloads: self.reloads[0].load(Ordering::Relaxed),
                refused_reloads: self.reloads[1].load(Ordering::Relaxed),
            },
            spool: self.spool(&config, view.as_ref()),
            targets: self.target_statuses(&config.targets, view.as_ref()),
            alerts: self.alert_statuses(),
            certificates: self.certificates(&config.targets),
            threads: self.thread_statuses(),
            process: status::Process {
                max_resident_bytes: super::memory::bound(config.memory_bytes),
                slowed_batches: self.counts.slowed_batches(),
                ..super::process::look()
            },
            guards: lock(&self.guards).clone(),
            flagged: self.counts.flagged(),
        };
        status.problems = health::problems(&status);
        status
    }

    fn chain(&self, present: Option<Present>, view: Option<&View>) -> status::Chain {
        let (lines, segments, streams) = self.counts.chained();
        status::Chain {
            stream: present.map(|present| present.stream.to_string()),
            stream_since_unix_s: present.map_or(0.0, |present| unix_s(present.since)),
            is_durable: view.is_some_and(|view| view.is_durable),
            lines,
            segments,
            streams,
        }
    }

    fn source_statuses(&self, configs: &[crate::source::Config]) -> Vec<status::Source> {
        let readings = lock(&self.sources);
        let of = |config: &crate::source::Config| {
            let (lines, bytes) = self.counts.source(config.name());
            let reading = readings.iter().find(|(name, _)| name == config.name()).map(|(_, reading)| reading);
            let doing = reading.map(|reading| reading.progress.doing()).unwrap_or_default();
            status::Source {
                name: config.name().to_owned(),
                kind: config.kind().to_owned(),
                failed: reading.and_then(|reading| lock(&reading.failed).clone()),
                is_open: reading.is_some(),
                lines,
                bytes,
                files: doing.files,
                open_files: doing.open,
                behind_bytes: doing.behind_bytes,
                behind_entries: doing.behind_entries,
                unread_s: unread_s(&doing),
            }
        };
        configs.iter().map(of).collect()
    }

    fn spool(&self, config: &config::Agent, view: Option<&View>) -> status::Spool {
        let is_required = |name: &str| config.targets.iter().any(|target| target.required && target.name == name);
        let required =
            view.into_iter().flat_map(|view| &view.targets).filter(|(name, _)| is_required(name)).map(|(_, at)| at);
        status::Spool {
            dir: config.spool.dir.display().to_string(),
            bytes: view.map_or(0, |view| view.bytes),
            max_bytes: config.spool.max_size_bytes,
            free_bytes: view.map_or(0, |view| view.free_bytes),
            oldest_s: required.map(|at| at.behind.as_secs_f64()).fold(0.0, f64::max),
            is_full: view.is_some_and(|view| view.is_full),
            // one that is not open yet is no fault
            is_writable: view.is_none_or(|view| view.is_writable),
            failed: view.and_then(|view| view.failed.clone()),
        }
    }

    fn target_statuses(&self, configs: &[forward::Config], view: Option<&View>) -> Vec<status::Target> {
        let of = |config: &forward::Config| {
            let position = view.and_then(|view| view.targets.iter().find(|(name, _)| *name == config.name));
            let position = position.map(|(_, position)| position);
            let counted = self.meter(&config.name).deliveries();
            let receipt = position.and_then(|position| position.receipt.as_ref());
            status::Target {
                name: config.name.clone(),
                place: config.kind.place(),
                is_required: config.required,
                behind_bytes: position.map_or(0, |position| position.behind_bytes),
                behind_s: position.map_or(0.0, |position| position.behind.as_secs_f64()),
                batches: counted.batches,
                bytes: counted.bytes,
                receipts: counted.receipts,
                retries: counted.retries,
                refusals: counted.refusals,
                failures: counted.failures,
                last_stored_unix_s: counted.stored.map(unix_s),
                last_receipt: receipt.map(|receipt| status::Receipt {
                    stream: receipt.stream.to_string(),
                    seq: receipt.seq,
                    stored_at: receipt.stored_at.clone(),
                }),
                last_error: counted.failed.map(|(at, what)| status::Failure { unix_s: unix_s(at), what }),
            }
        };
        configs.iter().map(of).collect()
    }

    fn alert_statuses(&self) -> Vec<status::Alert> {
        let of = |(name, counters): &(String, Arc<Counters>)| {
            let counts = counters.counts();
            status::Alert {
                name: name.clone(),
                seen: counts.seen,
                raised: counts.raised,
                grouped: counts.grouped,
                delivered: counts.delivered,
                retried: counts.retried,
                failed: counts.failed,
            }
        };
        lock(&self.alerts).iter().map(of).collect()
    }

    /// Of the files as they are now, or were a moment ago.
    fn certificates(&self, targets: &[forward::Config]) -> Vec<status::Certificate> {
        let mut kept = lock(&self.certificates);
        match &*kept {
            Some((read, certificates)) if read.elapsed() < CERTIFICATES_AGE_MAX => certificates.clone(),
            _ => {
                let named = targets.iter().filter_map(|target| Some((target.name.as_str(), target.kind.tls()?)));
                let certificates = named.flat_map(|(target, tls)| certificates_of(target, tls)).collect();
                kept.insert((Instant::now(), certificates)).1.clone()
            }
        }
    }

    /// A thread is stuck since it was first seen at the step of its work at which it still is.
    fn thread_statuses(&self) -> Vec<status::Thread> {
        let mut seen = lock(&self.seen);
        let look = |(name, pulse): &(&'static str, Arc<Pulse>)| {
            let before = seen.iter().find(|(of, then, _)| of == name && pulse.is_stuck(*then));
            before.copied().unwrap_or_else(|| (name, pulse.now(), Instant::now()))
        };
        let now: Vec<_> = self.threads().iter().map(look).collect();
        seen.clone_from(&now);
        let stuck_s = |since: Instant| since.elapsed().as_secs_f64();
        let of =
            |(name, _, since): (&str, u64, Instant)| status::Thread { name: name.to_owned(), stuck_s: stuck_s(since) };
        now.into_iter().map(of).collect()
    }
}

fn certificates_of(target: &str, tls: &tls::Config) -> Vec<status::Certificate> {
    let now_unix_s = unix_s(SystemTime::now()) as i64;
    let of = |expiry: tls::Expiry| status::Certificate {
        target: target.to_owned(),
        file: expiry.file.display().to_string(),
        is_crl: expiry.is_crl,
        until_unix_s: expiry.until_unix_s,
        is_near: expiry.is_near(now_unix_s),
    };
    tls.expiries().into_iter().map(of).collect()
}

/// Seconds since 1970.
fn unix_s(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn unread_s(doing: &Doing) -> f64 {
    let since = doing.unread_since.and_then(|since| SystemTime::now().duration_since(since).ok());
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// No code panics while it holds one of these.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
