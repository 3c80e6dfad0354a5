//! `sealtail policy`: checks and tests policies.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::policy::{Config, Fault, PolicySet, run_tests};

/// Arguments of `sealtail policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compile policies and print every fault as file:line:column: what
    Check {
        /// Files and folders of .rego and data.json
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Run the test_ rules, as `opa test` does
    Test {
        /// Files and folders of .rego and data.json, tests among them
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
}

/// Runs `sealtail policy`. Exits with 0 if all is well, else with 1.
pub fn run(args: PolicyArgs) -> ExitCode {
    match args.command {
        Command::Check { paths } => check(paths),
        Command::Test { paths } => test(&paths),
    }
}

fn check(paths: Vec<PathBuf>) -> ExitCode {
    match PolicySet::load(&Config { paths, max_instructions: Config::MAX_INSTRUCTIONS }) {
        Ok(set) => {
            anstream::println!("{} packages, {} rules: no fault", set.packages().count(), set.rules().count());
            ExitCode::SUCCESS
        }
        Err(faults) => refuse(&faults),
    }
}

fn test(paths: &[PathBuf]) -> ExitCode {
    let report = match run_tests(paths) {
        Ok(report) => report,
        Err(faults) => return refuse(&faults),
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
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn refuse(faults: &[Fault]) -> ExitCode {
    for fault in faults {
        anstream::eprintln!("{fault}");
    }
    ExitCode::FAILURE
}
