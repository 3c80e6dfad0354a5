//! What `policy check` finds besides what keeps policies from being loaded: rules that compile and never fire, or that an
//! auditor could not place. The agent runs with these; a slip in a control's name is no reason to ship lines without labels.
//!
//! Conservative: what is not understood is taken to be right.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;

use super::controls::{all, nearest};
use super::load::{Sources, Tests};
use super::syntax::{Expr, Form, RuleSyntax, Statement, Syntax, form, place};
use super::{Config, Fault, PolicySet, compile};

/// The keys of `input`, and of `input.source`.
const INPUT: [&str; 6] = ["message", "fields", "source", "host", "time", "labels"];
const SOURCE: [&str; 4] = ["type", "name", "path", "unit"];
/// What `input.source.type` can be.
const TYPES: [&str; 3] = ["file", "journald", "stdin"];
/// The engine's bound of a compiled pattern, in bytes.
const REGEX_MAX: usize = 100 * 1024;
/// Functions with a pattern, and which operand it is.
const PATTERNS: [(&str, usize); 5] = [
    ("regex.match", 0),
    ("regex.find_n", 0),
    ("regex.split", 0),
    ("regex.replace", 1),
    ("regex.find_all_string_submatch_n", 0),
];
/// Where a set declares controls of its own, in `data.json`: `{"own_controls": {"ACME-7": "Quarterly review"}}`.
const OWN_CONTROLS: &str = "own_controls";

/// Loads the policies and looks for what is wrong with them, as `policy check` does.
pub fn check(config: &Config) -> Result<PolicySet, Vec<Fault>> {
    let set = PolicySet::load(config)?;
    let mut faults = Vec::new();
    let sources = Sources::read(&config.paths, Tests::Skipped, &mut faults);
    let mut engine = compile::engine(&sources, &mut faults);
    for module in engine.get_modules() {
        let file = module.package.span.source.get_path().clone();
        let syntax = Syntax::of(module);
        names(&file, &syntax, &mut faults);
        for rule in &syntax.rules {
            rule.each_expr(&mut |expr| {
                if let Err(what) = path(expr).and_then(|()| source_type(expr)).and_then(|()| pattern(expr, &syntax)) {
                    faults.push(Fault::at(&file, place(expr), what));
                }
            });
            contradictions(&file, rule, &mut faults);
        }
    }
    ids_twice(&set, &mut faults);
    unknown_controls(&set, &sources, &engine.get_data(), &mut faults);
    if faults.is_empty() { Ok(set) } else { Err(sources.mend_places(faults)) }
}

/// `verdicts` where nobody looks for it.
fn names(file: &str, syntax: &Syntax, faults: &mut Vec<Fault>) {
    let below = syntax.package.first().is_some_and(|first| first == "sealtail");
    for rule in &syntax.rules {
        if rule.name == "verdicts" && !below {
            let name = syntax.package_name();
            let what = format!("`package {name}` is not looked at; write `package sealtail.{name}`");
            faults.push(Fault::at(file, syntax.package_place, what));
            return;
        }
    }
}

/// A path below `input` that no line has, whatever its format.
fn path(expr: &Expr) -> Result<(), String> {
    let Form::Path(path) = form(expr) else { return Ok(()) };
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["input", key, ..] if !INPUT.contains(key) => Err(format!(
            "no line has `input.{key}`; input has {}. The values of a parsed line are below `input.fields`",
            INPUT.join(", ")
        )),
        ["input", "source", key, ..] if !SOURCE.contains(key) => {
            Err(format!("no source has `input.source.{key}`; it has {}", SOURCE.join(", ")))
        }
        ["input", key @ ("message" | "host" | "time"), _, ..] => {
            Err(format!("`input.{key}` is text and has nothing below it; parsed values are below `input.fields`"))
        }
        _ => Ok(()),
    }
}

fn source_type(expr: &Expr) -> Result<(), String> {
    let Form::Equal(a, b) = form(expr) else { return Ok(()) };
    let is_type = |expr: &Expr| matches!(form(expr), Form::Path(path) if path == ["input", "source", "type"]);
    let value = if is_type(a) { b } else { a };
    match form(value) {
        Form::Text(kind) if (is_type(a) || is_type(b)) && !TYPES.contains(&kind) => {
            Err(format!("no source is of type `{kind}`; there are {}", TYPES.join(", ")))
        }
        _ => Ok(()),
    }
}

/// A pattern that does not compile makes its function undefined, or the package undecided, on every line.
fn pattern(expr: &Expr, syntax: &Syntax) -> Result<(), String> {
    let Form::Call(name, operands) = form(expr) else { return Ok(()) };
    let Some((_, at)) = PATTERNS.iter().find(|(function, _)| *function == name) else { return Ok(()) };
    if syntax.imports_name("regex") || syntax.rules.iter().any(|rule| rule.name == "regex") {
        return Ok(());
    }
    let Some(Form::Text(text)) = operands.get(*at).map(|operand| form(operand)) else { return Ok(()) };
    match regex::RegexBuilder::new(text).size_limit(REGEX_MAX).build() {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => Err(format!(
            "the pattern takes more than {} KiB; `[0-9]` for \\d, `[A-Za-z0-9_]` for \\w and fewer repetitions make it small",
            REGEX_MAX / 1024
        )),
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Err(format!("not a regular expression: {last}"))
        }
    }
}

/// What a body asks of one path.
#[derive(Default)]
struct Asked<'a> {
    /// The values that it may have, if some are named.
    values: Option<Vec<Value>>,
    begins: Vec<&'a str>,
    ends: Vec<&'a str>,
    has: Vec<&'a str>,
}

/// Statements of one body that can't hold together.
fn contradictions(file: &str, rule: &RuleSyntax, faults: &mut Vec<Fault>) {
    for body in rule.bodies() {
        let mut asked: BTreeMap<Vec<String>, Asked<'_>> = BTreeMap::new();
        for statement in body {
            let Statement::Holds(expr) = statement else { continue };
            let Some((path, at)) = ask(expr, &mut asked) else { continue };
            if asked.get(&path).is_some_and(Asked::is_impossible) {
                let what = format!(
                    "with what stands above it, this never holds for `{}`: the rule can't fire on any line",
                    path.join(".")
                );
                faults.push(Fault::at(file, at, what));
                break;
            }
        }
    }
}

fn ask<'a>(expr: &'a Expr, asked: &mut BTreeMap<Vec<String>, Asked<'a>>) -> Option<(Vec<String>, (u32, u32))> {
    let of_input = |expr: &Expr| match form(expr) {
        Form::Path(path) if path[0] == "input" && path.len() > 1 => Some(path),
        _ => None,
    };
    let (path, values) = match form(expr) {
        Form::Equal(a, b) => {
            let (path, value) = of_input(a).map(|path| (path, b)).or_else(|| of_input(b).map(|path| (path, a)))?;
            (path, vec![literal(value)?])
        }
        Form::Member(value, list) => {
            let Form::List(items) = form(list) else { return None };
            (of_input(value)?, items.iter().map(|item| literal(item)).collect::<Option<Vec<_>>>()?)
        }
        Form::Call(name, [subject, part]) => {
            let (path, Form::Text(part)) = (of_input(subject)?, form(part)) else { return None };
            let asked = asked.entry(path.clone()).or_default();
            match name.as_str() {
                "startswith" => asked.begins.push(part),
                "endswith" => asked.ends.push(part),
                "contains" => asked.has.push(part),
                _ => return None,
            }
            return Some((path, place(expr)));
        }
        _ => return None,
    };
    let asked = asked.entry(path.clone()).or_default();
    match &mut asked.values {
        Some(known) => known.retain(|value| values.contains(value)),
        none => *none = Some(values),
    }
    Some((path, place(expr)))
}

fn literal(expr: &Expr) -> Option<Value> {
    match form(expr) {
        Form::Text(text) => Some(text.into()),
        Form::Number(number) => Some(number.clone()),
        _ => None,
    }
}

impl Asked<'_> {
    fn is_impossible(&self) -> bool {
        let apart = |parts: &[&str], fit: fn(&str, &str) -> bool| {
            parts.iter().any(|a| parts.iter().any(|b| !fit(a, b) && !fit(b, a)))
        };
        let fits = |value: &Value| match value {
            Value::String(text) => {
                self.begins.iter().all(|part| text.starts_with(part))
                    && self.ends.iter().all(|part| text.ends_with(part))
                    && self.has.iter().all(|part| text.contains(part))
            }
            _ => self.begins.is_empty() && self.ends.is_empty() && self.has.is_empty(),
        };
        apart(&self.begins, |a, b| a.starts_with(b))
            || apart(&self.ends, |a, b| a.ends_with(b))
            || self.values.as_ref().is_some_and(|values| !values.iter().any(fits))
    }
}

/// One id, two policies: who reads the verdict can't tell which spoke.
fn ids_twice(set: &PolicySet, faults: &mut Vec<Fault>) {
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    for rule in set.rules() {
        for id in &rule.ids {
            let package = known.entry(id).or_insert(&rule.package);
            if *package != rule.package {
                let what = format!("the id `{id}` is that of a rule of `{package}` already; give one of them another");
                faults.push(Fault::at(&rule.file, (rule.line, 1), what));
            }
        }
    }
}

fn unknown_controls(set: &PolicySet, sources: &Sources, data: &Value, faults: &mut Vec<Fault>) {
    let own = &data[OWN_CONTROLS];
    let is_known = |id: &str| all().iter().any(|control| control.id == id) || own[id] != Value::Undefined;
    let said = set.rules().flat_map(|rule| rule.metadata.controls.iter().chain(&rule.controls));
    let unknown: BTreeSet<&str> = said.map(String::as_str).filter(|id| !is_known(id)).collect();
    for id in unknown {
        let what = format!(
            "unknown control `{id}`; the nearest known one is `{}`. `sealtail policy controls` lists them; \
             controls of your own stand in a data.json: {{\"{OWN_CONTROLS}\": {{\"{id}\": \"what it asks for\"}}}}",
            nearest(id)
        );
        let before = faults.len();
        for file in &sources.modules {
            for (number, line) in (1_u32..).zip(file.text.lines()) {
                if let Some(column) = word(line, id) {
                    faults.push(Fault::at(&file.path, (number, column), what.clone()));
                }
            }
        }
        if faults.len() == before {
            faults.push(Fault::of("", what));
        }
    }
}

/// The column of `id` in a line, where it stands alone.
fn word(line: &str, id: &str) -> Option<u32> {
    let ends = |c: Option<char>| c.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | '(')));
    line.match_indices(id).find_map(|(at, _)| {
        let alone = ends(line[..at].chars().next_back()) && ends(line[at + id.len()..].chars().next());
        alone.then(|| u32::try_from(line[..at].chars().count() + 1).unwrap_or(u32::MAX))
    })
}
