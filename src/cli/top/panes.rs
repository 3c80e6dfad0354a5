//! The panes.

use super::model::{Model, Pane};
use crate::cli::figures::{ago, bytes, count, waits};
use crate::cli::show::printable;
use crate::record::{Decision, Severity, Verdict};
use crate::telemetry::status::{Flagged, Status, Target};
use ratatui::Frame;
use ratatui::layout::{Constraint, Flex, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Cell, LineGauge, Paragraph, Row, Sparkline, Table};

/// From this width on there is room for where targets are.
const WIDE: u16 = 100;
/// Characters that a rule's name gets beside its line.
const RULE_MAX: usize = 24;
/// And its source's name.
const SOURCE_MAX: usize = 16;
/// In a narrower pane of sources their names would have no room beside the number of files.
const FILES_WIDTH: u16 = 44;

/// A frame around a pane; the chosen one stands out.
fn frame_of(title: &str, chosen: bool) -> Block<'static> {
    let style = if chosen { Style::new().fg(Color::Cyan) } else { Style::new().fg(Color::DarkGray) };
    let title = format!(" {title} ");
    // not in the frame's own grey
    let title = if chosen { title.cyan().bold() } else { title.reset().bold() };
    Block::bordered().border_type(BorderType::Rounded).border_style(style).title(title)
}

fn on_the_right(text: String) -> Line<'static> {
    Line::from(format!(" {text} ")).right_aligned().fg(Color::Reset).dim()
}

pub(super) fn lines(frame: &mut Frame<'_>, area: Rect, model: &Model, status: &Status) {
    let all: u64 = status.sources.iter().map(|source| source.lines).sum();
    let (rate, size) = (count(model.lines_a_second.round() as u64), bytes(model.bytes_a_second.round() as u64));
    let block = frame_of("Lines", false)
        .title(format!(" {rate}/s  {size}/s ").green())
        .title(on_the_right(format!("{} chained", count(all))));
    let width = usize::from(block.inner(area).width);
    let known = model.history.len().min(width);
    // the last second stands at the right edge
    let latest = model.history.iter().skip(model.history.len() - known).copied();
    let data: Vec<u64> = std::iter::repeat_n(0, width - known).chain(latest).collect();
    frame.render_widget(Sparkline::default().data(data).style(Color::Green).block(block), area);
}

pub(super) fn spool(frame: &mut Frame<'_>, area: Rect, status: &Status) {
    let (spool, process) = (&status.spool, &status.process);
    let block = frame_of("Spool", false).title(on_the_right(format!("{} at most", bytes(spool.max_bytes))));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let ratio = (spool.bytes as f64 / spool.max_bytes.max(1) as f64).clamp(0.0, 1.0);
    let color = match ratio {
        0.8.. => Color::Red,
        0.5.. => Color::Yellow,
        _ => Color::Green,
    };
    let [gauge, facts] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(inner);
    let label = format!("{:>3.0} %", ratio * 100.0);
    let bar = LineGauge::default().ratio(ratio).label(label).filled_style(color).unfilled_style(Color::DarkGray);
    frame.render_widget(bar, gauge);
    let fact = |name: &'static str, value: String| Line::from(vec![name.dim(), value.into()]);
    // an older agent does not say how much it may have
    let most = (process.max_resident_bytes > 0).then(|| format!(" of {}", bytes(process.max_resident_bytes)));
    let memory = bytes(process.resident_bytes) + &most.unwrap_or_default();
    let mut lines = vec![
        fact("holds   ", bytes(spool.bytes)),
        fact("unsent  ", format!("for {}", waits(spool.oldest_s))),
        fact("disk    ", format!("{} free", bytes(spool.free_bytes))),
        fact("chain   ", format!("{} lines, {} segments", count(status.chain.lines), count(status.chain.segments))),
        fact("memory  ", memory),
    ];
    if spool.is_full {
        lines[0] = Line::from("FULL: reading stops".red().bold());
    }
    frame.render_widget(Paragraph::new(lines), facts);
}

/// A table whose columns but the first are as wide as they must be; numbers stand to the right.
fn table(
    frame: &mut Frame<'_>,
    area: Rect,
    block: Block<'_>,
    columns: &[(&'static str, u16, bool)],
    rows: impl Iterator<Item = Vec<Span<'static>>>,
) {
    let cell = |(at, span): (usize, Span<'static>)| {
        let line = Line::from(span);
        Cell::from(if columns[at].2 { line.right_aligned() } else { line })
    };
    let rows = rows.map(|row| Row::new(row.into_iter().enumerate().map(cell).collect::<Vec<_>>()));
    let header = columns.iter().enumerate().map(|(at, (title, ..))| cell((at, Span::raw(*title))));
    let header = Row::new(header.collect::<Vec<_>>()).style(Style::new().add_modifier(Modifier::DIM));
    let width = |(_, width, _): &(_, u16, _)| match width {
        0 => Constraint::Fill(1),
        width => Constraint::Length(*width),
    };
    let table = Table::new(rows, columns.iter().map(width)).header(header).column_spacing(1).flex(Flex::Start);
    frame.render_widget(table.block(block), area);
}

pub(super) fn sources(frame: &mut Frame<'_>, area: Rect, model: &Model, status: &Status) {
    let title = format!("Sources {}", status.sources.len());
    let block = frame_of(&title, model.pane == Pane::Sources);
    let has_files = area.width >= FILES_WIDTH;
    let rows = status.sources.iter().skip(model.scrolled(Pane::Sources)).map(|source| {
        let rate = model.of_source.get(&source.name).copied().unwrap_or(0.0).round() as u64;
        let unread = match source.behind_entries {
            0 => bytes(source.behind_bytes),
            entries => format!("{}+", count(entries)),
        };
        let name = source.name.clone();
        let name = if source.failed.is_some() { name.red().bold() } else { name.into() };
        let unread = if source.unread_s > 5.0 { unread.yellow() } else { unread.into() };
        let files = has_files.then(|| count(source.files).into());
        let numbers = [count(rate).into(), count(source.lines).into(), unread];
        [name].into_iter().chain(files).chain(numbers).collect()
    });
    let files = has_files.then_some(("files", 5, true));
    let numbers = [("/s", 6, true), ("lines", 9, true), ("unread", 8, true)];
    let columns: Vec<_> = [("source", 0, false)].into_iter().chain(files).chain(numbers).collect();
    table(frame, area, block, &columns, rows);
}

pub(super) fn verdicts(frame: &mut Frame<'_>, area: Rect, model: &Model, status: &Status) {
    let sum: u64 = status.verdicts.iter().map(|of| of.count).sum();
    let title = format!("Verdicts {}", count(sum));
    let mut block = frame_of(&title, model.pane == Pane::Verdicts);
    if status.undecided_lines > 0 {
        block =
            block.title(Line::from(format!(" {} undecided ", count(status.undecided_lines)).magenta()).right_aligned());
    }
    let rows = status.verdicts.iter().skip(model.scrolled(Pane::Verdicts)).map(|of| {
        let style = style(of.decision, of.severity);
        let rule = printable(of.rule.as_bytes());
        vec![rule.into(), Span::styled(said(of.decision, of.severity), style), count(of.count).into()]
    });
    table(frame, area, block, &[("rule", 0, false), ("", 9, false), ("lines", 9, true)], rows);
}

pub(super) fn targets(frame: &mut Frame<'_>, area: Rect, model: &Model, status: &Status) {
    let title = format!("Targets {}", status.targets.len());
    let block = frame_of(&title, model.pane == Pane::Targets);
    let is_wide = area.width >= WIDE;
    let row = |target: &Target| {
        let (mood, color) = match (target.failures, target.last_stored_unix_s) {
            (1.., _) => ("failing", Color::Red),
            (0, None) => ("waiting", Color::Yellow),
            (0, Some(_)) => ("storing", Color::Green),
        };
        let stored = ago(target.last_stored_unix_s, status.now_unix_s);
        let numbers = [count(target.batches), count(target.receipts), count(target.retries), stored];
        let (unsent, place) = (bytes(target.behind_bytes), format!(" {}", target.place));
        let head = [target.name.clone().into(), mood.fg(color), unsent.into(), waits(target.behind_s).into()];
        head.into_iter().chain(numbers.map(Span::from)).chain(is_wide.then(|| place.dim())).collect()
    };
    let rows = status.targets.iter().skip(model.scrolled(Pane::Targets)).map(row);
    let columns = [
        ("target", if is_wide { 14 } else { 0 }, false),
        ("", 7, false),
        ("unsent", 8, true),
        ("for", 7, true),
        ("batches", 8, true),
        ("receipts", 8, true),
        ("retries", 7, true),
        ("stored", 10, true),
        ("", 0, false),
    ];
    table(frame, area, block, &columns[..columns.len() - usize::from(!is_wide)], rows);
}

pub(super) fn flagged(frame: &mut Frame<'_>, area: Rect, model: &Model, status: &Status) {
    let block = frame_of("Latest flagged lines", model.pane == Pane::Flagged);
    if status.flagged.is_empty() {
        let text = Paragraph::new(" none yet".dim()).block(block);
        return frame.render_widget(text, area);
    }
    let lines = || status.flagged.iter().skip(model.scrolled(Pane::Flagged)).take(usize::from(area.height));
    let worst = |line: &Flagged| {
        let worst = line.verdicts.iter().max_by_key(|verdict| (verdict.decision, verdict.severity));
        worst.map(|worst| {
            (said(worst.decision, worst.severity), rules(worst, line), style(worst.decision, worst.severity))
        })
    };
    let worst = |line| worst(line).unwrap_or_default();
    let width = lines().map(|line| worst(line).1.chars().count()).max().unwrap_or(0).min(RULE_MAX);
    let source_width = lines().map(|line| line.source.chars().count()).max().unwrap_or(0).min(SOURCE_MAX);
    let rows = lines().map(|line| {
        let clock = line.time.get(11..19).unwrap_or_default().to_owned();
        let source = match status.sources.len() {
            0 | 1 => String::new(),
            _ => format!(" {:<source_width$.source_width$}", line.source),
        };
        let (said, rules, style) = worst(line);
        let verdict = Span::styled(format!(" {said:<9} {rules:<width$.width$} "), style);
        let message = printable(line.message.as_bytes()).replace('\t', " ");
        Line::from(vec![clock.dim(), source.dim(), verdict, message.into()])
    });
    frame.render_widget(Paragraph::new(rows.collect::<Vec<_>>()).block(block), area);
}

/// The worst verdict's rule, and how many others there are.
fn rules(worst: &Verdict, line: &Flagged) -> String {
    let rule = printable(worst.id.as_bytes());
    match line.verdicts.len() {
        0 | 1 => rule,
        many => format!("{rule} +{}", many - 1),
    }
}

/// The severity, if there is one; `undecided` has none.
fn said(decision: Decision, severity: Option<Severity>) -> &'static str {
    match decision {
        Decision::Undecided => decision.name(),
        _ => severity.map_or(decision.name(), Severity::name),
    }
}

/// As the other commands show it.
fn style(decision: Decision, severity: Option<Severity>) -> Style {
    use anstyle::{AnsiColor, Color as Ansi, Effects};
    let style = crate::cli::show::style(decision, severity);
    let color = match style.get_fg_color() {
        Some(Ansi::Ansi(AnsiColor::Red)) => Color::Red,
        Some(Ansi::Ansi(AnsiColor::Yellow)) => Color::Yellow,
        Some(Ansi::Ansi(AnsiColor::Green)) => Color::Green,
        Some(Ansi::Ansi(AnsiColor::Magenta)) => Color::Magenta,
        _ => Color::Cyan,
    };
    let bold = if style.get_effects().contains(Effects::BOLD) { Modifier::BOLD } else { Modifier::empty() };
    Style::new().fg(color).add_modifier(bold)
}
