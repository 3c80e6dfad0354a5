//! What a policy may not do, found in its source before it sees a line.
//!
//! The network, files and the environment are not compiled into the engine; a call of them is an unknown function.
//! Refused here is what the engine can do and a log shipper must not: what a short line could blow up to any size, and
//! what gives another verdict each time it is asked.

use super::syntax::{Expr, Form, RuleSyntax, Syntax, form, place};
use super::verdict::{ID_MAX, KEYS, REDACT, decision, is_control, severity};
use super::{Fault, redact};

/// Functions that are refused, and what to do instead.
const FORBIDDEN: [(&str, &str); 7] = [
    ("numbers.range", "two small numbers in a line make a list of any length; use a literal array"),
    ("numbers.range_step", "two small numbers in a line make a list of any length; use a literal array"),
    ("net.cidr_expand", "a short network makes a list of any length; use net.cidr_contains"),
    ("bits.lsh", "a small number makes a number of any length; multiply by a literal"),
    ("rand.intn", "a verdict must be the same each time it is asked for"),
    ("time.now_ns", "a verdict must be the same each time it is asked for; use time.parse_rfc3339_ns(input.time)"),
    ("print", "policies that run on lines can't print; print in tests"),
];

/// Functions with an operand (from 0) that must be written out: taken from a line, it multiplies with the others.
const LITERAL_OPERAND: [(&str, usize); 5] =
    [("replace", 2), ("regex.replace", 2), ("strings.replace_n", 0), ("concat", 0), ("sprintf", 0)];

/// Checks one file.
pub(super) fn check(file: &str, syntax: &Syntax, faults: &mut Vec<Fault>) {
    for rule in &syntax.rules {
        for (name, place) in rule.declared() {
            if name == "input" || name == "data" {
                faults.push(Fault::at(file, place, format!("a variable can't be called `{name}`")));
            }
        }
        rule.each_expr(&mut |expr| {
            if let Err(what) = check_call(expr, syntax) {
                faults.push(Fault::at(file, place(expr), what));
            }
            if let Form::Object(fields) = form(expr)
                && is_verdict(rule, expr, &fields)
            {
                if let Some(what) = lacks_id(&fields) {
                    faults.push(Fault::at(file, place(expr), what));
                }
                check_verdict(file, &fields, faults);
            }
        });
    }
}

fn check_call(expr: &Expr, syntax: &Syntax) -> Result<(), String> {
    let Form::Call(name, arguments) = form(expr) else { return Ok(()) };
    let own = name.split('.').next().unwrap_or(&name);
    if syntax.imports_name(own) || syntax.rules.iter().any(|rule| rule.name == own) {
        return Ok(());
    }
    if let Some((_, why)) = FORBIDDEN.iter().find(|(forbidden, _)| *forbidden == name) {
        return Err(format!("`{name}` is not available: {why}"));
    }
    if let Some((_, at)) = LITERAL_OPERAND.iter().find(|(function, _)| *function == name)
        && arguments.get(*at).is_some_and(|argument| !matches!(form(argument), Form::Text(_) | Form::Object(_)))
    {
        let nth = ["first", "second", "third"].get(*at).copied().unwrap_or("that");
        return Err(format!("the {nth} operand of `{name}` must be written out, so that its result is bounded"));
    }
    Ok(())
}

/// An object is taken for a verdict if it is the member of `verdicts`, or has an `id` and another key of verdicts.
fn is_verdict(rule: &RuleSyntax, expr: &Expr, fields: &[(&Expr, &Expr)]) -> bool {
    let is_member = rule.name == "verdicts" && rule.member().is_some_and(|member| std::ptr::eq(member, expr));
    let has = |wanted: &str| fields.iter().any(|(key, _)| matches!(form(key), Form::Text(key) if key == wanted));
    is_member || (has("id") && ["decision", "severity", "controls", REDACT].into_iter().any(has))
}

/// A verdict whose keys are all written out must have an id among them.
fn lacks_id(fields: &[(&Expr, &Expr)]) -> Option<String> {
    let written: Option<Vec<&str>> = fields
        .iter()
        .map(|(key, _)| match form(key) {
            Form::Text(key) => Some(key),
            _ => None,
        })
        .collect();
    let lacks = written.is_some_and(|keys| !keys.contains(&"id"));
    lacks.then(|| "a verdict needs an `id`, the name of what was found: {\"id\": \"what-it-is\", …}".to_owned())
}

fn check_verdict(file: &str, fields: &[(&Expr, &Expr)], faults: &mut Vec<Fault>) {
    for (key, value) in fields {
        let Form::Text(name) = form(key) else { continue };
        if let Err(what) = check_field(name, value) {
            let at = if KEYS.contains(&name) { place(value) } else { place(key) };
            faults.push(Fault::at(file, at, what));
        }
    }
}

fn check_field(key: &str, value: &Expr) -> Result<(), String> {
    match (key, form(value)) {
        (key, _) if !KEYS.contains(&key) => Err(format!("a verdict has no key `{key}`; it has {}", KEYS.join(", "))),
        ("id", Form::Text(id)) if id.is_empty() || id.len() > ID_MAX => Err(format!("an id has 1 to {ID_MAX} bytes")),
        ("decision", Form::Text(name)) if decision(name).is_none() => {
            Err("decision must be allow, flag or deny".into())
        }
        ("severity", Form::Text(name)) if severity(name).is_none() => {
            Err("severity must be info, low, medium, high or critical".into())
        }
        ("controls", Form::List(items)) => {
            let wrong = items.iter().any(|item| matches!(form(item), Form::Text(id) if !is_control(id)));
            if wrong { Err(super::verdict::CONTROL_RULE.into()) } else { Ok(()) }
        }
        (REDACT, Form::List(items)) => items.iter().try_for_each(|item| match form(item) {
            Form::Text(text) => redact::check(text),
            _ => Ok(()),
        }),
        _ => Ok(()),
    }
}
