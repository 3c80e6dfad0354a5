//! Walks the tree of a package on a line.

use std::borrow::Cow;
use std::sync::Arc;

use regorus::Value;

use super::pattern::Pattern;
use super::seen::{arithmetic, at, compare, equal, of_syslog};
use super::{Body, Direct, Helper, HideNode, MESSAGE_MAX, Node, Seen, Step, TURNS_MAX, VerdictRule};
use crate::policy::LineContext;
use crate::policy::format::syslog::Syslog;
use crate::policy::gate::{Gate, Probe};
use crate::policy::redact::path;
use crate::record::Hide;

/// What is known of a line.
pub(in crate::policy) struct Facts<'a> {
    /// Its message.
    pub(in crate::policy) message: &'a str,
    /// Its fields, those at least that the package can read.
    pub(in crate::policy) fields: FieldsOf<'a>,
    /// Which texts stand in it.
    pub(in crate::policy) probe: &'a Probe<'a>,
    /// The rest.
    pub(in crate::policy) line: &'a LineContext<'a>,
}

/// Where a line's fields are.
#[derive(Clone, Copy)]
pub(in crate::policy) enum FieldsOf<'a> {
    /// There are none.
    None,
    Object(&'a Value),
    /// Of syslog without structured data and without JSON.
    Syslog(&'a Syslog<'a>),
}

/// Whether it is known what a package says of a line.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::policy) enum Answer {
    /// The verdicts of the rules that were named.
    Known,
    /// The engine has to be asked.
    Unknown,
}

/// More variables than this take an allocation.
const FEW: usize = 4;

/// Whether something holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    Unknown,
}

impl Direct {
    /// Says which rules give a verdict, and what it hides; not to be heeded if the answer is unknown.
    pub(in crate::policy) fn answer(
        &self,
        facts: &Facts<'_>,
        gate: &Gate,
        max_instructions: usize,
        mut fired: impl FnMut(usize, Vec<Hide>),
    ) -> Answer {
        if facts.message.len() > MESSAGE_MAX {
            return Answer::Unknown;
        }
        let mut walk = Walk { direct: self, facts, known: Vec::new(), turns: 0, met_unknown: false };
        let mut needed = Needed { patterns: &self.needed, message: facts.message, asked: 0, there: 0 };
        for (at, rule) in self.rules.iter().enumerate() {
            if !gate.rule_is_due(at, facts.probe) || !needed.may_be_there(&rule.needs) {
                continue;
            }
            if walk.known.is_empty() {
                walk.known.resize(self.helpers.len() + self.fields.len(), None);
            }
            let holds = match rule.hides.is_empty() {
                true => walk.holds(&rule.body),
                false => walk.all(rule, &mut |hides| fired(at, hides)),
            };
            match holds {
                Truth::No => {}
                Truth::Yes if rule.verdict.is_none() => return Answer::Unknown,
                Truth::Yes if rule.hides.is_empty() => fired(at, Vec::new()),
                Truth::Yes => {}
                Truth::Unknown => return Answer::Unknown,
            }
        }
        let instructions = self.size.saturating_mul(walk.turns.saturating_add(1));
        match self.repeats && (walk.met_unknown || instructions > max_instructions) {
            true => Answer::Unknown,
            false => Answer::Known,
        }
    }
}

/// Which patterns may find something in a message, as far as that was asked: a bit each.
struct Needed<'a> {
    patterns: &'a [Arc<Pattern>],
    message: &'a str,
    asked: u64,
    there: u64,
}

impl Needed<'_> {
    /// Whether one of them may find something, or none is needed.
    fn may_be_there(&mut self, needs: &[usize]) -> bool {
        needs.is_empty() || needs.iter().any(|at| self.may_find(*at))
    }

    fn may_find(&mut self, at: usize) -> bool {
        if self.asked >> at & 1 == 0 {
            self.asked |= 1 << at;
            self.there |= u64::from(self.patterns[at].may_match(self.message)) << at;
        }
        self.there >> at & 1 == 1
    }
}

/// One walk.
struct Walk<'a> {
    direct: &'a Direct,
    facts: &'a Facts<'a>,
    /// Values of helpers, and behind them of fields, that were needed already.
    known: Vec<Option<Seen<'a>>>,
    /// Turns of loops, and calls.
    turns: usize,
    met_unknown: bool,
}

/// What is done where all statements of a body hold, and whether that holds too.
type Then<'t, 'a> = dyn FnMut(&mut Walk<'a>, &[Seen<'a>]) -> Truth + 't;

impl<'a> Walk<'a> {
    fn holds(&mut self, body: &'a Body) -> Truth {
        self.body(body, &[], &mut |_, _| Truth::Yes)
    }

    /// The statements of a body, with its arguments.
    fn body(&mut self, body: &'a Body, arguments: &[Seen<'a>], then: &mut Then<'_, 'a>) -> Truth {
        if body.arguments != arguments.len() {
            return Truth::Unknown;
        }
        if body.slots == 0 {
            return self.steps(&body.steps, &mut [], then);
        }
        let mut few = [const { Seen::Unknown }; FEW];
        let mut many = Vec::new();
        let frame = match few.get_mut(..body.slots) {
            Some(frame) => frame,
            None => {
                many.resize(body.slots, Seen::Unknown);
                &mut many[..]
            }
        };
        frame[..arguments.len()].clone_from_slice(arguments);
        self.steps(&body.steps, frame, then)
    }

    /// Calls `fired` with what each solution of a rule hides.
    fn all(&mut self, rule: &'a VerdictRule, fired: &mut dyn FnMut(Vec<Hide>)) -> Truth {
        let before = std::mem::take(&mut self.met_unknown);
        let holds = self.body(&rule.body, &[], &mut |walk, frame| {
            let mut hides = Vec::with_capacity(rule.hides.len());
            for node in &rule.hides {
                match walk.hide(node, frame) {
                    Ok(hide) => hides.push(hide),
                    Err(why) => {
                        walk.met_unknown |= why == Truth::Unknown;
                        return why;
                    }
                }
            }
            fired(hides);
            Truth::Yes
        });
        let is_sure = !self.met_unknown;
        self.met_unknown |= before;
        if is_sure || holds == Truth::No { holds } else { Truth::Unknown }
    }

    /// An undefined one gives no verdict.
    fn hide(&mut self, node: &'a HideNode, frame: &[Seen<'a>]) -> Result<Hide, Truth> {
        let (HideNode::Named(value) | HideNode::Text(value)) = node else {
            let HideNode::Known(hide) = node else { return Err(Truth::Unknown) };
            return Ok(hide.clone());
        };
        match (node, self.value(value, frame)) {
            (_, Seen::Undefined) => Err(Truth::No),
            // what is wrong with an empty one is for the engine's verdict to say
            (HideNode::Text(_), Seen::Text(text)) if !text.is_empty() => Ok(Hide::Text(text.into_owned())),
            (HideNode::Named(_), Seen::Text(text)) => path::of_text(&text).map_err(|_| Truth::Unknown),
            _ => Err(Truth::Unknown),
        }
    }

    fn steps(&mut self, steps: &'a [Step], frame: &mut [Seen<'a>], then: &mut Then<'_, 'a>) -> Truth {
        let mut all = Truth::Yes;
        for (n, step) in steps.iter().enumerate() {
            let holds = match step {
                Step::Holds(node) => self.value(node, frame).truth(),
                Step::Not(node) => match self.value(node, frame).truth() {
                    Truth::Yes => Truth::No,
                    Truth::No => Truth::Yes,
                    Truth::Unknown => Truth::Unknown,
                },
                Step::Assign(slot, node) => {
                    frame[*slot] = self.value(node, frame);
                    match &frame[*slot] {
                        Seen::Undefined => Truth::No,
                        Seen::Unknown => Truth::Unknown,
                        _ => Truth::Yes,
                    }
                }
                Step::Some(slot, node) => {
                    let rest = self.each(*slot, node, &steps[n + 1..], frame, then);
                    return if rest == Truth::Yes { all } else { rest };
                }
                Step::Unknown => Truth::Unknown,
            };
            match holds {
                Truth::Yes => {}
                Truth::No => return Truth::No,
                Truth::Unknown => {
                    self.met_unknown = true;
                    all = Truth::Unknown;
                }
            }
        }
        if all == Truth::Yes { then(self, frame) } else { all }
    }

    /// Whether the rest holds for one element of a collection.
    fn each(
        &mut self,
        slot: usize,
        node: &'a Node,
        rest: &'a [Step],
        frame: &mut [Seen<'a>],
        then: &mut Then<'_, 'a>,
    ) -> Truth {
        let Some(items) = self.items(node, frame) else {
            self.met_unknown = true;
            frame[slot] = Seen::Unknown;
            return if self.steps(rest, frame, then) == Truth::No { Truth::No } else { Truth::Unknown };
        };
        let mut any = Truth::No;
        for item in items {
            // what was assigned behind the loop is assigned anew
            frame[slot] = item;
            self.turns = self.turns.saturating_add(1);
            match self.steps(rest, frame, then) {
                // the engine goes on through the rest, which is at most the elements; they are counted below
                Truth::Yes => any = Truth::Yes,
                Truth::Unknown if any == Truth::No => any = Truth::Unknown,
                Truth::Unknown | Truth::No => {}
            }
            if self.turns > TURNS_MAX {
                self.met_unknown = true;
                return Truth::Unknown;
            }
        }
        any
    }

    fn items(&mut self, node: &'a Node, frame: &[Seen<'a>]) -> Option<Vec<Seen<'a>>> {
        if let Node::List(items) = node {
            let items: Vec<Seen<'a>> = items.iter().map(|item| self.value(item, frame)).collect();
            let is_plain = items.iter().all(|item| !matches!(item, Seen::Unknown | Seen::Undefined));
            return is_plain.then_some(items);
        }
        match self.value(node, frame) {
            Seen::Undefined => Some(Vec::new()),
            Seen::Texts(texts) => Some(texts.iter().cloned().map(Seen::Text).collect()),
            Seen::Value(Cow::Borrowed(value)) => match value {
                Value::Array(items) => Some(items.iter().map(Seen::of).collect()),
                Value::Set(items) => Some(items.iter().map(Seen::of).collect()),
                _ => None,
            },
            _ => None,
        }
    }

    fn value(&mut self, node: &'a Node, frame: &[Seen<'a>]) -> Seen<'a> {
        let line = self.facts.line;
        match node {
            Node::Constant(value) => Seen::of(value),
            Node::List(items) => self.list(items, frame),
            Node::Message => Seen::Text(Cow::Borrowed(self.facts.message)),
            Node::Host => Seen::Text(Cow::Borrowed(line.host)),
            Node::Time => Seen::Text(Cow::Borrowed(line.time)),
            Node::Source("type") => Seen::Text(Cow::Borrowed(line.source.kind)),
            Node::Source("name") => Seen::Text(Cow::Borrowed(&line.source.name)),
            Node::Source(_) => {
                line.source.path.as_deref().map_or(Seen::Undefined, |path| Seen::Text(Cow::Borrowed(path)))
            }
            Node::Label(name) => {
                line.source.labels.get(name).map_or(Seen::Undefined, |label| Seen::Text(Cow::Borrowed(label)))
            }
            Node::Field(at) => self.field(*at),
            Node::Variable(slot) => frame.get(*slot).cloned().unwrap_or(Seen::Unknown),
            Node::Helper(at) => self.helper(*at),
            Node::User(at, arguments) => self.user(*at, arguments, frame),
            Node::Call(function, arguments) => match arguments.as_slice() {
                [a] => function.call(&[self.value(a, frame)]),
                [a, b] => function.call(&[self.value(a, frame), self.value(b, frame)]),
                [a, b, c] => function.call(&[self.value(a, frame), self.value(b, frame), self.value(c, frame)]),
                _ => Seen::Unknown,
            },
            Node::Has(part, text) => {
                let searched = self.facts.probe.has_in_message(*part);
                Seen::Bool(searched.unwrap_or_else(|| text.find(self.facts.message.as_bytes()).is_some()))
            }
            Node::Matches(pattern, text) => match self.value(text, frame) {
                Seen::Text(text) => Seen::Bool(pattern.matches(&text)),
                Seen::Undefined => Seen::Undefined,
                _ => Seen::Unknown,
            },
            Node::Finds(pattern, text, n) => match self.value(text, frame) {
                Seen::Text(text) => pattern.find(&text, *n),
                Seen::Undefined => Seen::Undefined,
                _ => Seen::Unknown,
            },
            Node::At(of, key) => match (self.value(of, frame), self.value(key, frame)) {
                (Seen::Unknown, _) | (_, Seen::Unknown) => Seen::Unknown,
                (of, key) => at(of, &key),
            },
            Node::Compare(op, a, b) => compare(op, &self.value(a, frame), &self.value(b, frame)),
            Node::OneOf(value, texts) => match self.value(value, frame) {
                Seen::Unknown => Seen::Unknown,
                Seen::Text(text) => Seen::Bool(texts.iter().any(|one| *one == text)),
                _ => Seen::Bool(false),
            },
            Node::Member(value, collection) => match (self.value(value, frame), self.items(collection, frame)) {
                (Seen::Unknown, _) | (_, None) => Seen::Unknown,
                (value, Some(items)) => Seen::Bool(items.iter().any(|item| equal(item, &value))),
            },
            Node::Sum(a, b) => arithmetic(&self.value(a, frame), &self.value(b, frame), i64::checked_add),
            Node::Difference(a, b) => arithmetic(&self.value(a, frame), &self.value(b, frame), i64::checked_sub),
            Node::Unknown => Seen::Unknown,
        }
    }

    fn list(&mut self, items: &'a [Node], frame: &[Seen<'a>]) -> Seen<'a> {
        let texts = items.iter().map(|item| match self.value(item, frame) {
            Seen::Text(text) => Some(text),
            _ => None,
        });
        texts.collect::<Option<_>>().map_or(Seen::Unknown, Seen::Texts)
    }

    fn field(&mut self, at: usize) -> Seen<'a> {
        let place = self.direct.helpers.len() + at;
        if let Some(known) = &self.known[place] {
            return known.clone();
        }
        let path = &self.direct.fields[at];
        let value = match self.facts.fields {
            FieldsOf::None => Seen::Undefined,
            FieldsOf::Object(fields) => Seen::of(path.iter().fold(fields, |value, key| &value[key])),
            FieldsOf::Syslog(line) => of_syslog(line, path),
        };
        self.known[place] = Some(value.clone());
        value
    }

    fn helper(&mut self, at: usize) -> Seen<'a> {
        if let Some(known) = &self.known[at] {
            return known.clone();
        }
        let helper: &'a Helper = &self.direct.helpers[at];
        let value = self.first(helper, &[]);
        self.known[at] = Some(value.clone());
        value
    }

    fn user(&mut self, at: usize, arguments: &'a [Node], frame: &[Seen<'a>]) -> Seen<'a> {
        self.turns = self.turns.saturating_add(1);
        let values: Vec<Seen<'a>> = arguments.iter().map(|argument| self.value(argument, frame)).collect();
        // what a function makes of an undefined argument is for the engine to say
        if self.turns > TURNS_MAX || values.iter().any(|value| matches!(value, Seen::Unknown | Seen::Undefined)) {
            return Seen::Unknown;
        }
        let helper: &'a Helper = &self.direct.functions[at];
        self.first(helper, &values)
    }

    fn first(&mut self, helper: &'a Helper, arguments: &[Seen<'a>]) -> Seen<'a> {
        match helper {
            Helper::AnyOf(bodies) => {
                let mut any = Seen::Undefined;
                for body in bodies {
                    match self.body(body, arguments, &mut |_, _| Truth::Yes) {
                        Truth::Yes => return Seen::Bool(true),
                        Truth::No => {}
                        Truth::Unknown => any = Seen::Unknown,
                    }
                }
                any
            }
            Helper::FirstOf(bodies) => {
                for (body, node) in bodies {
                    let mut value = Seen::Undefined;
                    let holds = self.body(body, arguments, &mut |walk, frame| {
                        value = walk.value(node, frame);
                        Truth::Yes
                    });
                    match (holds, value) {
                        // whether an `else` is looked at then is for the engine to say
                        (Truth::Unknown, _) | (Truth::Yes, Seen::Undefined) => return Seen::Unknown,
                        (Truth::Yes, value) => return value,
                        (Truth::No, _) => {}
                    }
                }
                Seen::Undefined
            }
            Helper::Unknown => Seen::Unknown,
        }
    }
}
