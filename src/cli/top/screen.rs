//! The screen as a whole: which pane stands where, its first and last row, and the help.

use super::model::Model;
use super::panes;
use crate::cli::figures::{clock, duration};
use crate::cli::status::word;
use crate::telemetry::status::{State, Status};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};

/// Below this there is nothing to be seen.
const WIDTH_MIN: u16 = 40;
const HEIGHT_MIN: u16 = 12;

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        return frame.render_widget(Paragraph::new("this terminal is too small for sealtail top"), area);
    }
    let [first, body, last] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    head(frame, first, model);
    if let Some(status) = &model.status {
        parts(frame, body, model, status);
    }
    foot(frame, last, model);
    if model.is_helping {
        help(frame, area);
    }
}

fn parts(frame: &mut Frame<'_>, body: Rect, model: &Model, status: &Status) {
    let is_tall = body.height >= 32;
    let rows = |few: u16, many: u16| Constraint::Length(if is_tall { many } else { few });
    let least = u16::try_from(status.targets.len()).unwrap_or(u16::MAX).clamp(1, if is_tall { 6 } else { 3 });
    let targets = Constraint::Length(least + 3);
    let [rates, tables, targets, flagged] =
        Layout::vertical([rows(5, 8), rows(7, 11), targets, Constraint::Fill(1)]).areas(body);
    let [lines, spool] = Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(rates);
    let [sources, verdicts] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(tables);
    panes::lines(frame, lines, model, status);
    panes::spool(frame, spool, status);
    panes::sources(frame, sources, model, status);
    panes::verdicts(frame, verdicts, model, status);
    panes::targets(frame, targets, model, status);
    panes::flagged(frame, flagged, model, status);
}

fn head(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let mut left = vec![" sealtail ".black().on_cyan().bold(), " ".into()];
    let mut right = Line::default();
    if let Some(status) = &model.status {
        let (said, color) = match (&model.lost, status.state, status.problems.is_empty()) {
            (Some(_), ..) => ("○ gone".to_owned(), Color::Red),
            (None, state, false) => (format!("● {}", word(state)), Color::Red),
            (None, state @ State::Running, true) => (format!("● {}", word(state)), Color::Green),
            (None, state, true) => (format!("● {}", word(state)), Color::Yellow),
        };
        let up = duration(status.now_unix_s - status.started_unix_s);
        left.push(status.host.as_str().bold());
        left.push(Span::styled(format!("  {said}"), Style::new().fg(color)));
        left.push(format!(" for {up}").into());
        let stream = status.chain.stream.as_deref().and_then(|stream| stream.get(..8)).unwrap_or("-");
        right = Line::from(format!("stream {stream}  {}Z ", clock(status.now_unix_s))).dim();
    }
    if model.is_paused {
        left.push("  paused".yellow().bold());
    }
    frame.render_widget(Line::from(left), area);
    let width = u16::try_from(right.width()).unwrap_or(area.width).min(area.width);
    frame.render_widget(right, Rect { x: area.right() - width, width, ..area });
}

/// The keys; but what is wrong comes first.
fn foot(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let problems = model.status.iter().flat_map(|status| &status.problems);
    let wrong = problems.map(|problem| format!(" {}: {} ", problem.part, problem.what)).next();
    let wrong = model.lost.as_ref().map(|lost| format!(" {lost} ")).or(wrong);
    if let Some(wrong) = wrong {
        return frame.render_widget(Line::from(wrong.white().on_red().bold()), area);
    }
    let keys = [("q", "quit"), ("p", "pause"), ("←→", "pane"), ("↑↓", "scroll"), ("?", "help")];
    let spans = keys.iter().flat_map(|(key, does)| [format!(" {key} ").cyan().bold(), format!("{does}  ").dim()]);
    frame.render_widget(Line::from(spans.collect::<Vec<_>>()), area);
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    const TEXT: [&str; 12] = [
        "q, Esc     quit",
        "p, space   pause, and go on",
        "←  →, Tab  choose a pane",
        "↑  ↓, Home scroll it",
        "",
        "unread     not read from its source yet",
        "unsent     durable here, not stored there",
        "spool      what it holds until it is stored",
        "undecided  a policy failed on the line",
        "",
        "Flagged lines are shown as they are",
        "chained: what is redacted is not here.",
    ];
    let (width, height) = (area.width.min(48), area.height.min(TEXT.len() as u16 + 2));
    let popup = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    let block = Block::bordered().border_type(BorderType::Rounded).border_style(Color::Cyan).title(" Help ".bold());
    let lines = TEXT.map(|line| Line::from(format!(" {line}"))).to_vec();
    frame.render_widget(Clear, popup);
    frame.render_widget(Paragraph::new(lines).block(block), popup);
}
