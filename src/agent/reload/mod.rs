//! Takes up changed policies: on SIGHUP, when their files change, when the server of a bundle has another.
//!
//! What is new is read once, compiled and tested beside the running set, and only then put in its place, between two lines.
//! Whatever is wrong with it changes nothing, and is said.

mod thread;
mod watch;

use super::Error;
use super::board::Board;
use super::live::Live;
use super::reconfigure::Lasting;
use crate::chain::header::Hash;
use crate::policy::bundle::{Downloaded, Downloads};
use crate::policy::{self, Candidate, Config, Fault, PolicySet};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use thread::{Failed, OneAtATime, on_thread};
use tokio::sync::{Notify, mpsc};
use watch::Watch;

/// Behind inotify, which misses what happens on network file systems: how often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Files are read when nothing has happened to them for so long: what is being written is not whole yet …
const QUIET: Duration = Duration::from_millis(100);
/// … but not later than this.
const QUIET_MAX: Duration = Duration::from_secs(2);
/// Policies that are not compiled and tested after this are refused; their tests may take half of it.
const LIMIT: Duration = Duration::from_secs(120);
/// Faults that are said of one set.
const FAULTS_SHOWN: usize = 20;
/// Packages that are named when they are gone.
const GONE_SHOWN: usize = 8;

/// Asks an agent to read its policies again.
#[derive(Clone, Debug, Default)]
pub struct Reload {
    config: crate::service::Reload,
    files: crate::service::Reload,
    server: Arc<Notify>,
}

impl Reload {
    /// The configuration is read again, and then policies, which this waits for; a bundle is downloaded again even if the server
    /// says that it has no other.
    pub async fn ask(&self) {
        self.config.ask().await;
    }

    /// Waits to be asked for all of it.
    pub(super) async fn asked(&self) {
        self.config.asked().await;
    }

    /// Answers.
    pub(super) fn done(&self) {
        self.config.done();
    }

    /// The policies alone.
    pub(super) async fn ask_policies(&self) {
        self.server.notify_one();
        self.files.ask().await;
    }
}

/// What reloading needs.
pub(super) struct Reloader {
    config: Config,
    live: Arc<Live>,
    board: Arc<Board>,
    asked: Reload,
    /// The bundle from a server that is among the policies in force, and what asks for the next one.
    bundle: Option<(Downloads, Downloaded)>,
    /// What the files looked like before they were read.
    seen: u64,
    state: State,
}

/// What reloads left behind.
#[derive(Default)]
struct State {
    compiling: OneAtATime,
    /// Something was not looked at, as the policies before it were not done.
    is_owed: bool,
    /// The last bundle that came was not taken; the server says of it that it has no other.
    is_refused: bool,
}

/// Policies, and what reloads them.
pub(super) type Policies = (Arc<Live>, Arc<tokio::sync::Mutex<Reloader>>);

impl Reloader {
    /// The policies to begin with; a bundle from its server if none was kept.
    pub(super) async fn first(config: &Config, lasting: &Lasting) -> Result<Policies, Error> {
        let seen = stamp(config);
        let policy::First { set, bundle } = PolicySet::first(config).await.map_err(Error::Policy)?;
        let live = Arc::new(Live::new(set));
        let reloader = Self {
            config: config.clone(),
            live: Arc::clone(&live),
            board: Arc::clone(&lasting.board),
            asked: lasting.reload.clone(),
            bundle,
            seen,
            state: State::default(),
        };
        Ok((live, Arc::new(tokio::sync::Mutex::new(reloader))))
    }

    /// The same, with their tests, as for all that takes the place of what runs.
    pub(super) async fn tested(config: &Config, lasting: &Lasting) -> Result<Policies, Error> {
        let (live, reloader) = Self::first(config, lasting).await?;
        let bundle = reloader.lock().await.bundle.as_ref().map(|(_, bundle)| bundle.clone());
        live.put(Candidate::read(config, bundle.as_ref()).compile_tested().map_err(Error::Policy)?);
        Ok((live, reloader))
    }

    /// Until it is dropped.
    pub(super) async fn run(&mut self) {
        let (found, mut downloaded) = mpsc::channel(1);
        // dropped with this future, and the task with it
        let mut tasks = tokio::task::JoinSet::new();
        if let Some((downloads, _)) = &self.bundle {
            tasks.spawn(poll(downloads.clone(), Arc::clone(&self.asked.server), found.clone()));
        }
        let asked = self.asked.files.clone();
        let mut watch = Watch::new(&self.config.files());
        // what changed since they were read for the first time is seen at once
        let mut longest = Duration::ZERO;
        loop {
            tokio::select! {
                () = asked.asked() => {
                    self.look().await;
                    self.reload("asked for", None).await;
                    asked.done();
                }
                Some(new) = downloaded.recv() => {
                    self.reload("downloaded", Some(new)).await;
                }
                () = self.state.compiling.late_ends() => {
                    if std::mem::take(&mut self.state.is_owed) {
                        self.reload("those before are done", None).await;
                        self.asked.server.notify_one();
                    }
                }
                was_woken = watch.change(longest) => {
                    longest = LOOK;
                    let was_missed = !was_woken && self.look().await;
                    if was_woken || was_missed {
                        watch.quiet(QUIET, QUIET_MAX).await;
                        // a folder that was made anew has no watch yet; before the look, so that nothing falls between
                        watch = Watch::new(&self.config.files());
                        if (self.look().await || was_missed)
                            && (!self.reload("files changed", None).await || self.state.is_refused)
                        {
                            // the server's bundle may be good now, by another key or beside other files
                            self.asked.server.notify_one();
                        }
                    }
                }
            }
        }
    }

    /// Asks the server for a bundle once: a run that is over soon has no other moment for it.
    pub(super) async fn ask_server(&mut self) {
        let Some((downloads, _)) = &mut self.bundle else { return };
        match downloads.fetch(false).await {
            Ok(Some(new)) => drop(self.reload("downloaded", Some(new)).await),
            Ok(None) => {}
            Err(error) => no_bundle(&error),
        }
    }

    /// Whether the files look other than before. Done before they are read, so that what changes meanwhile is seen.
    async fn look(&mut self) -> bool {
        let config = self.config.clone();
        let now = on_thread(move || stamp(&config)).await.unwrap_or(self.seen);
        std::mem::replace(&mut self.seen, now) != now
    }

    /// Whether what is there now is good.
    async fn reload(&mut self, why: &'static str, new: Option<Downloaded>) -> bool {
        let bundle = new.as_ref().or(self.bundle.as_ref().map(|(_, bundle)| bundle)).cloned();
        let config = self.config.clone();
        let read = self.state.compiling.run(LIMIT, move || {
            let candidate = Candidate::read(&config, bundle.as_ref());
            candidate.compile_tested().map(|set| (set, candidate.revisions()))
        });
        let compiled = read.await.unwrap_or_else(|failed| {
            self.state.is_owed |= failed == Failed::Busy;
            Err(vec![Fault::within(&why_not(failed))])
        });
        let is_good = compiled.is_ok();
        if new.is_some() {
            self.state.is_refused = !is_good;
        }
        match compiled {
            Ok((set, revisions)) => {
                if let Some(new) = new {
                    self.keep(new).await;
                }
                self.swap(why, set, &revisions);
            }
            Err(faults) => self.refuse(why, &faults),
        }
        is_good
    }

    fn swap(&self, why: &str, set: PolicySet, revisions: &str) {
        self.board.reloaded(true);
        let (new, before) = (set.digest(), self.live.current());
        if before.digest() == new {
            return tracing::info!(why, "policies read again: they are the same");
        }
        let packages = set.packages().count();
        tracing::info!(why, new = %Hash(new), packages, revisions, "policies taken up");
        warn_of_gone(why, &before, &set);
        self.live.put(set);
    }

    fn refuse(&self, why: &str, faults: &[Fault]) {
        self.board.reloaded(false);
        for fault in faults.iter().take(FAULTS_SHOWN) {
            tracing::error!(why, %fault, "policies refused");
        }
        let more = faults.len().saturating_sub(FAULTS_SHOWN);
        tracing::error!(why, faults = faults.len(), not_shown = more, "policies refused: those before stay in force");
    }

    /// A good bundle is kept for the next start. Where that fails this run has it all the same.
    async fn keep(&mut self, new: Downloaded) {
        let Some((downloads, bundle)) = &mut self.bundle else { return };
        *bundle = new.clone();
        let downloads = downloads.clone();
        if let Some(Err(error)) = on_thread(move || downloads.keep(&new)).await {
            tracing::error!(%error, "if the server is down at the next start, the agent begins with an older bundle");
        }
    }
}

/// A file that was away for a moment takes its package with it, and with that, perhaps, what hid secrets.
fn warn_of_gone(why: &str, before: &PolicySet, set: &PolicySet) {
    let there: BTreeSet<&str> = set.packages().collect();
    let gone: Vec<&str> = before.packages().filter(|name| !there.contains(name)).collect();
    if gone.is_empty() {
        return;
    }
    let may_redact = before.redacting().any(|name| !there.contains(name));
    let (named, more) = gone.split_at(gone.len().min(GONE_SHOWN));
    let (gone, more) = (named.join(", "), more.len());
    tracing::warn!(
        why,
        gone,
        more,
        may_redact,
        "packages of the policies before are gone: they look at no line any more"
    );
}

fn why_not(failed: Failed) -> String {
    let limit = LIMIT.as_secs();
    match failed {
        Failed::Ended => "these policies made the engine fail".to_owned(),
        Failed::Late => format!("not compiled and tested within {limit} s; divide them, or take tests out"),
        Failed::Busy => format!("those before were not done within {limit} s and go on; these are tried after them"),
    }
}

/// What the files of the policies look like now.
fn stamp(config: &Config) -> u64 {
    watch::stamp(&config.files())
}

/// Asks the server for a bundle again and again, at once first: what was kept may be old.
async fn poll(mut downloads: Downloads, asked: Arc<Notify>, found: mpsc::Sender<Downloaded>) {
    let mut anew = false;
    loop {
        match downloads.fetch(anew).await {
            Ok(Some(new)) => {
                if found.send(new).await.is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(error) => no_bundle(&error),
        }
        anew = tokio::select! {
            () = tokio::time::sleep(downloads.wait()) => false,
            () = asked.notified() => true,
        };
    }
}

fn no_bundle(error: &str) {
    tracing::warn!(error, "no bundle came: the policies before stay in force");
}
