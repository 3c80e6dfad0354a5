//! Reads conditions from rules.

use std::cell::RefCell;

use super::{Condition, Key, Part, Parts, Written};
use crate::policy::format::{auditd, syslog};
use crate::policy::syntax::{Expr, Form, RuleSyntax, Shape, Statement, Syntax, form};

/// How deep local rules are looked into.
const INLINE_MAX: usize = 4;

/// The conditions of each `verdicts` rule of a package: all of one alternative must hold.
pub(super) fn verdicts(files: &[&Syntax], parts: &mut Parts) -> Vec<Vec<Vec<Condition>>> {
    let reader = Reader { files, parts: RefCell::new(parts) };
    let rules = files.iter().flat_map(|file| &file.rules).filter(|rule| rule.name == "verdicts");
    rules.map(|rule| reader.alternatives(std::iter::once(rule), 0)).collect()
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
            "startswith" if of_message => Some(Condition::Begins(part.to_owned(), self.part(part))),
            "endswith" if of_message => Some(Condition::Ends(part.to_owned(), self.part(part))),
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
