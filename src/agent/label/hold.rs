//! Holds lines back that may have to be redacted with lines that did not come yet, and what follows them in their source.
//!
//! What is held is chained in its place once that is known, and so is the cursor: a process that dies reads it again.

use super::Labelled;
use crate::policy::Evaluator;
use crate::record::{Item, LineItem, Redaction, SourceKey, Verdicts};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// A line that was seen by the policies, or waits for that.
pub(super) type Ticket = u64;

/// What a held item weighs besides its bytes.
const ITEM_BYTES: usize = 256;

/// What is held back.
pub(super) struct Hold {
    /// Bound of what is held; over it what has waited longest is decided as it stands.
    max_bytes: usize,
    items: BTreeMap<Ticket, Held>,
    /// In their order, by source.
    queues: BTreeMap<SourceKey, VecDeque<Ticket>>,
    bytes: usize,
}

struct Held {
    item: Item,
    bytes: Vec<u8>,
    /// None while it has to wait.
    verdicts: Option<Verdicts>,
    /// Until when it waits.
    due: Instant,
}

impl Hold {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, items: BTreeMap::new(), queues: BTreeMap::new(), bytes: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes > self.max_bytes
    }

    /// Until when the one waits that waits shortest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.items.values().filter(|held| held.verdicts.is_none()).map(|held| held.due).min()
    }

    /// Those that wait no longer than until `then`.
    pub(super) fn due_until(&self, then: Instant) -> impl Iterator<Item = Ticket> + '_ {
        let is_due = move |held: &Held| held.verdicts.is_none() && held.due <= then;
        self.items.iter().filter(move |(_, held)| is_due(held)).map(|(ticket, _)| *ticket)
    }

    /// Whose line it is.
    pub(super) fn source_of(&self, ticket: Ticket) -> Option<SourceKey> {
        self.items.get(&ticket).map(|held| held.source())
    }

    /// Takes an item that has to wait so long, or stands behind one that has to.
    pub(super) fn push(
        &mut self,
        ticket: Ticket,
        item: Item,
        bytes: &[u8],
        verdicts: Option<Verdicts>,
        wait: Duration,
    ) {
        self.bytes += bytes.len() + ITEM_BYTES;
        let held = Held { item, bytes: bytes.to_vec(), verdicts, due: Instant::now() + wait };
        self.queues.entry(held.source()).or_default().push_back(ticket);
        self.items.insert(ticket, held);
    }

    /// Whether something of this source is held.
    pub(super) fn holds(&self, key: SourceKey) -> bool {
        self.queues.contains_key(&key)
    }

    /// The bytes of a held line.
    pub(super) fn bytes(&self, ticket: Ticket) -> Option<&[u8]> {
        self.items.get(&ticket).map(|held| held.bytes.as_slice())
    }

    /// Says what becomes of a held line.
    pub(super) fn decide(&mut self, ticket: Ticket, verdicts: Verdicts) {
        if let Some(held) = self.items.get_mut(&ticket) {
            held.verdicts = Some(verdicts);
        }
    }

    /// Hides a held line whose rest is not known, and what its verdicts may quote of it.
    pub(super) fn hide(&mut self, ticket: Ticket, evaluator: &Evaluator) {
        if let Some(verdicts) = self.items.get_mut(&ticket).and_then(|held| held.verdicts.as_mut()) {
            evaluator.clean(verdicts, &Redaction::Whole);
            verdicts.redaction = Some(Redaction::Whole);
        }
    }

    /// Hides what waited until now and nobody knows what for.
    pub(super) fn withhold(&mut self, now: Instant) {
        for held in self.items.values_mut().filter(|held| held.verdicts.is_none() && held.due <= now) {
            held.verdicts = Some(Verdicts { redaction: Some(Redaction::Whole), ..Verdicts::default() });
        }
    }

    /// Moves what need not wait any longer to the end of `out`.
    pub(super) fn release(&mut self, out: &mut Labelled) {
        for queue in self.queues.values_mut() {
            while let Some(ticket) = queue.front()
                && self.items.get(ticket).is_none_or(|held| held.verdicts.is_some())
            {
                let held = self.items.remove(ticket);
                queue.pop_front();
                if let Some(Held { item, bytes, verdicts, .. }) = held {
                    self.bytes -= bytes.len() + ITEM_BYTES;
                    out.push(item, &bytes, verdicts.unwrap_or_default());
                }
            }
        }
        self.queues.retain(|_, queue| !queue.is_empty());
    }
}

impl Held {
    fn source(&self) -> SourceKey {
        match &self.item {
            Item::Source(key, _) => *key,
            Item::Line(line) => line.source,
        }
    }
}

impl Labelled {
    pub(super) fn is_empty(&self) -> bool {
        self.batch.items.is_empty() && self.swapped.is_none()
    }

    /// Appends an item; the verdicts count for a line.
    pub(super) fn push(&mut self, item: Item, bytes: &[u8], verdicts: Verdicts) {
        let item = match item {
            Item::Line(line) => {
                let start = self.batch.bytes.len();
                self.batch.bytes.extend_from_slice(bytes);
                self.verdicts.push(verdicts);
                Item::Line(LineItem { span: start..self.batch.bytes.len(), ..line })
            }
            event @ Item::Source(..) => event,
        };
        self.batch.items.push(item);
    }
}
