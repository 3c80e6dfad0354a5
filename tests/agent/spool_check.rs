//! `sealtail spool check`: a real spool, damaged in each way, and the agent that runs on it afterwards.

use crate::world::{World, await_that, run, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A world whose receiver is down, so that lines stay in the spool.
fn outage() -> World {
    let world = World::new();
    world.configure(|config| config.replace("max_age = \"250ms\"", "max_age = \"60s\""));
    world
}

/// One more stream with these lines, ended by a kill.
fn spool_lines(world: &mut World, lines: &str) {
    world.append(lines);
    world.start_agent();
    let last = lines.lines().last().unwrap();
    let spool = world.text_path("q/spool");
    await_that(last, || String::from_utf8_lossy(&run(&["cat", &spool]).stdout).lines().any(|line| line == last));
    world.kill_agent();
}

/// Streams of the spool, oldest first, each with its files in order.
fn streams(world: &World) -> Vec<Vec<PathBuf>> {
    let (_, survey) = check(world, &[]);
    let host = world.path("q/spool").join(survey["host"].as_str().unwrap());
    let ids = survey["streams"].as_array().unwrap().iter().map(|stream| stream["id"].as_str().unwrap().to_owned());
    ids.map(|id| crate::world::stream_files(&host.join(id))).collect()
}

/// `spool check --json`: its exit and what it prints.
fn check(world: &World, more: &[&str]) -> (i32, Value) {
    let output = run(&[&["spool", "check", "--json", "--config", &world.config()], more].concat());
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    (output.status.code().unwrap(), value)
}

fn harms(value: &Value) -> Vec<String> {
    // whether the kill came while a frame was open, or a batch was begun, is chance
    let chance = |harm: &String| ["torn-end", "lost-batch"].contains(&harm.as_str());
    let harms = value["damage"].as_array().unwrap().iter().map(|one| one["harm"].as_str().unwrap().to_owned());
    harms.filter(|harm| !chance(harm)).collect()
}

/// Files whose torn end was cut off.
fn torn(value: &Value) -> Vec<PathBuf> {
    let torn = value["damage"].as_array().unwrap().iter().filter(|one| one["harm"] == "torn-end");
    torn.map(|one| one["path"].as_str().unwrap().into()).collect()
}

/// Every file of the spool with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(contents(&path)),
            false if path.is_file() => drop(files.insert(path.clone(), fs::read(&path).unwrap())),
            // the socket at which the agent was asked
            false => {}
        }
    }
    files
}

/// Finds the harms, changing nothing; repairs; finds none any more. Every file that was there is there still, somewhere.
fn find_and_repair(world: &World, expected: &[&str]) -> Value {
    let spool = world.path("q/spool");
    let before = contents(&spool);
    let (exit, survey) = check(world, &[]);
    assert_eq!((exit, harms(&survey)), (1, expected.iter().map(|harm| (*harm).to_owned()).collect()), "{survey:#}");
    assert_eq!(before, contents(&spool), "a check changes nothing");
    let (exit, repair) = check(world, &["--repair"]);
    assert_eq!(exit, 1, "{repair:#}");
    let after = contents(&spool);
    let is_whole =
        |path: &Path| path.extension().is_some_and(|end| end == "zst") && !torn(&repair).contains(&path.to_owned());
    for (path, bytes) in before.iter().filter(|(path, _)| is_whole(path)) {
        let kept = |other: &Vec<u8>| other == bytes;
        assert!(after.get(path).is_some_and(kept) || after.values().any(kept), "{} is gone", path.display());
    }
    let report: Value = serde_json::from_slice(&fs::read(repair["report"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(report, repair);
    let (exit, survey) = check(world, &[]);
    assert_eq!((exit, harms(&survey)), (0, Vec::new()), "{survey:#}");
    repair
}

/// The agent delivers what the spool has.
fn deliver(world: &mut World) {
    world.start_receiver();
    let output = world.run_once();
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_sound_spool_says_what_the_target_lacks() {
    let mut world = outage();
    spool_lines(&mut world, "one\ntwo\n");
    let (exit, survey) = check(&world, &[]);
    assert_eq!((exit, harms(&survey)), (0, Vec::new()), "{survey:#}");
    let [stream] = &survey["streams"].as_array().unwrap()[..] else { panic!("{survey:#}") };
    let [first, last] = &stream["seq"].as_array().unwrap()[..] else { panic!("{survey:#}") };
    let lines = last.as_u64().unwrap() + 1;
    assert_eq!((first.as_u64(), survey["targets"][0]["lacks_lines"].as_u64()), (Some(0), Some(lines)));
    let shown = run(&["spool", "check", "--dir", &world.text_path("q/spool")]);
    assert!(
        shown.status.success() && text(&shown).contains(&format!("archive: lacks {lines} lines")),
        "{}",
        text(&shown)
    );
    deliver(&mut world);
    let (exit, survey) = check(&world, &[]);
    assert_eq!((exit, survey["targets"][0]["lacks_lines"].as_u64()), (0, Some(0)), "{survey:#}");
    assert!(survey["targets"][0]["last_receipt"].is_string());
    assert_eq!(world.messages(), ["one", "two"]);
    let (exit, repair) = check(&world, &["--repair"]);
    assert!(exit == 0 && repair["report"].is_null(), "nothing was to be done: {repair:#}");
}

#[test]
fn a_spool_that_is_in_use_or_not_there_is_not_checked() {
    let mut world = outage();
    let check = |world: &World| run(&["spool", "check", "--config", &world.config()]);
    let none = check(&world);
    assert_eq!(none.status.code(), Some(2), "{}", text(&none));
    world.start_agent();
    await_that("the agent has it", || text(&check(&world)).contains("in use by another sealtail"));
    assert_eq!(check(&world).status.code(), Some(2));
}

#[test]
fn a_torn_end_is_no_damage() {
    let mut world = outage();
    spool_lines(&mut world, "one\n");
    let newest = streams(&world).pop().unwrap().pop().unwrap();
    let beginning = fs::read(&newest).unwrap()[..9].to_vec();
    OpenOptions::new().append(true).open(&newest).unwrap().write_all(&beginning).unwrap();
    let before = contents(&world.path("q/spool"));
    let (exit, survey) = check(&world, &[]);
    assert_eq!((exit, torn(&survey)), (0, vec![newest]), "{survey:#}");
    assert_eq!(before, contents(&world.path("q/spool")));
    deliver(&mut world);
    assert_eq!(world.messages(), ["one"]);
    world.verify().assert_intact(&["UNCLEAN-END"]);
}

#[test]
fn a_bad_frame_is_moved_aside_and_the_next_stream_is_sent() {
    let mut world = outage();
    spool_lines(&mut world, "one\n");
    spool_lines(&mut world, "two\n");
    let file = streams(&world)[0][0].clone();
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 0x10;
    fs::write(&file, bytes).unwrap();
    let repair = find_and_repair(&world, &["bad-frame"]);
    assert_eq!(repair["moved"].as_array().unwrap().len(), 1, "{repair:#}");
    deliver(&mut world);
    assert_eq!(world.messages(), ["two"]);
    assert_eq!(world.verify().exit, 1, "the successor bears witness that lines are missing");
}

#[test]
fn lines_of_another_stream_are_found_though_their_frames_are_whole() {
    let mut world = outage();
    spool_lines(&mut world, "one\n");
    spool_lines(&mut world, "two\n");
    let file = streams(&world)[0][0].clone();
    let mut lines = zstd::decode_all(fs::File::open(&file).unwrap()).unwrap();
    let end = lines.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    lines.drain(..end);
    fs::write(&file, zstd::encode_all(&lines[..], 1).unwrap()).unwrap();
    find_and_repair(&world, &["bad-lines"]);
    deliver(&mut world);
    assert_eq!(world.messages(), ["two"]);
}

#[test]
fn a_missing_file_costs_what_follows_it_in_its_stream_only() {
    let mut world = outage();
    world.configure(|config| config.replace("dir = \"spool\"", "dir = \"spool\"\nmax_size = \"8MiB\""));
    let mut n = 0u64;
    let mut random = || {
        n += 1;
        (0..6)
            .map(|part| {
                format!(
                    "{:016x}",
                    (n * 8 + part)
                        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                        .rotate_left(29)
                        .wrapping_mul(0xbf58_476d_1ce4_e5b9)
                )
            })
            .collect::<String>()
    };
    let many: String = (0..30_000).map(|line| format!("{line} {}\n", random())).collect();
    spool_lines(&mut world, &many);
    spool_lines(&mut world, "after\n");
    let files = streams(&world)[0].clone();
    assert!(files.len() > 2, "{files:?}");
    fs::remove_file(&files[1]).unwrap();
    let repair = find_and_repair(&world, &["missing-lines"]);
    assert_eq!(repair["moved"].as_array().unwrap().len(), files.len() - 2, "{repair:#}");
    deliver(&mut world);
    let messages = world.messages();
    assert_eq!(messages.last().unwrap(), "after");
    let sent = messages.len() - 1;
    assert!(sent > 1000 && many.lines().take(sent).eq(messages[..sent].iter().map(String::as_str)), "{sent}");
}

#[test]
fn a_stream_whose_folder_is_gone_is_told() {
    let mut world = outage();
    spool_lines(&mut world, "one\n");
    spool_lines(&mut world, "two\n");
    fs::remove_dir_all(streams(&world)[0][0].parent().unwrap()).unwrap();
    let (exit, survey) = check(&world, &[]);
    assert_eq!((exit, harms(&survey)), (1, vec!["missing-lines".to_owned()]), "{survey:#}");
    deliver(&mut world);
    assert_eq!(world.messages(), ["two"]);
    assert_eq!(world.verify().exit, 1, "the successor bears witness that lines are missing");
}

#[test]
fn a_torn_ledger_is_made_anew_and_nothing_is_sent_twice() {
    let mut world = outage();
    world.start_receiver();
    world.append("zero\n");
    assert!(world.run_once().status.success());
    world.kill_receiver();
    spool_lines(&mut world, "one\n");
    spool_lines(&mut world, "two\n");
    let ledger = world.path("q/spool/ledger.json");
    let bytes = fs::read(&ledger).unwrap();
    fs::write(&ledger, &bytes[..bytes.len() / 2]).unwrap();
    let refused = world.run_once();
    assert!(!refused.status.success() && text(&refused).contains("spool check"), "{}", text(&refused));
    let by_folder = run(&["spool", "check", "--repair", "--dir", &world.text_path("q/spool")]);
    assert_eq!(by_folder.status.code(), Some(2), "without targets what is here would be deleted unsent");
    find_and_repair(&world, &["ledger"]);
    deliver(&mut world);
    assert_eq!(world.messages(), ["zero", "one", "two"]);
}

// what it lacks nobody can tell without the ledger, and nothing reads its lines again
#[test]
fn without_the_ledger_a_stream_whose_beginning_was_delivered_is_left_alone() {
    let mut world = outage();
    spool_lines(&mut world, "one\n");
    spool_lines(&mut world, "two\n");
    let first = streams(&world).into_iter().flatten().next().unwrap();
    let name = first.file_name().unwrap().to_str().unwrap();
    fs::rename(&first, first.with_file_name(format!("{:020}{}", 5, &name[20..]))).unwrap();
    fs::write(world.path("q/spool/ledger.json"), "{").unwrap();
    let before = contents(&world.path("q/spool"));
    let repair = ["spool", "check", "--repair", "--config", &world.config()].map(str::to_owned);
    let refused = run(&repair.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(
        text(&refused).contains("nothing was changed") && text(&refused).contains("sealtail cat"),
        "{}",
        text(&refused)
    );
    assert_eq!(contents(&world.path("q/spool")), before);
}

#[test]
fn without_its_ledger_a_spool_is_sent_and_files_are_read_again() {
    let mut world = outage();
    spool_lines(&mut world, "one\n");
    fs::remove_file(world.path("q/spool/ledger.json")).unwrap();
    let repair = find_and_repair(&world, &["ledger"]);
    assert!(repair["notes"].to_string().contains("read from its beginning"), "{repair:#}");
    deliver(&mut world);
    assert_eq!(world.messages(), ["one", "one"]);
    world.verify().assert_intact(&["UNCLEAN-END", "SOURCE-GAP"]);
}

#[test]
fn a_stream_that_the_ledger_does_not_name_is_moved_aside() {
    let mut world = outage();
    spool_lines(&mut world, "one\n");
    spool_lines(&mut world, "two\n");
    let path = world.path("q/spool/ledger.json");
    let mut ledger: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let first = ledger["streams"].as_array_mut().unwrap().remove(0);
    ledger["targets"]["archive"]["stream"] = ledger["streams"][0].clone();
    fs::write(&path, serde_json::to_vec(&ledger).unwrap()).unwrap();
    find_and_repair(&world, &["unknown-stream"]);
    let kept = run(&["cat", "--stream", first.as_str().unwrap(), &world.text_path("q/spool/quarantine/damaged")]);
    assert_eq!(String::from_utf8_lossy(&kept.stdout), "one\n");
    deliver(&mut world);
    assert_eq!(world.messages(), ["two"]);
}
