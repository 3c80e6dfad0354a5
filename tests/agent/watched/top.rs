//! `sealtail top`, in a terminal.

use super::screen::Screen;
use super::{assert_golden, at_rest, masked};
use crate::world::{World, run, text};
use regex::Regex;

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

fn assert_frame(text: &str, (width, height): (usize, usize)) {
    assert_eq!(text.lines().count(), height, "{text}");
    for line in text.lines().filter(|line| line.starts_with(['│', '╭', '╰'])) {
        assert_eq!(line.chars().count(), width, "{line}");
        assert!(line.ends_with(['│', '╮', '╯']), "{line}");
    }
}

#[test]
fn the_whole_agent_fits_on_one_screen_of_any_size() {
    let (world, _) = at_rest();
    let Some(screen) = Screen::start((80, 24), &command(&world, "")) else { return };
    let small = screen.await_text(&DRAWN);
    assert_frame(&small, (80, 24));
    assert_golden("top_80x24.txt", &masked(&world, &small));
    assert!(Regex::new(COLOR).unwrap().is_match(&screen.colored()), "no colours");
    screen.resize((120, 40));
    let edge = format!("╰{}╯", "─".repeat(118));
    let large = screen.await_text(&[&edge]);
    assert_frame(&large, (120, 40));
    assert_golden("top_120x40.txt", &masked(&world, &large));
    screen.resize((30, 10));
    screen.await_text(&["too small"]);
}

#[test]
fn keys_do_what_the_help_says_and_the_terminal_comes_back() {
    let (mut world, _) = at_rest();
    let Some(screen) = Screen::start((80, 24), &command(&world, "")) else { return };
    screen.await_text(&DRAWN);
    screen.press("?");
    let help = screen.await_text(&["Help", "pause, and go on"]);
    assert_frame(&help, (80, 24));
    screen.press("?");
    screen.press("p");
    screen.await_text(&["paused"]);
    screen.press("p");
    // the last rows of a pane that is scrolled to its end
    let first = |text: &str| text.split_once("Latest flagged").unwrap().1.lines().nth(1).unwrap().to_owned();
    let unscrolled = first(&screen.await_text(&DRAWN));
    screen.press("Down");
    crate::world::await_that("it scrolls", || first(&screen.text()) != unscrolled);
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
