//! Which lines a gate has to look at.
//!
//! Of each alternative one condition is taken that can only hold if some text stands in the line, or if the line is of a kind where
//! the text need not stand there. A line that has none of these texts of any alternative, and is of no such kind,
//! fails one condition of each alternative, so the gate would say no. The texts of all packages are found in one pass.

use super::probe::{Mask, Part, Parts, Probe};
use super::{Condition, Written};
use crate::policy::format::Kind;

/// What the lines have that a gate looks at.
#[derive(Debug, Default)]
pub(super) struct Anchors {
    /// There is an alternative without such a condition: it looks at every line.
    always: bool,
    parts: Mask,
    otherwise: Otherwise,
}

/// The conditions on fields whose texts may not stand in the line.
#[derive(Clone, Copy, Debug, Default)]
struct Otherwise {
    field: bool,
    text: bool,
    number: bool,
    is_computed: bool,
    in_events: bool,
}

/// The condition of an alternative, or of several of which one must hold.
#[derive(Default)]
struct Anchor {
    parts: Vec<Part>,
    otherwise: Otherwise,
    /// How short its shortest text is: short ones stand in many lines.
    shortest: Option<usize>,
}

impl Anchors {
    pub(super) fn of(alternatives: &[Vec<Condition>], parts: &mut Parts) -> Self {
        let Some(anchor) = Anchor::of_any(alternatives, parts) else { return Self { always: true, ..Self::default() } };
        let mut mask = Mask::default();
        anchor.parts.iter().for_each(|part| mask.add(*part));
        parts.add_anchors(anchor.parts.into_iter());
        Self { always: false, parts: mask, otherwise: anchor.otherwise }
    }

    /// Those of several rules.
    pub(super) fn all<'r>(rules: impl Iterator<Item = &'r Self>) -> Self {
        rules.fold(Self::default(), |all, rule| Self {
            always: all.always | rule.always,
            parts: all.parts.or(&rule.parts),
            otherwise: all.otherwise.or(rule.otherwise),
        })
    }

    /// Whether the gate has to look at the line.
    pub(super) fn may_hold(&self, line: &Probe<'_>) -> bool {
        self.always || line.has_any(&self.parts) || self.otherwise.may_hold(line)
    }
}

impl Otherwise {
    /// As [`super::Key::may_have`] answers where it does not look for a text.
    fn may_hold(self, line: &Probe<'_>) -> bool {
        self.field
            && match line.kind() {
                Kind::Object => {
                    line.line.is_piece || (self.text && line.has_backslash()) || (self.number && line.has_exponent())
                }
                Kind::Syslog => {
                    self.is_computed || (self.text && line.has_backslash()) || (self.number && line.has_exponent())
                }
                Kind::Audit => self.in_events || !line.line.earlier.is_empty(),
                Kind::Text => false,
            }
    }

    fn or(self, other: Self) -> Self {
        Self {
            field: self.field | other.field,
            text: self.text | other.text,
            number: self.number | other.number,
            is_computed: self.is_computed | other.is_computed,
            in_events: self.in_events | other.in_events,
        }
    }
}

impl Anchor {
    /// None if an alternative has no such condition.
    fn of_any(alternatives: &[Vec<Condition>], parts: &Parts) -> Option<Self> {
        let mut all = Self::default();
        for conditions in alternatives {
            let anchors = conditions.iter().filter_map(|condition| Self::of(condition, parts));
            let best = anchors.max_by_key(Self::worth)?;
            all.shortest = Some(all.shortest.map_or(best.worth().1, |shortest| shortest.min(best.worth().1)));
            all.parts.extend(best.parts);
            all.otherwise = all.otherwise.or(best.otherwise);
        }
        Some(all)
    }

    fn of(condition: &Condition, parts: &Parts) -> Option<Self> {
        let of_parts = |found: Vec<Part>, otherwise| {
            let shortest = found.iter().map(|part| parts.len_of(*part)).min();
            Self { parts: found, otherwise, shortest }
        };
        Some(match condition {
            Condition::Contains(part) | Condition::Begins(_, part) | Condition::Ends(_, part) => {
                of_parts(vec![*part], Otherwise::default())
            }
            Condition::Field(key, written) => {
                let mut otherwise = Otherwise {
                    field: true,
                    is_computed: key.is_computed,
                    in_events: key.in_events,
                    ..Otherwise::default()
                };
                let mut found = vec![key.in_records];
                for written in written {
                    match written {
                        // a text between quotes has the bare text in it
                        Written::Text { bare, .. } => {
                            otherwise.text = true;
                            found.push(*bare);
                        }
                        Written::Number(digits) => {
                            otherwise.number = true;
                            found.push(*digits);
                        }
                    }
                }
                of_parts(found, otherwise)
            }
            Condition::Any(alternatives) => return Self::of_any(alternatives, parts),
        })
    }

    /// Those on the message first, since they have no other way; then those with long texts.
    fn worth(&self) -> (bool, usize) {
        let shortest = self.shortest.unwrap_or(usize::MAX);
        (!self.otherwise.field && shortest > 2, shortest)
    }
}
