//! The label thread: what the policies say of each line.
//!
//! | file | what it does |
//! | --- | --- |
//! | `run` | the thread: batches, what has waited long enough, other policies |
//! | `text` | a line's bytes as policies see them: its encoding undone |
//! | `followed` | what is known of the sources besides their lines |
//! | `pieces` | puts together what is chained in pieces: parts of long lines, partial lines of containers |
//! | `events` | keeps the records of auditd's events that are not whole yet |
//! | `hold` | holds lines back that may have to be redacted with lines after them |
//! | `spread` | from what is hidden in the text that policies saw to what is hidden in each line |
//!
//! Nothing here changes what is chained; the scribe does, with the digests of its stream.

mod events;
mod followed;
mod hold;
mod pieces;
mod run;
mod spread;
mod text;

use super::live::Live;
use super::memory::Pressure;
use crate::chain::key::Bytes32;
use crate::chain::stamp::rfc3339;
use crate::policy::format::container::{self, Piece, Stream};
use crate::policy::redact::Layout;
use crate::policy::{Evaluator, LineContext, PolicySet};
use crate::record::{AuditId, Batch, End, Format, Item, LineItem, Redaction, SourceKey, Verdicts};
use crate::service::Pulse;
use crossbeam_channel::Receiver;
use events::Events;
use followed::Followed;
use hold::{Hold, Ticket};
use pieces::{Pieces, Slot, Stretch};
use spread::{Member, Wrap, spread};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// So long lines wait for the rest of theirs; then they are looked at as they stand.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A batch with the verdicts on its lines, in their order.
#[derive(Default)]
pub(super) struct Labelled {
    pub batch: Batch,
    pub verdicts: Vec<Verdicts>,
    /// Other policies speak of these lines and all after them.
    pub swapped: Option<Swapped>,
}

/// Policies that took the place of others.
pub(super) struct Swapped {
    /// The digest of those before.
    pub old: Bytes32,
    /// Those in force now.
    pub policies: PolicySet,
}

/// Evaluates the policies on its thread.
pub(super) struct Labeller {
    evaluator: Evaluator,
    /// What it evaluates.
    policies: PolicySet,
    live: Arc<Live>,
    /// Wakes it when other policies are in force.
    wake: Receiver<()>,
    /// Until when they wait for what is held back.
    swap_due: Option<Instant>,
    host: String,
    /// What the lines of the sources look like, by their configured names.
    formats: HashMap<String, Format>,
    sources: HashMap<SourceKey, Followed>,
    pieces: Pieces,
    events: Events,
    /// Some policy may redact: what belongs together is held back until it was seen together.
    holds_back: bool,
    hold: Hold,
    /// The line at hand.
    ticket: Ticket,
    /// How long it may wait for others.
    wait: Duration,
    /// Sources that have ended, of which lines may still be held.
    gone: Vec<SourceKey>,
    /// Moves with each line: a batch of costly ones is slow, and not stuck.
    pulse: Arc<Pulse>,
    pressure: Pressure,
}

impl Labeller {
    /// `held_bytes`: what lines that wait for others may take, and once more what is put together of them.
    pub(super) fn new(
        live: &Arc<Live>,
        host: &str,
        formats: HashMap<String, Format>,
        pulse: Arc<Pulse>,
        held_bytes: usize,
        pressure: Pressure,
    ) -> Self {
        let (policies, wake) = live.attach();
        let evaluator = Evaluator::new(&policies);
        Self {
            holds_back: evaluator.may_redact(),
            evaluator,
            policies,
            live: Arc::clone(live),
            wake,
            swap_due: None,
            host: host.to_owned(),
            formats,
            sources: HashMap::new(),
            pieces: Pieces::new(held_bytes),
            events: Events::default(),
            hold: Hold::new(held_bytes),
            ticket: 0,
            wait: WAIT_MAX,
            gone: Vec::new(),
            pulse,
            pressure,
        }
    }

    /// A batch with its verdicts; without what is held back, and with what need not be any longer.
    fn batch(&mut self, batch: Batch) -> Labelled {
        let time = rfc3339(SystemTime::now());
        let mut verdicts = Vec::with_capacity(batch.items.len());
        for (n, item) in batch.items.iter().enumerate() {
            if !self.hold.is_empty() {
                return self.around(&batch, n, verdicts, &time);
            }
            match item {
                Item::Source(key, event) => self.source(*key, event),
                Item::Line(_) if self.evaluator.is_idle() => verdicts.push(Verdicts::default()),
                Item::Line(line) => match self.line(line, batch.text(line), &time) {
                    Some(known) => verdicts.push(known),
                    None => {
                        self.hold.push(self.ticket, item.clone(), batch.text(line), None, self.wait);
                        return self.around(&batch, n + 1, verdicts, &time);
                    }
                },
            }
        }
        Labelled { batch, verdicts, swapped: None }
    }

    /// The rest of a batch, from its item `from`, where something is held back.
    fn around(&mut self, batch: &Batch, from: usize, verdicts: Vec<Verdicts>, time: &str) -> Labelled {
        let mut out = Labelled::default();
        let mut verdicts = verdicts.into_iter();
        for item in &batch.items[..from] {
            match item {
                Item::Line(line) => match verdicts.next() {
                    Some(known) => out.push(item.clone(), batch.text(line), known),
                    // it is the one that is held
                    None => continue,
                },
                Item::Source(..) => out.push(item.clone(), b"", Verdicts::default()),
            }
        }
        for item in &batch.items[from..] {
            let (key, bytes, known) = match item {
                Item::Source(key, event) => {
                    self.source(*key, event);
                    self.ticket += 1;
                    (*key, &b""[..], Some(Verdicts::default()))
                }
                Item::Line(line) => {
                    let bytes = batch.text(line);
                    (line.source, bytes, self.line(line, bytes, time))
                }
            };
            self.settle_cut_off(time);
            // what this line decided stands before it
            self.hold.release(&mut out);
            match known {
                Some(known) if !self.hold.holds(key) => out.push(item.clone(), bytes, known),
                known => self.hold.push(self.ticket, item.clone(), bytes, known, self.wait),
            }
            while self.hold.is_full() && self.cut_one(&|_| true, time) {
                self.hold.release(&mut out);
            }
        }
        self.overdue(&mut out);
        out
    }

    /// Looks at what has waited too long as it stands.
    fn overdue(&mut self, out: &mut Labelled) {
        let time = rfc3339(SystemTime::now());
        let now = Instant::now();
        while self.hold.due().is_some_and(|due| due <= now) {
            let due: BTreeSet<Ticket> = self.hold.due_until(now).collect();
            if !self.cut_one(&|ticket| due.contains(&ticket), &time) {
                self.hold.withhold(now);
            }
            self.hold.release(out);
        }
        self.forget_gone();
    }

    /// Looks at lines as they stand that wait for others, of those that `may`; false if there are none.
    fn cut_one(&mut self, may: &dyn Fn(Ticket) -> bool, time: &str) -> bool {
        self.pulse.work();
        if let Some(pending) = self.events.cut(may) {
            pending.into_iter().for_each(|(ticket, verdicts)| self.hold.decide(ticket, verdicts));
            return true;
        }
        let cut = self.pieces.cut_first(may);
        let is_one = cut.is_some();
        cut.into_iter().for_each(|(slot, stretch)| self.cut(slot, stretch, time));
        is_one
    }

    /// What is held when the sources are gone.
    fn rest(&mut self, is_stopped: bool) -> Labelled {
        let time = rfc3339(SystemTime::now());
        let (hold, sources) = (&self.hold, &self.sources);
        let is_pipe = |key| sources.get(&key).is_some_and(|source| source.context.kind == "stdin");
        let may = |ticket: &Ticket| !is_stopped || hold.source_of(*ticket).is_some_and(is_pipe);
        let may: BTreeSet<Ticket> = hold.due_until(Instant::now() + 2 * WAIT_MAX).filter(may).collect();
        while self.cut_one(&|ticket| may.contains(&ticket), &time) {}
        let mut out = Labelled::default();
        self.hold.release(&mut out);
        out
    }

    /// Forgets ended sources of which nothing is held any more.
    fn forget_gone(&mut self) {
        let (hold, sources) = (&self.hold, &mut self.sources);
        let (held, gone) = std::mem::take(&mut self.gone).into_iter().partition(|key| hold.holds(*key));
        self.gone = held;
        let gone: Vec<SourceKey> = gone;
        gone.iter().for_each(|key| drop(sources.remove(key)));
    }

    /// What the policies say of a line; None if that is not known before another came.
    fn line(&mut self, line: &LineItem, bytes: &[u8], time: &str) -> Option<Verdicts> {
        self.pulse.work();
        self.ticket += 1;
        self.wait = WAIT_MAX;
        let Some(source) = self.sources.get_mut(&line.source) else {
            debug_assert!(false, "a source says Opened before its first line");
            return Some(Verdicts::default());
        };
        let slot = Slot::Line(line.source);
        let part = (self.ticket, bytes.len());
        if line.end == End::Part {
            let wrap = Wrap::Plain(0);
            let member = self.holds_back.then(|| Member { parts: vec![part], wrap, len: bytes.len() });
            // the verdicts fall on the last part; of a line that is too long for that, on each that fills the room
            return match self.pieces.add(&slot, bytes, member) {
                Some(stretch) if self.holds_back => {
                    self.cut(slot, stretch, time);
                    None
                }
                Some(stretch) => {
                    let end = source.end;
                    self.text(line.source, &stretch.bytes, end, vec![part], true, time)
                }
                None => (!self.holds_back).then(Verdicts::default),
            };
        }
        source.end = line.end;
        match self.pieces.finish(&slot, bytes) {
            None => self.text(line.source, bytes, line.end, vec![part], false, time),
            Some(Stretch { bytes, members, is_rest }) => {
                let parts = members.into_iter().flat_map(|member| member.parts).chain([part]).collect();
                self.text(line.source, &bytes, line.end, parts, is_rest, time)
            }
        }
    }

    /// A line of which all parts are there; `is_piece` if there is more of it than that.
    fn text(
        &mut self,
        key: SourceKey,
        raw: &[u8],
        end: End,
        parts: Vec<(Ticket, usize)>,
        is_piece: bool,
        time: &str,
    ) -> Option<Verdicts> {
        let source = self.sources.get_mut(&key)?;
        let text = &*text::decoded(raw, end);
        // where lines are not held back, earlier parts were chained already
        let is_all = parts.iter().map(|(_, len)| len).sum::<usize>() == raw.len();
        let before = text::before(raw, end).filter(|_| is_all);
        if source.is_container
            && let Some(piece) = container::unwrap(source.context.format, text)
        {
            let wrap = before.map_or(Wrap::Unknown, Wrap::Container);
            let member = Member { parts, wrap, len: piece.content.len() };
            return self.piece(key, &piece, member, raw, time);
        }
        let member = Member { parts, wrap: before.map_or(Wrap::Unknown, Wrap::Plain), len: text.len() };
        if matches!(source.context.format, Format::Auto | Format::Auditd)
            && let Some(id) = AuditId::of(text)
        {
            return self.event(key, &id, (raw, end), member, is_piece, time);
        }
        let line =
            LineContext { message: text, earlier: b"", is_piece, source: &source.context, host: &self.host, time };
        let verdicts = self.evaluator.verdicts(&line);
        Some(self.settle(verdicts, Vec::new(), member, raw))
    }

    /// What a container wrote, or a piece of it.
    fn piece(&mut self, key: SourceKey, piece: &Piece<'_>, member: Member, raw: &[u8], time: &str) -> Option<Verdicts> {
        let Piece { stream, is_partial, content } = piece;
        let (stream, content) = (*stream, &**content);
        let source = self.sources.get_mut(&key)?;
        let slot = Slot::Stream(key, stream);
        if !std::mem::replace(&mut source.seen[stream as usize], true)
            && let Some(path) = &source.context.path
        {
            self.pieces.inherit(&slot, path);
        }
        let whole = if *is_partial {
            let held = self.holds_back.then(|| member.clone());
            match self.pieces.add_of(&slot, content, held, source.context.path.as_deref()) {
                Some(stretch) if self.holds_back => {
                    self.cut(slot, stretch, time);
                    return None;
                }
                Some(stretch) => Some(Stretch { is_rest: true, ..stretch }),
                None => return (!self.holds_back).then(Verdicts::default),
            }
        } else {
            self.pieces.finish(&slot, content)
        };
        let Stretch { bytes, members, is_rest } = whole.unwrap_or_default();
        let wrap = if bytes.is_empty() || self.holds_back { member.wrap } else { Wrap::Unknown };
        let member = Member { wrap, ..member };
        let message = if bytes.is_empty() { content } else { &bytes };
        let verdicts = self.of_stream(key, stream, message, is_rest, time)?;
        Some(self.settle(verdicts, members, member, raw))
    }

    /// What the policies say of what a container wrote.
    fn of_stream(
        &mut self,
        key: SourceKey,
        stream: Stream,
        message: &[u8],
        is_piece: bool,
        time: &str,
    ) -> Option<Verdicts> {
        let context = self.sources.get_mut(&key)?.stream(stream);
        let message = message.strip_suffix(b"\r").unwrap_or(message);
        let line = LineContext { message, earlier: b"", is_piece, source: context, host: &self.host, time };
        Some(self.evaluator.verdicts(&line))
    }

    /// What was given up while a line was looked at.
    fn settle_cut_off(&mut self, time: &str) {
        while let Some((slot, stretch)) = self.pieces.cut_off() {
            self.cut(slot, stretch, time);
        }
        self.events.given_up().into_iter().for_each(|(ticket, verdicts)| self.hold.decide(ticket, verdicts));
    }

    /// Looks at held lines as they stand: the rest of theirs did not come, or is too long.
    fn cut(&mut self, slot: Slot, stretch: Stretch, time: &str) {
        let Stretch { bytes, mut members, .. } = stretch;
        let Some(last) = members.pop() else { return };
        let Some((ticket, _)) = last.parts.last().copied() else { return };
        if !self.sources.contains_key(&slot.source()) {
            // nobody can say any more what it was
            let whole = Verdicts { redaction: Some(Redaction::Whole), ..Verdicts::default() };
            let parts = members.iter().chain([&last]).flat_map(|member| &member.parts);
            return parts.for_each(|(ticket, _)| self.hold.decide(*ticket, whole.clone()));
        }
        let raw = self.raw(&last);
        let verdicts = match slot {
            Slot::Stream(key, stream) => {
                let verdicts = self.of_stream(key, stream, &bytes, true, time);
                verdicts.map(|verdicts| self.settle(verdicts, members, last, &raw))
            }
            Slot::Line(key) => {
                let end = self.sources.get(&key).map_or(End::Newline, |source| source.end);
                let parts = members.into_iter().chain([last]).flat_map(|member| member.parts).collect();
                self.text(key, &bytes, end, parts, true, time)
            }
        };
        if let Some(verdicts) = verdicts {
            self.hold.decide(ticket, verdicts);
        }
    }

    /// Spreads what is said of lines that were seen as one: the verdicts fall on the last, of which `raw` are the bytes.
    fn settle(&mut self, verdicts: Verdicts, mut members: Vec<Member>, last: Member, raw: &[u8]) -> Verdicts {
        let ticket = last.parts.last().map_or(self.ticket, |(ticket, _)| *ticket);
        if members.is_empty() && last.parts.len() == 1 && verdicts.redaction.is_none() {
            return verdicts;
        }
        members.push(last);
        let mut found: BTreeMap<Ticket, Redaction> = match &verdicts.redaction {
            Some(redaction) => spread(redaction, &members, &self.layouts(&members, raw)),
            None => BTreeMap::new(),
        };
        for (earlier, _) in members.iter().flat_map(|member| &member.parts).filter(|(part, _)| *part != ticket) {
            let redaction = found.remove(earlier);
            self.hold.decide(*earlier, Verdicts { redaction, ..Verdicts::default() });
        }
        Verdicts { redaction: found.remove(&ticket), ..verdicts }
    }

    /// Where the content stands in each of the lines, of the last of which `raw` are the bytes.
    fn layouts(&self, members: &[Member], raw: &[u8]) -> Vec<Option<Layout>> {
        let layout = |(n, member): (usize, &Member)| {
            let raw = if n + 1 == members.len() { raw.to_vec() } else { self.raw(member) };
            match member.wrap {
                Wrap::Plain(before) => Some(Layout::After(before)),
                Wrap::Container(before) => container::layout(Format::Auto, before, raw.get(before..)?),
                Wrap::Unknown => None,
            }
        };
        members.iter().enumerate().map(layout).collect()
    }

    /// The bytes of a held line.
    fn raw(&self, member: &Member) -> Vec<u8> {
        let parts = member.parts.iter().filter_map(|(ticket, _)| self.hold.bytes(*ticket));
        parts.collect::<Vec<_>>().concat()
    }
}
