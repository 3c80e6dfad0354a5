//! Optional targets that fall behind: they lose what they lack, the chain says so, and nobody else notices.

use crate::bench::Bench;
use crate::rides_out_outage::incompressible;
use crate::targets::{add_folder, archived, verify, verify_as};
use crate::world::{World, await_that, stream_files, text};
use sealtail::forward::{self, Event, FileConfig, Forwarder, Kind};
use sealtail::spool::Skipped;
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_skipped_target_rejoins_and_its_archive_says_what_was_left_out() {
    const LINES: usize = 60_000;
    let mut world = World::new();
    world.configure(|config| config.replace("dir = \"spool\"", "dir = \"spool\"\nmax_size = \"8MiB\""));
    fs::create_dir(world.path("copy")).unwrap();
    add_folder(&world, "copy", false);
    world.configure(|config| config.replace("required = false", "required = false\nmax_lag = \"1MiB\""));
    world.start_receiver();
    world.start_agent();
    for line in 1..=2 {
        world.append(format!("early {line}\n"));
        await_that("the copy has it", || archived(&world.path("copy")) == line);
    }
    fs::rename(world.path("copy"), world.path("away")).unwrap();
    world.append(incompressible(LINES).join("\n") + "\n");
    world.await_archived(2 + LINES);
    assert!(world.agent_log().contains("an optional target is too far behind"), "{}", world.agent_log());
    assert!(!world.agent_log().contains("the spool is full"), "{}", world.agent_log());
    assert_eq!(world.stop_agent(), Some(0));
    fs::rename(world.path("away"), world.path("copy")).unwrap();
    world.append("late\n");
    world.start_agent();
    await_that("the copy has what comes after", || archived(&world.path("copy")) == 3);
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&[]);
    assert_eq!(world.messages().len(), 3 + LINES);

    let lines = world.archive();
    let skips: Vec<_> = lines.iter().filter(|line| line["h"]["type"] == "skip").collect();
    let [skip] = skips[..] else { panic!("{skips:?}") };
    let told = verify_as(&world, "copy", "copy");
    let said = text(&told);
    let words = format!(
        "target copy was not sent lines {} to {} of stream {}",
        skip["h"]["from"],
        skip["h"]["to"],
        skip["h"]["stream"].as_str().unwrap()
    );
    assert!(told.status.success() && said.contains("SKIPPED") && said.contains(&words), "{said}");

    // nobody has said that it is the copy's, or somebody that it is another's
    let said = verify(&world, "copy");
    assert!(said.status.code() == Some(2) && text(&said).contains("--target copy"), "{}", text(&said));
    let said = verify_as(&world, "copy", "archive");
    assert!(said.status.code() == Some(1) && text(&said).contains("ROLLBACK"), "{}", text(&said));

    // what the copy had is not explained by what it was not sent
    let first = skip["h"]["stream"].as_str().unwrap();
    let host =
        fs::read_dir(world.path("q/archive")).unwrap().map(|e| e.unwrap().file_name()).find(|name| name != ".lock");
    let stream = world.path("copy").join(host.unwrap()).join(first);
    fs::remove_file(stream_files(&stream).last().unwrap()).unwrap();
    let said = verify_as(&world, "copy", "copy");
    assert!(!said.status.success() && text(&said).contains("ROLLBACK"), "{}", text(&said));
    fs::remove_dir_all(&stream).unwrap();
    let said = verify_as(&world, "copy", "copy");
    assert!(!said.status.success() && text(&said).contains("STREAM-MISSING"), "{}", text(&said));
}

// the stream that said what it lacked was one that it never got: its archive ended in a silence
#[test]
fn a_target_that_is_skipped_again_before_it_comes_back_is_told_all_that_it_lacks() {
    const LINES: usize = 40_000;
    let mut world = World::new();
    world.configure(|config| config.replace("dir = \"spool\"", "dir = \"spool\"\nmax_size = \"8MiB\""));
    fs::create_dir(world.path("copy")).unwrap();
    add_folder(&world, "copy", false);
    world.configure(|config| config.replace("required = false", "required = false\nmax_lag = \"1MiB\""));
    world.start_receiver();
    world.start_agent();
    world.append("early\n");
    await_that("the copy has it", || archived(&world.path("copy")) == 1);
    fs::rename(world.path("copy"), world.path("away")).unwrap();
    for time in 1..=2 {
        world.append(incompressible(LINES).join("\n") + "\n");
        await_that("it is skipped", || world.agent_log().matches("an optional target is too far behind").count() == 1);
        world.await_archived(1 + time * LINES);
        assert_eq!(world.stop_agent(), Some(0));
        if time == 1 {
            world.start_agent();
        }
    }
    fs::rename(world.path("away"), world.path("copy")).unwrap();
    world.append("late\n");
    world.start_agent();
    await_that("the copy has what comes after", || archived(&world.path("copy")) == 2);
    assert_eq!(world.stop_agent(), Some(0));
    let told = verify_as(&world, "copy", "copy");
    assert!(told.status.success() && text(&told).matches("SKIPPED").count() == 2, "{}", text(&told));
}

/// Where a required target refused much, the spool is full with it until somebody takes it away.
#[test]
fn what_is_in_quarantine_counts_until_it_is_taken_away() {
    let mut world = World::new();
    world.configure(|config| config.replace("dir = \"spool\"", "dir = \"spool\"\nmax_size = \"8MiB\""));
    let kept = world.path("q/spool/quarantine/archive/web-1/stream");
    fs::create_dir_all(&kept).unwrap();
    fs::write(kept.join("00000000000000000000.ndjson.zst"), vec![7; 8 << 20]).unwrap();
    world.append("waits\n");
    world.start_receiver();
    world.start_agent();
    await_that("it says that the spool is full", || world.agent_log().contains("taken out of quarantine/"));
    assert!(world.messages().is_empty());
    fs::remove_dir_all(kept).unwrap();
    await_that("the line is archived", || world.messages() == ["waits"]);
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&[]);
}

// a sleep of minutes because the receiver said so, and ten seconds left
#[test]
fn a_stop_wakes_a_target_that_waits_to_try_again() {
    let mut world = World::new();
    let plain = fs::read_to_string(world.config()).unwrap();
    let limits = "\n[receive.limits]\nmax_batch = \"64KiB\"\n[receive.quota]\nday = \"64KiB\"\n";
    world.configure(|config| config.to_owned() + limits);
    world.start_receiver();
    world.start_agent();
    let mut expected = Vec::new();
    let lines = incompressible(2_000);
    for piece in lines.chunks(50) {
        if world.agent_log().contains("cannot deliver") {
            break;
        }
        world.append(piece.join("\n") + "\n");
        expected.extend_from_slice(piece);
        await_that("it is stored, or put off", || {
            world.messages().len() == expected.len() || world.agent_log().contains("429 Too Many Requests")
        });
    }
    assert!(world.agent_log().contains("429 Too Many Requests"), "{}", world.agent_log());
    world.kill_receiver();
    fs::write(world.config(), plain).unwrap();
    world.start_receiver();
    assert_eq!(world.stop_agent(), Some(0));
    assert_eq!(world.messages(), expected);
    world.verify().assert_intact(&[]);
}

// it stood in no file that was deleted, and was then sent the middle of a stream
#[test]
fn a_target_at_the_end_of_a_stream_is_skipped_as_any_other() {
    let bench = Bench::new(0);
    let mut first = bench.begin();
    first.file();
    first.close();
    assert_eq!((bench.take_all("may").len(), bench.take_all("must").len()), (2, 2));
    let mut second = bench.begin();
    for _ in 0..3 {
        second.file();
    }
    let id = second.id();
    // before the other one has looked at what is new
    assert_eq!(bench.take_all("must").len(), 3);
    assert_eq!(bench.next("may"), None, "it never gets a stream without its beginning");
    let last = second.close();
    let expected = Skipped { target: "may".into(), stream: id, from: 0, to: last };
    assert_eq!(bench.spool.skipped(), std::slice::from_ref(&expected));
    bench.take_all("must");

    // told in a stream that left no line, it is told again
    let lost = bench.begin();
    assert_eq!(lost.joining, ["may"]);
    drop(lost);
    let bench = bench.reopened();
    assert_eq!(bench.spool.skipped(), std::slice::from_ref(&expected));
    let mut third = bench.begin();
    assert_eq!(third.joining, ["may"]);
    third.file();
    bench.spool.told(&[expected], third.id(), 0).unwrap();
    assert_eq!(bench.spool.skipped(), []);
    assert_eq!(bench.next("may").map(|batch| (batch.stream, batch.seq[0])), Some((third.id(), 0)));
}

#[test]
fn what_a_target_lacks_is_told_until_it_has_the_line_that_says_so() {
    let mut bench = Bench::new(0);
    let mut expected = Vec::new();
    for _ in 0..3 {
        let mut stream = bench.begin();
        let id = stream.id();
        bench.spool.told(&expected, id, 0).unwrap();
        assert_eq!(bench.spool.skipped(), [], "it is on its way to the target");
        (0..2).for_each(|_| stream.file());
        bench.take_all("must");
        assert_eq!(bench.next("may"), None, "it is skipped again");
        expected.push(Skipped { target: "may".into(), stream: id, from: 0, to: stream.close() });
        assert_eq!(bench.spool.skipped(), expected);
        bench = bench.reopened();
        assert_eq!(bench.spool.skipped(), expected);
        bench.take_all("must");
    }
    let mut last = bench.begin();
    bench.spool.told(&expected, last.id(), 0).unwrap();
    last.file();
    // what stands in a ledger from before is known to one that is opened now
    last.close();
    bench = bench.reopened();
    assert!(!bench.take_all("may").is_empty());
    bench.spool.skip("may").unwrap();
    assert_eq!(bench.spool.skipped(), [], "it has the lines that say so, and everything since");
}

// who begins with a stream was looked up before it began, and a target that was skipped in between was not named
#[test]
fn a_genesis_names_whoever_begins_with_its_stream() {
    for _ in 0..50 {
        let bench = Bench::new(1 << 20);
        bench.begin().close();
        let mut stream = std::thread::scope(|scope| {
            scope.spawn(|| bench.spool.skip("may").unwrap());
            bench.begin()
        });
        stream.file();
        // it has this stream if it was skipped before that began, and else it has none
        let begins_with_it = bench.next("may").is_some_and(|batch| batch.stream == stream.id());
        assert_eq!(stream.joining.contains(&"may".to_owned()), begins_with_it);
    }
}

// it was taken to have been told in a stream that it never got
#[test]
fn a_target_that_is_skipped_or_refuses_while_it_is_told_is_told_again() {
    for refuses in [false, true] {
        let bench = Bench::new(1 << 20);
        let first = bench.begin();
        let id = first.id();
        bench.spool.skip("may").unwrap();
        let lacked = Skipped { target: "may".into(), stream: id, from: 0, to: first.close() };
        let mut second = bench.begin();
        let expected = bench.spool.skipped();
        assert_eq!(expected, std::slice::from_ref(&lacked));
        second.file();
        match refuses {
            true => bench.spool.give_up("may", &bench.next("may").unwrap()).unwrap(),
            false => bench.spool.skip("may").unwrap(),
        }
        bench.spool.told(&expected, second.id(), 0).unwrap();
        second.close();
        assert!(bench.spool.skipped().contains(&lacked), "{refuses}: {:?}", bench.spool.skipped());
    }
}

#[test]
fn an_optional_target_within_its_bound_loses_nothing() {
    let bench = Bench::new(1 << 20);
    let mut stream = bench.begin();
    for _ in 0..5 {
        stream.file();
    }
    let id = stream.id();
    let taken = bench.take_all("must");
    stream.close();
    assert_eq!(bench.spool.skipped(), []);
    let late = bench.take_all("may");
    assert_eq!(late[..taken.len()], taken[..]);
    assert!(late.iter().all(|batch| batch.stream == id));
}

#[test]
fn what_an_optional_target_refuses_is_kept_up_to_its_bound_and_then_skipped() {
    let bench = Bench::new(2048);
    let mut stream = bench.begin();
    stream.file();
    let id = stream.id();
    let batch = bench.next("may").unwrap();
    let bytes = bench.spool.read(&batch).unwrap();
    assert!(batch.len < 2048 && 2 * batch.len > 2048, "{batch:?}");
    let kept = bench.spool.keep_refused("may", &batch, &bytes).unwrap().expect("there is room");
    assert_eq!(fs::read(kept).unwrap(), bytes);
    assert_eq!(bench.spool.keep_refused("may", &batch, &bytes).unwrap(), None);
    // a required target's is kept however much there is
    for _ in 0..3 {
        assert!(bench.spool.keep_refused("must", &batch, &bytes).unwrap().is_some());
    }
    bench.spool.skip("may").unwrap();
    assert_eq!(bench.next("may"), None);
    let to = stream.close();
    assert_eq!(bench.spool.skipped(), [Skipped { target: "may".into(), stream: id, from: 0, to }]);
    assert!(bench.dir.path().join("quarantine/may").exists());
}

// a batch that was released between its being settled and its being read ended the chain's stream
#[test]
fn a_batch_that_is_gone_when_it_is_read_does_not_end_a_forwarder() {
    let bench = Bench::new(1 << 20);
    let mut first = bench.begin();
    first.file();
    // a pipe in the file's place: its reader waits for a writer, and can't read at an offset
    let dir = bench.dir.path().join("web-1").join(first.id().to_string());
    let file = dir.join(format!("{:020}.ndjson.zst", 0));
    fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());

    let archive = tempfile::tempdir().unwrap();
    let config = forward::Config {
        name: "may".into(),
        required: false,
        max_lag_bytes: Some(1 << 20),
        batch_max_size_bytes: 1 << 20,
        batch_max_age: Duration::ZERO,
        kind: Kind::File(FileConfig { dir: archive.path().to_owned(), immutable: false }),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (events, mut heard) = tokio::sync::mpsc::channel(16);
    let forwarder = Forwarder::new(&config, "web-1", &bench.spool, events, Arc::default());
    let running = runtime.spawn(forwarder.run());
    await_that("it has settled what it will read", || {
        let ledger = fs::read(bench.dir.path().join("ledger.json")).unwrap();
        !serde_json::from_slice::<Value>(&ledger).unwrap()["targets"]["may"]["frozen"].is_null()
    });
    bench.spool.skip("may").unwrap();
    drop(fs::OpenOptions::new().write(true).open(&file).unwrap());

    first.close();
    let mut second = bench.begin();
    second.file();
    match runtime.block_on(heard.recv()) {
        Some(Event::Stored { batch, .. }) => assert_eq!((batch.stream, batch.seq[0]), (second.id(), 0)),
        other => panic!("{other:?}: {:?}", runtime.block_on(running)),
    }
}
