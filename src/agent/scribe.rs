//! The scribe thread: the one place where lines get their seq. It chains what the sources and policies hand over, puts it into
//! the spool, and keeps the stream's times: segments, heartbeats, age.

use super::Error;
use super::alerts::{Alerts, Chained};
use super::label::{Labelled, Swapped};
use super::reconfigure::{Farewell, Parting};
use super::tally::{Present, Tally};
use crate::alert::Raised;
use crate::chain::header::{Hash, NamedReceipt, Prev};
use crate::chain::host_key::HostKey;
use crate::chain::key::Bytes32;
use crate::chain::{self, Chain, Facts, LogRecord, Tip};
use crate::record::{Item, SourceEvent, Verdicts};
use crate::service::Pulse;
use crate::source::Stop;
use crate::spool::{Begun, Cursors, KnownSource, Recovered, Skipped, Snapshot, Spool, Writer};
use crossbeam_channel::{Receiver, select};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A stream says that it lives each time this has passed; verifiers call 180 s of nothing a silence.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// Lines are compressed in pieces of about this size.
const PIECE_BYTES: usize = 64 * 1024;

/// What the genesis of each stream says of this agent.
pub(super) struct Identity {
    pub host: String,
    pub config: Bytes32,
    pub policy: Bytes32,
    pub recipients: Vec<age::x25519::Recipient>,
    pub host_key: Arc<HostKey>,
    /// Who may sign erasures, as the genesis names them.
    pub erasure: Vec<String>,
}

/// An order to the scribe.
pub(super) enum Control {
    /// End the stream and begin another.
    NewStream { why: String },
}

/// What others see of the thread while it works.
pub(super) struct Seen {
    pub pulse: Arc<Pulse>,
    pub tally: Tally,
}

/// Everything that one stream after another needs.
pub(super) struct Scribe {
    identity: Identity,
    config: chain::Config,
    spool: Spool,
    cursors: Cursors,
    prev: Option<Prev>,
    alerts: Alerts,
    stop: Stop,
    pulse: Arc<Pulse>,
    parting: Parting,
    tally: Tally,
}

/// The stream that is being written.
struct Open {
    chain: Chain,
    writer: Writer,
    /// Chained lines that are not compressed yet.
    lines: Vec<u8>,
    segment_bytes: usize,
    segment_due: Option<Instant>,
    heartbeat_due: Instant,
    /// An alert waits for its lines to be durable.
    is_urgent: bool,
    stop: Stop,
    pulse: Arc<Pulse>,
}

enum Wake {
    Lines(Box<Labelled>),
    Order(Control),
    Time,
    End,
    /// The agent's root gave this stream up.
    Abandon,
}

impl Scribe {
    pub(super) fn new(
        identity: Identity,
        config: &chain::Config,
        spool: &Spool,
        found: Recovered,
        alerts: Alerts,
        stop: Stop,
        seen: Seen,
    ) -> Self {
        let Seen { pulse, tally } = seen;
        let (config, spool, parting) = (config.clone(), spool.clone(), Parting::default());
        Self { identity, config, spool, cursors: found.cursors, prev: found.prev, alerts, stop, pulse, parting, tally }
    }

    /// Where it hears that it ends for another configuration.
    pub(super) fn parting(self, parting: Parting) -> Self {
        Self { parting, ..self }
    }

    /// Until the sources have ended; leaves a closed stream behind.
    pub(super) fn run(mut self, input: &Receiver<Labelled>, orders: &Receiver<Control>) -> Result<(), Error> {
        self.pulse.work();
        let mut open = self.begin()?;
        loop {
            let due = open.next_due(self.config.max_stream_age);
            self.pulse.rest();
            let wake = wait(input, orders, self.alerts.next_due().map_or(due, |alert| alert.min(due)));
            self.pulse.work();
            match wake {
                Wake::Lines(labelled) => {
                    if !self.wait_for_room(&mut open)? {
                        // stopped while the spool was full: this batch and all after it are read again
                        self.parting.give_back(&self.cursors, *labelled, input);
                        break;
                    }
                    self.tally.begin(&labelled);
                    self.take(&mut open, &labelled)?;
                    self.tally.end(&labelled);
                    if input.is_empty() || open.is_urgent {
                        open.commit()?;
                    }
                }
                Wake::Order(Control::NewStream { why }) => open = self.succeed(open, &why)?,
                Wake::Time => {}
                Wake::End => break,
                Wake::Abandon => return Err(crate::spool::Error::Stopped.into()),
            }
            self.tick(&mut open)?;
            if open.chain.age() >= self.config.max_stream_age {
                open = self.succeed(open, "age")?;
            }
        }
        match self.parting.farewell() {
            None => self.end(open, "stop"),
            Some(farewell) => {
                let (at, old) = (open.chain.stamp(), self.identity.config);
                let Farewell { digest, changed } = &farewell;
                self.item(&mut open, |open| open.chain.config(&mut open.lines, &at, old, *digest, changed))?;
                if open.is_full() {
                    self.seal(&mut open)?;
                }
                self.end(open, "config")
            }
        }
    }

    fn begin(&mut self) -> Result<Open, Error> {
        let stream = chain::new_stream()?;
        let Begun { writer, joining, skipped } = self.spool.begin_stream(stream)?;
        let facts = Facts {
            stream,
            host: self.identity.host.clone(),
            config: self.identity.config,
            policy: self.identity.policy,
            erasure: self.identity.erasure.clone(),
            targets: joining,
            prev: self.prev,
        };
        let mut lines = Vec::with_capacity(2 * PIECE_BYTES);
        let chain = Chain::begin(&facts, &self.identity.recipients, &self.identity.host_key, &mut lines)?;
        tracing::info!(%stream, "a stream begins");
        let policy = self.identity.policy;
        self.tally.counts().begun(Present { stream, since: SystemTime::now(), policy });
        let heartbeat_due = Instant::now() + HEARTBEAT;
        let segment_due = Some(Instant::now() + self.config.flush_interval);
        let (segment_bytes, is_urgent) = (lines.len(), false);
        let (stop, pulse) = (self.stop.clone(), self.pulse.clone());
        let mut open = Open { chain, writer, lines, segment_bytes, segment_due, heartbeat_due, is_urgent, stop, pulse };
        self.tell_skipped(&mut open, &skipped)?;
        self.declare_sources(&mut open)?;
        open.commit()?;
        Ok(open)
    }

    /// Before all else: a target that was skipped begins with this stream, and its first lines say what it lacks.
    fn tell_skipped(&self, open: &mut Open, skipped: &[Skipped]) -> Result<(), Error> {
        if skipped.is_empty() {
            return Ok(());
        }
        for Skipped { target, stream, from, to } in skipped {
            let at = open.chain.stamp();
            self.item(open, |open| open.chain.skip(&mut open.lines, &at, target, *stream, [*from, *to]))?;
            if open.is_full() {
                self.seal(open)?;
            }
        }
        open.commit()?;
        open.writer.wait_durable()?;
        Ok(self.spool.told(skipped, open.chain.stream(), open.chain.next_seq() - 1)?)
    }

    /// Sources that were being read in the stream before are named in this one too.
    fn declare_sources(&mut self, open: &mut Open) -> Result<(), Error> {
        let known: Vec<_> = self.cursors.open().map(|(key, source)| (key, source.clone())).collect();
        self.cursors.begin_stream();
        for (key, source) in known {
            let at = open.chain.stamp();
            let KnownSource { name, cursor, labels, .. } = source;
            let event = SourceEvent::Opened { name, cursor, labels };
            self.item(open, |open| open.chain.source(&mut open.lines, &at, key, &event))?;
            self.cursors.apply(key, &event, &at.time);
            if open.is_full() {
                self.seal(open)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, open: &mut Open, labelled: &Labelled) -> Result<(), Error> {
        if let Some(Swapped { old, policies }) = &labelled.swapped {
            let (at, new) = (open.chain.stamp(), policies.digest());
            self.item(open, |open| open.chain.policy(&mut open.lines, &at, *old, new))?;
            self.identity.policy = new;
            self.tally.counts().swapped(new);
            self.alerts.take_up(policies);
            if open.is_full() {
                self.seal(open)?;
            }
        }
        let mut at = open.chain.stamp();
        let none = Verdicts::default();
        let mut verdicts = labelled.verdicts.iter();
        for item in &labelled.batch.items {
            match item {
                Item::Source(key, event) => {
                    self.item(open, |open| open.chain.source(&mut open.lines, &at, *key, event))?;
                    self.cursors.apply(*key, event, &at.time);
                }
                Item::Line(line) => {
                    let verdicts = verdicts.next().unwrap_or(&none);
                    let text = labelled.batch.text(line);
                    let redacted = verdicts.redaction.as_ref().map(|hide| open.chain.redacted(text, hide));
                    // from here on nobody sees anything but what is chained
                    let message = redacted.as_ref().map_or(text, |redacted| redacted.message.as_slice());
                    let redacted = redacted.as_ref().map(|redacted| redacted.digests.as_slice());
                    let record =
                        LogRecord { source: line.source, offset: line.offset, end: line.end, message, redacted };
                    let wanted = self.alerts.wants(verdicts);
                    if wanted && open.chain.segment_len() + 2 + self.alerts.most_at_once() > chain::SEGMENT_LINES {
                        // a line and its alerts stand in one segment, so that one commit makes them durable
                        self.seal(open)?;
                        at = open.chain.stamp();
                    }
                    let (mut bytes, mut seq) = (Vec::new(), 0);
                    self.item(open, |open| {
                        let from = open.lines.len();
                        seq = open.chain.log(&mut open.lines, &at, &record, verdicts);
                        if wanted {
                            bytes.extend_from_slice(&open.lines[from..]);
                        }
                        seq
                    })?;
                    self.cursors.read_to(line.source, line.offset);
                    self.tally.line(&at.time, line.source, verdicts, message);
                    if wanted {
                        let source = self.cursors.source(line.source);
                        let chained = Chained { bytes: &bytes, stream: open.chain.stream(), seq, source };
                        self.alerts.see(verdicts, &chained);
                        let raised = self.alerts.due();
                        if !raised.is_empty() {
                            self.raise(open, raised)?;
                            at = open.chain.stamp();
                        }
                    }
                }
            }
            if open.is_full() {
                self.seal(open)?;
                // the checkpoint was stamped just now, and a full disk may have held it up: no line after it is older
                at = open.chain.stamp();
            }
        }
        Ok(())
    }

    /// Chains that these alerts are raised, and passes them on.
    fn raise(&self, open: &mut Open, raised: Vec<Raised>) -> Result<(), Error> {
        let mut at = open.chain.stamp();
        for raised in raised {
            let mut record = 0;
            self.item(open, |open| {
                record = open.chain.alert(&mut open.lines, &at, raised.first.seq, self.alerts.name(&raised));
                record
            })?;
            self.alerts.announce(raised, record);
            open.is_urgent = true;
            // not where its bytes are full: a line and its alerts are not parted
            if open.has_all_lines() {
                self.seal(open)?;
                at = open.chain.stamp();
            }
        }
        Ok(())
    }

    /// Chains one line and, now and then, compresses what has gathered.
    fn item(&self, open: &mut Open, chain: impl FnOnce(&mut Open) -> u64) -> Result<(), Error> {
        let before = open.lines.len();
        chain(open);
        open.segment_bytes += open.lines.len() - before;
        if open.segment_due.is_none() {
            open.segment_due = Some(Instant::now() + self.config.flush_interval);
        }
        if open.lines.len() >= PIECE_BYTES { open.compress() } else { Ok(()) }
    }

    /// Ends the segment.
    fn seal(&self, open: &mut Open) -> Result<(), Error> {
        let first = open.chain.segment_first();
        let at = open.chain.stamp();
        let last = open.chain.checkpoint(&mut open.lines, &at);
        open.compress()?;
        open.writer.seal(first, last, &|| is_over(&open.pulse, &open.stop))?;
        (open.segment_bytes, open.segment_due) = (0, None);
        self.tally.counts().sealed(last + 1 - first);
        if open.writer.roll_is_due() {
            open.writer.roll(last + 1, self.snapshot(open, false))?;
        }
        Ok(())
    }

    fn snapshot(&self, open: &Open, closed: bool) -> Snapshot {
        Snapshot { sources: self.cursors.to_snapshot(), ..snapshot(&open.chain.tip(), open.chain.edge(), closed) }
    }

    /// What is due by the clock.
    fn tick(&mut self, open: &mut Open) -> Result<(), Error> {
        let now = Instant::now();
        let raised = self.alerts.due();
        if !raised.is_empty() {
            self.raise(open, raised)?;
            open.commit()?;
        }
        if now >= open.heartbeat_due {
            open.heartbeat_due = now + HEARTBEAT;
            let at = open.chain.stamp();
            let receipts = self.spool.receipts().into_iter();
            let receipts = receipts.map(|(target, receipt)| NamedReceipt { target, receipt }).collect();
            let bytes = self.spool.bytes();
            self.item(open, |open| open.chain.heartbeat(&mut open.lines, &at, bytes, receipts))?;
        }
        if open.is_full() || open.segment_due.is_some_and(|due| now >= due) {
            self.seal(open)?;
        }
        Ok(())
    }

    /// A full spool stops reading; the stream itself goes on, in room that is kept for it.
    fn wait_for_room(&mut self, open: &mut Open) -> Result<bool, Error> {
        const SLICE: Duration = Duration::from_millis(500);
        while !self.spool.wait_for_room(SLICE)? {
            if is_over(&self.pulse, &self.stop) {
                return Ok(false);
            }
            self.tick(open)?;
        }
        Ok(true)
    }

    fn succeed(&mut self, open: Open, why: &str) -> Result<Open, Error> {
        tracing::info!(stream = %open.chain.stream(), why, "the stream ends, another begins");
        self.end(open, why)?;
        self.begin()
    }

    fn end(&mut self, mut open: Open, why: &str) -> Result<(), Error> {
        // an alert tells of lines of one stream
        let raised = self.alerts.all();
        self.raise(&mut open, raised)?;
        if open.chain.segment_len() + 2 > chain::SEGMENT_LINES {
            self.seal(&mut open)?;
        }
        let Open { chain, mut writer, mut lines, stop, pulse, .. } = open;
        let first = chain.segment_first();
        let (tip, edge) = chain.close(&mut lines, why);
        writer.append(&lines)?;
        writer.seal(first, tip.size - 1, &|| is_over(&pulse, &stop))?;
        self.tally.counts().sealed(tip.size - first);
        let snapshot = Snapshot { sources: self.cursors.to_snapshot(), ..snapshot(&tip, &edge, true) };
        self.prev = snapshot.prev();
        Ok(writer.finish(snapshot)?)
    }
}

impl Open {
    /// The segment takes no further line but its checkpoint.
    fn is_full(&self) -> bool {
        self.has_all_lines() || self.segment_bytes >= chain::SEGMENT_BYTES
    }

    fn has_all_lines(&self) -> bool {
        self.chain.segment_len() + 1 >= chain::SEGMENT_LINES
    }

    fn compress(&mut self) -> Result<(), Error> {
        self.writer.append(&self.lines)?;
        self.lines.clear();
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.compress()?;
        let last = self.chain.next_seq() - 1;
        self.is_urgent = false;
        Ok(self.writer.commit(last, &|| is_over(&self.pulse, &self.stop))?)
    }

    fn next_due(&self, max_age: Duration) -> Instant {
        let end = Instant::now() + max_age.saturating_sub(self.chain.age());
        let segment = self.segment_due.unwrap_or(end);
        segment.min(self.heartbeat_due).min(end)
    }
}

/// Whether a wait for room is over; to wait for room is to get on.
fn is_over(pulse: &Pulse, stop: &Stop) -> bool {
    pulse.work();
    stop.is_set()
}

fn snapshot(tip: &Tip, edge: &chain::tree::Edge, closed: bool) -> Snapshot {
    Snapshot {
        stream: tip.stream,
        size: tip.size,
        leaf: Hash(tip.leaf),
        edge: edge.roots().iter().copied().map(Hash).collect(),
        closed,
        sources: Vec::new(),
    }
}

fn wait(input: &Receiver<Labelled>, orders: &Receiver<Control>, until: Instant) -> Wake {
    select! {
        recv(input) -> labelled => labelled.map_or(Wake::End, |labelled| Wake::Lines(Box::new(labelled))),
        recv(orders) -> order => match order {
            Ok(order) => Wake::Order(order),
            Err(_) => Wake::Abandon,
        },
        default(until.saturating_duration_since(Instant::now())) => Wake::Time,
    }
}
