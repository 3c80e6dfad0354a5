//! `sealtail policy explain`.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Args;

use super::follow::{LINE_MAX, Lines};
use crate::chain::stamp::rfc3339;
use crate::cli::show::printable;
use crate::policy::{Explained, LineContext, Outcome, SourceContext, Step, explain};

/// Arguments of `sealtail policy explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Policies; by default those that come with sealtail
    #[arg(long, value_name = "PATH")]
    policies: Vec<PathBuf>,
    /// Explain this rule, whether or not its verdict fell
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Take the line from a file: its Nth, by default its first
    #[arg(long, value_name = "FILE[:N]", conflicts_with = "line", required_unless_present = "line")]
    file: Option<String>,
    /// The line
    #[arg(value_name = "LINE")]
    line: Option<String>,
}

pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    let (message, path) = match line(args) {
        Ok(line) => line,
        Err(error) => return crate::cli::fail(&[error]),
    };
    let time = rfc3339(std::time::SystemTime::now());
    let source = SourceContext {
        kind: if path.is_some() { "file" } else { "stdin" },
        name: "explain".to_owned(),
        path,
        ..SourceContext::default()
    };
    let context = LineContext {
        message: &message,
        earlier: b"",
        is_piece: false,
        source: &source,
        host: "localhost",
        time: &time,
    };
    let explained = match explain(&args.policies, &context) {
        Ok(explained) => explained,
        Err(faults) => return super::refuse(&faults),
    };
    let wanted = |found: &&Explained| match &args.id {
        Some(id) => found.rule.ids.contains(id),
        None => found.fell,
    };
    anstream::println!("{}", printable(&message));
    let mut shown = 0;
    for found in explained.iter().filter(wanted) {
        show(found);
        shown += 1;
    }
    match (&args.id, shown) {
        (Some(id), 0) => crate::cli::fail(&[format!("no rule has the id `{id}`")]),
        (None, 0) => {
            anstream::println!("\nno rule gave a verdict. Nearest, by statements that held:");
            let held = |found: &Explained| {
                let held = found.steps.iter().filter(|step| step.outcome == Outcome::Held).count();
                (held * 100).checked_div(found.steps.len()).unwrap_or(0)
            };
            let mut nearest: Vec<&Explained> = explained.iter().filter(|found| held(found) > 0).collect();
            nearest.sort_by_key(|found| std::cmp::Reverse(held(found)));
            nearest.into_iter().take(3).for_each(show);
            ExitCode::SUCCESS
        }
        _ => ExitCode::SUCCESS,
    }
}

/// The line, and the path of the file that it was taken from.
fn line(args: &ExplainArgs) -> Result<(Vec<u8>, Option<String>), String> {
    let Some(file) = &args.file else {
        return Ok((args.line.clone().unwrap_or_default().into_bytes(), None));
    };
    let (path, number) = match file.rsplit_once(':').map(|(path, number)| (path, number.parse::<usize>())) {
        Some((path, Ok(number))) => (path, number.max(1)),
        _ => (file.as_str(), 1),
    };
    let opened = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    let line = Lines::new(BufReader::new(opened)).nth(number - 1);
    let line = line.ok_or_else(|| format!("{path}: has fewer than {number} lines"))?;
    let line = line.map_err(|error| format!("{path}: {error}"))?;
    if line.len() > LINE_MAX {
        return Err(format!("{path}: line {number} is longer than {LINE_MAX} bytes"));
    }
    Ok((line, Some(path.to_owned())))
}

fn show(found: &Explained) {
    let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
    let rule = &found.rule;
    let fell = if found.fell { "fell" } else { "did not fall" };
    let severity = rule.metadata.severity.map(|severity| format!(" {}", severity.name())).unwrap_or_default();
    let id = if rule.ids.is_empty() { "(an id made at run time)".to_owned() } else { rule.ids.join(", ") };
    anstream::println!("\n{bold}{id}{bold:#}{severity} {fell}  {dim}{}:{}{dim:#}", rule.file, rule.line);
    for said in [&rule.metadata.title, &rule.metadata.description].into_iter().flatten() {
        anstream::println!("  {said}");
    }
    if !rule.metadata.controls.is_empty() {
        anstream::println!("  {dim}{}{dim:#}", rule.metadata.controls.join(" "));
    }
    if found.steps.is_empty() {
        anstream::println!("  it has no condition, and falls on every line");
    }
    steps(&found.steps, 1);
}

fn steps(all: &[Step], depth: usize) {
    let dim = Style::new().dimmed();
    for step in all {
        let (mark, color) = match step.outcome {
            Outcome::Held => ("held       ", AnsiColor::Green),
            Outcome::Failed => ("did not    ", AnsiColor::Red),
            Outcome::NotReached => ("not reached", AnsiColor::White),
        };
        let style = Style::new().fg_color(Some(color.into()));
        let indent = "  ".repeat(depth);
        anstream::println!("{indent}{style}{mark}{style:#} {dim}{:>4}{dim:#}  {}", step.line, step.text);
        for (path, value) in &step.values {
            anstream::println!("{indent}                    {dim}{path} = {}{dim:#}", printable(value.as_bytes()));
        }
        steps(&step.below, depth + 2);
    }
}
