//! Refuses policies that could build a text of any size from a short line.
//!
//! Instructions and time are bounded while a policy runs; memory is not, and one instruction can join texts to a larger one:
//! `b := concat("", [a, a])`, thirty times over. So what joins is weighed before: how many times the line can stand in the
//! result. A value of the line weighs 1, what is written out nothing, a join as much as all its operands.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::Fault;
use super::syntax::{Expr, Form, RuleSyntax, Shape, Syntax, each_in, form, place};

/// How many times the line may stand in what a policy builds.
const WEIGHT_MAX: u64 = 64;
/// Functions whose result is as long as their operands together, times this.
const JOINS: [(&str, u64); 8] = [
    ("concat", 1),
    ("sprintf", 1),
    ("array.concat", 1),
    ("object.union", 1),
    ("object.union_n", 1),
    ("json.marshal", 6), // a control character becomes \u0001
    ("hex.encode", 2),
    ("base64.encode", 2),
];
/// Functions that put a text of the policy into the line's, as often as the line likes.
const REPLACES: [(&str, usize); 3] = [("replace", 2), ("regex.replace", 2), ("strings.replace_n", 0)];

/// Functions whose result is short, whatever they are given.
const SMALL: [&str; 11] = [
    "contains",
    "count",
    "endswith",
    "glob.match",
    "indexof",
    "max",
    "min",
    "net.cidr_contains",
    "regex.match",
    "startswith",
    "to_number",
];

/// Checks a set.
pub(super) fn check(files: &[(&str, &Syntax)], faults: &mut Vec<Fault>) {
    let scales = Scales { files, rules: RefCell::new(BTreeMap::new()) };
    for (file, syntax) in files {
        for rule in &syntax.rules {
            let scope = Scope::of(syntax, rule);
            rule.each_expr(&mut |expr| {
                if let Some(what) = scales.too_large(expr, &scope) {
                    faults.push(Fault::at(file, place(expr), what));
                }
            });
        }
    }
}

/// The names of one rule.
struct Scope<'a> {
    syntax: &'a Syntax,
    definitions: Vec<(String, &'a Expr, bool)>,
    declared: BTreeSet<&'a str>,
    /// Names that are being weighed: one that needs itself weighs 1 there.
    open: RefCell<BTreeSet<String>>,
    /// What names weigh, so that each is weighed once.
    known: RefCell<BTreeMap<String, u64>>,
}

impl<'a> Scope<'a> {
    fn of(syntax: &'a Syntax, rule: &'a RuleSyntax) -> Self {
        let declared = rule.declared().into_iter().map(|(name, _)| name).collect();
        Self { syntax, definitions: rule.definitions(), declared, open: RefCell::default(), known: RefCell::default() }
    }
}

struct Scales<'a> {
    files: &'a [(&'a str, &'a Syntax)],
    /// What each rule weighs, by its path; 1 while it is being weighed.
    rules: RefCell<BTreeMap<Vec<String>, u64>>,
}

impl Scales<'_> {
    fn too_large(&self, expr: &Expr, scope: &Scope<'_>) -> Option<String> {
        match form(expr) {
            Form::Call(name, _) if name == "sprintf" && has_width(expr) => {
                Some("a width of more than three digits makes a text of any length".to_owned())
            }
            Form::Call(name, _) => {
                let builds = JOINS.iter().any(|(join, _)| *join == name)
                    || REPLACES.iter().any(|(replace, _)| *replace == name)
                    || scope.syntax.rules.iter().any(|rule| rule.name == name);
                (builds && self.weigh(expr, scope) > WEIGHT_MAX).then(|| {
                    format!("a line could make this longer than {WEIGHT_MAX} times its own length; join less of it")
                })
            }
            Form::Compr(terms, own, _) if terms.iter().any(|term| self.repeats(term, &own, scope, true, &mut BTreeSet::new())) => Some(
                "this makes something of the whole line anew for each element; do that once, before the comprehension"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    fn weigh(&self, expr: &Expr, scope: &Scope<'_>) -> u64 {
        let sum = |items: &mut dyn Iterator<Item = &Expr>| {
            items.fold(0_u64, |sum, item| sum.saturating_add(self.weigh(item, scope)))
        };
        match form(expr) {
            Form::Text(_) | Form::Number(_) => 0,
            Form::Path(path) => self.of_path(&path, scope),
            Form::List(items) => sum(&mut items.iter().map(AsRef::as_ref)),
            Form::Object(fields) => sum(&mut fields.iter().flat_map(|(key, value)| [*key, *value])),
            Form::Compr(terms, own, loops) => {
                match loops > 1 || terms.iter().any(|term| self.repeats(term, &own, scope, false, &mut BTreeSet::new()))
                {
                    true => u64::MAX,
                    false => sum(&mut terms.into_iter()),
                }
            }
            Form::Arithmetic(a, b) => self.weigh(a, scope).max(self.weigh(b, scope)),
            Form::Call(name, _) if SMALL.contains(&name.as_str()) => 0,
            Form::Call(name, operands) => {
                let weights: Vec<u64> = operands.iter().map(|operand| self.weigh(operand, scope)).collect();
                self.of_call(&name, operands.iter().map(AsRef::as_ref), &weights, scope)
            }
            _ => self.largest_in(expr, scope),
        }
    }

    fn of_call<'e>(
        &self,
        name: &str,
        mut operands: impl Iterator<Item = &'e Expr>,
        weights: &[u64],
        scope: &Scope<'_>,
    ) -> u64 {
        let all = weights.iter().fold(0_u64, |sum, weight| sum.saturating_add(*weight));
        let largest = weights.iter().copied().max().unwrap_or(0);
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        if let Some(weight) = self.of_rule(&path, scope) {
            return weight.saturating_mul(all).max(largest);
        }
        if let Some((_, times)) = JOINS.iter().find(|(join, _)| *join == name) {
            return all.saturating_mul(*times);
        }
        match REPLACES.iter().find(|(replace, _)| *replace == name) {
            Some((_, at)) => largest.saturating_mul(operands.nth(*at).map_or(1, longest_text).max(1)),
            None => largest,
        }
    }

    /// The largest of the paths and calls in an expression that is neither.
    fn largest_in(&self, expr: &Expr, scope: &Scope<'_>) -> u64 {
        let mut largest = 0;
        each_in(expr, &mut |inner| {
            if !std::ptr::eq(inner, expr) && matches!(form(inner), Form::Path(_) | Form::Call(..)) {
                largest = largest.max(self.weigh(inner, scope));
            }
        });
        largest
    }

    fn of_path(&self, path: &[String], scope: &Scope<'_>) -> u64 {
        let name = &path[0];
        if name == "input" {
            return 1;
        }
        if !scope.declared.contains(name.as_str())
            && let Some(weight) = self.of_rule(path, scope)
        {
            return weight;
        }
        if let Some(known) = scope.known.borrow().get(name) {
            return *known;
        }
        if !scope.open.borrow_mut().insert(name.clone()) {
            return 1;
        }
        let definitions = scope.definitions.iter().filter(|(defined, _, _)| defined == name);
        let weight = definitions.map(|(_, value, _)| self.weigh(value, scope)).max().unwrap_or(1);
        scope.open.borrow_mut().remove(name);
        scope.known.borrow_mut().insert(name.clone(), weight);
        weight
    }

    /// What a rule weighs, or a function whose operands weigh 1 each.
    fn of_rule(&self, path: &[String], scope: &Scope<'_>) -> Option<u64> {
        let imported = scope.syntax.imports.iter().find(|(name, _)| *name == path[0]);
        let full: Vec<String> = match imported {
            Some((_, import)) => import[1..].iter().chain(&path[1..]).cloned().collect(),
            None if path[0] == "data" => path[1..].to_vec(),
            None => scope.syntax.package.iter().chain(path).cloned().collect(),
        };
        if let Some(known) = self.rules.borrow().get(&full) {
            return Some(*known);
        }
        let at = |syntax: &Syntax| {
            full.strip_prefix(syntax.package.as_slice()).and_then(<[String]>::first).cloned().unwrap_or_default()
        };
        let rules: Vec<(&Syntax, &RuleSyntax)> = self
            .files
            .iter()
            .flat_map(|(_, syntax)| syntax.rules.iter().map(move |rule| (*syntax, rule)))
            .filter(|(syntax, rule)| rule.name == at(syntax))
            .collect();
        if rules.is_empty() {
            return None;
        }
        self.rules.borrow_mut().insert(full.clone(), 1);
        let weigh = |(syntax, rule): &(&Syntax, &RuleSyntax)| {
            let scope = Scope::of(syntax, rule);
            rule.results().into_iter().map(|result| self.weigh(result, &scope)).max().unwrap_or(0)
        };
        let weight = rules.iter().map(weigh).max().unwrap_or(0);
        self.rules.borrow_mut().insert(full, weight);
        Some(weight)
    }

    /// Whether a term has in it, once for each element, something that does not come from what its comprehension goes through:
    /// with `only_made` only if a function makes it anew.
    fn repeats(
        &self,
        term: &Expr,
        own: &[&str],
        scope: &Scope<'_>,
        only_made: bool,
        seen: &mut BTreeSet<(String, bool)>,
    ) -> bool {
        if matches!(form(term), Form::Call(name, _) if SMALL.contains(&name.as_str())) {
            return false;
        }
        let mut repeats = false;
        each_in(term, &mut |inner| match form(inner) {
            Form::Call(name, operands) if only_made && !SMALL.contains(&name.as_str()) => {
                repeats |= operands.iter().any(|operand| self.repeats(operand, own, scope, false, seen));
            }
            Form::Path(path) if own.contains(&path[0].as_str()) => {
                if !seen.insert((path[0].clone(), only_made)) {
                    return;
                }
                let made = scope.definitions.iter().filter(|(name, _, is_taken)| *name == path[0] && !is_taken);
                for (_, value, _) in made {
                    repeats |= self.repeats(value, own, scope, only_made, seen);
                }
            }
            Form::Path(path) if !only_made && !is_builtin(&path, scope) => repeats |= self.of_path(&path, scope) > 0,
            _ => {}
        });
        repeats
    }
}

/// Whether a path is that of a function of the engine, which stands in the tree as a name.
fn is_builtin(path: &[String], scope: &Scope<'_>) -> bool {
    let name = path[0].as_str();
    let is_function = |rule: &RuleSyntax| rule.name == name && rule.shape() == Shape::Function;
    let is_known = ["input", "data"].contains(&name)
        || scope.declared.contains(name)
        || scope.syntax.imports_name(name)
        || scope.syntax.rules.iter().any(|rule| rule.name == name);
    !is_known || scope.syntax.rules.iter().any(is_function)
}

/// Whether the format has a width that makes long texts of short ones.
fn has_width(call: &Expr) -> bool {
    let Form::Call(_, [format, ..]) = form(call) else { return false };
    let Form::Text(format) = form(format) else { return false };
    format.split('%').skip(1).any(|verb| {
        let verb = verb.trim_start_matches(['-', '+', '#', ' ', '0']);
        verb.chars().take_while(char::is_ascii_digit).count() > 3
            || verb.split_once('.').is_some_and(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).count() > 3)
    })
}

/// The longest text that is written out in a replacement.
fn longest_text(expr: &Expr) -> u64 {
    let mut longest = 0;
    each_in(expr, &mut |inner| {
        if let Form::Text(text) = form(inner) {
            longest = longest.max(text.len() as u64);
        }
    });
    longest
}
