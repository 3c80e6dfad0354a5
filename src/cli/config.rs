//! `sealtail config`: what sealtail.toml may hold.

use crate::config::reference;
use clap::{Args, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Arguments of `sealtail config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum What {
    /// Print every key with its type, default and meaning, as Markdown
    Reference,
    /// Print a JSON Schema, by which editors complete and check sealtail.toml
    Schema,
}

/// Runs the command.
pub fn run(args: &ConfigArgs) -> ExitCode {
    let text = match args.what {
        What::Reference => reference::markdown(),
        What::Schema => format!("{:#}\n", reference::schema()),
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            super::fail(&[format!("cannot write to standard output: {error}")])
        }
        _ => ExitCode::SUCCESS,
    }
}
