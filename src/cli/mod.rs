//! The command line: one file per subcommand.

pub mod cat;
pub mod check;
pub mod config;
pub mod doctor;
pub mod erase;
mod fetch;
mod figures;
mod found;
pub mod init;
pub mod keys;
pub mod policy;
pub mod quickstart;
pub mod receive;
pub mod redacted;
pub mod run;
pub mod save;
mod service;
mod show;
pub mod spool;
pub mod status;
mod stop;
pub mod top;
pub mod verify;

use clap::{Parser, Subcommand};
use std::fmt::Display;
use std::process::ExitCode;

/// Log shipper for audit logs: labels each line with policy verdicts, chains it with keys that this host cannot get back,
/// ships it to append-only stores, and lets anyone check later that nothing was changed, removed, reordered or held back.
#[derive(Debug, Parser)]
#[command(name = "sealtail", version, about, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Quickstart(quickstart::QuickstartArgs),
    Init(init::InitArgs),
    Doctor(doctor::DoctorArgs),
    Run(run::RunArgs),
    Receive(receive::ReceiveArgs),
    Check(check::CheckArgs),
    Status(status::StatusArgs),
    Top(top::TopArgs),
    /// Look after the spool of an agent that is stopped
    Spool(spool::SpoolArgs),
    /// Print the reference of sealtail.toml, or its JSON Schema
    Config(config::ConfigArgs),
    Save(save::SaveArgs),
    /// Say whether archives are intact: nothing changed, removed, reordered or held back
    Verify(verify::VerifyArgs),
    /// Print an archive or a spool back as the lines that it holds, byte for byte
    Cat(cat::CatArgs),
    Redacted(redacted::RedactedArgs),
    Erase(erase::EraseArgs),
    /// Make keys: an auditor's identity, a host's signing key, or a key that may erase
    Keys(keys::Keys),
    /// Check policies, and run their tests
    Policy(policy::PolicyArgs),
}

/// Runs the command that was given.
pub fn main() -> ExitCode {
    if let Err(error) = crate::hardening::forbid_dumps() {
        eprintln!("sealtail: warning: cannot forbid core dumps of this process: {error}");
    }
    match Cli::parse().command {
        Command::Quickstart(args) => quickstart::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Receive(args) => receive::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Spool(args) => spool::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Save(args) => save::run(&args),
        Command::Verify(args) => verify::run(args),
        Command::Cat(args) => cat::run(args),
        Command::Erase(args) => erase::run(&args),
        Command::Redacted(args) => redacted::run(&args),
        Command::Keys(args) => match args.run(&mut std::io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&[error]),
        },
        Command::Policy(args) => policy::run(args),
    }
}

/// The runtime of the network.
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|e| format!("cannot start the runtime: {e}"))
}

/// Prints each fault; exit 1.
fn fail(faults: &[impl Display]) -> ExitCode {
    for fault in faults {
        eprintln!("sealtail: {fault}");
    }
    ExitCode::FAILURE
}
