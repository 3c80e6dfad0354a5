//! Tells, without running a package, that none of its rules can match a line.
//!
//! Most lines match nothing, and running a program to learn that costs microseconds. So, when a package is compiled,
//! conditions are read from its `verdicts` rules: statements of a body that must hold for the rule to give anything
//! and that can be answered by a search in the line's bytes. A package is run if for some rule none of them fails.
//!
//! A condition may be answered "perhaps", never a wrong "no": what is not understood is no condition, and where JSON
//! could write a value in another way (an escape, an exponent) the answer is "perhaps". Fields of syslog and auditd have
//! keys of their own: a condition on another key can't hold for such a line. `tests/engines_agree.rs` holds
//! this against an interpreter without gates.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::LineContext;
use super::format::{Kind, auditd, syslog};
use super::syntax::{Expr, Form, RuleSyntax, Shape, Statement, Syntax, form};

/// How deep local rules are looked into.
const INLINE_MAX: usize = 4;

/// The texts that the gates of a set search for. All are searched for together, in one pass over a line.
#[derive(Default)]
pub(super) struct Parts {
    texts: Vec<String>,
    known: BTreeMap<String, Part>,
    /// Made when the first line comes; None where the texts are too many for it, and then every answer is "perhaps".
    search: OnceLock<Option<AhoCorasick>>,
}

/// A text of [`Parts`], by its index.
pub(super) type Part = usize;

impl Parts {
    /// Adds a text to search for.
    pub(super) fn add(&mut self, text: &str) -> Part {
        if let Some(part) = self.known.get(text) {
            return *part;
        }
        self.texts.push(text.to_owned());
        self.known.insert(text.to_owned(), self.texts.len() - 1);
        self.texts.len() - 1
    }

    /// Whether what was noted is what stands in a line.
    fn is_searched(&self) -> bool {
        self.search.get().is_some_and(Option::is_some)
    }

    /// Notes which of them stand in a line.
    fn find_all(&self, line: &str, seen: &[Cell<bool>]) {
        let make = || AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(&self.texts).ok();
        match self.search.get_or_init(make) {
            Some(search) => {
                for found in search.find_overlapping_iter(line) {
                    seen[found.pattern().as_usize()].set(true);
                }
            }
            None => seen.iter().for_each(|seen| seen.set(true)),
        }
    }
}

/// Which parts were found in a line; kept from line to line for its memory.
#[derive(Default)]
pub(super) struct Seen(Vec<Cell<bool>>);

/// The conditions of a package: it can match if all conditions of one alternative can hold.
#[derive(Debug)]
pub(super) struct Gate {
    alternatives: Vec<Vec<Condition>>,
}

/// Something that must hold.
#[derive(Debug)]
enum Condition {
    /// The message has this somewhere.
    Contains(Part),
    /// The message begins with this.
    Begins(String),
    /// The message ends with this.
    Ends(String),
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

/// A line, as gates see it.
pub(super) struct Probe<'a> {
    /// The message.
    text: &'a str,
    /// What the fields are written in: of most lines the message itself.
    written: &'a str,
    parts: &'a Parts,
    seen: &'a [Cell<bool>],
    searched: Cell<bool>,
    line: &'a LineContext<'a>,
    // known once they were asked for
    kind: OnceCell<Kind>,
    has_backslash: OnceCell<bool>,
    has_exponent: OnceCell<bool>,
}

impl<'a> Probe<'a> {
    /// Looks at a line.
    pub(super) fn of(line: &'a LineContext<'a>, text: &'a str, parts: &'a Parts, seen: &'a mut Seen) -> Self {
        Self::of_both(line, text, text, parts, seen)
    }

    /// Looks at a line whose message is one of its fields. A text that stands in either is taken to stand in both, which errs
    /// towards "perhaps".
    pub(super) fn of_both(
        line: &'a LineContext<'a>,
        text: &'a str,
        written: &'a str,
        parts: &'a Parts,
        seen: &'a mut Seen,
    ) -> Self {
        seen.0.clear();
        seen.0.resize(parts.texts.len(), Cell::new(false));
        let (kind, has_backslash, has_exponent) = Default::default();
        Self {
            text,
            written,
            parts,
            seen: &seen.0,
            searched: Cell::new(false),
            line,
            kind,
            has_backslash,
            has_exponent,
        }
    }

    fn kind(&self) -> Kind {
        *self.kind.get_or_init(|| Kind::of(self.line.source.format, self.written))
    }

    fn has(&self, part: Part) -> bool {
        if !self.searched.replace(true) {
            self.parts.find_all(self.written, self.seen);
            if !std::ptr::eq(self.text, self.written) {
                self.parts.find_all(self.text, self.seen);
            }
        }
        self.seen[part].get()
    }

    /// Whether the message has this, surely; none if that is not known.
    pub(super) fn has_in_message(&self, part: Part) -> Option<bool> {
        let has = self.has(part);
        let is_exact = std::ptr::eq(self.text, self.written) && self.parts.is_searched();
        is_exact.then_some(has)
    }

    fn has_backslash(&self) -> bool {
        *self.has_backslash.get_or_init(|| memchr::memchr(b'\\', self.written.as_bytes()).is_some())
    }

    fn has_exponent(&self) -> bool {
        *self.has_exponent.get_or_init(|| has_exponent(self.written.as_bytes()))
    }
}

impl Gate {
    /// Reads the conditions of a package from its files.
    pub(super) fn of(files: &[&Syntax], parts: &mut Parts) -> Self {
        let reader = Reader { files, parts: RefCell::new(parts) };
        let rules = files.iter().flat_map(|file| &file.rules).filter(|rule| rule.name == "verdicts");
        Self { alternatives: reader.alternatives(rules, 0) }
    }

    /// Whether the package has to be run on this line.
    pub(super) fn may_match(&self, line: &Probe<'_>) -> bool {
        any(&self.alternatives, line)
    }
}

fn any(alternatives: &[Vec<Condition>], line: &Probe<'_>) -> bool {
    alternatives.iter().any(|conditions| conditions.iter().all(|condition| condition.may_hold(line)))
}

impl Condition {
    fn may_hold(&self, line: &Probe<'_>) -> bool {
        match self {
            Self::Contains(part) => line.has(*part),
            Self::Begins(start) => line.text.starts_with(start),
            Self::Ends(end) => line.text.ends_with(end),
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

/// Whether a JSON number with an exponent may stand in the text: digits, then `e`, and before them no letter or quote.
fn has_exponent(text: &[u8]) -> bool {
    // `e` is the commonest letter, so what stands before it is looked at for all of them at once: this loop has no branches
    let after = text.get(1..).unwrap_or_default();
    let near = |(before, at): (&u8, &u8)| (before.is_ascii_digit() || *before == b'.') & (at | 0x20 == b'e');
    if !text.iter().zip(after).map(near).fold(false, |found, near| found | near) {
        return false;
    }
    memchr::memchr2_iter(b'e', b'E', text).any(|at| {
        let number = text[..at].iter().rev().take_while(|c| matches!(c, b'0'..=b'9' | b'.' | b'-' | b'+')).count();
        let before = text[..at - number].last();
        number > 0 && before.is_some_and(|c| matches!(c, b':' | b',' | b'[' | b' ' | b'\t' | b'\r' | b'\n'))
    })
}

struct Reader<'a> {
    files: &'a [&'a Syntax],
    parts: RefCell<&'a mut Parts>,
}

impl Reader<'_> {
    /// The conditions of rules of which one must hold.
    fn alternatives<'r>(&self, rules: impl Iterator<Item = &'r RuleSyntax>, depth: usize) -> Vec<Vec<Condition>> {
        let of_rule = |rule: &'r RuleSyntax| {
            let own: Vec<&str> = rule.declared().into_iter().map(|(name, _)| name).collect();
            let of_body = |body: Vec<Statement<'_>>| {
                let holds = body.into_iter().filter_map(|statement| match statement {
                    Statement::Holds(expr) => self.condition(expr, &own, depth),
                    Statement::Other => None,
                });
                holds.collect()
            };
            rule.bodies().into_iter().map(of_body).collect::<Vec<Vec<Condition>>>()
        };
        rules.flat_map(of_rule).collect()
    }

    /// `own` are the variables of the rule, which may have the name of another rule.
    fn condition(&self, expr: &Expr, own: &[&str], depth: usize) -> Option<Condition> {
        match form(expr) {
            Form::Call(name, [subject, part]) if !self.is_own(&name) => self.of_call(&name, subject, part),
            Form::Equal(a, b) => {
                let (key, value) = match self.key(a) {
                    Some(key) => (key, b),
                    None => (self.key(b)?, a),
                };
                Some(Condition::Field(key, vec![self.written(value)?]))
            }
            Form::Member(value, collection) => {
                let (key, Form::List(items)) = (self.key(value)?, form(collection)) else { return None };
                Some(Condition::Field(key, items.iter().map(|item| self.written(item)).collect::<Option<_>>()?))
            }
            Form::Path(path) if depth < INLINE_MAX => match path.as_slice() {
                [name] if !own.contains(&name.as_str()) => self.of_local_rule(name, depth),
                _ => None,
            },
            _ => None,
        }
    }

    fn of_call(&self, name: &str, subject: &Expr, part: &Expr) -> Option<Condition> {
        let Form::Text(part) = form(part) else { return None };
        let of_message = matches!(form(subject), Form::Path(path) if path == ["input", "message"]);
        match name {
            "contains" if of_message => Some(Condition::Contains(self.part(part))),
            "startswith" if of_message => Some(Condition::Begins(part.to_owned())),
            "endswith" if of_message => Some(Condition::Ends(part.to_owned())),
            "contains" | "startswith" | "endswith" => {
                let (key, part) = (self.key(subject)?, self.part(part));
                Some(Condition::Field(key, vec![Written::Text { quoted: part, bare: part }]))
            }
            _ => None,
        }
    }

    /// `is_sshd` is defined if one of its definitions is, as long as there is no default.
    fn of_local_rule(&self, name: &str, depth: usize) -> Option<Condition> {
        let rules = || self.files.iter().flat_map(|file| &file.rules).filter(|rule| rule.name == name);
        if rules().next().is_none() || rules().any(|rule| rule.shape() != Shape::Complete) {
            return None;
        }
        Some(Condition::Any(self.alternatives(rules(), depth + 1)))
    }

    fn written(&self, value: &Expr) -> Option<Written> {
        match form(value) {
            Form::Text(text) => {
                Some(Written::Text { quoted: self.part(&format!("\"{text}\"")), bare: self.part(text) })
            }
            Form::Number(number) => {
                let digits = number.as_u64().ok().filter(|number| *number > 0)?;
                Some(Written::Number(self.part(&digits.to_string())))
            }
            _ => None,
        }
    }

    /// The first key of a field below `input.fields`.
    fn key(&self, expr: &Expr) -> Option<Key> {
        let Form::Path(path) = form(expr) else { return None };
        let [input, fields, key, ..] = path.as_slice() else { return None };
        (input == "input" && fields == "fields").then(|| Key {
            in_syslog: syslog::KEYS.contains(&key.as_str()),
            is_computed: syslog::COMPUTED.contains(&key.as_str()),
            in_events: auditd::KEYS.contains(&key.as_str()),
            in_records: self.part(&format!("{key}=")),
        })
    }

    fn part(&self, text: &str) -> Part {
        self.parts.borrow_mut().add(text)
    }

    /// Whether the package or an import gives this name another meaning.
    fn is_own(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.rules.iter().any(|rule| rule.name == name) || file.imports_name(name))
    }
}

/// Whether a package may look at `input.fields`. What is not plain counts as a look; a package that refers to others
/// may look through any of them.
pub(super) fn reads_fields(package: &[&Syntax], all: &[&Syntax]) -> bool {
    let own = package.iter().any(|file| look(file).fields);
    own || (package.iter().any(|file| look(file).others) && all.iter().any(|file| look(file).fields))
}

/// Whether any of the files may look at `input.labels`.
pub(super) fn reads_labels(all: &[&Syntax]) -> bool {
    all.iter().any(|file| look(file).labels)
}

struct Look {
    fields: bool,
    labels: bool,
    others: bool,
}

fn look(file: &Syntax) -> Look {
    let imports_input = file.imports.iter().any(|(_, path)| path[0] == "input");
    let mut look = Look { fields: imports_input, labels: imports_input, others: !file.imports.is_empty() };
    for rule in &file.rules {
        rule.each_expr(&mut |expr| match form(expr) {
            Form::Path(path) if path[0] == "data" => look.others = true,
            Form::Path(path) if path[0] == "input" => {
                let key = path.get(1).map(String::as_str);
                let is_plain = matches!(key, Some("message" | "source" | "host" | "time"));
                look.fields |= !is_plain && key != Some("labels");
                look.labels |= !is_plain && key != Some("fields");
            }
            _ => {}
        });
    }
    look
}
