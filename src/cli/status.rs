//! `sealtail status`: one look at a running agent.

use super::figures::{ago, bytes, clock, count, date, date_and_time, duration, waits};
use super::show::{printable, style};
use crate::config::Config;
use crate::record::{Decision, Severity};
use crate::telemetry::status::{State, Status};
use crate::telemetry::{self, Error, socket};
use anstyle::{AnsiColor, Style};
use clap::Args;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Rules that are listed; the others stand in the sums.
const RULES_MAX: usize = 12;
/// What exit codes say besides 0: something is wrong with the agent …
const DEGRADED: u8 = 1;
/// … or no agent answers.
const NOT_RUNNING: u8 = 2;
const DEFAULT_CONFIG: &str = "/etc/sealtail/sealtail.toml";

/// Show what the running agent is doing
///
/// Asks the agent on this machine through its socket, which root and the agent's own user and group may do. Exit code 0: all is well, 1: something is not, and
/// is listed, 2: no agent answers.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    agent: Which,
    /// Print the whole status as one JSON object
    #[arg(long)]
    json: bool,
}

/// Which agent is asked.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The agent's configuration, which says where its socket is [default: /etc/sealtail/sealtail.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The agent's socket itself, for whoever may not read its configuration
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
}

impl Which {
    /// The agent's socket and its status.
    pub(super) fn find(&self) -> Result<(PathBuf, Status), String> {
        let default = || Path::new(DEFAULT_CONFIG).exists().then(|| PathBuf::from(DEFAULT_CONFIG));
        let ask = |path: PathBuf| telemetry::ask(&path).map(|status| (path, status));
        match (&self.socket, self.config.clone().or_else(default)) {
            (Some(socket), _) => ask(socket.clone()).map_err(|error| error.to_string()),
            (None, None) => ask(socket::DEFAULT.into()).map_err(|error| format!("{error}, or name its --config FILE")),
            (None, Some(config)) => of_config(&config),
        }
    }
}

/// The agent that runs with this configuration.
fn of_config(path: &Path) -> Result<(PathBuf, Status), String> {
    let faults = |faults: Vec<crate::config::Fault>| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        format!(
            "{}\nsealtail: where the agent listens can be said with --socket PATH, too",
            faults.join("\nsealtail: ")
        )
    };
    let config = Config::load(path).map_err(faults)?;
    let agent = config.agent.as_ref().ok_or_else(|| format!("{}: this file configures no agent", path.display()))?;
    let places = match config.telemetry.socket {
        Some(socket) => vec![socket],
        None => socket::usual_places(&agent.spool.dir).to_vec(),
    };
    let mut failed = None;
    for place in places {
        match telemetry::ask(&place) {
            // in the usual place another agent of this machine may listen
            Ok(status) if Path::new(&status.spool.dir) == agent.spool.dir => return Ok((place, status)),
            Ok(_) => {}
            Err(error @ Error::NotRunning(_)) => _ = failed.get_or_insert(error),
            Err(error) => failed = Some(error),
        }
    }
    let error = failed.map_or_else(|| "no agent of this configuration runs".to_owned(), |error| error.to_string());
    Err(error)
}

/// Runs the command.
pub fn run(args: &StatusArgs) -> ExitCode {
    let status = match args.agent.find() {
        Ok((_, status)) => status,
        Err(error) => {
            super::fail(&[error]);
            return NOT_RUNNING.into();
        }
    };
    let shown = match args.json {
        true => serde_json::to_string(&status).unwrap_or_default() + "\n",
        false => page(&status),
    };
    // whoever reads may stop reading
    drop(anstream::stdout().write_all(shown.as_bytes()));
    if status.problems.is_empty() { ExitCode::SUCCESS } else { DEGRADED.into() }
}

/// What an agent is at, in a word.
pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Running => "running",
        State::Recovering => "recovering",
        State::Draining => "draining",
    }
}

fn page(status: &Status) -> String {
    let mut page = String::new();
    head(&mut page, status);
    sources(&mut page, status);
    verdicts(&mut page, status);
    spool(&mut page, status);
    targets(&mut page, status);
    alerts(&mut page, status);
    certificates(&mut page, status);
    problems(&mut page, status);
    page
}

fn colored(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(color.into()))
}

fn head(page: &mut String, status: &Status) {
    let (good, bold, dim) = (status.problems.is_empty(), Style::new().bold(), Style::new().dimmed());
    let mood = colored(if good { AnsiColor::Green } else { AnsiColor::Red });
    let (state, since) = (word(status.state), date_and_time(status.started_unix_s));
    let running = duration(status.now_unix_s - status.started_unix_s);
    let Status { host, program, pid, chain, policy, .. } = status;
    let _ = writeln!(
        page,
        "{mood}●{mood:#} {bold}{host}{bold:#}  {mood}{state}{mood:#} since {since} ({running})  {dim}sealtail {program}, pid {pid}{dim:#}"
    );
    let (lines, segments) = (count(chain.lines), count(chain.segments));
    let stream = chain.stream.as_deref().unwrap_or("none yet");
    let _ = writeln!(page, "  stream    {stream}, {lines} lines in {segments} segments");
    let lines: u64 = status.sources.iter().map(|source| source.lines).sum();
    let each = if lines == 0 { 0.0 } else { policy.seconds * 1e6 / lines as f64 };
    let short = policy.digest.get(..16).unwrap_or_default();
    let _ = writeln!(page, "  policies  sha256:{short}…, {each:.1} µs a line");
    let named = |are_in_force: bool| {
        let guards = status.guards.iter().filter(|guard| guard.is_in_force == are_in_force);
        let names = guards.map(|guard| guard.name.trim_start_matches("landlock_"));
        names.collect::<Vec<_>>().join(", ")
    };
    for (title, guards) in [("guards  ", named(true)), ("no guard", named(false))] {
        if !guards.is_empty() {
            let _ = writeln!(page, "  {title}  {}", printable(guards.as_bytes()));
        }
    }
}

/// A headline, and rows below it in columns; those whose title begins with `>` are numbers, to the right.
fn table(page: &mut String, titles: &[&str], rows: &[Vec<String>]) {
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([titles[at].trim_start_matches('>').len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    let line = |cells: &[&str]| {
        let cell = |(at, cell): (usize, &&str)| match titles[at].starts_with('>') {
            true => format!("{cell:>width$}", width = widths[at]),
            false => format!("{cell:<width$}", width = widths[at]),
        };
        let cells: Vec<String> = cells.iter().enumerate().map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let plain: Vec<&str> = titles.iter().map(|title| title.trim_start_matches('>')).collect();
    let bold = Style::new().bold();
    let _ = writeln!(page, "\n{bold}{}{bold:#}", line(&plain));
    for row in rows {
        let row: Vec<&str> = row.iter().map(String::as_str).collect();
        let _ = writeln!(page, "{}", line(&row));
    }
}

fn sources(page: &mut String, status: &Status) {
    let row = |source: &crate::telemetry::status::Source| {
        let unread = match source.kind.as_str() {
            "journald" => format!("{} entries", count(source.behind_entries)),
            _ => bytes(source.behind_bytes),
        };
        let (lines, size) = (count(source.lines), bytes(source.bytes));
        let files = format!("{}/{}", count(source.open_files), count(source.files));
        vec![source.name.clone(), source.kind.clone(), lines, size, files, unread, waits(source.unread_s)]
    };
    let rows: Vec<_> = status.sources.iter().map(row).collect();
    table(page, &["SOURCE", "TYPE", ">LINES", ">BYTES", ">OPEN/FILES", ">UNREAD", ">FOR"], &rows);
}

fn verdicts(page: &mut String, status: &Status) {
    let (bold, severities) = (Style::new().bold(), Severity::WORST_FIRST.map(Some));
    let _ = write!(page, "\n{bold}VERDICTS{bold:#}");
    for severity in severities.into_iter().chain([None]) {
        let (name, number) = (severity.map_or("none", Severity::name), status.of_severity(severity));
        let style = if number == 0 { Style::new().dimmed() } else { style(Decision::Flag, severity) };
        let _ = write!(page, "  {style}{name} {}{style:#}", count(number));
    }
    let undecided = status.undecided_lines;
    let style = if undecided == 0 { Style::new().dimmed() } else { style(Decision::Undecided, None) };
    let _ = writeln!(page, "  {style}undecided {}{style:#}", count(undecided));
    let shown = &status.verdicts[..status.verdicts.len().min(RULES_MAX)];
    let width = shown.iter().map(|of| of.rule.chars().count()).max().unwrap_or(0).min(48);
    for of in shown {
        let style = super::show::style(of.decision, of.severity);
        let severity = of.severity.map_or("", Severity::name);
        let (rule, decision, number) = (printable(of.rule.as_bytes()), of.decision.name(), count(of.count));
        let _ = writeln!(page, "  {rule:<width$}  {style}{decision:<9}  {severity:<8}{style:#}  {number:>9}");
    }
    if let Some(more @ 1..) = status.verdicts.len().checked_sub(RULES_MAX) {
        let _ = writeln!(page, "  and {more} more; `--json` has them all");
    }
}

fn spool(page: &mut String, status: &Status) {
    let (spool, bold) = (&status.spool, Style::new().bold());
    let percent = spool.bytes as f64 * 100.0 / spool.max_bytes.max(1) as f64;
    let (held, most, free) = (bytes(spool.bytes), bytes(spool.max_bytes), bytes(spool.free_bytes));
    let oldest = waits(spool.oldest_s);
    let _ = writeln!(
        page,
        "\n{bold}SPOOL{bold:#}  {held} of {most} ({percent:.0} %), oldest unsent {oldest}, disk free {free}"
    );
    let _ = writeln!(page, "  {}", spool.dir);
}

fn targets(page: &mut String, status: &Status) {
    let row = |target: &crate::telemetry::status::Target| {
        let name = if target.is_required { target.name.clone() } else { format!("{} (optional)", target.name) };
        let (unsent, batches) = (bytes(target.behind_bytes), count(target.batches));
        let (retries, last) = (count(target.retries), ago(target.last_stored_unix_s, status.now_unix_s));
        vec![name, unsent, waits(target.behind_s), batches, retries, count(target.receipts), last]
    };
    let rows: Vec<_> = status.targets.iter().map(row).collect();
    table(page, &["TARGET", ">UNSENT", ">FOR", ">BATCHES", ">RETRIES", ">RECEIPTS", ">STORED"], &rows);
    for target in &status.targets {
        let _ = writeln!(page, "  {}: {}", target.name, target.place);
        if let Some(receipt) = &target.last_receipt {
            let ([first, last], at) = (receipt.seq, receipt.stored_at.get(..19).unwrap_or_default());
            let _ = writeln!(page, "    last receipt: lines {} to {}, {at}Z", count(first), count(last));
        }
        if let Some(error) = &target.last_error {
            let (at, what) = (clock(error.unix_s), printable(error.what.as_bytes()));
            let _ = writeln!(page, "    last error, {at}Z: {what}");
        }
    }
}

fn alerts(page: &mut String, status: &Status) {
    if status.alerts.is_empty() {
        return;
    }
    let row = |of: &crate::telemetry::status::Alert| {
        let numbers = [of.seen, of.raised, of.delivered, of.retried, of.failed].map(count);
        [of.name.clone()].into_iter().chain(numbers).collect()
    };
    let rows: Vec<Vec<String>> = status.alerts.iter().map(row).collect();
    table(page, &["ALERT", ">SEEN", ">RAISED", ">DELIVERED", ">RETRIED", ">FAILED"], &rows);
}

fn certificates(page: &mut String, status: &Status) {
    if status.certificates.is_empty() {
        return;
    }
    let row = |of: &crate::telemetry::status::Certificate| {
        let until_unix_s = of.until_unix_s as f64;
        let left = until_unix_s - status.now_unix_s;
        let left = if left < 0.0 { "over".to_owned() } else { duration(left) };
        let name = of.file.rsplit('/').next().unwrap_or(&of.file).to_owned();
        vec![of.target.clone(), name, date(until_unix_s), left]
    };
    let rows: Vec<_> = status.certificates.iter().map(row).collect();
    table(page, &["CERTIFICATES OF", "FILE", ">UNTIL", ">LEFT"], &rows);
}

fn problems(page: &mut String, status: &Status) {
    let (bold, red) = (Style::new().bold(), colored(AnsiColor::Red));
    if status.problems.is_empty() {
        return;
    }
    let _ = writeln!(page, "\n{bold}PROBLEMS{bold:#}");
    for problem in &status.problems {
        let _ = writeln!(page, "  {red}{}{red:#}: {}", problem.part, printable(problem.what.as_bytes()));
    }
}
