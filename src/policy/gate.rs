//! Tells, without running a package, that none of its rules can match a line.
//!
//! Most lines match nothing, and running a program to learn that costs microseconds. So, when a package is compiled,
//! conditions are read from its `verdicts` rules: statements of a body that must hold for the rule to give anything
//! and that can be answered by a search in the line's bytes. A package is run if for some rule none of them fails.
//!
//! A condition may be answered "perhaps", never a wrong "no": what is not understood is no condition, and where JSON
//! could write a value in another way (an escape, an exponent) the answer is "perhaps". A test runs every line with
//! the gate and without.

use memchr::memmem::Finder;

use super::syntax::{Expr, Form, RuleSyntax, Shape, Statement, Syntax, form};

/// How deep local rules are looked into.
const INLINE_MAX: usize = 4;

/// A text to search for; boxed, since the search keeps tables.
type Part = Box<Finder<'static>>;

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
    /// The line is a JSON object in which one of these stands, unless it is written in another way.
    Json(Vec<Written>),
    /// All conditions of one of these.
    Any(Vec<Vec<Condition>>),
}

/// How a value is written in JSON.
#[derive(Debug)]
enum Written {
    /// Text between quotes, or a part of it; another way has a backslash in it.
    Text(Part),
    /// A whole number; another way has an exponent.
    Number(Part),
}

/// A line, as gates see it.
pub(super) struct Probe<'a> {
    text: &'a str,
    is_object: bool,
    has_backslash: bool,
    /// Known once it was asked for.
    has_exponent: std::cell::OnceCell<bool>,
}

impl<'a> Probe<'a> {
    /// Looks at a line.
    pub(super) fn of(text: &'a str) -> Self {
        let is_object = text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{');
        let has_backslash = is_object && memchr::memchr(b'\\', text.as_bytes()).is_some();
        Self { text, is_object, has_backslash, has_exponent: std::cell::OnceCell::new() }
    }

    fn has_exponent(&self) -> bool {
        *self.has_exponent.get_or_init(|| has_exponent(self.text.as_bytes()))
    }
}

impl Gate {
    /// Reads the conditions of a package from its files.
    pub(super) fn of(files: &[&Syntax]) -> Self {
        let reader = Reader { files };
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
            Self::Contains(part) => part.find(line.text.as_bytes()).is_some(),
            Self::Begins(start) => line.text.starts_with(start),
            Self::Ends(end) => line.text.ends_with(end),
            Self::Json(written) => line.is_object && written.iter().any(|written| written.may_stand_in(line)),
            Self::Any(alternatives) => any(alternatives, line),
        }
    }
}

impl Written {
    fn may_stand_in(&self, line: &Probe<'_>) -> bool {
        match self {
            Self::Text(part) => line.has_backslash || part.find(line.text.as_bytes()).is_some(),
            Self::Number(digits) => digits.find(line.text.as_bytes()).is_some() || line.has_exponent(),
        }
    }
}

/// Whether a JSON number with an exponent may stand in the text: digits, then `e`, and before them no letter or quote.
fn has_exponent(text: &[u8]) -> bool {
    memchr::memchr2_iter(b'e', b'E', text).any(|at| {
        let number = text[..at].iter().rev().take_while(|c| matches!(c, b'0'..=b'9' | b'.' | b'-' | b'+')).count();
        let before = text[..at - number].last();
        number > 0 && before.is_some_and(|c| matches!(c, b':' | b',' | b'[' | b' ' | b'\t' | b'\r' | b'\n'))
    })
}

struct Reader<'a> {
    files: &'a [&'a Syntax],
}

impl<'a> Reader<'a> {
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
                let (path, value) = if is_field(a) { (a, b) } else { (b, a) };
                let written = written(value).filter(|_| is_field(path))?;
                Some(Condition::Json(vec![written]))
            }
            Form::Member(value, collection) if is_field(value) => {
                let Form::List(items) = form(collection) else { return None };
                Some(Condition::Json(items.iter().map(|item| written(item)).collect::<Option<_>>()?))
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
            "contains" if of_message => Some(Condition::Contains(finder(part))),
            "startswith" if of_message => Some(Condition::Begins(part.to_owned())),
            "endswith" if of_message => Some(Condition::Ends(part.to_owned())),
            "contains" | "startswith" | "endswith" if is_field(subject) => {
                Some(Condition::Json(vec![Written::Text(finder(part))]))
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

    /// Whether the package or an import gives this name another meaning.
    fn is_own(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.rules.iter().any(|rule| rule.name == name) || file.imports_name(name))
    }
}

fn is_field(expr: &Expr) -> bool {
    matches!(form(expr), Form::Path(path) if path.len() > 2 && path[0] == "input" && path[1] == "fields")
}

fn written(value: &Expr) -> Option<Written> {
    match form(value) {
        Form::Text(text) => Some(Written::Text(finder(&format!("\"{text}\"")))),
        Form::Number(number) => {
            let digits = number.as_u64().ok().filter(|number| *number > 0)?;
            Some(Written::Number(finder(&digits.to_string())))
        }
        _ => None,
    }
}

fn finder(part: &str) -> Part {
    Box::new(Finder::new(part.as_bytes()).into_owned())
}

/// Whether a package may look at `input.fields`. What is not plain counts as a look; a package that refers to others
/// may look through any of them.
pub(super) fn reads_fields(package: &[&Syntax], all: &[&Syntax]) -> bool {
    let own = package.iter().any(|file| look(file).fields);
    own || (package.iter().any(|file| look(file).others) && all.iter().any(|file| look(file).fields))
}

struct Look {
    fields: bool,
    others: bool,
}

fn look(file: &Syntax) -> Look {
    let mut look =
        Look { fields: file.imports.iter().any(|(_, path)| path[0] == "input"), others: !file.imports.is_empty() };
    for rule in &file.rules {
        rule.each_expr(&mut |expr| match form(expr) {
            Form::Path(path) if path[0] == "data" => look.others = true,
            Form::Path(path) if path[0] == "input" => {
                let plain = ["message", "source", "host", "time"];
                look.fields |= path.get(1).is_none_or(|key| !plain.contains(&key.as_str()));
            }
            _ => {}
        });
    }
    look
}
