//! Alerts, put together: the scribe's side, which says what is raised and has it chained, and the targets' tasks. Between them
//! a gate holds each notification back until its `alert` line is durable.

use super::Error;
use crate::alert::{self, Alert, Config, Counters, MESSAGE_MAX, MOST_AT_ONCE, QUEUE, Queued, Raised, Raiser, Sighting};
use crate::alert::{Target, VERSION};
use crate::chain::header::{Header, LogPayload};
use crate::chain::line::RawLine;
use crate::policy::PolicySet;
use crate::record::{Cursor, Seq, StreamId, Verdict, Verdicts};
use crate::spool::{Durable, KnownSource};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// After a stop, how long targets may take to be told, if they may take that long; the rest is told at the next start.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// The scribe's side.
pub(super) struct Alerts {
    raiser: Raiser,
    host: String,
    /// The rules' titles, by the ids that they give.
    titles: HashMap<String, String>,
    targets: Vec<Target>,
    gate: mpsc::Sender<Announced>,
}

/// A notification whose line may not be durable yet.
pub(super) struct Announced {
    target: usize,
    queued: Queued,
}

impl Alerts {
    /// These policies are in force from now on.
    pub(super) fn take_up(&mut self, policies: &PolicySet) {
        let title = |rule: &crate::policy::RuleInfo| {
            let title = rule.metadata.title.clone()?;
            Some(rule.ids.iter().map(move |id| (id.clone(), title.clone())).collect::<Vec<_>>())
        };
        self.titles = policies.rules().filter_map(title).flatten().collect();
    }

    /// Whether a line with these verdicts may be one to tell of.
    pub(super) fn wants(&self, verdicts: &Verdicts) -> bool {
        self.raiser.wants(verdicts)
    }

    /// The most `alert` lines that one line raises.
    pub(super) fn most_at_once(&self) -> u64 {
        (self.raiser.targets() * MOST_AT_ONCE) as u64
    }

    /// A log line was chained as `line`, with these verdicts: counted by them, and shown by the chained bytes alone.
    pub(super) fn see(&mut self, verdicts: &Verdicts, line: &Chained<'_>) {
        let Ok(read) = serde_json::from_slice::<Vec<Verdict>>(&verdicts.json) else {
            debug_assert!(false, "verdicts are rendered as they are read");
            return;
        };
        let name = line.source.map(|source| source.name.as_str()).unwrap_or_default();
        let now = Instant::now();
        for (place, verdict) in read.iter().enumerate() {
            self.raiser.see(verdict, name, line.seq, now, &|| line.sighting(place, verdict, &self.titles));
        }
    }

    /// What is to be chained now.
    pub(super) fn due(&mut self) -> Vec<Raised> {
        self.raiser.due(Instant::now())
    }

    /// The same, whatever the limits, for a stream that ends.
    pub(super) fn all(&mut self) -> Vec<Raised> {
        self.raiser.all(Instant::now())
    }

    /// When to ask again though no line came.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.raiser.next_due()
    }

    /// The name of a target.
    pub(super) fn name(&self, raised: &Raised) -> &str {
        self.raiser.name(raised.target)
    }

    /// It is chained, as the line `record`: to be told once that is durable.
    pub(super) fn announce(&self, raised: Raised, record: Seq) {
        let alert = self.alert(&raised, record);
        let Some(room) = raised.room else {
            let why = "the stream ends, and its target has not taken what was raised before";
            return self.targets[raised.target].counters.give_up(&alert, why);
        };
        // the gate is gone when the spool failed: the lines are read again, and raise their alerts again
        let announced = Announced { target: raised.target, queued: Queued { alert, room } };
        let _: Result<(), _> = self.gate.try_send(announced);
    }

    fn alert(&self, raised: &Raised, record: Seq) -> Alert {
        let first = raised.first.clone();
        Alert {
            version: VERSION,
            notification: format!("{}/{record}", first.stream),
            alert: self.name(raised).to_owned(),
            id: first.verdict.id,
            decision: first.verdict.decision,
            severity: first.verdict.severity,
            controls: first.verdict.controls,
            reason: first.verdict.reason,
            title: first.title,
            host: self.host.clone(),
            stream: first.stream,
            seq: first.seq,
            time: first.time,
            source: first.source,
            path: first.path,
            message: first.message,
            message_cut: first.message_cut,
            count: raised.count,
            first_seq: first.seq,
            last_seq: raised.last_seq,
            mixed: raised.mixed,
            record,
        }
    }
}

/// A log line that was chained just now.
pub(super) struct Chained<'a> {
    pub bytes: &'a [u8],
    pub stream: StreamId,
    pub seq: Seq,
    pub source: Option<&'a KnownSource>,
}

impl Chained<'_> {
    /// What notifications show of it: its verdict in this place, as it is chained, and its message.
    fn sighting(&self, place: usize, verdict: &Verdict, titles: &HashMap<String, String>) -> Sighting {
        let raw = RawLine::parse(self.bytes.strip_suffix(b"\n").unwrap_or(self.bytes)).ok();
        let log = match raw.as_ref().map(|raw| Header::parse(raw.header)) {
            Some(Ok((_, Header::Log(log)))) => Some(log),
            _ => None,
        };
        debug_assert!(log.is_some(), "what was chained just now is a log line");
        let payload = raw.as_ref().and_then(|raw| serde_json::from_slice::<LogPayload<'_>>(raw.payload?).ok());
        let (message, message_cut) = excerpt(&payload.as_ref().and_then(LogPayload::message).unwrap_or_default());
        let chained = log.as_ref().and_then(|log| log.verdicts.get(place)).cloned();
        // a text that is not chained is not told
        let chained = chained.unwrap_or_else(|| Verdict { reason: None, ..verdict.clone() });
        Sighting {
            title: titles.get(&chained.id).cloned(),
            verdict: chained,
            stream: self.stream,
            seq: self.seq,
            time: log.map(|log| log.time.into_owned()).unwrap_or_default(),
            source: self.source.map(|source| source.name.clone()).unwrap_or_default(),
            path: self.source.and_then(|source| path(&source.cursor)),
            message,
            message_cut,
        }
    }
}

/// The beginning of a message, whole characters.
fn excerpt(message: &[u8]) -> (String, bool) {
    // a character that begins within the bound ends within three bytes more
    let text = String::from_utf8_lossy(&message[..message.len().min(MESSAGE_MAX + 3)]);
    let end = (0..=MESSAGE_MAX.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    (text[..end].to_owned(), message.len() > MESSAGE_MAX || end < text.len())
}

fn path(cursor: &Cursor) -> Option<String> {
    match cursor {
        Cursor::File { path, .. } | Cursor::Journal { dir: path, .. } => Some(path.to_string_lossy().into_owned()),
        Cursor::Stdin { .. } => None,
    }
}

/// The targets' side; it outlives the streams.
pub(super) struct Delivery {
    targets: Vec<Target>,
    queues: Vec<mpsc::Sender<Queued>>,
    tasks: JoinSet<()>,
}

impl Delivery {
    /// Nothing is delivered before [`start`](Self::start).
    pub(super) fn new(configs: &[Config]) -> Self {
        Self { targets: configs.iter().map(Target::new).collect(), queues: Vec::new(), tasks: JoinSet::new() }
    }

    /// Whether these are its targets.
    pub(super) fn is_for(&self, configs: &[Config]) -> bool {
        self.targets.iter().map(|target| &target.config).eq(configs)
    }

    /// Each target's name and what became of its alerts.
    pub(super) fn counters(&self) -> Vec<(String, Arc<Counters>)> {
        self.targets.iter().map(|target| (target.config.name.clone(), Arc::clone(&target.counters))).collect()
    }

    /// Starts the targets' tasks, if they are not running; the caller has the lock of the spool, whose journal they take up.
    pub(super) fn start(&mut self, spool: &Path) -> Result<(), Error> {
        let names: Vec<&str> = self.targets.iter().map(|target| target.config.name.as_str()).collect();
        for alert in alert::forgotten(spool, &names) {
            let path = spool.join("alerts").join(&alert);
            tracing::warn!(alert, path = %path.display(), "alerts wait for a target that is no longer configured; give it its name back, or remove the folder");
        }
        for target in &self.targets[self.queues.len()..] {
            let failed = |reason| Error::Alert { name: target.config.name.clone(), reason };
            let deliverer = target.deliverer(spool).map_err(failed)?;
            // a permit of the queue goes with each notification, so that there is always room
            let (queue, queued) = mpsc::channel(QUEUE);
            self.tasks.spawn(deliverer.run(queued));
            self.queues.push(queue);
        }
        Ok(())
    }

    /// The scribe's side for a run of streams, and the gate's task between: it ends when the scribe has, and all that it raised is
    /// durable or never will be.
    pub(super) fn open(
        &self,
        host: &str,
        durable: watch::Receiver<Option<Durable>>,
    ) -> (Alerts, impl Future<Output = ()> + Send + 'static) {
        let (gate, announced) = mpsc::channel(QUEUE * self.targets.len().max(1));
        let alerts = Alerts {
            raiser: Raiser::new(&self.targets),
            host: host.to_owned(),
            titles: HashMap::new(),
            targets: self.targets.clone(),
            gate,
        };
        (alerts, hold_back(announced, durable, self.queues.clone()))
    }

    /// Waits, as long as `limit` and the bound let, until everything is told or given up. What is left stays in the journal.
    pub(super) async fn drain(mut self, limit: Duration) {
        self.queues.clear();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit.min(DRAIN_LIMIT), all).await.is_err() {
            tracing::warn!("stopping before all alerts are delivered; the next start goes on with them");
        }
    }
}

/// Passes notifications on, in their order, once their lines are durable.
async fn hold_back(
    mut announced: mpsc::Receiver<Announced>,
    mut durable: watch::Receiver<Option<Durable>>,
    queues: Vec<mpsc::Sender<Queued>>,
) {
    while let Some(Announced { target, queued }) = announced.recv().await {
        let (stream, record) = (queued.alert.stream, queued.alert.record);
        // a later stream begins only when all of the one before it is durable
        let is_durable = |at: &Option<Durable>| at.is_some_and(|at| at.stream != stream || at.next > record);
        if durable.wait_for(is_durable).await.is_err() {
            // the spool failed: its lines are read again, and raise their alerts again
            return;
        }
        let refused = queues.get(target).and_then(|queue| queue.try_send(queued).err());
        if let Some(TrySendError::Full(queued) | TrySendError::Closed(queued)) = refused {
            // its task panicked; the others go on
            tracing::error!(notification = %queued.alert.notification, "an alert can't be delivered: its target's task died");
        }
    }
}
