//! Sources, as policies see them: what is known of them besides their lines.

use super::Labeller;
use crate::policy::SourceContext;
use crate::policy::format::container::Stream;
use crate::record::{Cursor, End, Format, SourceEvent, SourceKey};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A source, as policies see it.
pub(super) struct Followed {
    pub(super) context: SourceContext,
    /// The same for what a container wrote to its standard output and error.
    pub(super) streams: [Option<SourceContext>; 2],
    /// Its lines wrap those of a container.
    pub(super) is_container: bool,
    /// Streams of which a line came; the first one may go on with the last of the file before.
    pub(super) seen: [bool; 2],
    /// How its last line ended, which tells how characters are written.
    pub(super) end: End,
}

impl Labeller {
    /// Something happened to a source.
    pub(super) fn source(&mut self, key: SourceKey, event: &SourceEvent) {
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
                self.end(key);
            }
            SourceEvent::Ended => {
                self.pieces.forget_line(key);
                self.end(key);
            }
        }
    }

    /// A source is gone; while lines of it are held it must be known what they are.
    fn end(&mut self, key: SourceKey) {
        match self.hold.holds(key) {
            true => self.gone.push(key),
            false => drop(self.sources.remove(&key)),
        }
    }
}

impl Followed {
    /// What policies see of a stream of the container.
    pub(super) fn stream(&mut self, stream: Stream) -> &SourceContext {
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
