//! `sealtail policy`: checks, tests, tries and explains policies.

mod controls;
mod explain;
mod follow;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::policy::{self, Config, Fault, PolicySet};

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
        /// Files and folders of .rego, data.json and data.yaml, and OPA bundles (.tar.gz)
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Run the test_ rules, as `opa test` does, and say which rules they reach
    Test(test::TestArgs),
    /// Show each line with its verdicts, live or to the end; nothing is shipped
    Try(follow::TryArgs),
    /// Say why a verdict fell on a line, or why none did
    Explain(explain::ExplainArgs),
    /// List the controls, and what answers each: rules, the chain, or nothing in a log
    Controls(controls::ControlsArgs),
}

/// Runs `sealtail policy`. Exits with 0 if all is well, else with 1.
pub fn run(args: PolicyArgs) -> ExitCode {
    match args.command {
        Command::Check { paths } => check(paths),
        Command::Test(args) => test::run(&args),
        Command::Try(args) => follow::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Controls(args) => controls::run(&args),
    }
}

fn check(paths: Vec<PathBuf>) -> ExitCode {
    match policy::check(&Config::of(paths)) {
        Ok(set) => {
            anstream::println!("{} packages, {} rules: no fault", set.packages().count(), set.rules().count());
            ExitCode::SUCCESS
        }
        Err(faults) => refuse(&faults),
    }
}

/// The policies under these paths; those that come with sealtail if there are none.
fn load(paths: &[PathBuf]) -> Result<PolicySet, Vec<Fault>> {
    match paths {
        [] => PolicySet::packs(),
        paths => PolicySet::load(&Config::of(paths.to_vec())),
    }
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
