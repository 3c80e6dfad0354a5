//! Runs `test_` rules as `opa test` does: a test passes if its rule is true.
//!
//! Tests use `with input as …`, which the RVM can't compile, so they run on regorus' interpreter. That both give the
//! same verdicts is itself tested, in `tests/policies.rs`.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use super::compile::engine;
use super::load::{Sources, Tests};
use super::syntax::Syntax;
use super::{Fault, circle};

/// Bound of all tests of a set that is to take the place of a running one.
const ALL_MAX: Duration = Duration::from_secs(60);
/// Bound of one test.
const TIMER: ExecutionTimerConfig =
    ExecutionTimerConfig { limit: Duration::from_secs(10), check_interval: NonZeroU32::new(256).expect("not zero") };

/// What the tests under some paths gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestReport {
    /// How many tests passed.
    pub passed: usize,
    /// Those that did not, in order of package and name.
    pub failures: Vec<TestFailure>,
    /// Those that are named `todo_test_…` and did not run.
    pub skipped: usize,
}

/// A test that did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFailure {
    /// Its file.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// The rule: `data.sealtail.linux.test_sudo`.
    pub name: String,
    /// `false`, `undefined`, or the engine's error.
    pub why: String,
}

/// Runs all tests under `paths`. Faults are those of files that can't be read or parsed.
pub fn run_tests(paths: &[PathBuf]) -> Result<TestReport, Vec<Fault>> {
    let mut faults = Vec::new();
    let sources = Sources::read(paths, Tests::Included, &mut faults);
    if !faults.is_empty() {
        engine(&sources, &mut faults);
        return Err(sources.mend_places(faults));
    }
    test(&sources, Duration::MAX)
}

/// Runs all tests of what has been read, beside the line's path: they may not take long.
pub(super) fn test_bounded(sources: &Sources) -> Result<TestReport, Vec<Fault>> {
    test(sources, ALL_MAX)
}

fn test(sources: &Sources, limit: Duration) -> Result<TestReport, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut engine = engine(sources, &mut faults);
    let files = files(&mut engine);
    // the interpreter, too, overflows its stack on these
    let syntaxes: Vec<(&str, &Syntax)> = files.iter().map(|(file, syntax)| (file.as_str(), syntax)).collect();
    circle::check(&syntaxes, &mut faults);
    if !faults.is_empty() {
        return Err(sources.mend_places(faults));
    }
    Ok(run(&mut engine, files, limit))
}

/// Runs all tests of an engine whose modules are known to be sound; for what it leaves behind in the engine.
pub(super) fn run_all(engine: &mut Engine) -> TestReport {
    let files = files(engine);
    run(engine, files, Duration::MAX)
}

fn files(engine: &mut Engine) -> Vec<(String, Syntax)> {
    let modules = engine.get_modules().iter();
    modules.map(|module| (module.package.span.source.get_path().clone(), Syntax::of(module))).collect()
}

fn run(engine: &mut Engine, files: Vec<(String, Syntax)>, limit: Duration) -> TestReport {
    let begun = Instant::now();
    engine.set_execution_timer_config(TIMER);
    // prints of tests are gathered and dropped: standard output is the report's
    engine.set_gather_prints(true);
    let mut report = TestReport::default();
    for test in tests(files) {
        if test.is_todo {
            report.skipped += 1;
            continue;
        }
        let why = match begun.elapsed() >= limit {
            true => Some(format!("not run: the tests before it took {} s", limit.as_secs())),
            false => why_failed(engine, &test.name),
        };
        match why {
            None => report.passed += 1,
            Some(why) => report.failures.push(TestFailure { file: test.file, line: test.line, name: test.name, why }),
        }
    }
    report
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Test {
    name: String,
    file: String,
    line: u32,
    is_todo: bool,
}

fn tests(files: Vec<(String, Syntax)>) -> BTreeSet<Test> {
    let mut tests = BTreeSet::new();
    let mut known = BTreeSet::new();
    for (file, syntax) in files {
        for rule in &syntax.rules {
            let is_todo = rule.name.starts_with("todo_test_");
            let name = format!("data.{}.{}", syntax.package_name(), rule.name);
            // a test of several bodies is one test
            if (is_todo || rule.name.starts_with("test_")) && known.insert(name.clone()) {
                tests.insert(Test { name, file: file.clone(), line: rule.place.0, is_todo });
            }
        }
    }
    tests
}

fn why_failed(engine: &mut Engine, name: &str) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| engine.eval_rule(name.to_owned()))) {
        Ok(Ok(Value::Bool(true))) => None,
        Ok(Ok(Value::Undefined)) => Some("undefined".to_owned()),
        Ok(Ok(Value::Bool(false))) => Some("false".to_owned()),
        Ok(Ok(_)) => Some("neither true nor false".to_owned()),
        Ok(Err(error)) => Some(Fault::from_engine("error", &error.to_string()).to_string()),
        Err(_) => Some("the engine panicked".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn tests_that_take_too_long_together_fail() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a_test.rego"), "package a\n\ntest_x if true\n\ntest_y if true\n").unwrap();
        let sources = Sources::read(&[dir.path().to_path_buf()], Tests::Included, &mut Vec::new());
        assert_eq!(test_bounded(&sources).unwrap().passed, 2);
        let report = test(&sources, Duration::ZERO).unwrap();
        assert_eq!((report.passed, report.failures.len()), (0, 2));
        assert!(report.failures[0].why.starts_with("not run"));
    }
}
