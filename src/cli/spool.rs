//! `sealtail spool check`: what a spool holds, what is wrong with it, and its repair.

use crate::config::Config;
use crate::spool::{self, Damage, Repair, Survey};
use clap::{Args, Subcommand};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `sealtail spool`.
#[derive(Debug, Args)]
pub struct SpoolArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(CheckArgs),
}

/// Say what a spool holds and what is damaged; the agent must be stopped
///
/// Reads the spool as the start of an agent does, and changes nothing. With --repair what is damaged is moved to quarantine/damaged,
/// never deleted, with a report beside it, so that an agent starts and sends what is intact. Exit 0: nothing is lost; 1: something is
/// damaged (with --repair: it was, and is mended now); 2: could not check, because an agent has the spool for instance.
#[derive(Debug, Args)]
struct CheckArgs {
    /// The configuration that names the spool
    #[arg(long, value_name = "FILE", required_unless_present = "dir")]
    config: Option<PathBuf>,
    /// The spool's folder; a lost ledger can be made anew only with --config
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    dir: Option<PathBuf>,
    /// Mend it
    #[arg(long)]
    repair: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What could not be checked has an exit code of its own.
const UNCHECKED: u8 = 2;

/// Runs the command.
pub fn run(args: &SpoolArgs) -> ExitCode {
    let Command::Check(args) = &args.command;
    match check(args) {
        Ok(sound) if sound => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(faults) => {
            super::fail(&faults);
            ExitCode::from(UNCHECKED)
        }
    }
}

/// Whether nothing was damaged.
fn check(args: &CheckArgs) -> Result<bool, Vec<String>> {
    let (dir, host, targets) = place(args)?;
    let one = |error: spool::Error| vec![error.to_string()];
    if !dir.is_dir() {
        return Err(vec![format!("{}: no spool is here; an agent makes it when it starts", dir.display())]);
    }
    let (damage, printed) = match args.repair {
        true => {
            let repair = spool::repair(&dir, host.as_deref(), &targets).map_err(one)?;
            let printed = print(args.json, &repair, |out| show_repair(&repair, out));
            (repair.damage, printed)
        }
        false => {
            let survey = spool::survey(&dir).map_err(one)?;
            let printed = print(args.json, &survey, |out| show(&survey, out));
            (survey.damage, printed)
        }
    };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(vec![format!("cannot write to standard output: {error}")])
        }
        _ => Ok(!damage.iter().any(|damage| damage.harm.is_loss())),
    }
}

/// The folder, and what the configuration says of it: the host and the targets.
fn place(args: &CheckArgs) -> Result<(PathBuf, Option<String>, Vec<String>), Vec<String>> {
    let path = match (&args.dir, &args.config) {
        (Some(dir), _) => return Ok((dir.clone(), None, Vec::new())),
        (None, Some(path)) => path,
        // clap asks for one of them
        (None, None) => return Err(vec!["name the configuration with --config FILE".to_owned()]),
    };
    let config = Config::load(path).map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let agent = config.agent.ok_or_else(|| vec![format!("{}: a receiver has no spool", path.display())])?;
    let targets = agent.targets.iter().map(|target| target.name.clone()).collect();
    Ok((agent.spool.dir, Some(agent.host.name), targets))
}

fn print(
    json: bool,
    what: &impl serde::Serialize,
    show: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    match json {
        true => {
            serde_json::to_writer(&mut out, what)?;
            writeln!(out)?;
        }
        false => show(&mut out)?,
    }
    out.flush()
}

fn show(survey: &Survey, out: &mut dyn Write) -> io::Result<()> {
    let host = survey.host.as_deref().unwrap_or("unknown");
    writeln!(out, "spool       {}", survey.dir.display())?;
    writeln!(out, "host        {host}")?;
    let bytes: u64 = survey.streams.iter().map(|stream| stream.bytes).sum();
    writeln!(out, "holds       {bytes} bytes, {} streams; places of {} sources", survey.streams.len(), survey.sources)?;
    for stream in &survey.streams {
        let lines = stream.seq.map_or_else(|| "no line".to_owned(), |[first, last]| format!("lines {first} to {last}"));
        let (files, segments) = (stream.files, stream.segments);
        writeln!(
            out,
            "stream      {}: {lines}, {files} files, {segments} segments, {} bytes",
            stream.id, stream.bytes
        )?;
    }
    for target in &survey.targets {
        let lacks = match (&target.next, target.lacks_lines) {
            (None, _) => "begins with the next stream".to_owned(),
            (Some(_), 0) => "has everything".to_owned(),
            (Some((stream, next)), lines) => {
                format!("lacks {lines} lines ({} bytes), from line {next} of {stream} on", target.lacks_bytes)
            }
        };
        let refused = if target.refused { "; it refused this stream" } else { "" };
        let last = target.last_receipt.as_ref().map_or_else(String::new, |time| format!("; last receipt {time}"));
        writeln!(out, "target      {}: {lacks}{refused}{last}", target.name)?;
    }
    for kept in &survey.quarantine {
        writeln!(
            out,
            "quarantine  {}: {} files, {} bytes, never sent and never deleted",
            kept.name, kept.files, kept.bytes
        )?;
    }
    survey.damage.iter().try_for_each(|damage| show_damage(damage, out))?;
    let loss = survey.damage.iter().any(|damage| damage.harm.is_loss());
    let result = if loss { "damaged; see above, and run it with --repair" } else { "sound" };
    writeln!(out, "result      {result}")
}

fn show_damage(damage: &Damage, out: &mut dyn Write) -> io::Result<()> {
    let word = if damage.harm.is_loss() { "DAMAGED     " } else { "torn        " };
    writeln!(out, "{word}{}: {}", damage.path.display(), damage.what)?;
    writeln!(out, "            it means: {}", damage.harm.consequence())?;
    writeln!(out, "            mend: {}", damage.harm.mend())
}

fn show_repair(repair: &Repair, out: &mut dyn Write) -> io::Result<()> {
    repair.damage.iter().try_for_each(|damage| show_damage(damage, out))?;
    let shown = |path: &Path| path.display().to_string();
    for (from, to) in &repair.moved {
        writeln!(out, "moved       {} to {}", shown(from), shown(to))?;
    }
    repair.notes.iter().try_for_each(|note| writeln!(out, "note        {note}"))?;
    if let Some(report) = &repair.report {
        writeln!(out, "report      {}", shown(report))?;
    }
    writeln!(out, "result      an agent can start on it")
}
