//! `sealtail top`: a running agent, live.
//!
//! | file | what it does |
//! | --- | --- |
//! | `model` | what is known of the agent, its rates, and what the keys changed |
//! | `screen` | the screen, as a whole |
//! | `panes` | each part of it |

mod model;
mod panes;
mod screen;

use super::status::Which;
use super::stop;
use crate::telemetry::status::Status;
use crate::telemetry::{self};
use clap::Args;
use model::Model;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// How often keys, the agent and signals are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How often an agent that is gone is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Watch the running agent: sources, verdicts, spool, targets, the latest flagged lines
///
/// Keys: q quits, p pauses, left and right choose a pane, up and down scroll it, ? helps. Colours are left out where NO_COLOR is set.
#[derive(Debug, Args)]
pub struct TopArgs {
    #[command(flatten)]
    agent: Which,
}

/// What is heard of the agent.
type News = Result<Status, String>;

/// Runs the command.
pub fn run(args: &TopArgs) -> ExitCode {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return super::fail(&[
            "`sealtail top` needs a terminal; `sealtail status` prints what the agent is doing once",
        ]);
    }
    // an agent that does not run, or does not want to be asked, is told before the screen is taken
    let path = match args.agent.find() {
        Ok((path, _)) => path,
        Err(error) => return super::fail(&[error]),
    };
    match watch(path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&[error]),
    }
}

fn watch(path: PathBuf) -> Result<(), String> {
    let runtime = super::runtime()?;
    let signalled = {
        let _in = runtime.enter();
        stop::on_signal(|| {}).map_err(|e| format!("cannot wait for signals: {e}"))?
    };
    let (tell, news) = sync_channel(1);
    let thread = std::thread::Builder::new().name("sealtail-watch".to_owned());
    thread.spawn(move || listen(&path, &tell)).map_err(|e| format!("cannot start a thread: {e}"))?;
    // a panic restores the terminal, too
    let mut terminal = ratatui::try_init().map_err(|e| format!("cannot take the terminal: {e}"))?;
    let watched = show(&mut terminal, &news, &|| signalled.stop.is_set());
    ratatui::restore();
    watched.map_err(|e| format!("the terminal failed: {e}"))
}

/// Passes on what the agent says, until nobody looks any more.
fn listen(path: &std::path::Path, tell: &SyncSender<News>) {
    loop {
        let mut watch = telemetry::watch(path);
        loop {
            let news = match &mut watch {
                Ok(watch) => watch.next().map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let is_over = news.is_err();
            if tell.send(news).is_err() {
                return;
            }
            if is_over {
                break;
            }
        }
        std::thread::sleep(AGAIN);
    }
}

fn show(terminal: &mut DefaultTerminal, news: &Receiver<News>, stopped: &dyn Fn() -> bool) -> io::Result<()> {
    let mut model = Model::default();
    let mut is_stale = true;
    while !model.is_done && !stopped() {
        while let Ok(news) = news.try_recv() {
            model.hear(news);
            is_stale = true;
        }
        if is_stale {
            terminal.draw(|frame| screen::draw(frame, &model))?;
            is_stale = false;
        }
        if event::poll(LOOK)? {
            is_stale = true;
            if let Event::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
            {
                model.press(key);
            }
        }
    }
    Ok(())
}
