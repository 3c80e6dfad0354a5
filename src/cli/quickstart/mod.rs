//! `sealtail quickstart`: everything on one machine, in one folder, with one command.

pub(super) mod folder;

use super::found;
use super::show::Show;
use super::stop;
use crate::agent::{Agent, Options};
use crate::chain::host_key::HostPublic;
use crate::chain::key::load_identities;
use crate::chain::trust::Trust;
use crate::config::{self, Config};
use crate::forward::Event;
use crate::receive::Server;
use crate::record::Severity;
use crate::telemetry;
use crate::verify;
use clap::Args;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::sync::oneshot;

/// Try sealtail on this machine: one command, one folder
///
/// Makes a development CA, certificates, an auditor's identity, a host key and a configuration in DIR, starts the embedded
/// receiver and the agent on FILEs, ships over mTLS, and prints each line with its verdicts once the receiver has stored it.
/// A second run in the same folder goes on where the first stopped. Nothing outside DIR is touched.
#[derive(Debug, Args)]
pub struct QuickstartArgs {
    /// The folder
    #[arg(long, default_value = "./sealtail-quickstart")]
    dir: PathBuf,
    /// Stop at the end of the files, verify the archive and print the result
    #[arg(long)]
    once: bool,
    /// Log files, or globs in quotes; default: this host's readable text logs
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Runs the command.
pub fn run(args: &QuickstartArgs) -> ExitCode {
    match try_run(args) {
        Ok(code) => code,
        Err(error) => super::fail(&[error]),
    }
}

fn try_run(args: &QuickstartArgs) -> Result<ExitCode, String> {
    let dir = std::path::absolute(&args.dir).map_err(|e| format!("{}: {e}", args.dir.display()))?;
    prepare(&dir, &args.files)?;
    let path = dir.join("sealtail.toml");
    let config = Config::load(&path)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nsealtail: "))?;
    telemetry::start(&config.telemetry.log);
    let (Some(agent), Some(receive)) = (&config.agent, &config.receive) else {
        return Err(format!("{}: it lacks the agent or the receiver; delete the folder to begin anew", path.display()));
    };
    let mut out = io::BufWriter::with_capacity(64 * 1024, anstream::stdout());
    let place = args.dir.display();
    writeln!(out, "sealtail: following {} into {place}/archive; Ctrl-C stops", sources(agent)).map_err(told)?;
    out.flush().map_err(told)?;
    let mut show = Show::new();
    let shipped = super::runtime()?.block_on(ship(&config, agent, receive, args.once, &mut show, &mut out));
    summary(&show, &args.dir, &mut out).map_err(told)?;
    shipped?;
    if !args.once {
        return Ok(ExitCode::SUCCESS);
    }
    let code = verified(&dir, &mut out)?;
    out.flush().map_err(told)?;
    Ok(code)
}

fn prepare(dir: &Path, files: &[PathBuf]) -> Result<(), String> {
    let made = dir.join("sealtail.toml").exists();
    if made && files.is_empty() {
        return Ok(());
    }
    let include = match files.is_empty() {
        true => usual_logs()?,
        false => folder::globs(files)?,
    };
    match made {
        true => folder::follow(dir, &include),
        false => folder::make(dir, &folder::host_name(), &include),
    }
}

fn usual_logs() -> Result<Vec<String>, String> {
    let found: Vec<String> = found::text_logs().into_iter().flat_map(|group| group.readable).collect();
    match found.is_empty() {
        true => Err("no readable text log under /var/log; name some: sealtail quickstart FILE…, or run as a user who may read them".into()),
        false => Ok(found),
    }
}

/// Receiver and agent, until the end.
async fn ship(
    config: &Config,
    agent: &config::Agent,
    receive: &crate::receive::Config,
    once: bool,
    show: &mut Show,
    out: &mut impl Write,
) -> Result<(), String> {
    let server = Server::bind(receive).await.map_err(|e| e.to_string())?;
    let agent = Agent::new(agent, config.digest).await.map_err(|e| e.to_string())?;
    let _socket = super::run::listen(config, &agent);
    let stop = stop::on_signal(|| {}).map_err(|e| format!("cannot wait for signals: {e}"))?;
    let (end, ended) = oneshot::channel::<()>();
    let receiver = tokio::spawn(server.run(async {
        // dropped or sent: either way it is over
        let _: Result<(), _> = ended.await;
    }));
    let options = Options { once, own: vec![receive.dir.clone()] };
    let mut unwritten = None;
    let result = agent
        .run(&options, &stop.stop, |event| {
            if let Event::Stored { bytes, .. } = event
                && unwritten.is_none()
            {
                unwritten = show.batch(bytes, out).and_then(|()| out.flush()).err();
            }
        })
        .await;
    drop(end);
    let received = receiver.await.map_err(|e| format!("the receiver died: {e}"))?;
    result.map_err(|e| e.to_string())?;
    received.map_err(|e| e.to_string())?;
    match unwritten {
        // whoever reads may stop reading; the lines are stored
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(told(error)),
        _ => Ok(()),
    }
}

fn summary(show: &Show, dir: &Path, out: &mut impl Write) -> io::Result<()> {
    let tally = &show.tally;
    let verdicts: Vec<String> = tally
        .verdicts
        .iter()
        .rev()
        .map(|(severity, count)| format!("{count} {}", severity.map_or("without severity", Severity::name)))
        .collect();
    let verdicts = if verdicts.is_empty() { "none".to_owned() } else { verdicts.join(", ") };
    let dir = dir.display();
    writeln!(out)?;
    writeln!(out, "log lines   {}", tally.log_lines)?;
    writeln!(out, "verdicts    {verdicts}")?;
    writeln!(out, "segments    {}", tally.segments)?;
    writeln!(out, "stored      {} bytes", tally.stored_bytes)?;
    writeln!(out, "by hand     sealtail verify {dir}/archive --identity {dir}/auditor.key --host-key {dir}/host.pub")?;
    writeln!(out, "            zstdcat {dir}/archive/*/*/*.zst | jq -r 'select(.h.type==\"log\").p.msg'")?;
    out.flush()
}

/// Verifies the archive as an auditor would.
fn verified(dir: &Path, out: &mut impl Write) -> Result<ExitCode, String> {
    let identities = load_identities(&dir.join("auditor.key")).map_err(|e| e.to_string())?;
    let host_key = HostPublic::load(&dir.join("host.pub")).map_err(|e| e.to_string())?;
    let options =
        verify::Options { identities, trust: Some(Trust::single(None, host_key)), ..verify::Options::default() };
    let mut findings = Vec::new();
    let archive = [dir.join("archive")];
    let summary = verify::verify(&archive, &options, &|_, _| {}, &mut |finding| findings.push(finding));
    for finding in &findings {
        writeln!(out, "            {}", super::verify::human(finding)).map_err(told)?;
    }
    for why in &summary.unchecked {
        writeln!(out, "            {why}").map_err(told)?;
    }
    let verify::Summary { result, lines, log_lines, streams, segments, .. } = &summary;
    let counts = format!("{lines} lines ({log_lines} log lines), {segments} segments, streams: {streams}");
    writeln!(out, "verified    {result}: {counts}").map_err(told)?;
    Ok(super::verify::exit_code(*result))
}

fn sources(config: &config::Agent) -> String {
    let globs = config.sources.iter().map(|source| match source {
        crate::source::Config::File(file) => file.include.join(" "),
        crate::source::Config::Journald(_) => "the journal".to_owned(),
        crate::source::Config::Stdin(_) => "standard input".to_owned(),
    });
    globs.collect::<Vec<_>>().join(" ")
}

fn told(error: io::Error) -> String {
    format!("cannot write to standard output: {error}")
}
