//! `sealtail init`: a configuration that works, with what was found on this machine.

mod ask;
mod text;

use super::check;
use super::quickstart::folder::host_name;
use crate::chain::auditor_key;
use crate::chain::host_key::HostKey;
use crate::config::Config;
use crate::durable::{self, Disk};
use crate::policy::packs;
use ask::Ask;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write a configuration for this host, a sidecar or a DaemonSet
///
/// Looks which logs there are, asks for what it can't know (on a terminal; otherwise flags say it), makes the host's key where there
/// is none, writes the policies that come with sealtail and a commented configuration that `sealtail check` takes, and says what to do
/// next. Nothing is written over without --force, and keys never are.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// What to set up
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// The configuration's file; keys and policies are made beside it
    #[arg(long, value_name = "FILE", default_value = "/etc/sealtail/sealtail.toml")]
    output: PathBuf,
    /// The host's name, for which its client certificate must be; default: what the machine calls itself
    #[arg(long, value_name = "NAME")]
    host_name: Option<String>,
    /// An auditor's recipient, age1…; may be given several times
    #[arg(long, value_name = "RECIPIENT")]
    auditor: Vec<String>,
    /// Make an auditor's identity in FILE, which belongs on another machine, and use its recipient
    #[arg(long, value_name = "FILE", conflicts_with = "auditor")]
    new_auditor: Option<PathBuf>,
    /// Where lines go: the https URL of a store, or a folder's absolute path
    #[arg(long, value_name = "URL|DIR")]
    target: Option<String>,
    /// The authority that the store's certificate is from (PEM)
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// This host's certificate and its chain (PEM)
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Its key (PEM, mode 0600)
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// This host's signing key, made where there is none; default: host.key beside the configuration
    #[arg(long, value_name = "FILE")]
    host_key: Option<PathBuf>,
    /// Files to follow instead of those that are found: patterns, in quotes; may be given several times
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// The spool's folder
    #[arg(long, value_name = "DIR", default_value = "/var/lib/sealtail/spool")]
    spool: PathBuf,
    /// Write no policies: lines are chained without verdicts
    #[arg(long)]
    no_policies: bool,
    /// Ask nothing
    #[arg(long)]
    yes: bool,
    /// Write over a configuration that is there
    #[arg(long)]
    force: bool,
}

/// What is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// An agent for this machine
    Host,
    /// An agent beside a container, in its pod
    Sidecar,
    /// An agent on each node of a cluster
    Daemonset,
}

/// Everything that the configuration says.
struct Plan {
    kind: Kind,
    host: String,
    host_key: PathBuf,
    auditors: Vec<String>,
    include: Vec<String>,
    policies: Option<PathBuf>,
    spool: PathBuf,
    target: Place,
}

/// Where lines go.
enum Place {
    Https { url: String, ca: PathBuf, cert: PathBuf, key: PathBuf },
    Folder(PathBuf),
}

/// What the packages install.
const UNIT: &str = "/usr/lib/systemd/system/sealtail.service";

/// Where a pod has what is mounted from its Secret and ConfigMap.
const MOUNTED: &str = "/etc/sealtail";

/// Runs the command.
pub fn run(args: &InitArgs) -> ExitCode {
    match init(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(faults) => super::fail(&faults),
    }
}

fn init(args: &InitArgs) -> Result<(), Vec<String>> {
    let one = |why: String| vec![why];
    let output = std::path::absolute(&args.output).map_err(|e| one(format!("{}: {e}", args.output.display())))?;
    if output.exists() && !args.force {
        return Err(one(format!(
            "{}: is there already; --force writes over it, --output chooses another",
            output.display()
        )));
    }
    let folder = output.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(|e| one(format!("{}: cannot make this folder: {e}", folder.display())))?;
    let host_key = args.host_key.clone().unwrap_or_else(|| folder.join("host.key"));
    let host_key = std::path::absolute(&host_key).map_err(|e| one(format!("{}: {e}", host_key.display())))?;
    let mut plan = plan(args, folder, &host_key)?;
    if !host_key.exists() {
        let public =
            HostKey::generate_ed25519().and_then(|key| key.save_new(&host_key)).map_err(|e| one(e.to_string()))?;
        println!("made {}, and {} for verifiers and the store", host_key.display(), public.display());
    }
    if let Some(identity) = &args.new_auditor {
        let recipient = auditor_key::save_new(identity).map_err(|e| one(e.to_string()))?;
        plan.auditors.push(recipient.to_string());
        println!("made {}: move it to the auditor's machine now, it opens every stream", identity.display());
    }
    if !args.no_policies {
        let policies = folder.join("policies");
        if !policies.exists() {
            packs::unpack(&policies).map_err(one)?;
            println!("made {}: yours to change", policies.display());
        }
    }
    put(&plan, &output, args.force)?;
    println!("made {}", output.display());
    next_steps(&plan, &output);
    Ok(())
}

/// What flags say, and where they don't and somebody is there, answers.
fn plan(args: &InitArgs, folder: &Path, host_key: &Path) -> Result<Plan, Vec<String>> {
    let mut ask = Ask::new(args.yes);
    let kind = match args.kind {
        Some(kind) => kind,
        None => ask.choose("Set up a host, a sidecar or a daemonset?", Kind::Host)?,
    };
    let in_pod = kind != Kind::Host;
    let host = match (&args.host_name, in_pod) {
        (Some(name), _) => name.clone(),
        (None, true) => String::new(),
        (None, false) => ask.with_default("This host's name, for which its certificate is", host_name())?,
    };
    let auditors = match (args.auditor.is_empty(), &args.new_auditor) {
        (false, _) => args.auditor.clone(),
        (true, Some(_)) => Vec::new(),
        (true, None) => {
            let answer = ask.required(
                "--auditor age1… or --new-auditor FILE",
                "The auditor's recipient, age1… (`sealtail keys auditor` makes one)",
            );
            answer.into_iter().collect()
        }
    };
    let url = match &args.target {
        Some(target) => Some(target.clone()),
        None => ask.required("--target URL", "Where lines go: https://… of a store, or a folder's absolute path"),
    };
    let mut file = |flag: &Option<PathBuf>, name: &str, what: &str| match flag {
        Some(path) => std::path::absolute(path).ok(),
        None if in_pod => Some(Path::new(MOUNTED).join(name)),
        None => ask.required(&format!("--{what} FILE"), &format!("The PEM file of the {what}")).map(PathBuf::from),
    };
    let target = match url {
        Some(url) if url.starts_with('/') => Some(Place::Folder(url.into())),
        Some(url) => {
            let (ca, cert, key) = (
                file(&args.ca, "ca.pem", "ca"),
                file(&args.cert, "client.pem", "cert"),
                file(&args.key, "client.key", "key"),
            );
            ca.zip(cert).zip(key).map(|((ca, cert), key)| Place::Https { url, ca, cert, key })
        }
        None => None,
    };
    ask.missing()?;
    let target = target.ok_or_else(|| vec!["name the target's certificates".to_owned()])?;
    let mounted = |path: PathBuf, name: &str| if in_pod { Path::new(MOUNTED).join(name) } else { path };
    Ok(Plan {
        kind,
        host,
        host_key: mounted(host_key.to_owned(), "host.key"),
        auditors,
        include: args.include.clone(),
        policies: (!args.no_policies).then(|| mounted(folder.join("policies"), "policies")),
        spool: args.spool.clone(),
        target,
    })
}

/// Checks the configuration as `check` does, and puts it in place.
fn put(plan: &Plan, output: &Path, force: bool) -> Result<(), Vec<String>> {
    let aside = output.with_extension("toml.new");
    let at = |error: io::Error| vec![format!("{}: {error}", output.display())];
    let text = text::config(plan);
    if !text.contains("\n[[source]]") {
        return Err(vec![
            "no log was found that this user may read; name some with --include, or run as another user".to_owned(),
        ]);
    }
    durable::replace(&Disk, &aside, text.as_bytes(), 0o644).map_err(at)?;
    let faults = faults(plan, &aside);
    if !faults.is_empty() {
        drop(std::fs::remove_file(&aside));
        let (written, meant) = (aside.display().to_string(), output.display().to_string());
        return Err(faults.iter().map(|fault| fault.replace(&written, &meant)).collect());
    }
    let placed = match force {
        true => std::fs::rename(&aside, output),
        false => durable::FileSystem::rename_new(&Disk, &aside, output),
    };
    placed.inspect_err(|_| drop(std::fs::remove_file(&aside))).map_err(at)
}

/// In a pod's place the names of pod and node, and what is mounted there, can't be looked at.
fn faults(plan: &Plan, path: &Path) -> Vec<String> {
    let variable = |name: &str| match plan.kind {
        Kind::Host => std::env::var_os(name),
        _ => Some(OsString::from("name")),
    };
    match Config::load_with(path, &variable) {
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
        Ok(config) if plan.kind == Kind::Host => check::faults(&config, true),
        Ok(_) => Vec::new(),
    }
}

fn next_steps(plan: &Plan, output: &Path) {
    let file = output.display();
    println!("\nNext:");
    match plan.kind {
        Kind::Host => {
            println!("  sealtail check --config {file}     # also asks the target");
            println!("  sealtail doctor --config {file}    # limits, clock, disk, permissions of this machine");
            match Path::new(UNIT).exists() {
                true => println!("  systemctl enable --now sealtail"),
                false => println!("  sealtail run --config {file}"),
            }
        }
        Kind::Sidecar | Kind::Daemonset => {
            let folder = output.parent().unwrap_or(Path::new(".")).display();
            let name =
                if plan.kind == Kind::Sidecar { "POD_NAME (metadata.name)" } else { "NODE_NAME (spec.nodeName)" };
            println!("  Not looked at here: {MOUNTED}/… and the environment variable {name}, which only the pod has.");
            println!("  kubectl create configmap sealtail --from-file={file}");
            println!(
                "  kubectl create secret generic sealtail --from-file={folder}/host.key --from-file=ca.pem --from-file=client.pem --from-file=client.key"
            );
            println!(
                "  Mount both, and {folder}/policies, under {MOUNTED}; config/ in sealtail's repository shows the volumes."
            );
        }
    }
    println!(
        "  Give host.pub to the auditor, who runs: sealtail verify ARCHIVE --identity auditor.key --host-key host.pub"
    );
}
