//! Hours of a host's life in minutes: lines, rotations, new files, outages of the store, reloads, streams that give way to the
//! next; after each round what the agent holds is measured. It must not grow.

use crate::world::{World, await_that, run, text};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Lines of a round; as many again where the store is down.
const LINES: usize = 2_000;
/// Rotations that are kept.
const KEPT: usize = 3;
/// What an allocator may keep or give back from one round to the next.
const MEMORY_SLACK_KIB: u64 = 4 * 1024;
/// A descriptor may be on its way: a connection, a file that is rotated.
const DESCRIPTORS_SLACK: usize = 4;

/// What the agent held after a round.
#[derive(Clone, Copy, Debug)]
struct Held {
    memory_kib: u64,
    descriptors: usize,
}

/// The most of each.
fn most(held: &[Held]) -> Held {
    Held {
        memory_kib: held.iter().map(|held| held.memory_kib).max().unwrap(),
        descriptors: held.iter().map(|held| held.descriptors).max().unwrap(),
    }
}

pub(crate) fn soak(rounds: usize) {
    let mut world = World::new();
    let (log, all) = (world.text_path("logs/app.log"), world.text_path("logs/*.log"));
    world.configure(|config| {
        let sooner = "flush_interval = \"250ms\"\nmax_stream_age = \"1m\"";
        config.replace(&log, &all).replace("flush_interval = \"250ms\"", sooner)
    });
    world.start_receiver();
    world.start_agent();
    let (mut held, mut written) = (Vec::new(), 0);
    for round in 0..rounds {
        if round % 5 == 4 {
            world.kill_receiver();
            written += write(&world, written);
            rotate(&world);
            written += write(&world, written);
            world.start_receiver();
        } else {
            written += write(&world, written);
        }
        if round % 7 == 6 {
            world.signal_agent(rustix::process::Signal::HUP);
        }
        // a file that comes and goes
        let passing = world.path(&format!("logs/passing-{round}.log"));
        fs::write(&passing, format!("line {written}\n")).unwrap();
        written += 1;
        settle(&world, written);
        fs::remove_file(passing).unwrap();
        rotate(&world);
        held.push(measure(world.agent_pid()));
    }
    let (early, late) = (most(&held[rounds / 4..rounds / 2]), most(&held[rounds / 4 * 3..]));
    println!("{written} lines in {rounds} rounds; at most {early:?} in the second quarter, {late:?} in the last");
    assert!(late.memory_kib <= early.memory_kib + MEMORY_SLACK_KIB, "memory grows: {early:?}, {late:?}, {held:?}");
    assert!(late.descriptors <= early.descriptors + DESCRIPTORS_SLACK, "descriptors grow: {early:?}, {late:?}");
    assert_eq!(world.stop_agent(), Some(0));
    assert_eq!(spooled(&world.path("q/spool")), Vec::<String>::new(), "the spool still has segments");
    world.verify().assert_intact(&[]);
    assert_exact(&world, written);
}

fn write(world: &World, from: usize) -> usize {
    // some of them get a verdict
    let line = |n: usize| match n % 10 {
        0 => format!(
            "Jan 12 06:25:41 web-1 sshd[812]: Failed password for root from 203.0.113.7 port 51514 ssh2 line {n}\n"
        ),
        _ => format!("line {n}\n"),
    };
    world.append((from..from + LINES).map(line).collect::<String>());
    LINES
}

fn rotate(world: &World) {
    let rotated = |age: usize| world.path(&format!("logs/app.log.{age}"));
    for age in (1..KEPT).rev().filter(|age| rotated(*age).exists()) {
        fs::rename(rotated(age), rotated(age + 1)).unwrap();
    }
    fs::rename(world.log(), rotated(1)).unwrap();
    fs::write(world.log(), "").unwrap();
}

/// Awaits that all is chained, and stored.
fn settle(world: &World, lines: usize) {
    await_that("everything is stored", || {
        let asked = run(&["status", "--config", &world.config(), "--json"]);
        let Ok(status) = serde_json::from_slice::<Value>(&asked.stdout) else { return false };
        status["sources"][0]["lines"] == lines && status["targets"][0]["behind_bytes"] == 0
    });
}

fn measure(pid: u32) -> Held {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    Held {
        memory_kib: memory.trim().trim_end_matches(" kB").parse().unwrap(),
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
    }
}

/// Segments that the spool holds.
fn spooled(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let is_segment = |path: &Path| path.to_string_lossy().contains(".ndjson");
    let mut found: Vec<String> =
        folders.iter().filter(|path| !path.ends_with("receipts")).flat_map(|path| spooled(path)).collect();
    found.extend(files.iter().filter(|path| is_segment(path)).map(|path| path.display().to_string()));
    found
}

/// Each line stands in the archive once.
fn assert_exact(world: &World, written: usize) {
    let output = run(&["cat", &world.text_path("q/archive")]);
    assert!(output.status.success(), "{}", text(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<usize> = lines.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    let different: HashSet<usize> = numbers.iter().copied().collect();
    assert_eq!((numbers.len(), different.len(), different.contains(&written)), (written, written, false));
}
