//! Which rules and lines the tests of a set reach.
//!
//! A verdict's rule is covered if its verdict was made: if all its statements held, in some test. The engine counts lines,
//! so a rule that stands on one line is given a second one before it is run, and lines are counted back afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::Fault;
use super::compile::engine;
use super::load::{SourceFile, Sources, Tests};
use super::syntax::Syntax;
use super::testing::run_all;

/// What the tests under some paths reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Each rule that gives verdicts, in the order of files and lines.
    pub rules: Vec<RuleCoverage>,
    /// Lines of policies that tests evaluate.
    pub lines: usize,
    /// Lines of policies that no test evaluates, by file.
    pub missed: BTreeMap<String, BTreeSet<u32>>,
}

/// Whether a test makes a rule give its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCoverage {
    /// Its file.
    pub file: String,
    /// Its first line.
    pub line: u32,
    /// Whether its verdict was made.
    pub is_hit: bool,
}

/// Runs all tests under `paths` once more and counts.
pub fn coverage(paths: &[PathBuf]) -> Result<Coverage, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut sources = Sources::read(paths, Tests::Included, &mut faults);
    let mut spread = BTreeMap::new();
    for module in engine(&sources, &mut faults).get_modules() {
        let path = module.package.span.source.get_path().clone();
        if !path.ends_with("_test.rego") {
            spread.insert(path, Syntax::of(module));
        }
    }
    let mut lines_of = BTreeMap::new();
    for file in &mut sources.modules {
        if let Some(syntax) = spread.get(&file.path) {
            lines_of.insert(file.path.clone(), spread_out(file, syntax));
        }
    }
    let mut engine = engine(&sources, &mut faults);
    if !faults.is_empty() {
        return Err(sources.mend_places(faults));
    }
    engine.set_enable_coverage(true);
    run_all(&mut engine);
    let report = engine.get_coverage_report().map_err(|error| vec![Fault::from_engine("", &error.to_string())])?;
    Ok(count(&spread, &lines_of, &report))
}

/// Puts a newline before the first statement of each one-line rule; gives the old number of each line.
fn spread_out(file: &mut SourceFile, syntax: &Syntax) -> Vec<u32> {
    let mut text = String::with_capacity(file.text.len());
    let mut numbers = vec![0];
    let mut from = 0;
    let breaks = syntax.rules.iter().filter(|rule| rule.name == "verdicts").filter_map(|rule| {
        let first = rule.written().into_iter().next()?.into_iter().next()?;
        (first.place.0 == rule.place.0).then_some(first.offset)
    });
    let mut number = 1;
    for end in breaks.chain([file.text.len()]) {
        let part = file.text.get(from..end).unwrap_or_default();
        for line in part.split_inclusive('\n') {
            numbers.push(number);
            number += u32::from(line.ends_with('\n'));
        }
        text.push_str(part);
        text.push('\n');
        from = end;
    }
    file.text = text;
    numbers
}

fn count(
    spread: &BTreeMap<String, Syntax>,
    lines_of: &BTreeMap<String, Vec<u32>>,
    report: &regorus::coverage::Report,
) -> Coverage {
    let mut found = Coverage::default();
    for (path, syntax) in spread {
        let numbers = lines_of.get(path).map(Vec::as_slice).unwrap_or_default();
        let old = |line: &u32| numbers.get(*line as usize).copied().unwrap_or(*line);
        let file = report.files.iter().find(|file| file.path == *path);
        let covered: BTreeSet<u32> = file.iter().flat_map(|file| &file.covered).map(old).collect();
        let missed: BTreeSet<u32> = file.iter().flat_map(|file| &file.not_covered).map(old).collect();
        for rule in syntax.rules.iter().filter(|rule| rule.name == "verdicts") {
            // the line of the head: the first of the new lines that was this one
            let head = numbers.iter().position(|number| *number == rule.place.0).unwrap_or_default();
            let is_hit = file.is_some_and(|file| file.covered.iter().any(|line| *line as usize == head));
            found.rules.push(RuleCoverage { file: path.clone(), line: rule.place.0, is_hit });
        }
        found.lines += covered.len();
        let missed: BTreeSet<u32> = missed.difference(&covered).copied().collect();
        if !missed.is_empty() {
            found.missed.insert(path.clone(), missed);
        }
    }
    found
}
