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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        policy: PolicyArgs,
    }

    /// Whether `sealtail policy ARGS` on a folder with this file succeeds.
    fn succeeds(command: &str, file: &str, text: &str) -> bool {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(file), text).unwrap();
        let folder = dir.path().to_str().unwrap();
        let args = Cli::try_parse_from(["policy", command, folder]).unwrap().policy;
        // an exit code can't be compared, only shown
        format!("{:?}", run(args)) == format!("{:?}", ExitCode::SUCCESS)
    }

    #[test]
    fn exit_codes_say_what_was_found() {
        let policy = "package sealtail.a\nverdicts contains {\"id\": \"x\"}\n";
        assert!(succeeds("check", "p.rego", policy));
        assert!(!succeeds("check", "p.rego", "package sealtail.a\nverdicts contains {"));
        assert!(succeeds("test", "p_test.rego", "package a\ntest_x if true"));
        assert!(!succeeds("test", "p_test.rego", "package a\ntest_x if true\ntest_y if false"));
        assert!(!succeeds("test", "p_test.rego", "package a\ntest_x if {"));
        assert!(!succeeds("test", "p.rego", policy), "no tests found");
        assert!(Cli::try_parse_from(["policy", "check"]).is_err());
    }
}
