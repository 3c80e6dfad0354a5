//! `sealtail check`: everything that can be found wrong before anything runs.

use crate::alert;
use crate::chain::host_key::{HostKey, HostPublic};
use crate::config::{self, Config};
use crate::forward;
use crate::policy::bundle::Downloads;
use crate::policy::{self, Candidate};
use crate::telemetry;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check a configuration: keys, policies, certificates, targets, alerts
///
/// Prints every fault, not only the first, each with its place and the mend. Nothing is changed and no line is sent; without
/// --offline each target is asked whether it would take this host's lines, and the server of a bundle for it. Alert targets are told
/// nothing.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Do not connect to the targets, nor to the server of a bundle
    #[arg(long)]
    offline: bool,
}

/// Runs the command.
pub fn run(args: &CheckArgs) -> ExitCode {
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(faults) => return super::fail(&faults),
    };
    // what a target can't be asked, and is no fault
    telemetry::start("warn");
    let faults = faults(&config, args.offline);
    if !faults.is_empty() {
        return super::fail(&faults);
    }
    println!("{}: good", args.config.display());
    ExitCode::SUCCESS
}

/// Everything that is wrong with what a configuration names.
pub(super) fn faults(config: &Config, offline: bool) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(agent) = &config.agent {
        check_agent(agent, offline, &mut faults);
    }
    if let Some(receive) = &config.receive {
        check_folder(&receive.dir, &mut faults);
    }
    faults
}

fn check_agent(agent: &config::Agent, offline: bool, faults: &mut Vec<String>) {
    match HostKey::load(&agent.host.key) {
        Ok(key) => check_public(&agent.host.key, &key, faults),
        Err(error) => faults.push(error.to_string()),
    }
    check_policies(&agent.policy, offline, faults);
    faults.extend(agent.erasure.iter().filter_map(|path| HostPublic::load(path).err()).map(|error| error.to_string()));
    check_folder(&agent.spool.dir, faults);
    faults.extend(
        agent.sources.iter().filter_map(|source| source.labels()?.check(source.name()).err()).map(|e| e.to_string()),
    );
    if let Err((name, error)) = forward::apart(&agent.targets, &agent.spool.dir) {
        faults.push(format!("target {name:?}: {error}"));
    }
    for target in &agent.targets {
        let host = &agent.host.name;
        let checked = match offline {
            true => forward::check(target, host).map_err(|e| e.to_string()),
            false => super::runtime()
                .and_then(|runtime| runtime.block_on(forward::probe(target, host)).map_err(|e| e.to_string())),
        };
        if let Err(why) = checked {
            faults.push(format!("target {:?}: {why}", target.name));
        }
    }
    let alerts = agent.alerts.iter().map(|target| (target, alert::check(target)));
    faults.extend(alerts.filter_map(|(target, checked)| Some(format!("alert {:?}: {}", target.name, checked.err()?))));
}

/// The policies with their tests, and the bundle that the server has now; offline, the one that was kept.
fn check_policies(config: &policy::Config, offline: bool, faults: &mut Vec<String>) {
    let bundle = match &config.bundle {
        None => Ok(None),
        Some(remote) if offline => Downloads::new(remote).kept(),
        Some(remote) => super::runtime().and_then(|runtime| runtime.block_on(Downloads::new(remote).fetch(true))),
    };
    let bundle = bundle.unwrap_or_else(|why| {
        faults.push(format!("[policy] bundle: {why}"));
        None
    });
    if let Err(found) = Candidate::read(config, bundle.as_ref()).compile_tested() {
        faults.extend(found.iter().map(ToString::to_string));
    }
}

/// The public key beside the secret one is what verifiers are given: it must be its other half.
fn check_public(path: &Path, key: &HostKey, faults: &mut Vec<String>) {
    let public = path.with_extension("pub");
    if let Ok(other) = HostPublic::load(&public)
        && other != key.public()
    {
        let mend = "verifiers given it would trust the wrong key; make it anew from the secret key";
        faults.push(format!("{}: not the public half of {}; {mend}", public.display(), path.display()));
    }
}

/// A folder that is there, or can be made.
fn check_folder(dir: &Path, faults: &mut Vec<String>) {
    let Some(nearest) = dir.ancestors().find(|folder| folder.exists()) else { return };
    if !nearest.is_dir() {
        return faults.push(format!("{}: not a folder; choose another place, or move it away", nearest.display()));
    }
    use rustix::fs::Access;
    if rustix::fs::access(nearest, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        faults.push(format!(
            "{}: this user may not write here; change the folder's owner, or run as another user",
            nearest.display()
        ));
    }
}
