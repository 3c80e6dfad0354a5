//! Keeps the records of auditd's events that are not whole yet: where records of several events are mixed, those of one
//! are in several lines, and each line is to show policies all that is known of its event.

use super::hold::Ticket;
use super::spread::{Member, spread};
use super::{Labeller, text};
use crate::policy::{Evaluator, LineContext};
use crate::record::{AuditId, End, Redaction, SourceKey, Verdicts};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Events that are open at a time; records come mixed by as many processors as there are.
const EVENTS_MAX: usize = 64;
/// Bound of one event's records.
const EVENT_MAX_BYTES: usize = 64 * 1024;
/// Redactions of one event that are kept in mind; after more nothing of its lines is quoted.
const HIDDEN_MAX: usize = 64;
/// So long lines wait for the rest of their event, as auditd itself does (`end_of_event_timeout`).
const EVENT_WAIT: Duration = Duration::from_secs(2);

/// Events of which not all records came.
#[derive(Debug, Default)]
pub(super) struct Events {
    open: VecDeque<Event>,
    /// What was said of lines whose event gave way to others.
    given_up: Vec<(Ticket, Verdicts)>,
}

#[derive(Debug)]
struct Event {
    /// The source's configured name, the node and the event's id.
    name: (String, Vec<u8>, Vec<u8>),
    records: Vec<u8>,
    /// The lines that these stand in; one that is held no longer has no parts.
    members: Vec<Member>,
    /// What was said of those that are held.
    pending: BTreeMap<Ticket, Verdicts>,
    /// What was hidden so far: verdicts on later lines may quote it.
    hidden: Vec<Redaction>,
}

/// What is said of a line of an event.
pub(super) struct Said {
    pub(super) member: Member,
    pub(super) of_parts: Vec<(Ticket, Verdicts)>,
    /// What it hides, in the records before it too.
    pub(super) hidden: Option<Redaction>,
}

impl Events {
    /// The records of this event that came in lines before, and those lines.
    pub(super) fn earlier(&self, source: &str, id: &AuditId<'_>) -> (&[u8], &[Member]) {
        self.find(source, id).map_or((b"", &[]), |at| (&self.open[at].records, &self.open[at].members))
    }

    /// What was hidden in lines of this event so far.
    pub(super) fn hidden(&self, source: &str, id: &AuditId<'_>) -> &[Redaction] {
        self.find(source, id).map_or(&[], |at| &self.open[at].hidden)
    }

    /// Hides more in lines that are held, of which `found` says where, and takes it out of their verdicts.
    pub(super) fn hide(
        &mut self,
        source: &str,
        id: &AuditId<'_>,
        mut found: BTreeMap<Ticket, Redaction>,
        redaction: &Redaction,
        evaluator: &Evaluator,
    ) {
        let Some(at) = self.find(source, id) else { return };
        let event = &mut self.open[at];
        for (ticket, verdicts) in &mut event.pending {
            evaluator.clean(verdicts, redaction);
            if let Some(more) = found.remove(ticket) {
                verdicts.redaction = Some(match verdicts.redaction.take() {
                    Some(known) => known.and(more),
                    None => more,
                });
            }
        }
    }

    /// Notes the records in a line, of which `id` is the first one's. Gives what is known now: of all lines of the event if
    /// that was its last, or if none is to be held.
    pub(super) fn note(
        &mut self,
        source: &str,
        id: &AuditId<'_>,
        line: &[u8],
        said: Said,
        hold: bool,
    ) -> Vec<(Ticket, Verdicts)> {
        let start = memchr::memrchr(b'\n', line).map_or(0, |at| at + 1);
        let is_whole = AuditId::of(&line[start..]).is_none_or(|last| last.is_last());
        let known = self.find(source, id);
        if is_whole {
            let event = known.and_then(|at| self.open.remove(at));
            return event.into_iter().flat_map(|event| event.pending).chain(said.of_parts).collect();
        }
        let at = known.unwrap_or_else(|| {
            if self.open.len() == EVENTS_MAX {
                self.given_up.extend(self.open.pop_front().into_iter().flat_map(|event| event.pending));
            }
            let name = (source.to_owned(), id.node.unwrap_or_default().to_vec(), id.event.to_vec());
            let (records, members, pending, hidden) = Default::default();
            self.open.push_back(Event { name, records, members, pending, hidden });
            self.open.len() - 1
        });
        let event = &mut self.open[at];
        let Said { mut member, of_parts, hidden } = said;
        if event.hidden.len() == HIDDEN_MAX {
            event.hidden = vec![Redaction::Whole];
        }
        event.hidden.extend(hidden);
        if !hold {
            member.parts.clear();
        }
        event.add(line, member);
        if !hold {
            return of_parts;
        }
        event.pending.extend(of_parts);
        Vec::new()
    }

    /// What was said of lines whose event gave way.
    pub(super) fn given_up(&mut self) -> Vec<(Ticket, Verdicts)> {
        std::mem::take(&mut self.given_up)
    }

    /// Gives up holding the lines of an event of which one `may` be.
    pub(super) fn cut(&mut self, may: &dyn Fn(Ticket) -> bool) -> Option<BTreeMap<Ticket, Verdicts>> {
        let event = self.open.iter_mut().find(|event| event.pending.keys().any(|ticket| may(*ticket)))?;
        event.members.iter_mut().for_each(|member| member.parts.clear());
        Some(std::mem::take(&mut event.pending))
    }

    fn find(&self, source: &str, id: &AuditId<'_>) -> Option<usize> {
        let is_it = |Event { name: (of, node, event), .. }: &Event| {
            event == id.event && node == id.node.unwrap_or_default() && of == source
        };
        self.open.iter().rposition(is_it)
    }
}

impl Event {
    fn add(&mut self, line: &[u8], member: Member) {
        if self.records.len() + line.len() < EVENT_MAX_BYTES {
            self.records.extend_from_slice(line);
            self.records.push(b'\n');
            self.members.push(Member { len: line.len() + 1, ..member });
        }
    }
}

impl Labeller {
    /// A line with records of an event; what it hides may stand in records before it.
    pub(super) fn event(
        &mut self,
        key: SourceKey,
        id: &AuditId<'_>,
        (raw, end): (&[u8], End),
        member: Member,
        is_piece: bool,
        time: &str,
    ) -> Option<Verdicts> {
        let text = &*text::decoded(raw, end);
        let context = &self.sources.get(&key)?.context;
        let name = context.name.clone();
        let (earlier, before) = self.events.earlier(&name, id);
        let line = LineContext { message: text, earlier, is_piece, source: context, host: &self.host, time };
        let mut verdicts = self.evaluator.verdicts(&line);
        self.events.hidden(&name, id).iter().for_each(|hidden| self.evaluator.clean(&mut verdicts, hidden));
        let redaction = verdicts.redaction.clone();
        let mut found = BTreeMap::new();
        if let Some(redaction) = &verdicts.redaction {
            let members: Vec<Member> = before.iter().chain([&member]).cloned().collect();
            found = spread(redaction, &members, &self.layouts(&members, raw));
        }
        let tickets: Vec<Ticket> = member.parts.iter().map(|(ticket, _)| *ticket).collect();
        let mut of_parts: Vec<(Ticket, Verdicts)> = tickets
            .iter()
            .map(|ticket| (*ticket, Verdicts { redaction: found.remove(ticket), ..Verdicts::default() }))
            .collect();
        if let Some((_, last)) = of_parts.last_mut() {
            *last = Verdicts { redaction: last.redaction.take(), ..verdicts };
        }
        if let Some(redaction) = &redaction {
            self.events.hide(&name, id, found, redaction, &self.evaluator);
        }
        let known = self.events.note(
            &name,
            id,
            text,
            Said { member, of_parts, hidden: redaction },
            self.holds_back && !is_piece,
        );
        self.wait = EVENT_WAIT;
        let mut own = None;
        for (ticket, verdicts) in known {
            match ticket == self.ticket {
                true => own = Some(verdicts),
                false => self.hold.decide(ticket, verdicts),
            }
        }
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::label::spread::Wrap;

    fn note(events: &mut Events, line: &str) -> String {
        let id = AuditId::of(line.as_bytes()).unwrap();
        let earlier = String::from_utf8(events.earlier("audit", &id).0.to_vec()).unwrap();
        let member = Member { parts: Vec::new(), wrap: Wrap::Plain(0), len: line.len() };
        events.note("audit", &id, line.as_bytes(), Said { member, of_parts: Vec::new(), hidden: None }, true);
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
        assert_eq!(events.open.len(), EVENTS_MAX);
    }
}
