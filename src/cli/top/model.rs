//! What `top` knows.

use super::News;
use crate::telemetry::status::Status;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::{HashMap, VecDeque};

/// Seconds of rates that are kept: as many as a screen is wide.
const HISTORY_MAX: usize = 512;

/// The panes, in the order in which the arrows choose them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    Sources,
    Verdicts,
    Targets,
    #[default]
    Flagged,
}

impl Pane {
    const ALL: [Pane; 4] = [Pane::Sources, Pane::Verdicts, Pane::Targets, Pane::Flagged];
}

/// Everything that the screen shows.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub status: Option<Status>,
    /// Why nothing is heard of the agent.
    pub lost: Option<String>,
    /// Lines a second, the last of them last.
    pub history: VecDeque<u64>,
    pub lines_a_second: f64,
    pub bytes_a_second: f64,
    /// Lines a second of each source.
    pub of_source: HashMap<String, f64>,
    pub is_paused: bool,
    pub is_helping: bool,
    pub is_done: bool,
    pub pane: Pane,
    scrolled: [usize; 4],
}

impl Model {
    /// How many rows of a pane are scrolled past.
    pub(super) fn scrolled(&self, pane: Pane) -> usize {
        self.scrolled[pane as usize]
    }

    /// Takes in what is heard; while paused, only that nothing is.
    pub(super) fn hear(&mut self, news: News) {
        match news {
            Err(error) => self.lost = Some(error),
            Ok(_) if self.is_paused => self.lost = None,
            Ok(status) => {
                self.lost = None;
                self.measure(&status);
                self.status = Some(status);
            }
        }
    }

    /// Rates since what was heard before, of the same process.
    fn measure(&mut self, new: &Status) {
        let Some(old) = self.status.as_ref().filter(|old| old.pid == new.pid) else { return };
        let seconds = new.now_unix_s - old.now_unix_s;
        if seconds <= 0.0 {
            return;
        }
        let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
        let each = old.sources.iter().zip(&new.sources);
        self.of_source = each.map(|(old, new)| (new.name.clone(), rate(new.lines, old.lines))).collect();
        let sum =
            |status: &Status, of: fn(&crate::telemetry::status::Source) -> u64| status.sources.iter().map(of).sum();
        self.lines_a_second = rate(sum(new, |source| source.lines), sum(old, |source| source.lines));
        self.bytes_a_second = rate(sum(new, |source| source.bytes), sum(old, |source| source.bytes));
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        // what is little is still to be seen
        self.history.push_back(self.lines_a_second.ceil() as u64);
    }

    /// A key was pressed.
    pub(super) fn press(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => self.is_done = true,
            _ if self.is_helping => self.is_helping = false,
            KeyCode::Char('q') | KeyCode::Esc => self.is_done = true,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('?' | 'h') => self.is_helping = true,
            KeyCode::Left | KeyCode::BackTab => self.choose(Pane::ALL.len() - 1),
            KeyCode::Right | KeyCode::Tab => self.choose(1),
            KeyCode::Up => self.scroll(|rows| rows.saturating_sub(1)),
            KeyCode::Down => self.scroll(|rows| rows + 1),
            KeyCode::Home => self.scroll(|_| 0),
            _ => {}
        }
    }

    fn choose(&mut self, step: usize) {
        self.pane = Pane::ALL[(self.pane as usize + step) % Pane::ALL.len()];
    }

    fn scroll(&mut self, by: impl Fn(usize) -> usize) {
        let rows = self.status.as_ref().map_or(0, |status| match self.pane {
            Pane::Sources => status.sources.len(),
            Pane::Verdicts => status.verdicts.len(),
            Pane::Targets => status.targets.len(),
            Pane::Flagged => status.flagged.len(),
        });
        let scrolled = &mut self.scrolled[self.pane as usize];
        *scrolled = by(*scrolled).min(rows.saturating_sub(1));
    }
}
