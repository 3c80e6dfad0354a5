//! Why a verdict fell on a line, or did not: each statement of a rule, and the values that it looked at.
//!
//! The engine is asked, not imitated: for each statement it evaluates a rule of the package with the statements up to it. It
//! is regorus' interpreter, slow and without limits but its clock; `tests/engines_agree` holds it against the RVM.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use super::compile::{add, engine};
use super::fields::Wanted;
use super::input::InputBuilder;
use super::load::{Sources, Tests};
use super::syntax::{RuleSyntax, Shape, Syntax, Written};
use super::{Config, Fault, LineContext, PolicySet, RuleInfo};

/// Bound of one evaluation.
const TIMER: ExecutionTimerConfig =
    ExecutionTimerConfig { limit: Duration::from_secs(2), check_interval: NonZeroU32::new(256).expect("not zero") };
/// How deep the rules are followed that a statement names.
const DEPTH_MAX: usize = 3;
/// Bound of a value as it is shown, in characters.
const VALUE_MAX: usize = 160;

/// One rule and one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The rule: its package, ids, place and METADATA.
    pub rule: RuleInfo,
    /// Whether it gave a verdict.
    pub fell: bool,
    /// Its statements in their order.
    pub steps: Vec<Step>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its line in the file of the rule.
    pub line: u32,
    /// As it is written.
    pub text: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The paths of `input` and the rules that stand in it, with their values; `undefined` where there is none.
    pub values: Vec<(String, String)>,
    /// The statements of the rules that it names, if it did not hold and they are why.
    pub below: Vec<Step>,
}

/// What came of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It held, with all that stand before it.
    Held,
    /// It did not hold, or was undefined.
    Failed,
    /// A statement before it did not hold.
    NotReached,
}

/// Explains the rules under `paths` on a line. All rules that give verdicts, in the order of packages and files.
pub fn explain(paths: &[PathBuf], line: &LineContext<'_>) -> Result<Vec<Explained>, Vec<Fault>> {
    let config = Config::of(paths.to_vec());
    let set = if paths.is_empty() { PolicySet::packs()? } else { PolicySet::load(&config)? };
    let mut faults = Vec::new();
    let sources = if paths.is_empty() { Sources::packs() } else { Sources::read(paths, Tests::Skipped, &mut faults) };
    let mut engine = engine(&sources, &mut faults);
    engine.set_execution_timer_config(TIMER);
    let files: Vec<(String, Syntax)> = engine
        .get_modules()
        .iter()
        .map(|module| (module.package.span.source.get_path().clone(), Syntax::of(module)))
        .collect();
    let mut asker = Asker { engine, files: &files, input: input(line), asked: 0 };
    let mut explained = Vec::new();
    for rule in set.rules() {
        let found = files.iter().filter(|(file, _)| *file == rule.file).find_map(|(_, syntax)| {
            syntax.rules.iter().find(|of| of.place.0 == rule.line && of.name == "verdicts").map(|of| (syntax, of))
        });
        if let Some((syntax, of)) = found {
            let steps: Vec<Step> = of.written().iter().flat_map(|body| asker.body(syntax, of, body, 0)).collect();
            let fell = steps.iter().all(|step| step.outcome == Outcome::Held);
            explained.push(Explained { rule: rule.clone(), fell, steps });
        }
    }
    Ok(explained)
}

fn input(line: &LineContext<'_>) -> Value {
    let mut builder = InputBuilder::new(true);
    let message = String::from_utf8_lossy(line.message);
    let fields = builder.fields(line, &message, &Wanted::ALL);
    builder.document(line, &message, &fields)
}

/// Asks the engine about statements.
struct Asker<'a> {
    engine: Engine,
    files: &'a [(String, Syntax)],
    input: Value,
    /// How many rules were added to ask.
    asked: usize,
}

impl Asker<'_> {
    fn body(&mut self, syntax: &Syntax, rule: &RuleSyntax, body: &[Written<'_>], depth: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut has_failed = false;
        for (n, statement) in body.iter().enumerate() {
            let outcome = match has_failed {
                true => Outcome::NotReached,
                false if self.hold(syntax, &body[..=n]) => Outcome::Held,
                false => Outcome::Failed,
            };
            has_failed |= outcome == Outcome::Failed;
            let own: BTreeSet<&str> = rule.declared().into_iter().map(|(name, _)| name).collect();
            let named: Vec<Vec<String>> =
                statement.paths().into_iter().filter(|path| !own.contains(&*path[0])).collect();
            let values = match outcome {
                Outcome::NotReached => Vec::new(),
                _ => named
                    .iter()
                    .filter_map(|path| self.value(syntax, path))
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
            };
            let below = match outcome {
                Outcome::Failed if depth < DEPTH_MAX => {
                    named.iter().flat_map(|path| self.below(syntax, path, depth)).collect()
                }
                _ => Vec::new(),
            };
            let text = statement.text.split_whitespace().collect::<Vec<_>>().join(" ");
            steps.push(Step { line: statement.place.0, text, outcome, values, below });
        }
        steps
    }

    /// The statements of the rules of the package that a path names, if these are plain ones.
    fn below(&mut self, syntax: &Syntax, path: &[String], depth: usize) -> Vec<Step> {
        let [name] = path else { return Vec::new() };
        let package = syntax.package_name();
        let files = self.files;
        let rules = files.iter().filter(|(_, file)| file.package_name() == package).flat_map(|(_, file)| &file.rules);
        let rules = rules.filter(|rule| rule.name == *name && rule.shape() == Shape::Complete);
        rules
            .flat_map(|rule| {
                let bodies = rule.written();
                bodies.iter().flat_map(|body| self.body(syntax, rule, body, depth + 1)).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Whether all these statements hold: a rule of the package that has them as its body says so.
    fn hold(&mut self, syntax: &Syntax, statements: &[Written<'_>]) -> bool {
        self.asked += 1;
        let name = format!("sealtail_explains_{}", self.asked);
        let imports: String =
            syntax.imports.iter().map(|(name, path)| format!("import {} as {name}\n", written(path))).collect();
        let body: String = statements.iter().map(|statement| format!("\t{}\n", statement.text)).collect();
        let text = format!("package {}\n{imports}\n{name} if {{\n{body}}}\n", written(&syntax.package));
        if add(&mut self.engine, &format!("{name}.rego"), &text).is_err() {
            return false;
        }
        let data = format!("data.{}.{name}", written(&syntax.package));
        self.eval(data) == Value::Bool(true)
    }

    /// What a path of the input, or a rule of the package, has as its value.
    fn value(&mut self, syntax: &Syntax, path: &[String]) -> Option<(String, String)> {
        let value = if path[0] == "input" {
            path[1..].iter().fold(self.input.clone(), |value, key| value[key.as_str()].clone())
        } else {
            let is_rule = self.files.iter().any(|(_, file)| {
                file.package == syntax.package
                    && file.rules.iter().any(|rule| rule.name == path[0] && rule.shape() != Shape::Function)
            });
            if !is_rule {
                return None;
            }
            self.eval(format!("data.{}.{}", written(&syntax.package), path[0]))
        };
        Some((path.join("."), shown(&value)))
    }

    fn eval(&mut self, rule: String) -> Value {
        let mut engine = self.engine.clone();
        engine.set_input(self.input.clone());
        let result = catch_unwind(AssertUnwindSafe(|| engine.eval_rule(rule)));
        result.ok().and_then(Result::ok).unwrap_or(Value::Undefined)
    }
}

/// A path as Rego writes it.
fn written(path: &[String]) -> String {
    let mut text = String::new();
    for part in path {
        let is_name = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !part.starts_with(|c: char| c.is_ascii_digit());
        match (text.is_empty(), is_name) {
            (true, _) => text.push_str(part),
            (false, true) => text = text + "." + part,
            (false, false) => text += &format!("[{}]", Value::from(part.as_str())),
        }
    }
    text
}

fn shown(value: &Value) -> String {
    let text = if *value == Value::Undefined { "undefined".to_owned() } else { value.to_string() };
    match text.char_indices().nth(VALUE_MAX) {
        Some((at, _)) => text[..at].to_owned() + "…",
        None => text,
    }
}
