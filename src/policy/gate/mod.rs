//! Tells, without running a package, that none of its rules can match a line.
//!
//! Most lines match nothing, and running a program to learn that costs microseconds. So, when a package is compiled,
//! conditions are read from its `verdicts` rules: statements of a body that must hold for the rule to give anything
//! and that can be answered by a search in the line's bytes. A package is run if for some rule none of them fails.
//!
//! A condition may be answered "perhaps", never a wrong "no": what is not understood is no condition, and where JSON
//! could write a value in another way (an escape, an exponent) the answer is "perhaps". Fields of syslog and auditd have
//! keys of their own: a condition on another key can't hold for such a line. `tests/engines_agree` holds
//! this against an interpreter without gates.

mod anchor;
mod look;
mod probe;
mod read;
mod scan;

use super::format::Kind;
use super::syntax::Syntax;
use anchor::Anchors;
pub(super) use look::{fields_read, reads_labels};
pub(super) use probe::{Part, Parts, Probe, Seen};

/// The conditions of a package: it can match if all conditions of one alternative can hold.
#[derive(Debug)]
pub(super) struct Gate {
    anchors: Anchors,
    rules: Vec<Rule>,
}

/// The same of one rule.
#[derive(Debug)]
struct Rule {
    anchors: Anchors,
    alternatives: Vec<Vec<Condition>>,
}

/// Something that must hold.
#[derive(Debug)]
enum Condition {
    /// The message has this somewhere.
    Contains(Part),
    /// The message begins with this.
    Begins(String, Part),
    /// The message ends with this.
    Ends(String, Part),
    /// The line has fields in which one of these stands, unless it is written in another way.
    Field(Key, Vec<Written>),
    /// All conditions of one of these.
    Any(Vec<Vec<Condition>>),
}

/// The first key of a field, as far as it tells which lines can have it.
#[derive(Debug)]
struct Key {
    /// Syslog has it.
    in_syslog: bool,
    /// Its value in syslog does not stand in the line.
    is_computed: bool,
    /// Every event of auditd has it.
    in_events: bool,
    /// How it is written in records of auditd: `exe=`.
    in_records: Part,
}

/// How a value is written.
#[derive(Debug)]
enum Written {
    /// Text between quotes in JSON, or a part of it; without the quotes elsewhere. Another way has a backslash in it.
    Text { quoted: Part, bare: Part },
    /// A whole number; another way has an exponent.
    Number(Part),
}

impl Gate {
    /// Reads the conditions of a package from its files.
    pub(super) fn of(files: &[&Syntax], parts: &mut Parts) -> Self {
        let rules = read::verdicts(files, parts).into_iter();
        let rules = rules.map(|alternatives| Rule { anchors: Anchors::of(&alternatives, parts), alternatives });
        let rules: Vec<Rule> = rules.collect();
        Self { anchors: Anchors::all(rules.iter().map(|rule| &rule.anchors)), rules }
    }

    /// Whether the package has to be looked at on this line: what [`Gate::may_match`] says, or yes where that takes longer.
    pub(super) fn is_due(&self, line: &Probe<'_>) -> bool {
        self.anchors.may_hold(line)
    }

    /// The same of one of its `verdicts` rules.
    pub(super) fn rule_is_due(&self, rule: usize, line: &Probe<'_>) -> bool {
        self.rules.get(rule).is_none_or(|rule| rule.anchors.may_hold(line))
    }

    /// Whether the package has to be run on this line.
    pub(super) fn may_match(&self, line: &Probe<'_>) -> bool {
        self.rules.iter().any(|rule| any(&rule.alternatives, line))
    }
}

fn any(alternatives: &[Vec<Condition>], line: &Probe<'_>) -> bool {
    alternatives.iter().any(|conditions| conditions.iter().all(|condition| condition.may_hold(line)))
}

impl Condition {
    fn may_hold(&self, line: &Probe<'_>) -> bool {
        match self {
            Self::Contains(part) => line.has(*part),
            Self::Begins(start, _) => line.text.starts_with(start),
            Self::Ends(end, _) => line.text.ends_with(end),
            Self::Field(key, written) => key.may_have(written, line),
            Self::Any(alternatives) => any(alternatives, line),
        }
    }
}

impl Key {
    /// Whether the line may have the key with one of the values.
    fn may_have(&self, written: &[Written], line: &Probe<'_>) -> bool {
        let may_stand = || written.iter().any(|written| written.may_stand_in(line));
        match line.kind() {
            // the value may stand in another piece
            Kind::Object => line.line.is_piece || may_stand(),
            Kind::Syslog => self.in_syslog && (self.is_computed || may_stand()),
            // most values of text may be written in hexadecimal
            Kind::Audit => self.in_events || !line.line.earlier.is_empty() || line.has(self.in_records),
            Kind::Text => false,
        }
    }
}

impl Written {
    fn may_stand_in(&self, line: &Probe<'_>) -> bool {
        match self {
            Self::Text { quoted, bare } => {
                let part = if line.kind() == Kind::Object { *quoted } else { *bare };
                line.has_backslash() || line.has(part)
            }
            Self::Number(digits) => line.has(*digits) || line.has_exponent(),
        }
    }
}
