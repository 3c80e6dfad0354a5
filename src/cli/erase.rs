//! `sealtail erase`: takes the payloads of lines out of an archive, by leave of a key that their stream names.

use crate::chain::host_key::HostKey;
use crate::durable::Disk;
use crate::erase::{Done, Order, erase};
use crate::record::{Seq, StreamId};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Erase the payloads of lines from an archive; the chain stays verifiable
///
/// Works where the stream's genesis names the key ([erasure] keys of the agent that began it), on log and source lines. A signed
/// statement of what was erased, when and why stays beside the stream's files: with it verify says REDACTED, without it ERASED-UNAUTHORISED.
/// Stop the receiver first, once the agents have their receipts for these lines: what is sent again must be what is stored.
/// Can be called again after a crash. It erases in this archive, not in copies, nor what a disk or file system keeps of old blocks.
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// The archive's folder
    #[arg(value_name = "ARCHIVE")]
    archive: PathBuf,
    /// In which stream
    #[arg(long, value_name = "ID", value_parser = |text: &str| text.parse::<StreamId>().map_err(|()| "32 hexadecimal digits, such as the name of the stream's folder"))]
    stream: StreamId,
    /// Which lines: numbers, and runs of them with a hyphen between, such as 5,9-12
    #[arg(long, value_name = "SEQ", value_parser = run_of, value_delimiter = ',', required = true)]
    seq: Vec<(Seq, Seq)>,
    /// The secret erasure key, as `sealtail keys erasure` made it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Why; it is kept with the archive, so it must not say what was erased
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

fn run_of(text: &str) -> Result<(Seq, Seq), String> {
    let number = |text: &str| text.trim().parse::<Seq>().map_err(|_| format!("{text:?} is no line's number"));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!("{first} comes after {last}"));
    }
    Ok((first, last))
}

/// Runs `sealtail erase`.
pub fn run(args: &EraseArgs) -> ExitCode {
    let key = match HostKey::load(&args.key) {
        Ok(key) => key,
        Err(error) => return super::fail(&[error]),
    };
    let (stream, lines) = (args.stream, args.seq.clone());
    let order = Order { archive: &args.archive, stream, lines, reason: &args.reason, key: &key };
    match erase(&Disk, &order) {
        Ok(Done { erased, already, statement }) => {
            println!("erased {erased} payloads; {already} were erased before");
            if let Some(path) = statement {
                println!("{}: keep it beside the stream's files, in every copy", path.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => super::fail(&[error]),
    }
}
