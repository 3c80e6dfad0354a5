//! Takes up a changed configuration, on SIGHUP: the file is read and checked as at a start, beside the running agent. One that
//! is wrong changes nothing, and is said. A good one ends the stream, with a `config` line before its close line, and the
//! agent that it describes goes on in this process where that stream stood: its sources from their cursors, its targets from
//! their places in the spool. Pipes keep what was taken out of them ([`Handover`]).

use super::board::Board;
use super::label::Labelled;
use super::reload::Reloader;
use super::{Agent, Error, Reload};
use crate::chain::key::Bytes32;
use crate::config::{self, Config, Telemetry};
use crate::forward;
use crate::hardening::{self, Confined};
use crate::record::{Cursor, Item, Known, SourceEvent};
use crate::source::{self, Handover, Keys, Source};
use crate::spool::{Cursors, KnownSource};
use crossbeam_channel::Receiver;
use std::collections::{BTreeMap, HashMap};
use std::iter;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;

/// Whoever asked for it waits so long for the first stream of an agent: its disk may be full.
const BEGIN_MAX: Duration = Duration::from_secs(30);
/// Names that a `config` line lists; its header is bounded.
const NAMES_MAX: usize = 80;

/// The file that the agent was configured by.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub path: PathBuf,
    pub telemetry: Telemetry,
    pub hardening: hardening::Config,
    /// What this process gave up.
    pub confined: Confined,
}

/// What stays while configurations follow each other in one process.
#[derive(Clone, Debug)]
pub(super) struct Lasting {
    pub board: Arc<Board>,
    pub reload: Reload,
    pub handover: Arc<Handover>,
    /// None where nobody reads it again.
    pub file: Option<File>,
}

impl Lasting {
    /// Of an agent that begins by this configuration.
    pub(super) fn new(config: &config::Agent) -> Self {
        Self { board: Arc::new(Board::new(config)), reload: Reload::default(), handover: Arc::default(), file: None }
    }
}

/// How a stream ends for another configuration, as its scribe hears of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Parting {
    farewell: Arc<OnceLock<Farewell>>,
    handover: Arc<Handover>,
}

/// Another configuration.
#[derive(Clone, Debug)]
pub(super) struct Farewell {
    pub digest: Bytes32,
    /// As FORMAT.md has it.
    pub changed: Vec<String>,
}

impl Parting {
    pub(super) fn new(handover: &Arc<Handover>) -> Self {
        Self { farewell: Arc::default(), handover: Arc::clone(handover) }
    }

    /// What to say before the end; None if it is for no other configuration.
    pub(super) fn farewell(&self) -> Option<Farewell> {
        self.farewell.get().cloned()
    }

    /// Gives back what pipes handed on in these and all after them, which nobody will chain.
    pub(super) fn give_back(&self, cursors: &Cursors, first: Labelled, rest: &Receiver<Labelled>) {
        if self.farewell.get().is_none() {
            return;
        }
        // pipes that begin in what is given back
        let mut opened = HashMap::new();
        for batch in iter::once(first).chain(rest).map(|labelled| labelled.batch) {
            for item in &batch.items {
                match item {
                    Item::Source(key, SourceEvent::Opened { name, cursor: Cursor::Stdin { .. }, .. }) => {
                        opened.insert(*key, name.clone());
                    }
                    Item::Source(..) => {}
                    Item::Line(line) => {
                        let known = match cursors.source(line.source) {
                            Some(KnownSource { name, cursor: Cursor::Stdin { .. }, .. }) => Some(name),
                            _ => opened.get(&line.source),
                        };
                        if let Some(name) = known {
                            self.handover.give_back(name, batch.text(line), line.end);
                        }
                    }
                }
            }
        }
    }
}

impl Agent {
    /// Says by which file it was configured, and what this process gave up: from now on [`Reload::ask`] reads that again, too.
    #[must_use]
    pub fn reloadable(mut self, path: PathBuf, config: &Config, confined: Confined) -> Self {
        let (telemetry, hardening) = (config.telemetry.clone(), config.hardening.clone());
        self.lasting.board.put_guards(&confined.guards());
        self.lasting.file = Some(File { path, telemetry, hardening, confined });
        self
    }

    /// Waits to be asked for a good configuration that is another, and hands over the agent that it describes.
    pub(super) async fn watch(self, found: mpsc::Sender<Agent>) {
        if self.is_successor {
            // whoever asked the agent before waits until this one is at work
            let _: Result<(), _> = tokio::time::timeout(BEGIN_MAX, self.begun.notified()).await;
            self.lasting.reload.ask_policies().await;
            self.lasting.reload.done();
        }
        loop {
            self.lasting.reload.asked().await;
            match self.successor().await {
                Ok(Some(next)) => {
                    // the receiver is gone only with the agent
                    let _: Result<(), _> = found.send(next).await;
                    return;
                }
                Ok(None) => self.lasting.reload.ask_policies().await,
                Err(faults) => refuse(&self.lasting.board, &faults),
            }
            self.lasting.reload.done();
        }
    }

    /// The agent as its file now describes it; None if that says nothing new.
    async fn successor(&self) -> Result<Option<Agent>, Vec<String>> {
        let Some(file) = self.lasting.file.clone() else { return Ok(None) };
        let (agent, runtime) = (self.clone(), tokio::runtime::Handle::current());
        // files, keys and policies, off the network's threads
        let read = move || {
            let config = Config::load(&file.path)
                .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
            let digest = config.digest;
            let now = agent.allowed(&file, config)?;
            match now == agent.config && digest == agent.digest {
                true => Ok(None),
                false => runtime.block_on(agent.succeeded_by(&now, digest)).map(Some),
            }
        };
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|error| Err(vec![format!("reading it failed: {error}")]))
    }

    /// What of the file counts for an agent, if it changes nothing that a running agent can't change.
    fn allowed(&self, file: &File, config: Config) -> Result<config::Agent, Vec<String>> {
        let needs = config.agent_needs(&file.path);
        let Some(now) = config.agent else { return Err(vec!["it configures no agent any more".into()]) };
        let fixed = [
            ("[host] name", now.host.name != self.config.host.name),
            ("[spool] dir", now.spool.dir != self.config.spool.dir),
            ("[telemetry]", config.telemetry != file.telemetry),
            ("[hardening]", config.hardening != file.hardening),
            ("the first [[alert]] of type \"command\"", now.may_execute() && !self.config.may_execute()),
        ];
        let lack = needs.and_then(|needs| file.confined.lack(&needs)).map(|what| {
            format!("{what} is not within reach: an agent that runs can't take back what it gave up when it started ([hardening]); restart it")
        });
        let fixed = fixed.iter().filter(|(_, is_other)| *is_other);
        let faults: Vec<String> = fixed
            .map(|(key, _)| format!("{key} can't change while the agent runs; restart it, or put it back"))
            .chain(lack)
            .collect();
        if faults.is_empty() { Ok(now) } else { Err(faults) }
    }

    /// The agent of this configuration, with all that can be found wrong before it runs.
    async fn succeeded_by(&self, now: &config::Agent, digest: Bytes32) -> Result<Agent, Vec<String>> {
        let mut faults = self.faults_of(now);
        let policies = match now.policy == self.config.policy {
            // they go on as they are, and are read again once it runs
            true => Ok((Arc::clone(&self.policies), Arc::clone(&self.reloader))),
            false => Reloader::tested(&now.policy, &self.lasting).await,
        };
        let next = policies.and_then(|policies| Agent::of(now, digest, policies, self.lasting.clone()));
        match next {
            Ok(next) if faults.is_empty() => return Ok(Agent { is_successor: true, ..next }),
            Ok(_) => {}
            Err(Error::Policy(wrong)) => faults.extend(wrong.iter().map(ToString::to_string)),
            Err(error) => faults.push(error.to_string()),
        }
        Err(faults)
    }

    /// What is wrong with sources and targets that are new or other.
    fn faults_of(&self, now: &config::Agent) -> Vec<String> {
        let mut faults = Vec::new();
        for target in now.targets.iter().filter(|target| !self.config.targets.contains(target)) {
            if let Err(error) = forward::check(target, &now.host.name) {
                faults.push(format!("target {:?}: {error}", target.name));
            }
        }
        for source in now.sources.iter().filter(|source| !self.config.sources.contains(source)) {
            let checked = source.labels().map_or(Ok(()), |labels| labels.check(source.name()));
            let opened =
                checked.and_then(|()| Source::new(source, Known::default(), Arc::new(Keys::default()), &[]).map(drop));
            faults.extend(opened.err().map(|error| error.to_string()));
        }
        faults
    }

    /// Before the sources end: pipes that are read on keep what is no whole line yet.
    pub(super) fn part_for(&self, next: &Agent, parting: &Parting) {
        let is_pipe = |source: &&source::Config| matches!(source, source::Config::Stdin(_));
        for now in next.config.sources.iter().filter(is_pipe) {
            if self.config.sources.iter().filter(is_pipe).any(|before| before.name() == now.name()) {
                self.lasting.handover.expect(now.name());
            }
        }
        let changed = changed(&self.config, &next.config);
        tracing::info!(?changed, "another configuration is taken up: the stream ends, and one begins under it");
        self.lasting.board.reconfigured(true);
        // nobody else sets it
        let _: Result<(), _> = parting.farewell.set(Farewell { digest: next.digest, changed });
    }
}

fn refuse(board: &Board, faults: &[String]) {
    board.reconfigured(false);
    for fault in faults {
        tracing::error!(fault, "configuration refused");
    }
    tracing::error!(faults = faults.len(), "configuration refused: the one before counts on, and nothing was changed");
}

/// What is other, as a `config` line says it.
fn changed(before: &config::Agent, now: &config::Agent) -> Vec<String> {
    let tables = [
        ("host", before.host != now.host),
        ("auditors", before.recipients != now.recipients),
        ("source", before.sources != now.sources),
        ("policy", before.policy != now.policy),
        ("chain", before.chain != now.chain),
        ("spool", before.spool != now.spool),
        ("target", before.targets != now.targets),
        ("alert", before.alerts != now.alerts),
        ("erasure", before.erasure != now.erasure),
        ("resources", before.memory_bytes != now.memory_bytes),
    ];
    let tables = tables.iter().filter(|(_, is_other)| *is_other).map(|(table, _)| (*table).to_owned());
    let names = [
        named("source", &before.sources, &now.sources, source::Config::name),
        named("target", &before.targets, &now.targets, |target| &target.name),
        named("alert", &before.alerts, &now.alerts, |alert| &alert.name),
    ];
    tables.chain(names.into_iter().flatten().take(NAMES_MAX)).collect()
}

fn named<T: PartialEq>(table: &str, before: &[T], now: &[T], name: fn(&T) -> &str) -> Vec<String> {
    let by_name = |list| <[T]>::iter(list).map(|one| (name(one), one)).collect::<BTreeMap<_, _>>();
    let (before, now) = (by_name(before), by_name(now));
    let gone = before.keys().filter(|name| !now.contains_key(*name)).map(|name| ('-', name));
    let there = now.iter().filter_map(|(name, one)| match before.get(name) {
        None => Some(('+', name)),
        Some(old) if old != one => Some(('~', name)),
        Some(_) => None,
    });
    gone.chain(there).map(|(how, name)| format!("{table} {how} {name}")).collect()
}
