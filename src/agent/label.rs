//! The label thread: what the policies say of each line.

use crate::chain::stamp::rfc3339;
use crate::policy::{Evaluator, LineContext, PolicySet, SourceContext};
use crate::record::{Batch, Cursor, Item, SourceEvent, SourceKey, Verdicts};
use crossbeam_channel::{Receiver, Sender};
use std::collections::HashMap;
use std::path::Path;
use std::time::SystemTime;

/// A batch with the verdicts on its lines, in their order.
pub(super) struct Labelled {
    pub batch: Batch,
    pub verdicts: Vec<Verdicts>,
}

/// Evaluates the policies on its thread.
pub(super) struct Labeller {
    evaluator: Evaluator,
    host: String,
    sources: HashMap<SourceKey, SourceContext>,
}

impl Labeller {
    pub(super) fn new(policies: &PolicySet, host: &str) -> Self {
        Self { evaluator: Evaluator::new(policies), host: host.to_owned(), sources: HashMap::new() }
    }

    /// Until the sources or the chain are gone.
    pub(super) fn run(mut self, input: &Receiver<Batch>, output: &Sender<Labelled>) {
        for batch in input {
            let verdicts = self.verdicts(&batch);
            if output.send(Labelled { batch, verdicts }).is_err() {
                return;
            }
        }
    }

    fn verdicts(&mut self, batch: &Batch) -> Vec<Verdicts> {
        let time = rfc3339(SystemTime::now());
        let mut verdicts = Vec::with_capacity(batch.items.len());
        for item in &batch.items {
            match item {
                Item::Source(key, event) => self.source(*key, event),
                Item::Line(line) => {
                    let Some(source) = self.sources.get(&line.source) else {
                        debug_assert!(false, "a source says Opened before its first line");
                        verdicts.push(Verdicts::default());
                        continue;
                    };
                    let context = LineContext { message: batch.text(line), source, host: &self.host, time: &time };
                    verdicts.push(self.evaluator.verdicts(&context));
                }
            }
        }
        verdicts
    }

    fn source(&mut self, key: SourceKey, event: &SourceEvent) {
        match event {
            SourceEvent::Opened { name, cursor, .. } => {
                let (kind, path) = kind_and_path(cursor);
                drop(self.sources.insert(key, SourceContext { kind, name: name.clone(), path }));
            }
            SourceEvent::Identified { cursor } => {
                if let Some(source) = self.sources.get_mut(&key) {
                    source.path = kind_and_path(cursor).1;
                }
            }
            SourceEvent::Truncated { .. } | SourceEvent::Missed { .. } => {}
            SourceEvent::Vanished { .. } | SourceEvent::Ended => drop(self.sources.remove(&key)),
        }
    }
}

fn kind_and_path(cursor: &Cursor) -> (&'static str, Option<String>) {
    match cursor {
        Cursor::File { path, .. } => ("file", Some(Path::to_string_lossy(path).into_owned())),
        Cursor::Journal { dir, .. } => ("journald", Some(Path::to_string_lossy(dir).into_owned())),
        Cursor::Stdin { .. } => ("stdin", None),
    }
}
