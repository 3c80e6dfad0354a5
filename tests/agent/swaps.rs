//! Policies that change while lines are written: what speaks of a line is what the chain says.

use crate::pack::{Files, pack, policy_digest, rego};
use crate::refused::store_other_bytes;
use crate::tells::{metrics, port};
use crate::world::{World, await_that, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

impl World {
    /// A world whose policies are one bundle.
    pub(crate) fn with_bundle(files: &Files<'_>) -> (Self, PathBuf) {
        let world = World::new();
        fs::create_dir(world.path("bundles")).unwrap();
        let bundle = world.path("bundles/bundle.tar.gz");
        put(&bundle, &pack(files));
        world.configure_policy(&format!("paths = [{:?}]", bundle.to_str().unwrap()));
        (world, bundle)
    }

    /// Puts other lines into the table `[policy]`.
    pub(crate) fn configure_policy(&self, lines: &str) {
        self.configure(|config| {
            let (before, rest) = config.split_once("[policy]\n").unwrap();
            let after = rest.find("\n[").map_or("", |at| &rest[at..]);
            format!("{before}[policy]\n{lines}\n{after}")
        });
    }

    /// How often the agent said something.
    pub(crate) fn said(&self, what: &str) -> usize {
        self.agent_log().matches(what).count()
    }

    pub(crate) fn await_said(&self, what: &str, times: usize) {
        await_that(what, || self.said(what) >= times);
    }
}

pub(crate) const IN_FORCE: &str = "other policies are in force";
pub(crate) const REFUSED: &str = "policies refused: those before stay in force";

/// Puts a file in its place, whole, as those should who change policies.
pub(crate) fn put(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    std::fs::File::create(&beside).unwrap().write_all(bytes).unwrap();
    std::fs::rename(beside, path).unwrap();
}

/// Two packages, so that a line that two sets spoke of would show.
fn set(n: usize) -> Vec<(&'static str, String)> {
    vec![
        (".manifest", format!("{{\"revision\": \"{n}\", \"roots\": [\"sealtail\", \"names\"]}}")),
        ("/sealtail/a.rego", rego("a", &format!("a-{n}"))),
        ("sealtail/b.rego", "package sealtail.b\n\nverdicts contains {\"id\": data.names.b} if input.message\n".into()),
        ("names/data.json", format!("{{\"b\": \"b-{n}\"}}")),
        ("sealtail/b_test.rego", format!("package sealtail.b_test\n\ntest_b if data.names.b == \"b-{n}\"\n")),
    ]
}

/// The files as the digest names them.
fn digest(n: usize) -> String {
    let files: Vec<_> = set(n).into_iter().map(|(name, text)| (name.trim_start_matches('/'), text)).collect();
    policy_digest(&files)
}

/// A set that must be refused, of many kinds.
fn bad(n: usize) -> Vec<u8> {
    let mut files = set(n);
    match n % 6 {
        0 => files[1].1.push_str("verdicts contains {"),
        1 => files[4].1 = "package sealtail.b_test\n\ntest_b if data.names.b == \"other\"\n".into(),
        2 => files[0].1 = "{\"roots\": [\"sealtail/a\", \"names\"]}".into(),
        3 => files[3].1 = "{\"b\": ".into(),
        4 => files.push(("../../outside.rego", rego("outside", "x"))),
        _ => return pack(&files)[..200].to_vec(),
    }
    pack(&files)
}

/// Lines are written until this is dropped; then it says how many.
struct Writer {
    _stop: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<usize>,
}

impl Writer {
    fn start(log: PathBuf) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let mut file = fs::OpenOptions::new().append(true).open(log).unwrap();
            let mut count = 0;
            // the pace: at most two thousand lines a second
            while stopped.recv_timeout(Duration::from_millis(5)) == Err(mpsc::RecvTimeoutError::Timeout) {
                let lines: String = (count..count + 10).map(|n| format!("line {n}\n")).collect();
                file.write_all(lines.as_bytes()).unwrap();
                count += 10;
            }
            count
        });
        Self { _stop: stop, thread }
    }

    fn stop(self) -> usize {
        drop(self._stop);
        self.thread.join().unwrap()
    }
}

/// Each log line as `cat --json` shows it.
pub(crate) fn shown(world: &World) -> Vec<Value> {
    let output = run(&["cat", "--json", &world.text_path("q/archive")]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn ids(line: &Value) -> Vec<&str> {
    line["verdicts"].as_array().unwrap().iter().map(|verdict| verdict["id"].as_str().unwrap()).collect()
}

#[test]
fn each_line_is_wholly_of_one_set_while_bundles_are_swapped_100_times() {
    const SWAPS: usize = 100;
    let (mut world, bundle) = World::with_bundle(&set(0));
    world.start_receiver();
    world.start_agent();
    world.append("before\n");
    world.await_archived(1);
    let writer = Writer::start(world.log());
    let (mut good, mut refused) = (vec![0], 0);
    for n in 1..=SWAPS {
        if n % 3 == 0 {
            refused += 1;
            put(&bundle, &bad(n / 3));
            world.await_said(REFUSED, refused);
        } else {
            put(&bundle, &pack(&set(n)));
            world.await_said(IN_FORCE, good.len());
            good.push(n);
        }
    }
    let lines = writer.stop() + 1;
    world.await_archived(lines);
    assert_eq!(world.stop_agent(), Some(0));
    let report = world.verify();
    report.assert_intact(&[]);
    assert_eq!(report.result["log_lines"], lines);

    // what the chain says: each good set in its turn, no other
    let archive = world.archive();
    let mut says = vec![archive[0]["h"]["policy"].clone()];
    for line in archive.iter().filter(|line| line["h"]["type"] == "policy") {
        assert_eq!(&line["h"]["old"], says.last().unwrap());
        says.push(line["h"]["new"].clone());
    }
    let expected: Vec<String> = good.iter().map(|n| digest(*n)).collect();
    assert_eq!(says, expected);

    // what is said of each line is of the set that the chain names
    let by_digest: BTreeMap<String, usize> = good.iter().map(|n| (digest(*n), *n)).collect();
    let (mut current, mut sets) = (0, BTreeMap::new());
    let logs: Vec<Value> = shown(&world);
    let mut shown = logs.iter();
    for line in &archive {
        match line["h"]["type"].as_str().unwrap() {
            "genesis" => current = by_digest[line["h"]["policy"].as_str().unwrap()],
            "policy" => current = by_digest[line["h"]["new"].as_str().unwrap()],
            "log" => {
                let shown = shown.next().unwrap();
                assert_eq!(ids(shown), [format!("a-{current}"), format!("b-{current}")]);
                assert_eq!(by_digest[shown["policy"].as_str().unwrap()], current);
                *sets.entry(current).or_insert(0) += 1;
            }
            _ => {}
        }
    }
    assert!(sets.len() > good.len() / 2, "the swaps were not under load: {sets:?}");
    assert_eq!(world.messages().len(), lines);
}

#[test]
fn a_stream_that_begins_later_says_which_policies_are_in_force() {
    let (mut world, bundle) = World::with_bundle(&set(1));
    world.start_receiver();
    world.start_agent();
    world.append("one\n");
    world.await_archived(1);
    put(&bundle, &pack(&set(2)));
    // no line is needed for it
    world.await_said(IN_FORCE, 1);
    assert_eq!(world.said("\"revisions\":\"2\""), 1);
    await_that("the policy line", || world.archive().iter().any(|line| line["h"]["type"] == "policy"));
    world.kill_agent();
    // nobody saw this one arrive
    put(&bundle, &pack(&set(3)));
    world.start_agent();
    world.append("two\n");
    world.await_archived(2);
    assert_eq!(world.stop_agent(), Some(0));
    let lines = shown(&world);
    assert_eq!((ids(&lines[0]), ids(&lines[1])), (vec!["a-1", "b-1"], vec!["a-3", "b-3"]));
    assert_eq!((&lines[0]["policy"], &lines[1]["policy"]), (&digest(1).into(), &digest(3).into()));
    world.verify().assert_intact(&["UNCLEAN-END"]);
}

#[test]
fn another_stream_of_the_same_run_begins_with_the_policies_then_in_force() {
    let (mut world, bundle) = World::with_bundle(&set(1));
    world.append("one\n");
    world.start_agent();
    world.await_said("cannot deliver", 1);
    put(&bundle, &pack(&set(2)));
    world.await_said(IN_FORCE, 1);
    // somebody stored other bytes under its name, so that the stream ends
    store_other_bytes(&world);
    world.start_receiver();
    world.await_said("a stream begins", 2);
    world.append("two\n");
    await_that("the line of the second stream", || world.messages().contains(&"two".to_owned()));
    assert_eq!(world.stop_agent(), Some(0));
    let archive = world.archive();
    let genesis = archive.iter().rfind(|line| line["h"]["type"] == "genesis").unwrap();
    assert_eq!(genesis["h"]["policy"], digest(2));
    assert_eq!(ids(shown(&world).last().unwrap()), ["a-2", "b-2"]);
}

#[test]
fn loose_files_are_taken_up_when_they_change_and_on_sighup() {
    const SAME: &str = "policies read again: they are the same";
    let mut world = World::new();
    let folder = world.path("loose");
    fs::create_dir_all(folder.join("deep")).unwrap();
    // made elsewhere, so that nobody sees half of it
    let change = |world: &World, name: &str, text: &str| {
        fs::write(world.path("made"), text).unwrap();
        fs::rename(world.path("made"), folder.join(name)).unwrap();
    };
    change(&world, "deep/a.rego", &rego("a", "first"));
    world.configure_policy(&format!("paths = [{:?}]", folder.to_str().unwrap()));
    world.start_receiver();
    let port = port();
    world.configure(|config| config.replace("[telemetry]", &format!("[telemetry]\nlisten = \"127.0.0.1:{port}\"")));
    world.start_agent();
    world.append("one\n");
    world.await_archived(1);
    change(&world, "deep/a.rego", &rego("a", "second"));
    world.await_said(IN_FORCE, 1);
    world.append("two\n");
    world.await_archived(2);
    // a mistake changes nothing, says where it is, and is mended by the next change
    change(&world, "deep/b.rego", "package sealtail.b\n\nverdicts contains {");
    world.await_said(REFUSED, 1);
    assert!(world.agent_log().contains("b.rego:3:20: "), "{}", world.agent_log());
    world.append("three\n");
    world.await_archived(3);
    change(&world, "deep/b.rego", &rego("b", "more"));
    world.await_said(IN_FORCE, 2);
    world.append("four\n");
    world.await_archived(4);
    // asked for without a change
    let before = world.said(SAME);
    world.signal_agent(rustix::process::Signal::HUP);
    world.await_said(SAME, before + 1);
    let counted = metrics(port).unwrap();
    let count = |result: &str, n: usize| counted.contains(&format!("reloads_total{{result=\"{result}\"}} {n}\n"));
    let good = world.said("policies taken up") + world.said(SAME);
    assert!(count("ok", good) && count("refused", world.said(REFUSED)), "{counted}");
    assert_eq!(world.stop_agent(), Some(0));
    let lines = shown(&world);
    let ids: Vec<Vec<&str>> = lines.iter().map(ids).collect();
    assert_eq!(ids, [vec!["first"], vec!["second"], vec!["second"], vec!["more", "second"]]);
    world.verify().assert_intact(&[]);
}

#[test]
fn packages_that_are_gone_are_named() {
    const GONE: &str = "packages of the policies before are gone";
    let mut world = World::new();
    let folder = world.path("loose");
    fs::create_dir_all(&folder).unwrap();
    for n in 0..10 {
        fs::write(folder.join(format!("p{n}.rego")), rego(&format!("p{n}"), "x")).unwrap();
    }
    let hides = "package sealtail.hides\n\nverdicts contains {\"id\": \"h\", \"redact\": [\"input.message\"]} if contains(input.message, \"secret\")\n";
    fs::write(folder.join("hides.rego"), hides).unwrap();
    world.configure_policy(&format!("paths = [{:?}]", folder.to_str().unwrap()));
    world.start_receiver();
    world.start_agent();
    world.append("one\n");
    world.await_archived(1);
    let gone = |world: &World, n: usize| -> Value {
        world.await_said(GONE, n);
        let log = world.agent_log();
        let line = log.lines().rfind(|line| line.contains(GONE)).unwrap();
        serde_json::from_str(line).unwrap()
    };
    fs::rename(folder.join("hides.rego"), world.path("hides.rego")).unwrap();
    let line = gone(&world, 1);
    assert_eq!(line["level"], "WARN");
    assert_eq!((&line["gone"], &line["may_redact"]), (&"sealtail.hides".into(), &true.into()), "{line}");
    fs::rename(world.path("hides.rego"), folder.join("hides.rego")).unwrap();
    world.await_said(IN_FORCE, 2);
    // away at one moment
    fs::create_dir(world.path("away")).unwrap();
    fs::rename(&folder, world.path("away/loose")).unwrap();
    world.await_said(REFUSED, 1);
    (1..10).for_each(|n| fs::remove_file(world.path("away/loose").join(format!("p{n}.rego"))).unwrap());
    fs::rename(world.path("away/loose"), &folder).unwrap();
    let line = gone(&world, 2);
    let eight = (1..9).map(|n| format!("sealtail.p{n}")).collect::<Vec<_>>().join(", ");
    assert_eq!((&line["gone"], &line["more"]), (&eight.into(), &1.into()), "{line}");
    assert_eq!(line["may_redact"], false);
    assert_eq!(world.stop_agent(), Some(0));
    assert_eq!(world.said(GONE), 2, "what only came is not gone");
}

#[test]
fn a_config_map_is_taken_up_when_its_link_moves() {
    use std::os::unix::fs::symlink;
    let mut world = World::new();
    let folder = world.path("mounted");
    // as the kubelet lays it out: files are links through a link that is moved
    let lay = |version: &str, id: &str| {
        fs::create_dir_all(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("a.rego"), rego("a", id)).unwrap();
        symlink(version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    lay("..v1", "first");
    symlink("..data/a.rego", folder.join("a.rego")).unwrap();
    world.configure_policy(&format!("paths = [{:?}]", folder.to_str().unwrap()));
    world.start_receiver();
    world.start_agent();
    world.append("one\n");
    world.await_archived(1);
    lay("..v2", "second");
    world.await_said(IN_FORCE, 1);
    world.append("two\n");
    world.await_archived(2);
    assert_eq!(world.stop_agent(), Some(0));
    let lines = shown(&world);
    assert_eq!((ids(&lines[0]), ids(&lines[1])), (vec!["first"], vec!["second"]));
}

#[test]
fn a_line_in_parts_is_of_the_policies_in_force_at_its_end() {
    let (mut world, bundle) = World::with_bundle(&set(1));
    world.start_receiver();
    world.start_agent();
    world.append("x".repeat(300 * 1024));
    // its first part is longer than a part may be, so that it is chained before the end is there
    world.await_archived(1);
    put(&bundle, &pack(&set(2)));
    world.await_said(IN_FORCE, 1);
    world.append("end\n");
    await_that("the end", || world.messages().last().is_some_and(|message| message.ends_with("end")));
    assert_eq!(world.stop_agent(), Some(0));
    let lines = shown(&world);
    let (last, before) = lines.split_last().unwrap();
    assert!(before.iter().all(|line| ids(line).is_empty() && line["policy"] == digest(1)), "{}", before.len());
    assert_eq!((ids(last), &last["policy"]), (vec!["a-2", "b-2"], &digest(2).into()));
    world.verify().assert_intact(&[]);
}
