//! `sealtail verify`: checks archives.

use super::fetch::{StoreArgs, fetch};
use crate::chain::host_key::HostPublic;
use crate::chain::key::load_identities;
use crate::chain::receipt::Receipt;
use crate::chain::trust::Trust;
use crate::record::{StreamId, is_name};
use crate::verify::{Finding, Options, Outcome, Summary, Weight, Word, unix_ns, verify};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Findings of one word that are printed for people; `--json` prints all.
const PRINTED_MAX: u64 = 100;
/// Receipts or inventory entries in a file.
const ENTRIES_MAX: usize = 1_000_000;
const ENTRY_BYTES_MAX: u64 = 64 * 1024;

/// Arguments of `sealtail verify`.
#[derive(Debug, Args)]
#[command(after_long_help = after_help())]
pub struct VerifyArgs {
    /// Archives to check: files, folders laid out as <host>/<stream>/, or s3://bucket/prefix
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The auditor's age identity; without it no tag can be checked (may be given more than once)
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Which host keys may endorse which host, and when
    #[arg(long, value_name = "FILE", conflicts_with = "host_key")]
    trust: Option<PathBuf>,
    /// The public key of the host (host.pub); short for a trust file with one key
    #[arg(long, value_name = "FILE")]
    host_key: Option<PathBuf>,
    /// Receipts that were kept apart from the archive, one JSON object a line
    #[arg(long, value_name = "FILE")]
    receipts: Option<PathBuf>,
    /// The public key that receipts are signed by
    #[arg(long, value_name = "FILE", requires = "receipts")]
    receipt_key: Option<PathBuf>,
    /// Streams that must be there, one <host>/<stream> a line
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// The target whose archive this is, as the hosts' configuration names it: only what this one was not sent may be missing
    /// (more than once: the names that it had before)
    #[arg(long, value_name = "NAME", value_parser = target_name)]
    target: Vec<String>,
    /// Check what was chained after this time, such as 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<SystemTime>,
    /// Judge silence as at this time instead of now
    #[arg(long, value_name = "TIME", value_parser = instant)]
    as_of: Option<SystemTime>,
    /// Print one JSON object a finding, and one with the result at the end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs `sealtail verify`. Exits with 0 if the archive is intact, 1 on an alarm, 2 if it could not be checked.
pub fn run(args: VerifyArgs) -> ExitCode {
    let ready = options(&args).and_then(|options| Ok((options, fetch(&args.paths, &args.store)?)));
    let (mut options, mut fetched) = match ready {
        Ok(ready) => ready,
        Err(fault) => {
            anstream::eprintln!("sealtail verify: {fault}");
            return ExitCode::from(2);
        }
    };
    options.store = std::mem::take(&mut fetched.report);
    let bar = progress_bar(args.json);
    let progress = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let mut printer = Printer { json: args.json, printed: BTreeMap::new(), bar: bar.clone(), broken: None };
    let mut summary = verify(&fetched.paths, &options, &progress, &mut |mut finding| {
        finding.detail = fetched.named_as_stored(finding.detail);
        printer.finding(&finding);
    });
    summary.unchecked = summary.unchecked.into_iter().map(|reason| fetched.named_as_stored(reason)).collect();
    bar.finish_and_clear();
    printer.summary(&summary, &options);
    if let Some(error) = printer.broken.filter(|error| error.kind() != io::ErrorKind::BrokenPipe) {
        anstream::eprintln!("sealtail verify: cannot print the findings: {error}");
        return ExitCode::from(2);
    }
    exit_code(summary.result)
}

/// 0 intact, 1 alarms, 2 unchecked.
pub(super) fn exit_code(result: Outcome) -> ExitCode {
    match result {
        Outcome::Intact => ExitCode::SUCCESS,
        Outcome::Findings => ExitCode::from(1),
        Outcome::Unchecked => ExitCode::from(2),
    }
}

fn after_help() -> String {
    let mut text = String::from(
        "Exit status: 0 intact (no alarm), 1 alarms, 2 something could not be checked and nothing was found.\n\n\
         Who can say what:\n  \
         with --identity and --host-key  every tag, the endorsement, roots, order, links between streams\n  \
         with --host-key alone           what the public can check: endorsement, checkpoints, order, links (PUBLIC-ONLY)\n  \
         with --target                   that lines are missing which another target was not sent: those are alarms; without it what\n  \
                                         could be right for one target is SKIPPED and the result unchecked, as the lines may be deleted\n\n\
         Examples:\n  \
         sealtail verify archive/ --identity auditor.key --host-key host.pub\n  \
         sealtail verify archive/ --identity auditor.key --trust trust.toml --receipts receipts.ndjson --json\n  \
         sealtail verify s3://bucket/prefix --identity auditor.key --host-key host.pub\n\n\
         For s3:// the endpoint, the region, the credentials and whom to trust come from the environment and profiles, as AWS'\n\
         own tools read them: AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE, AWS_CA_BUNDLE and so on.\n\n\
         Findings:\n",
    );
    for weight in [Weight::Alarm, Weight::Warning, Weight::Info] {
        for word in Word::ALL.iter().filter(|word| word.weight() == weight) {
            // writing to a String never fails
            let _ = writeln!(text, "  {:<8} {word:<20} {}", name(weight), word.meaning());
        }
    }
    text
}

fn name(weight: Weight) -> &'static str {
    match weight {
        Weight::Alarm => "alarm",
        Weight::Warning => "warning",
        Weight::Info => "info",
    }
}

fn target_name(text: &str) -> Result<String, String> {
    let name = Some(text).filter(|text| is_name(text));
    name.map(str::to_owned).ok_or_else(|| "not a target's name: 1 to 64 of A-Z a-z 0-9 . _ -, the first no dot".into())
}

fn instant(text: &str) -> Result<SystemTime, String> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339);
    parsed.map(SystemTime::from).map_err(|_| "not a time with its zone; write one such as 2026-01-01T00:00:00Z".into())
}

fn options(args: &VerifyArgs) -> Result<Options, String> {
    let mut identities = Vec::new();
    for path in &args.identity {
        identities.extend(load_identities(path).map_err(|e| e.to_string())?);
    }
    let trust = match (&args.trust, &args.host_key) {
        (Some(path), _) => Some(Trust::load(path).map_err(|e| e.to_string())?),
        (None, Some(path)) => Some(Trust::single(None, HostPublic::load(path).map_err(|e| e.to_string())?)),
        (None, None) => None,
    };
    let receipt_key = match &args.receipt_key {
        Some(path) => match HostPublic::load(path).map_err(|e| e.to_string())? {
            HostPublic::Ed25519(key) => Some(key),
            HostPublic::P256(_) => return Err(format!("{}: receipts are signed with Ed25519", path.display())),
        },
        None => None,
    };
    Ok(Options {
        identities,
        trust,
        receipts: args.receipts.as_deref().map_or(Ok(Vec::new()), |path| entries(path, receipt))?,
        receipt_key,
        inventory: args.inventory.as_deref().map_or(Ok(Vec::new()), |path| entries(path, stream_name))?,
        targets: args.target.clone(),
        since_ns: args.since.map(unix_ns),
        as_of: args.as_of.unwrap_or_else(SystemTime::now),
        ..Options::default()
    })
}

fn receipt(line: &str) -> Result<Receipt, String> {
    serde_json::from_str(line).map_err(|e| format!("not a receipt: {e}"))
}

fn stream_name(line: &str) -> Result<(String, StreamId), String> {
    let parts = line.split_once('/').filter(|(host, _)| is_name(host));
    let parts = parts.and_then(|(host, stream)| Some((host.to_owned(), stream.parse().ok()?)));
    parts.ok_or_else(|| "not <host>/<stream>, such as web-1/0123456789abcdef0123456789abcdef".into())
}

/// Reads a file of one entry a line, empty lines and comments (`#`) left out.
fn entries<T>(path: &Path, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let fault = |line: usize, what: &dyn std::fmt::Display| format!("{}:{line}: {what}", path.display());
    let file = File::open(path).map_err(|e| format!("{}: cannot be read: {e}", path.display()))?;
    let mut reader = BufReader::new(file);
    let mut entries = Vec::new();
    for number in 1.. {
        let mut line = String::new();
        let read = reader.by_ref().take(ENTRY_BYTES_MAX).read_line(&mut line).map_err(|e| fault(number, &e))?;
        if read as u64 == ENTRY_BYTES_MAX {
            return Err(fault(number, &"the line is too long to be an entry"));
        }
        let text = line.trim();
        if read == 0 {
            break;
        }
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if entries.len() == ENTRIES_MAX {
            return Err(fault(
                number,
                &"more than 1,000,000 entries; split the file and verify with one part at a time",
            ));
        }
        entries.push(parse(text).map_err(|e| fault(number, &e))?);
    }
    Ok(entries)
}

fn progress_bar(json: bool) -> ProgressBar {
    if json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    // the template is a constant that a test loads
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar
}

const TEMPLATE: &str = "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";

struct Printer {
    json: bool,
    /// How many of each word there were.
    printed: BTreeMap<Word, u64>,
    bar: ProgressBar,
    /// Why printing stopped. Checking goes on: the exit code must be right.
    broken: Option<io::Error>,
}

impl Printer {
    fn finding(&mut self, finding: &Finding) {
        let count = self.printed.entry(finding.word).or_default();
        *count += 1;
        if self.json {
            return self.line(&serde_json::to_string(finding).unwrap_or_default());
        }
        if *count <= PRINTED_MAX {
            let text = human(finding);
            self.bar.clone().suspend(|| self.line(&text));
        }
    }

    fn summary(&mut self, summary: &Summary, options: &Options) {
        for reason in &summary.unchecked {
            anstream::eprintln!("not checked: {reason}");
        }
        for note in &summary.notes {
            anstream::eprintln!("note: {note}");
        }
        if self.json {
            return self.line(&json_summary(summary));
        }
        let rest: Vec<_> = self.printed.iter().filter(|(_, count)| **count > PRINTED_MAX).collect();
        let rest: Vec<_> = rest.iter().map(|(word, n)| format!("… and {} more {word}", **n - PRINTED_MAX)).collect();
        rest.iter().for_each(|text| self.line(text));
        let (style, word) = match summary.result {
            Outcome::Intact => (GREEN, "intact"),
            Outcome::Findings => (RED, "NOT INTACT"),
            Outcome::Unchecked => (YELLOW, "UNCHECKED"),
        };
        let Summary { lines, log_lines, streams, segments, tags, .. } = summary;
        self.line(&format!(
            "{style}{word}{style:#}: {lines} lines ({log_lines} log lines) in {segments} segments of {streams} streams"
        ));
        let mut checked = vec![match (options.identities.is_empty(), *tags) {
            (true, _) => "no tag (public checks only, which are weaker)".to_owned(),
            (false, tags) => format!("{tags} tags"),
        }];
        checked.push("checkpoints, order and links between streams".into());
        checked.push(if options.trust.is_some() { "endorsements" } else { "endorsements by nobody trusted" }.into());
        match options.receipts.len() {
            0 => checked.push("no receipts, so that a cut end that no later stream knows of would not be seen".into()),
            count => checked.push(format!("{count} receipts")),
        }
        self.line(&format!("checked: {}", checked.join("; ")));
    }

    fn line(&mut self, text: &str) {
        if self.broken.is_none() {
            self.broken = writeln!(anstream::stdout().lock(), "{text}").err();
        }
    }
}

const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
const YELLOW: anstyle::Style = anstyle::AnsiColor::Yellow.on_default().bold();
const GREEN: anstyle::Style = anstyle::AnsiColor::Green.on_default().bold();
const PLAIN: anstyle::Style = anstyle::Style::new();

pub(super) fn human(finding: &Finding) -> String {
    let style = match finding.weight {
        Weight::Alarm => RED,
        Weight::Warning => YELLOW,
        Weight::Info => PLAIN,
    };
    let mut text = format!("{style}{}{style:#}", finding.word);
    if let (Some(host), Some(stream)) = (&finding.host, finding.stream) {
        // writing to a String never fails
        let _ = write!(text, " {host}/{stream}");
    }
    if let Some(seq) = finding.seq {
        let _ = write!(text, " seq={seq}");
    }
    // paths and texts of an archive may hold anything; a terminal gets no control characters
    let detail: String = finding.detail.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    text + ": " + &detail
}

fn json_summary(summary: &Summary) -> String {
    #[derive(serde::Serialize)]
    struct Last {
        result: Outcome,
        lines: u64,
        log_lines: u64,
        streams: u64,
        segments: u64,
    }
    let Summary { result, lines, log_lines, streams, segments, .. } = *summary;
    serde_json::to_string(&Last { result, lines, log_lines, streams, segments }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_template_is_sound() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn the_help_names_every_finding() {
        let help = after_help();
        assert!(Word::ALL.iter().all(|word| help.contains(word.as_str())));
    }
}
