//! A configuration that changes while the agent runs: sources and targets come and go, and no line is lost or chained twice.

use crate::rides_out_outage::incompressible;
use crate::targets::verify_as;
use crate::world::{World, await_that, text};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

const TAKEN_UP: &str = "another configuration is taken up";
const REFUSED: &str = "configuration refused: the one before counts on";

impl World {
    /// The configuration with these sources besides the world's own, and these folders as targets.
    fn other(&self, base: &str, n: usize) -> String {
        let source = |name: &str| {
            let log = self.text_path(&format!("logs/{name}.log"));
            format!("[[source]]\ntype = \"file\"\nname = \"{name}\"\ninclude = [\"{log}\"]\n\n")
        };
        let mut sources = "[[source]]\ntype = \"stdin\"\nname = \"pipe\"\n\n".to_owned();
        if n.is_multiple_of(2) {
            sources.push_str(&source("even"));
        }
        if n % 4 > 1 {
            sources.push_str(&source("pairs"));
        }
        let target = |dir: String| format!("[[target]]\nname = \"folder\"\ntype = \"file\"\ndir = \"{dir}\"\n\n");
        let targets = if n % 3 == 1 { target(self.text_path("folder")) } else { String::new() };
        base.replace("[policy]\n", &format!("{sources}[policy]\n"))
            .replace("[telemetry]\n", &format!("{targets}[telemetry]\n"))
            + &format!("# {n}\n")
    }

    /// A target of a configuration to come may have this folder.
    pub(crate) fn will_write(&self, folder: &str) {
        let hardening = format!("[hardening]\nwrite = [\"{}\"]\n\n", self.text_path(folder));
        self.configure(|config| config.replace("[telemetry]\n", &format!("{hardening}[telemetry]\n")));
    }

    fn reconfigure(&self, config: &str) {
        fs::write(self.config(), config).unwrap();
        self.signal_agent(Signal::HUP);
    }

    /// The messages of a source, in the order of the archive.
    fn messages_of(&self, name: &str) -> Vec<String> {
        let (mut source, mut messages) = (std::collections::BTreeMap::new(), Vec::new());
        for line in self.archive() {
            let header = &line["h"];
            match header["type"].as_str().unwrap() {
                "genesis" => source.clear(),
                "source" if header["event"] == "opened" => {
                    source.insert(header["src"].as_u64(), header["name"].as_str().unwrap().to_owned());
                }
                "log" if source[&header["src"].as_u64()] == name => {
                    assert!(header["end"].is_null(), "a line was divided: {line}");
                    messages.push(line["p"]["msg"].as_str().unwrap().to_owned());
                }
                _ => {}
            }
        }
        messages
    }
}

fn bad(config: &str, n: usize) -> String {
    match n % 4 {
        0 => config.replace("[spool]", "[spool"),
        1 => config.replace("[policy]\n", "[policy]\nno_such_key = 1\n"),
        2 => config.replace("key = \"client.key\"", "key = \"missing.key\""),
        _ => config.replace("dir = \"spool\"", "dir = \"elsewhere\""),
    }
}

#[test]
fn sources_and_targets_come_and_go_thirty_times_without_a_line_lost_or_repeated() {
    const TIMES: usize = 30;
    let mut world = World::new();
    fs::create_dir(world.path("folder")).unwrap();
    world.will_write("folder");
    let base = fs::read_to_string(world.config()).unwrap();
    fs::write(world.config(), world.other(&base, 0)).unwrap();
    world.start_receiver();
    let mut pipe = world.start_agent_with_pipe();
    world.await_said_begun(1);
    let (names, stop) = (["logs", "even", "pairs"], AtomicBool::new(false));
    let counts = std::thread::scope(|scope| {
        let files = scope.spawn(|| {
            let mut logs = ["app", "even", "pairs"].map(|name| {
                OpenOptions::new().append(true).create(true).open(world.path(&format!("logs/{name}.log"))).unwrap()
            });
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                logs.iter_mut().for_each(|log| writeln!(log, "line {n:06}").unwrap());
                n += 1;
                // a pause, so that the whole stays small; nothing depends on it
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            n
        });
        let piped = scope.spawn(|| {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                // half a line is in the pipe for most of the time
                write!(pipe, "{:06}\nline ", n).unwrap();
                n += 1;
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            writeln!(pipe, "{n:06}").unwrap();
            n + 1
        });
        let mut refused = 0;
        for n in 1..=TIMES {
            if n % 3 == 0 {
                refused += 1;
                world.reconfigure(&bad(&world.other(&base, n), n / 3));
                world.await_said(REFUSED, refused);
            }
            world.reconfigure(&world.other(&base, n));
            world.await_said_begun(1 + n);
        }
        stop.store(true, Ordering::Relaxed);
        [files.join().unwrap(), piped.join().unwrap()]
    });
    // TIMES is even and 2 modulo 4: every source is read at the end
    world.await_archived(names.len() * counts[0] + counts[1]);
    assert_eq!(world.stop_agent(), Some(0));
    drop(pipe);
    for name in names {
        let expected: Vec<String> = (0..counts[0]).map(|n| format!("line {n:06}")).collect();
        assert_eq!(world.messages_of(name), expected, "{name}");
    }
    let piped = world.messages_of("pipe");
    assert_eq!(piped[0], "000000");
    let expected: Vec<String> = (1..counts[1]).map(|n| format!("line {n:06}")).collect();
    assert_eq!(piped[1..], expected);
    assert_eq!(world.said(TAKEN_UP), TIMES);
    check_config_lines(&world.archive(), TIMES);
    world.verify().assert_intact(&[]);
    // it came and went, too: what was chained meanwhile is missing there, as no skip line excuses it, and nothing else is found
    let folder = text(&verify_as(&world, "folder", "folder"));
    let (found, _) = folder.split_once("NOT INTACT").expect(&folder);
    let known = ["STREAM-MISSING ", "SKIPPED ", "SILENCE ", "CLOCK-STEP "];
    assert!(found.contains(known[0]), "{folder}");
    assert!(found.lines().all(|line| known.iter().any(|word| line.starts_with(word))), "{folder}");
}

/// Each stream but the last ends with a line that says what changed, from its genesis's digest to the next one's.
fn check_config_lines(archive: &[Value], times: usize) {
    let of =
        |kind: &str| archive.iter().map(|line| &line["h"]).filter(|h| h["type"] == kind).cloned().collect::<Vec<_>>();
    let (genesis, config, close) = (of("genesis"), of("config"), of("close"));
    assert_eq!((config.len(), close.len()), (times, times + 1));
    for (n, config) in config.iter().enumerate() {
        assert_eq!((&config["old"], &config["new"]), (&genesis[n]["config"], &genesis[n + 1]["config"]));
        assert_eq!(
            (&close[n]["reason"], config["seq"].as_u64()),
            (&"config".into(), close[n]["seq"].as_u64().map(|seq| seq - 1))
        );
        let changed: Vec<&str> =
            config["changed"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let now = n + 1;
        let how = if now.is_multiple_of(2) { "source + even" } else { "source - even" };
        assert!(changed.contains(&"source") && changed.contains(&how), "{now}: {changed:?}");
        let how = match now % 3 {
            1 => Some("target + folder"),
            2 => Some("target - folder"),
            _ => None,
        };
        assert_eq!(changed.iter().find(|word| word.starts_with("target ")).copied(), how, "{now}: {changed:?}");
    }
    assert_eq!(close.last().unwrap()["reason"], "stop");
}

impl World {
    fn await_said_begun(&self, times: usize) {
        self.await_said("a stream begins", times);
    }
}

#[test]
fn a_target_is_mended_while_the_spool_is_full_and_a_pipe_waits() {
    let mut world = World::new();
    let good = fs::read_to_string(world.config()).unwrap();
    let good = good
        .replace("dir = \"spool\"", "dir = \"spool\"\nmax_size = \"8MiB\"")
        .replace("[policy]\n", "[[source]]\ntype = \"stdin\"\nname = \"pipe\"\n\n[policy]\n");
    let dead = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let (before, rest) = good.split_once("https://localhost:").unwrap();
    let after = rest.split_once('"').unwrap().1;
    fs::write(world.config(), format!("{before}https://localhost:{dead}\"{after}")).unwrap();
    world.start_receiver();
    let mut pipe = world.start_agent_with_pipe();
    let expected = incompressible(150_000);
    let lines = expected.join("\n") + "\n";
    let writer = std::thread::spawn(move || {
        pipe.write_all(lines.as_bytes()).unwrap();
        pipe
    });
    await_that("the spool is full", || world.agent_log().contains("the spool is full"));
    world.reconfigure(&good);
    world.await_archived(expected.len());
    let pipe = writer.join().unwrap();
    assert_eq!(world.stop_agent(), Some(0));
    drop(pipe);
    assert_eq!(world.messages_of("pipe"), expected);
    world.verify().assert_intact(&[]);
}

#[test]
fn what_can_not_change_is_refused_and_says_so() {
    let mut world = World::new();
    let config = fs::read_to_string(world.config()).unwrap();
    world.start_receiver();
    world.start_agent();
    world.await_said_begun(1);
    for (n, (from, to, why)) in [
        ("[host]\nname = \"", "[host]\nname = \"other-", "[host] name can't change while the agent runs"),
        ("dir = \"spool\"", "dir = \"spool2\"", "[spool] dir can't change while the agent runs"),
        ("log = \"info\"", "log = \"debug\"", "[telemetry] can't change while the agent runs"),
    ]
    .into_iter()
    .enumerate()
    {
        world.reconfigure(&config.replacen(from, to, 1));
        world.await_said(REFUSED, n + 1);
        assert!(world.agent_log().contains(why), "{why}");
    }
    world.append("it goes on\n");
    world.await_archived(1);
    assert_eq!(world.stop_agent(), Some(0));
    assert_eq!((world.streams().len(), world.said(TAKEN_UP)), (1, 0));
    world.verify().assert_intact(&[]);
}
