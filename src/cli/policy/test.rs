//! `sealtail policy test`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;

use crate::policy::{Coverage, coverage, run_tests};

/// How often `--watch` looks at the files.
const POLL: Duration = Duration::from_millis(300);
/// Bound of the lines without a test that are named for a file.
const LINES_SHOWN: usize = 12;

/// Arguments of `sealtail policy test`.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Files and folders of .rego, data.json and data.yaml, and OPA bundles (.tar.gz), tests among them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Name each line that no test evaluates
    #[arg(long)]
    lines: bool,
    /// Fail if a rule gives its verdict in no test
    #[arg(long)]
    covered: bool,
    /// Run again whenever a file changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

pub(super) fn run(args: &TestArgs) -> ExitCode {
    if !args.watch {
        return once(args);
    }
    loop {
        let seen = newest(&args.paths);
        once(args);
        anstream::eprintln!("watching; Ctrl-C ends");
        while newest(&args.paths) == seen {
            std::thread::sleep(POLL);
        }
        anstream::println!();
    }
}

fn once(args: &TestArgs) -> ExitCode {
    let report = match run_tests(&args.paths) {
        Ok(report) => report,
        Err(faults) => return super::refuse(&faults),
    };
    for failure in &report.failures {
        anstream::println!("FAIL {}:{}: {}: {}", failure.file, failure.line, failure.name, failure.why);
    }
    let all = report.passed + report.failures.len();
    if all == 0 {
        anstream::eprintln!("no tests found; a test is a rule whose name begins with `test_`");
        return ExitCode::FAILURE;
    }
    anstream::println!("PASS: {}/{all}", report.passed);
    if report.skipped > 0 {
        anstream::println!("SKIPPED: {}", report.skipped);
    }
    match coverage(&args.paths) {
        Ok(coverage) => {
            let all_hit = show(args, &coverage);
            let fails = !report.failures.is_empty() || (args.covered && !all_hit);
            if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(faults) => super::refuse(&faults),
    }
}

/// Prints what the tests reach; whether they reach every rule.
fn show(args: &TestArgs, coverage: &Coverage) -> bool {
    let hit = coverage.rules.iter().filter(|rule| rule.is_hit).count();
    for rule in coverage.rules.iter().filter(|rule| !rule.is_hit) {
        anstream::println!("NOT COVERED {}:{}: no test makes this rule give its verdict", rule.file, rule.line);
    }
    let missed: usize = coverage.missed.values().map(|lines| lines.len()).sum();
    if !coverage.rules.is_empty() {
        let lines = coverage.lines + missed;
        anstream::println!("COVERED: {hit}/{} rules, {}/{lines} lines", coverage.rules.len(), coverage.lines);
    }
    if args.lines {
        for (file, lines) in &coverage.missed {
            let shown: Vec<String> = lines.iter().take(LINES_SHOWN).map(u32::to_string).collect();
            let more = lines.len().saturating_sub(LINES_SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            anstream::println!("NOT EVALUATED {file}: lines {}{more}", shown.join(", "));
        }
    }
    hit == coverage.rules.len()
}

/// What is compared to see a change: how many files there are, and the newest of their times.
fn newest(paths: &[PathBuf]) -> (usize, Option<SystemTime>) {
    let mut found = (0, None);
    let mut folders: Vec<(PathBuf, usize)> = paths.iter().map(|path| (path.clone(), 0)).collect();
    while let Some((path, depth)) = folders.pop() {
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        found = (found.0 + 1, found.1.max(metadata.modified().ok()));
        // as deep as policies are read
        if metadata.is_dir() && depth < 32 {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            folders.extend(entries.map(|entry| (entry.path(), depth + 1)));
        }
    }
    found
}
