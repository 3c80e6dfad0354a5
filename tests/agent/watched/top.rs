//! `sealtail top`, in a terminal.

use super::screen::Screen;
use super::{assert_golden, at_rest, at_rest_in, golden, masked};
use crate::world::{PATIENCE, World, await_that, run, text};
use regex::Regex;
use std::time::{Duration, Instant};

/// What is there once everything is drawn.
const DRAWN: [&str; 4] = ["● running", "storing", "system-shutdown", "help"];

/// What sets a colour.
const COLOR: &str = "\u{1b}\\[(\\d+;)*([34][0-7]|9[0-7]|10[0-7]|[34]8;5;\\d+)m";

/// The command, and what the terminal is like after it.
fn command(world: &World, before: &str) -> String {
    let program = env!("CARGO_BIN_EXE_sealtail");
    let after = "echo \"exit $?\"; stty -a | tr ' ;' '\\n\\n' | grep -x -e icanon -e echo; exec cat";
    format!("echo before; {before} {program} top --config {}; {after}", world.config())
}

/// Whether each pane reaches from edge to edge.
fn is_frame(text: &str, (width, height): (usize, usize)) -> bool {
    let mut edges = text.lines().filter(|line| line.starts_with(['│', '╭', '╰']));
    let is_whole = |line: &str| line.chars().count() == width && line.ends_with(['│', '╮', '╯']);
    text.lines().count() == height && edges.all(is_whole)
}

/// Awaits a frame that is as the golden file has it: one may be caught half drawn.
fn await_frame(world: &World, screen: &Screen, size: (usize, usize)) {
    let name = format!("top_{}x{}.txt", size.0, size.1);
    let expected = std::fs::read_to_string(golden(&name)).unwrap_or_default();
    let is_wanted = |found: &str| found == expected || std::env::var_os("SEALTAIL_BLESS").is_some();
    let deadline = Instant::now() + PATIENCE;
    let mut text = screen.text();
    while !(is_wanted(&masked(world, &text)) && is_frame(&text, size)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
        text = screen.text();
    }
    assert!(is_frame(&text, size), "{text}");
    assert_golden(&name, &masked(world, &text));
}

#[test]
fn the_whole_agent_fits_on_one_screen_of_any_size() {
    let (world, _) = at_rest();
    let Some(screen) = Screen::start((80, 24), &command(&world, "")) else { return };
    screen.await_text(&DRAWN);
    await_frame(&world, &screen, (80, 24));
    assert!(Regex::new(COLOR).unwrap().is_match(&screen.colored()), "no colours");
    screen.resize((120, 40));
    screen.await_text(&[&format!("╰{}╯", "─".repeat(118))]);
    await_frame(&world, &screen, (120, 40));
    screen.resize((30, 10));
    screen.await_text(&["too small"]);
}

#[test]
fn verdicts_on_lines_of_several_sources_stand_in_one_column() {
    let world = World::new();
    let second = world.path("second.log");
    std::fs::write(&second, "").unwrap();
    let name = "kubernetes";
    let more = format!("\n[[source]]\ntype = \"file\"\nname = \"{name}\"\ninclude = [\"{}\"]\n", second.display());
    world.configure(|config| config.to_owned() + &more);
    let (world, _) = at_rest_in(world);
    std::fs::write(
        &second,
        "Jan 12 06:25:41 web-1 sshd[812]: Failed password for root from 203.0.113.7 port 51514 ssh2\n",
    )
    .unwrap();
    let Some(screen) = Screen::start((80, 24), &command(&world, "")) else { return };
    let severity = Regex::new(" (critical|high|medium|low|info) ").unwrap();
    await_that("both sources' lines, each verdict below the other", || {
        let text = screen.text();
        let Some((above, flagged)) = text.split_once("Latest flagged") else { return false };
        let rows = flagged.lines().filter(|line| line.starts_with('│'));
        let at: Vec<_> = rows.filter_map(|line| Some((line.contains(name), severity.find(line)?.start()))).collect();
        let of = |second| at.iter().filter(move |(is_second, _)| *is_second == second).count();
        // the name is whole among the sources, too
        above.contains(name) && of(true) > 0 && of(false) > 0 && at.iter().all(|(_, place)| *place == at[0].1)
    });
}

#[test]
fn keys_do_what_the_help_says_and_the_terminal_comes_back() {
    let (mut world, _) = at_rest();
    let Some(screen) = Screen::start((80, 24), &command(&world, "")) else { return };
    screen.await_text(&DRAWN);
    screen.press("?");
    screen.await_text(&["Help", "pause, and go on"]);
    await_that("all of the help", || is_frame(&screen.text(), (80, 24)));
    screen.press("?");
    screen.press("p");
    screen.await_text(&["paused"]);
    screen.press("p");
    // the last rows of a pane that is scrolled to its end
    let first = |text: &str| text.split_once("Latest flagged").unwrap().1.lines().nth(1).unwrap().to_owned();
    let unscrolled = first(&screen.await_text(&DRAWN));
    screen.press("Down");
    await_that("it scrolls", || first(&screen.text()) != unscrolled);
    // an agent that goes is told, and another is found again
    assert_eq!(world.stop_agent(), Some(0));
    screen.await_text(&["no agent listens at"]);
    world.start_agent();
    screen.await_text(&["● running", "quit"]);
    screen.press("q");
    let after = screen.await_text(&["exit 0", "icanon", "echo"]);
    assert!(after.starts_with("before"), "{after}");
}

#[test]
fn no_color_leaves_no_color() {
    let (world, _) = at_rest();
    let Some(screen) = Screen::start((80, 24), &command(&world, "NO_COLOR=1")) else { return };
    screen.await_text(&DRAWN);
    assert!(!Regex::new(COLOR).unwrap().is_match(&screen.colored()), "{:?}", screen.colored());
    screen.press("C-c");
    screen.await_text(&["exit 0", "icanon"]);
}

#[test]
fn without_a_terminal_or_an_agent_it_says_what_to_do() {
    let world = World::new();
    let piped = run(&["top", "--config", &world.config()]);
    assert_eq!(piped.status.code(), Some(1));
    assert!(text(&piped).contains("needs a terminal; `sealtail status`"), "{}", text(&piped));
    let Some(screen) = Screen::start((80, 24), &command(&world, "")) else { return };
    screen.await_text(&["no agent listens at", "exit 1", "icanon"]);
}
