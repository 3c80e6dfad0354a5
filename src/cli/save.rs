//! `sealtail save`: what a queue has, as an archive in a folder.

use crate::config::Targets;
use crate::forward;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Save what a nats or kafka target has as an archive in a folder, for `sealtail verify`
///
/// Reads the whole stream or topic and creates a file for each batch. Files that are there are never changed, so that saving again
/// adds what is new. Exit 0: all is saved; 1: something is wrong with what the target has, and was told; 2: it could not be read.
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// A configuration with the target; besides [[target]] only [host] name counts, which the client certificate must name
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The target's name
    #[arg(value_name = "TARGET")]
    target: String,
    /// The archive's folder; made if it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Runs the command.
pub fn run(args: &SaveArgs) -> ExitCode {
    match save(args) {
        Ok(saved) => {
            println!("{}: {} new batches, {} known", args.dir.display(), saved.new, saved.known);
            if saved.faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(faults) => {
            super::fail(&faults);
            ExitCode::from(2)
        }
    }
}

fn save(args: &SaveArgs) -> Result<forward::Saved, Vec<String>> {
    let config = Targets::load(&args.config)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<String>>())?;
    let Some(target) = config.targets.iter().find(|target| target.name == args.target) else {
        let names: Vec<_> = config.targets.iter().map(|target| &target.name).collect();
        let file = args.config.display();
        return Err(vec![format!("{file}: has no target {:?}; choose one of {names:?}", args.target)]);
    };
    let told = |what: String| anstream::eprintln!("sealtail save: {what}");
    let saving = forward::save(target, &config.host, &args.dir, told);
    super::runtime()
        .and_then(|runtime| runtime.block_on(saving).map_err(|error| error.to_string()))
        .map_err(|error| vec![error])
}
