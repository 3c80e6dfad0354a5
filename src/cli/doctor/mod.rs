//! `sealtail doctor`: whether this machine is fit for its configuration.
//!
//! ```text
//! host.rs     limits, clock, kernel, systemd
//! storage.rs  the spool, and who may write where
//! network.rs  certificates, names, targets
//! sources.rs  what is to be read
//! ```

mod host;
mod network;
mod sources;
mod storage;

use super::check;
use crate::config::Config;
use clap::Args;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Say what about this machine and this configuration will give trouble, each with its mend
///
/// Looks at permissions, limits, clock, disk, certificates, targets and the kernel, as the user who runs it: run it as the agent's.
/// Nothing is changed and no line is sent. Exit 0: well; 1: something is to be warned of; 2: something is broken.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/sealtail/sealtail.toml")]
    config: PathBuf,
    /// Do not connect to the targets
    #[arg(long)]
    offline: bool,
    /// Where the kernel shows its state; in a container perhaps the host's, mounted elsewhere
    #[arg(long, value_name = "DIR", default_value = "/proc")]
    proc: PathBuf,
    /// Print one JSON object a finding
    #[arg(long)]
    json: bool,
}

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It can't be told here.
    Skip,
    Ok,
    Warn,
    Fail,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn skip(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, state: State::Skip, what: what.into(), mend: None }
    }

    fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, state: State::Ok, what: what.into(), mend: None }
    }

    fn warn(check: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, state: State::Warn, what: what.into(), mend: Some(mend.into()) }
    }

    fn fail(check: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, state: State::Fail, what: what.into(), mend: Some(mend.into()) }
    }

    /// A fault of a stage, which ends with its mend, if it has a better one than `otherwise`.
    fn fault(check: &'static str, fault: &str, otherwise: &str) -> Self {
        let (what, mend) = fault.rsplit_once("; ").unwrap_or((fault, otherwise));
        Self::fail(check, what, mend)
    }
}

/// Runs the command.
pub fn run(args: &DoctorArgs) -> ExitCode {
    let findings = examine(args);
    if let Err(error) = print(&findings, args.json)
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return super::fail(&[format!("cannot write to standard output: {error}")]);
    }
    match findings.iter().map(|finding| finding.state).max() {
        Some(State::Fail) => ExitCode::from(2),
        Some(State::Warn) => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    }
}

/// Of faults that say none themselves: what is wrong with a file.
const MEND_CONFIG: &str = "put the file right, and let the agent's user read it";

fn examine(args: &DoctorArgs) -> Vec<Finding> {
    let mut findings = Vec::new();
    let config = match Config::load(&args.config) {
        Ok(config) => Some(config),
        Err(faults) => {
            findings.extend(faults.iter().map(|fault| Finding::fault("config", &fault.to_string(), MEND_CONFIG)));
            None
        }
    };
    if let Some(config) = &config {
        let faults = check::faults(config, true);
        if faults.is_empty() {
            findings.push(Finding::ok("config", format!("{} is good", args.config.display())));
        }
        findings.extend(faults.iter().map(|fault| Finding::fault("config", fault, MEND_CONFIG)));
    }
    let agent = config.as_ref().and_then(|config| config.agent.as_ref());
    let found = agent.map(sources::previews).unwrap_or_default();
    if let Some(agent) = agent {
        findings.extend(sources::examine(agent, &found));
        findings.extend(storage::spool(&agent.spool, &args.proc));
        findings.extend(network::examine(agent, args.offline));
    }
    let memory_bytes = agent.map(|agent| agent.memory_bytes);
    findings.extend(host::examine(&args.proc, &args.config, sources::folders(&found), memory_bytes));
    findings
}

fn print(findings: &[Finding], json: bool) -> io::Result<()> {
    use anstyle::{AnsiColor, Style};
    let mut out = anstream::stdout().lock();
    for finding in findings {
        if json {
            serde_json::to_writer(&mut out, finding)?;
            writeln!(out)?;
            continue;
        }
        let (word, style) = match finding.state {
            State::Skip => ("-   ", Style::new().dimmed()),
            State::Ok => ("ok  ", AnsiColor::Green.on_default()),
            State::Warn => ("WARN", AnsiColor::Yellow.on_default().bold()),
            State::Fail => ("FAIL", AnsiColor::Red.on_default().bold()),
        };
        writeln!(out, "{style}{word}{style:#}  {:<12} {}", finding.check, finding.what)?;
        if let Some(mend) = &finding.mend {
            writeln!(out, "{:<18} mend: {mend}", "")?;
        }
    }
    out.flush()
}
