//! Which verdicts a target is told of, and when. Nothing here waits or sends: the scribe asks, and chains what is raised.
//!
//! The first verdict of an id and a source is raised at once. Those that follow are a group: a number and the first of them, raised
//! together when the group interval is over, and so on until an interval passes without any. What finds no token or no room in
//! the target's queue stays in its group until there is some.

use super::bucket::Bucket;
use super::counters::Counters;
use super::deliver::Target;
use crate::record::{Decision, Seq, Severity, StreamId, Verdict, Verdicts};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Groups of a target; beyond them verdicts share one.
const GROUPS_MAX: usize = 256;
/// Notifications of a target that may be raised by one line, of which each verdict is in a group of its own.
pub const MOST_AT_ONCE: usize = 32;
/// How often a group that finds the target's queue full looks again.
const LOOK: Duration = Duration::from_secs(1);

/// A chained line with a verdict, as notifications show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// The verdict.
    pub verdict: Verdict,
    /// The title of its rule.
    pub title: Option<String>,
    /// The line's stream.
    pub stream: StreamId,
    /// Its place there.
    pub seq: Seq,
    /// When it was chained.
    pub time: String,
    /// The configured name of its source.
    pub source: String,
    /// The source's path.
    pub path: Option<String>,
    /// The beginning of its message.
    pub message: String,
    /// Whether that goes on.
    pub message_cut: bool,
}

/// What is to be recorded in the chain and then sent.
#[derive(Debug)]
pub struct Raised {
    /// The target's place in the configuration.
    pub target: usize,
    /// The first line that it tells of.
    pub first: Sighting,
    /// How many verdicts it tells of.
    pub count: u64,
    /// The last of their lines.
    pub last_seq: Seq,
    /// Whether they are of several ids or sources.
    pub mixed: bool,
    /// Its place in the target's queue; `None` when a stream ends and the queue is full: then it can't be sent.
    pub room: Option<OwnedSemaphorePermit>,
}

/// All targets' groups.
#[derive(Default)]
pub struct Raiser {
    rules: Vec<Rule>,
}

/// One target's.
struct Rule {
    name: String,
    min_severity: Option<Severity>,
    decision: Option<Decision>,
    interval: Duration,
    bucket: Bucket,
    queue: Arc<Semaphore>,
    counters: Arc<Counters>,
    groups: HashMap<Key, Group>,
    /// Nothing is due before.
    due: Option<Instant>,
}

/// What is told of together.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    One { id: String, source: String },
    Mixed,
}

struct Group {
    /// When it may be told of again.
    due: Instant,
    waiting: Option<Waiting>,
}

struct Waiting {
    first: Sighting,
    count: u64,
    last_seq: Seq,
}

impl Raiser {
    /// Nothing seen yet.
    pub fn new(targets: &[Target]) -> Self {
        let now = Instant::now();
        let rule = |target: &Target| Rule {
            name: target.config.name.clone(),
            min_severity: target.config.min_severity,
            decision: target.config.decision,
            interval: target.config.group_interval,
            bucket: Bucket::new(target.config.max_per_minute, now),
            queue: Arc::clone(&target.room),
            counters: Arc::clone(&target.counters),
            groups: HashMap::new(),
            due: None,
        };
        Self { rules: targets.iter().map(rule).collect() }
    }

    /// How many targets there are.
    pub fn targets(&self) -> usize {
        self.rules.len()
    }

    /// The name of a target.
    pub fn name(&self, target: usize) -> &str {
        &self.rules[target].name
    }

    /// Whether a line with these verdicts may be one to tell of; cheap, and never wrongly no.
    pub fn wants(&self, verdicts: &Verdicts) -> bool {
        !verdicts.json.is_empty() && self.rules.iter().any(|rule| rule.may_want(verdicts))
    }

    /// A line of this source was chained, with this verdict among its. `sighting` shows it, and is asked where it is shown.
    pub fn see(&mut self, verdict: &Verdict, source: &str, seq: Seq, now: Instant, sighting: &dyn Fn() -> Sighting) {
        for rule in self.rules.iter_mut().filter(|rule| rule.wants(verdict)) {
            rule.see(verdict, source, seq, now, sighting);
        }
    }

    /// When something may be due.
    pub fn next_due(&self) -> Option<Instant> {
        self.rules.iter().filter_map(|rule| rule.due).min()
    }

    /// What is to be raised now; where not all may be, the worst of each target.
    pub fn due(&mut self, now: Instant) -> Vec<Raised> {
        let mut raised = Vec::new();
        for (target, rule) in self.rules.iter_mut().enumerate() {
            rule.raise_due(target, now, &mut raised);
        }
        raised
    }

    /// All that waits, whatever the limits: its lines are of a stream that ends here. What finds no room in the queue is told of together.
    pub fn all(&mut self, now: Instant) -> Vec<Raised> {
        let mut raised = Vec::new();
        for (target, rule) in self.rules.iter_mut().enumerate() {
            rule.raise_all(target, now, &mut raised);
        }
        raised
    }
}

impl Rule {
    fn may_want(&self, verdicts: &Verdicts) -> bool {
        let bad_enough = self.min_severity.is_none_or(|least| verdicts.worst.is_some_and(|worst| worst >= least));
        // as the verdicts are rendered; in a text the quotes would be escaped
        let decided = self.decision.is_none_or(|decision| {
            let word: &[u8] = match decision {
                Decision::Allow => br#""decision":"allow""#,
                Decision::Flag => br#""decision":"flag""#,
                Decision::Deny => br#""decision":"deny""#,
                Decision::Undecided => br#""decision":"undecided""#,
            };
            memchr::memmem::find(&verdicts.json, word).is_some()
        });
        bad_enough && decided
    }

    fn wants(&self, verdict: &Verdict) -> bool {
        self.min_severity.is_none_or(|least| verdict.severity.is_some_and(|severity| severity >= least))
            && self.decision.is_none_or(|decision| verdict.decision == decision)
    }

    fn see(&mut self, verdict: &Verdict, source: &str, seq: Seq, now: Instant, sighting: &dyn Fn() -> Sighting) {
        self.counters.see();
        let key = Key::One { id: verdict.id.clone(), source: source.to_owned() };
        let key = if self.groups.contains_key(&key) || self.has_room(now) { key } else { Key::Mixed };
        let group = self.groups.entry(key).or_insert(Group { due: now, waiting: None });
        match &mut group.waiting {
            Some(waiting) => {
                waiting.count += 1;
                waiting.last_seq = seq;
            }
            waiting @ None => {
                *waiting = Some(Waiting { first: sighting(), count: 1, last_seq: seq });
                self.due = sooner(self.due, group.due);
            }
        }
    }

    /// Room for a group more; those of which nothing came for an interval are forgotten.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.groups.len() >= GROUPS_MAX {
            self.groups.retain(|_, group| group.waiting.is_some() || group.due > now);
        }
        self.groups.len() < GROUPS_MAX
    }

    fn raise_due(&mut self, target: usize, now: Instant, raised: &mut Vec<Raised>) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        let mut ready: Vec<(Rank, Key)> = Vec::new();
        for (key, group) in &self.groups {
            match &group.waiting {
                Some(waiting) if group.due <= now => ready.push((waiting.rank(group.due), key.clone())),
                Some(_) => self.due = sooner(self.due, group.due),
                None => {}
            }
        }
        ready.sort_by_key(|(rank, _)| *rank);
        for (_, key) in ready {
            let room = match self.may_raise(now) {
                Ok(room) => room,
                Err(later) => {
                    self.due = sooner(self.due, later);
                    return;
                }
            };
            let Some(group) = self.groups.get_mut(&key) else { continue };
            group.due = now + self.interval;
            if let Some(waiting) = group.waiting.take() {
                raised.push(self.counters.raised(target, waiting, key == Key::Mixed, Some(room)));
            }
        }
    }

    fn raise_all(&mut self, target: usize, now: Instant, raised: &mut Vec<Raised>) {
        let mut all = Vec::new();
        for (key, group) in &mut self.groups {
            if let Some(waiting) = group.waiting.take() {
                group.due = now + self.interval;
                all.push((waiting, *key == Key::Mixed));
            }
        }
        self.due = None;
        all.sort_by_key(|(waiting, _)| waiting.first.seq);
        let room = || Arc::clone(&self.queue).try_acquire_owned().ok();
        let mut rooms: Vec<OwnedSemaphorePermit> = all.iter().map_while(|_| room()).collect();
        let rest = all.split_off(rooms.len().saturating_sub(1).min(all.len()));
        let rest = rest.into_iter().reduce(|(a, _), (b, _)| (a.and(b), true));
        for (waiting, mixed) in all.into_iter().chain(rest) {
            raised.push(self.counters.raised(target, waiting, mixed, rooms.pop()));
        }
    }

    /// Room in the queue, or when to ask again.
    fn may_raise(&mut self, now: Instant) -> Result<OwnedSemaphorePermit, Instant> {
        let room = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| now + LOOK)?;
        self.bucket.take(now)?;
        Ok(room)
    }
}

/// The worst first, then the longest due.
type Rank = (Reverse<(Option<Severity>, bool)>, Instant, Seq);

impl Waiting {
    fn rank(&self, due: Instant) -> Rank {
        let Verdict { severity, decision, .. } = &self.first.verdict;
        (Reverse((*severity, *decision == Decision::Deny)), due, self.first.seq)
    }

    /// Both, shown by the former.
    fn and(self, other: Self) -> Self {
        Self { first: self.first, count: self.count + other.count, last_seq: self.last_seq.max(other.last_seq) }
    }
}

fn sooner(a: Option<Instant>, b: Instant) -> Option<Instant> {
    Some(a.map_or(b, |a| a.min(b)))
}

impl Counters {
    fn raised(&self, target: usize, waiting: Waiting, mixed: bool, room: Option<OwnedSemaphorePermit>) -> Raised {
        let Waiting { first, count, last_seq } = waiting;
        self.raise(count);
        Raised { target, first, count, last_seq, mixed, room }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Kind, QUEUE};
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    fn raiser(max_per_minute: u64) -> (Raiser, Target) {
        let target = Target::new(&Config {
            name: "a".into(),
            kind: Kind::Command { argv: vec!["/bin/true".into()] },
            min_severity: Some(Severity::Low),
            decision: None,
            group_interval: INTERVAL,
            max_per_minute,
            timeout: INTERVAL,
            give_up_after: INTERVAL,
        });
        (Raiser::new(std::slice::from_ref(&target)), target)
    }

    fn see(raiser: &mut Raiser, id: &str, severity: Severity, seq: Seq, now: Instant) {
        let (decision, severity) = (Decision::Flag, Some(severity));
        let verdict =
            Verdict { id: id.into(), decision, severity, controls: Vec::new(), reason: None, redact: Vec::new() };
        raiser.see(&verdict, "s", seq, now, &|| Sighting {
            verdict: verdict.clone(),
            title: None,
            stream: StreamId([0; 16]),
            seq,
            time: String::new(),
            source: "s".into(),
            path: None,
            message: String::new(),
            message_cut: false,
        });
    }

    /// First seq and count of each.
    fn told(raised: &[Raised]) -> Vec<(Seq, u64)> {
        raised.iter().map(|raised| (raised.first.seq, raised.count)).collect()
    }

    #[test]
    fn the_first_is_raised_at_once_and_the_others_together_after_the_interval() {
        let (mut raiser, now) = (raiser(100).0, Instant::now());
        see(&mut raiser, "x", Severity::Info, 1, now);
        assert_eq!((told(&raiser.due(now)), raiser.next_due()), (vec![], None));
        see(&mut raiser, "x", Severity::Low, 2, now);
        assert_eq!(told(&raiser.due(now)), [(2, 1)]);
        (3..6).for_each(|seq| see(&mut raiser, "x", Severity::Low, seq, now));
        see(&mut raiser, "y", Severity::Low, 6, now);
        assert_eq!(told(&raiser.due(now)), [(6, 1)]);
        assert_eq!(raiser.next_due(), Some(now + INTERVAL));
        assert_eq!(told(&raiser.due(now + INTERVAL)), [(3, 3)]);
        // and so on, until an interval has passed without any
        see(&mut raiser, "x", Severity::Low, 7, now + INTERVAL);
        assert_eq!(told(&raiser.due(now + INTERVAL)), []);
        assert_eq!(told(&raiser.due(now + 2 * INTERVAL)), [(7, 1)]);
        see(&mut raiser, "x", Severity::Low, 8, now + 4 * INTERVAL);
        assert_eq!(told(&raiser.due(now + 4 * INTERVAL)), [(8, 1)]);
    }

    #[test]
    fn the_worst_is_raised_first_when_not_all_may_be() {
        let (mut raiser, now) = (raiser(1).0, Instant::now());
        for (seq, severity) in [Severity::Low, Severity::Medium, Severity::Critical, Severity::High].iter().enumerate()
        {
            see(&mut raiser, &seq.to_string(), *severity, seq as Seq, now);
        }
        for (minute, seq) in [2, 3, 1, 0].into_iter().enumerate() {
            let at = now + INTERVAL * minute as u32;
            assert_eq!(told(&raiser.due(at)), [(seq, 1)]);
            assert_eq!(told(&raiser.due(at)), []);
        }
    }

    #[test]
    fn a_full_queue_holds_back_and_a_hundred_thousand_ids_take_bounded_room() {
        let ((mut raiser, target), now) = (raiser(6000), Instant::now());
        let mut raised = Vec::new();
        for seq in 0..100_000 {
            see(&mut raiser, &seq.to_string(), Severity::Low, seq, now);
            raised.extend(raiser.due(now));
        }
        assert_eq!(raised.len(), QUEUE);
        assert_eq!(raiser.next_due(), Some(now + LOOK));
        assert!(raiser.rules[0].groups.len() <= GROUPS_MAX + 1);
        let told: u64 = raised.drain(..QUEUE - 1).map(|raised| raised.count).sum();
        // room for all but one, which the rest share at the end of the stream
        let rest = raiser.all(now);
        assert_eq!(rest.len(), QUEUE - 1);
        assert!(rest.iter().all(|raised| raised.room.is_some()) && rest[QUEUE - 2].mixed);
        let count: u64 = raised.iter().chain(&rest).map(|raised| raised.count).sum();
        assert_eq!(told + count, 100_000);
        assert_eq!(target.counters.counts().seen, 100_000);
        // with no room at all it is told of as one that can't be sent
        see(&mut raiser, "x", Severity::Low, 100_000, now);
        assert!(matches!(&raiser.all(now)[..], [Raised { room: None, count: 1, .. }]));
    }
}
