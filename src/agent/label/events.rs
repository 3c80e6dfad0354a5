//! Keeps the records of auditd's events that are not whole yet: where records of several events are mixed, those of one
//! are in several lines, and each line is to show policies all that is known of its event.

use crate::record::AuditId;
use std::collections::VecDeque;

/// Events that are open at a time; records come mixed by as many processors as there are.
const EVENTS_MAX: usize = 64;
/// Bound of one event's records.
const EVENT_MAX_BYTES: usize = 64 * 1024;

/// Events of which not all records came.
#[derive(Debug, Default)]
pub(super) struct Events(VecDeque<Event>);

#[derive(Debug)]
struct Event {
    /// The source's configured name, the node and the event's id.
    name: (String, Vec<u8>, Vec<u8>),
    records: Vec<u8>,
}

impl Events {
    /// The records of this event that came in lines before.
    pub(super) fn earlier(&self, source: &str, id: &AuditId<'_>) -> &[u8] {
        self.find(source, id).map_or(b"", |at| &self.0[at].records)
    }

    /// Notes the records in a line, of which `id` is the first one's.
    pub(super) fn note(&mut self, source: &str, id: &AuditId<'_>, line: &[u8]) {
        let known = self.find(source, id);
        let start = memchr::memrchr(b'\n', line).map_or(0, |at| at + 1);
        let is_whole = AuditId::of(&line[start..]).is_none_or(|last| last.is_last());
        match known {
            Some(at) if is_whole => drop(self.0.remove(at)),
            Some(at) => self.0[at].add(line),
            None if is_whole => {}
            None => {
                if self.0.len() == EVENTS_MAX {
                    self.0.pop_front();
                }
                let name = (source.to_owned(), id.node.unwrap_or_default().to_vec(), id.event.to_vec());
                let mut event = Event { name, records: Vec::new() };
                event.add(line);
                self.0.push_back(event);
            }
        }
    }

    fn find(&self, source: &str, id: &AuditId<'_>) -> Option<usize> {
        let is_it = |Event { name: (of, node, event), .. }: &Event| {
            event == id.event && node == id.node.unwrap_or_default() && of == source
        };
        self.0.iter().rposition(is_it)
    }
}

impl Event {
    fn add(&mut self, line: &[u8]) {
        if self.records.len() + line.len() < EVENT_MAX_BYTES {
            self.records.extend_from_slice(line);
            self.records.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(events: &mut Events, line: &str) -> String {
        let id = AuditId::of(line.as_bytes()).unwrap();
        let earlier = String::from_utf8(events.earlier("audit", &id).to_vec()).unwrap();
        events.note("audit", &id, line.as_bytes());
        earlier
    }

    #[test]
    fn records_of_mixed_events_are_kept_until_their_last() {
        let mut events = Events::default();
        let (a, b) = ("type=SYSCALL msg=audit(1.2:3): a", "type=SYSCALL msg=audit(1.2:4): b");
        assert_eq!((note(&mut events, a), note(&mut events, b)), (String::new(), String::new()));
        let rest = "type=PATH msg=audit(1.2:3): c\ntype=PROCTITLE msg=audit(1.2:3): d";
        assert_eq!(note(&mut events, rest), format!("{a}\n"));
        assert_eq!(note(&mut events, rest), "");
        assert_eq!(note(&mut events, "type=CWD msg=audit(1.2:4): e"), format!("{b}\n"));
        assert_eq!(note(&mut events, "node=x type=CWD msg=audit(1.2:4): e"), "");
        for n in 0..1000 {
            note(&mut events, &format!("type=SYSCALL msg=audit(1.2:1{n}): a"));
        }
        assert_eq!(events.0.len(), EVENTS_MAX);
    }
}
