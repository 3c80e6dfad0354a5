//! Stored lines as a person reads them: when, from where, the text, what the policies said.

use crate::chain::header::{Header, LogPayload, SourcePayload};
use crate::chain::line::RawLine;
use crate::record::{Decision, Severity, Verdict};
use anstyle::{AnsiColor, Style};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read, Write};

/// What was shown, in numbers.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub log_lines: u64,
    pub segments: u64,
    pub stored_bytes: u64,
    /// Verdicts by severity; those without one as `None`.
    pub verdicts: BTreeMap<Option<Severity>, u64>,
}

/// Shows the log lines of batches.
pub(super) struct Show {
    pub tally: Tally,
    sources: BTreeMap<u32, String>,
}

impl Show {
    pub(super) fn new() -> Self {
        Self { tally: Tally::default(), sources: BTreeMap::new() }
    }

    /// Writes each log line of a batch on a line of its own.
    pub(super) fn batch(&mut self, frames: &[u8], out: &mut impl Write) -> io::Result<()> {
        self.tally.stored_bytes += frames.len() as u64;
        let mut lines = Vec::new();
        zstd::stream::read::Decoder::with_buffer(frames)?.read_to_end(&mut lines)?;
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            // these are the agent's own lines, stored a moment ago; one that can't be read is verify's to find
            if let Ok(raw) = RawLine::parse(line) {
                self.line(&raw, out)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, raw: &RawLine<'_>, out: &mut impl Write) -> io::Result<()> {
        let (Ok((common, header)), Some(payload)) = (Header::parse(raw.header), raw.payload) else { return Ok(()) };
        match header {
            Header::Source(source) => {
                if let Ok(SourcePayload { path: Some(path), .. }) = serde_json::from_slice(payload) {
                    let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
                    self.sources.insert(source.src, name);
                } else if let Some(name) = source.name {
                    self.sources.insert(source.src, name);
                }
            }
            Header::Checkpoint(_) => self.tally.segments += 1,
            Header::Log(log) => {
                self.tally.log_lines += 1;
                log.verdicts.iter().for_each(|verdict| *self.tally.verdicts.entry(verdict.severity).or_default() += 1);
                let source = self.sources.get(&log.src).map_or("", String::as_str);
                let message = serde_json::from_slice::<LogPayload<'_>>(payload).ok();
                let message = message.as_ref().and_then(LogPayload::message).unwrap_or_default();
                let clock = common.time.get(11..19).unwrap_or_default();
                writeln!(out, "{}", render(clock, source, &message, &log.verdicts))?;
            }
            _ => {}
        }
        Ok(())
    }
}

pub(super) fn render(clock: &str, source: &str, message: &[u8], verdicts: &[Verdict]) -> String {
    let dim = Style::new().dimmed();
    let text = printable(message);
    if verdicts.is_empty() {
        return format!("{dim}{clock} {source}{dim:#} {text}");
    }
    let mut line = format!("{dim}{clock} {source}{dim:#} {text} ");
    for verdict in verdicts {
        let style = style(verdict.decision, verdict.severity);
        let _ = write!(line, " {style}[{}{}]{style:#}", verdict.id, severity_suffix(verdict.severity));
    }
    line
}

fn severity_suffix(severity: Option<Severity>) -> String {
    severity.map(|severity| format!(" {}", severity.name())).unwrap_or_default()
}

pub(super) fn style(decision: Decision, severity: Option<Severity>) -> Style {
    let color = match (decision, severity) {
        (Decision::Undecided, _) => AnsiColor::Magenta,
        (Decision::Allow, _) => AnsiColor::Green,
        (Decision::Deny, _) | (_, Some(Severity::Critical | Severity::High)) => AnsiColor::Red,
        (_, Some(Severity::Medium)) => AnsiColor::Yellow,
        _ => AnsiColor::Cyan,
    };
    let bold = decision == Decision::Deny || severity == Some(Severity::Critical);
    let style = Style::new().fg_color(Some(color.into()));
    if bold { style.bold() } else { style }
}

/// A log line must not move the cursor, change colours or forge further lines on the terminal of who reads it.
pub(super) fn printable(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push(c),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}
