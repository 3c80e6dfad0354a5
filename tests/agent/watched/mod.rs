//! A running agent, watched: metrics, health, `status`, `top`.

mod metrics;
mod reconfigured;
mod screen;
mod status;
mod top;

use crate::tells::port;
use crate::world::{World, await_that, sealtail};
use regex::Regex;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A host's log, with what policies flag, and how many lines that is.
fn lines() -> (String, usize) {
    let samples = ["ordinary", "ssh", "privilege", "accounts", "login", "system"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/linux/samples");
    let read = |name: &&str| std::fs::read_to_string(folder.join(format!("{name}.log"))).unwrap();
    // records of auditd are put together by event
    let text: String = samples.iter().map(read).collect();
    let text: String = text.split_inclusive('\n').filter(|line| !line.starts_with("type=")).collect();
    let count = text.lines().count();
    (text, count)
}

/// An agent that serves metrics at the port, and a receiver, which has all of the lines.
fn at_rest() -> (World, u16) {
    at_rest_in(World::new())
}

/// The same in a world that was prepared.
fn at_rest_in(mut world: World) -> (World, u16) {
    let port = port();
    let (text, count) = lines();
    world.start_receiver();
    world.configure(|config| config.replace("[telemetry]", &format!("[telemetry]\nlisten = \"127.0.0.1:{port}\"")));
    world.append(text);
    world.start_agent();
    world.await_archived(count);
    await_that("all is stored, and said to be", || {
        let Some(status) = status(&world) else { return false };
        let stored = status["targets"][0]["receipts"].as_u64() > Some(0);
        stored && status["targets"][0]["behind_bytes"] == 0 && status["sources"][0]["lines"] == count
    });
    (world, port)
}

fn call(world: &World, more: &[&str]) -> Output {
    sealtail(&["status", "--config", &world.config()]).args(more).output().unwrap()
}

/// `status --json`; none while no agent answers.
fn status(world: &World) -> Option<Value> {
    serde_json::from_slice(&call(world, &["--json"]).stdout).ok()
}

/// What a run of the same lines gives again: numbers, names and widths that depend on them are masked.
fn masked(world: &World, text: &str) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let text = text.replace(&world.text_path(""), "DIR/").replace(&host, "HOST");
    let mask = |text: String, pattern: &str, by: &str| Regex::new(pattern).unwrap().replace_all(&text, by).into_owned();
    let masks = [
        ("[▁▂▃▄▅▆▇█]", " "),
        (r"(stream +|sha256:)[0-9a-f]{8,32}", "${1}#"),
        (r"\d+([.,:-]\d+)*", "#"),
        (r"# [KMGT]iB", "# B"),
        (r"#[mhd] #[smh]", "# s"),
        (r" - ", " # s "),
        (r" -\n", " # s\n"),
        ("─+", "─"),
        (" +", " "),
        (r" +\n", "\n"),
    ];
    masks.into_iter().fold(text, |text, (pattern, by)| mask(text, pattern, by))
}

/// Compares with a golden file; with SEALTAIL_BLESS in the environment it is written anew.
fn assert_golden(name: &str, found: &str) {
    let path = golden(name);
    if std::env::var_os("SEALTAIL_BLESS").is_some() {
        return std::fs::write(path, found).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert!(
        golden == found,
        "{name} is not as it was (SEALTAIL_BLESS=1 writes it anew); found:\n{found}\nwas:\n{golden}"
    );
}

fn golden(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/agent/watched/golden", name].iter().collect()
}
