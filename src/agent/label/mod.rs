//! The label thread: what the policies say of each line.
//!
//! | file | what it does |
//! | --- | --- |
//! | `text` | a line's bytes as policies see them: its encoding undone |
//! | `pieces` | puts together what is chained in pieces: parts of long lines, partial lines of containers |
//! | `events` | keeps the records of auditd's events that are not whole yet |
//!
//! Nothing here changes what is chained.

mod events;
mod pieces;
mod text;

use super::live::Live;
use crate::chain::header::Hash;
use crate::chain::key::Bytes32;
use crate::chain::stamp::rfc3339;
use crate::policy::format::container::{self, Piece, Stream};
use crate::policy::{Evaluator, LineContext, PolicySet, SourceContext};
use crate::record::{AuditId, Batch, Cursor, End, Format, Item, LineItem, SourceEvent, SourceKey, Verdicts};
use crossbeam_channel::{Receiver, Sender, never, select};
use events::Events;
use pieces::{Pieces, Slot};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

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
    host: String,
    /// What the lines of the sources look like, by their configured names.
    formats: HashMap<String, Format>,
    sources: HashMap<SourceKey, Followed>,
    pieces: Pieces,
    events: Events,
}

/// A source, as policies see it.
struct Followed {
    context: SourceContext,
    /// The same for what a container wrote to its standard output and error.
    streams: [Option<SourceContext>; 2],
    /// Its lines wrap those of a container.
    is_container: bool,
    /// Streams of which a line came; the first one may go on with the last of the file before.
    seen: [bool; 2],
    /// How its last line ended, which tells how characters are written.
    end: End,
}

impl Labeller {
    pub(super) fn new(live: &Arc<Live>, host: &str, formats: HashMap<String, Format>) -> Self {
        let (policies, wake) = live.attach();
        Self {
            evaluator: Evaluator::new(&policies),
            policies,
            live: Arc::clone(live),
            wake,
            host: host.to_owned(),
            formats,
            sources: HashMap::new(),
            pieces: Pieces::default(),
            events: Events::default(),
        }
    }

    /// Until the sources or the chain are gone.
    pub(super) fn run(mut self, input: &Receiver<Batch>, output: &Sender<Labelled>) {
        loop {
            let labelled = select! {
                recv(input) -> batch => {
                    let Ok(batch) = batch else { return };
                    let verdicts = self.verdicts(&batch);
                    Labelled { batch, verdicts, swapped: None }
                }
                // between two batches, so that the verdicts of a line are all of one set
                recv(self.wake) -> woken => {
                    if woken.is_err() {
                        // another run has begun, and this one hears no more of it
                        self.wake = never();
                    }
                    let Some(swapped) = self.swap() else { continue };
                    Labelled { swapped: Some(swapped), ..Labelled::default() }
                }
            };
            if output.send(labelled).is_err() {
                return;
            }
        }
    }

    /// The policies with which this run begins.
    pub(super) fn policies(&self) -> &PolicySet {
        &self.policies
    }

    /// Takes up the policies that are in force now; None if it has them.
    fn swap(&mut self) -> Option<Swapped> {
        let policies = self.live.current();
        let (old, new) = (self.policies.digest(), policies.digest());
        if old == new {
            return None;
        }
        self.evaluator = Evaluator::new(&policies);
        self.policies = policies.clone();
        tracing::info!(old = %Hash(old), new = %Hash(new), "other policies are in force");
        Some(Swapped { old, policies })
    }

    fn verdicts(&mut self, batch: &Batch) -> Vec<Verdicts> {
        let time = rfc3339(SystemTime::now());
        let mut verdicts = Vec::with_capacity(batch.items.len());
        for item in &batch.items {
            match item {
                Item::Source(key, event) => self.source(*key, event),
                Item::Line(_) if self.evaluator.is_idle() => verdicts.push(Verdicts::default()),
                Item::Line(line) => verdicts.push(self.line(line, batch.text(line), &time)),
            }
        }
        verdicts
    }

    fn line(&mut self, line: &LineItem, bytes: &[u8], time: &str) -> Verdicts {
        let Some(source) = self.sources.get_mut(&line.source) else {
            debug_assert!(false, "a source says Opened before its first line");
            return Verdicts::default();
        };
        let slot = Slot::Line(line.source);
        if line.end == End::Part {
            // the verdicts fall on the last part; of a line that is too long for that, on each that fills the room
            return match self.pieces.add(&slot, bytes) {
                Some(full) => {
                    let end = source.end;
                    self.text(line.source, &text::decoded(&full, end), true, time)
                }
                None => Verdicts::default(),
            };
        }
        source.end = line.end;
        match self.pieces.finish(&slot, bytes) {
            None => self.text(line.source, &text::decoded(bytes, line.end), false, time),
            Some((whole, is_rest)) => self.text(line.source, &text::decoded(&whole, line.end), is_rest, time),
        }
    }

    /// A line whose text is known; `is_piece` if there is more of it than that.
    fn text(&mut self, key: SourceKey, text: &[u8], is_piece: bool, time: &str) -> Verdicts {
        let Some(source) = self.sources.get_mut(&key) else { return Verdicts::default() };
        if source.is_container
            && let Some(piece) = container::unwrap(source.context.format, text)
        {
            return self.piece(key, &piece, time);
        }
        let context =
            LineContext { message: text, earlier: b"", is_piece, source: &source.context, host: &self.host, time };
        if matches!(source.context.format, Format::Auto | Format::Auditd)
            && let Some(id) = AuditId::of(text)
        {
            let earlier = self.events.earlier(&source.context.name, &id);
            let verdicts = self.evaluator.verdicts(&LineContext { earlier, ..context });
            self.events.note(&source.context.name, &id, text);
            return verdicts;
        }
        self.evaluator.verdicts(&context)
    }

    /// What a container wrote, or a piece of it.
    fn piece(&mut self, key: SourceKey, piece: &Piece<'_>, time: &str) -> Verdicts {
        let Piece { stream, is_partial, content } = piece;
        let (stream, content) = (*stream, &**content);
        let Some(source) = self.sources.get_mut(&key) else { return Verdicts::default() };
        let slot = Slot::Stream(key, stream);
        if !std::mem::replace(&mut source.seen[stream as usize], true)
            && let Some(path) = &source.context.path
        {
            self.pieces.inherit(&slot, path);
        }
        let (whole, is_piece) = if *is_partial {
            match self.pieces.add_of(&slot, content, source.context.path.as_deref()) {
                Some(full) => (Some(full), true),
                None => return Verdicts::default(),
            }
        } else {
            match self.pieces.finish(&slot, content) {
                Some((whole, is_rest)) => (Some(whole), is_rest),
                None => (None, false),
            }
        };
        let message = whole.as_deref().unwrap_or(content);
        let message = message.strip_suffix(b"\r").unwrap_or(message);
        let context = source.stream(stream);
        let line = LineContext { message, earlier: b"", is_piece, source: context, host: &self.host, time };
        self.evaluator.verdicts(&line)
    }

    fn source(&mut self, key: SourceKey, event: &SourceEvent) {
        match event {
            SourceEvent::Opened { name, cursor, labels } => {
                let (kind, path) = kind_and_path(cursor);
                let format = self.formats.get(name).copied().unwrap_or_default();
                let by_path = format == Format::Auto && path.as_deref().is_some_and(is_of_containers);
                let is_container = by_path || matches!(format, Format::Cri | Format::Docker);
                let labels = Arc::clone(labels);
                let context = SourceContext { kind, name: name.clone(), path, format, labels };
                let (streams, end) = ([None, None], End::Newline);
                // in the middle of a file no line is the first
                let seen = [cursor.offset() > 0; 2];
                self.sources.insert(key, Followed { context, streams, is_container, seen, end });
            }
            SourceEvent::Identified { cursor } => {
                if let Some(source) = self.sources.get_mut(&key) {
                    source.context.path = kind_and_path(cursor).1;
                    source.streams = [None, None];
                }
            }
            // what was begun may not be what the next line goes on with
            SourceEvent::Truncated { .. } | SourceEvent::Missed { .. } => self.pieces.forget(key),
            SourceEvent::Vanished { .. } => {
                self.pieces.forget(key);
                self.sources.remove(&key);
            }
            SourceEvent::Ended => {
                self.pieces.forget_line(key);
                self.sources.remove(&key);
            }
        }
    }
}

impl Followed {
    /// What policies see of a stream of the container.
    fn stream(&mut self, stream: Stream) -> &SourceContext {
        let context = &self.context;
        self.streams[stream as usize].get_or_insert_with(|| {
            let mut labels: BTreeMap<String, String> = (*context.labels).clone();
            labels.insert("stream".to_owned(), stream.name().to_owned());
            // the runtime wraps text or JSON; what else it may look like is the container's own affair
            SourceContext { labels: Arc::new(labels), format: Format::Json, ..context.clone() }
        })
    }
}

/// Whether the path is one where container runtimes log.
fn is_of_containers(path: &str) -> bool {
    let places = ["/var/log/containers/", "/var/log/pods/", "/docker/containers/"];
    places.iter().any(|place| path.contains(place))
}

fn kind_and_path(cursor: &Cursor) -> (&'static str, Option<String>) {
    match cursor {
        Cursor::File { path, .. } => ("file", Some(Path::to_string_lossy(path).into_owned())),
        Cursor::Journal { dir, .. } => ("journald", Some(Path::to_string_lossy(dir).into_owned())),
        Cursor::Stdin { .. } => ("stdin", None),
    }
}
