//! What goes wrong in other shippers between reading and delivery, by the reports of their users.
//!
//! | scenario | seen in | test |
//! | --- | --- | --- |
//! | position advances while the sink is down | otel-contrib#45120, fluent-bit#2846, #2051 | `rides_out_outage::a_receiver_that_is_down_the_whole_time_gets_everything_in_order_once`, [`a_restart_while_nothing_is_delivered_loses_nothing`] |
//! | power cut: position ahead of corrupt chunks; SIGKILL loses acknowledged records | fluent-bit#6995, #10952 | `survives_crash`, `regression::a_stream_that_left_no_line_takes_none_with_it` |
//! | one corrupt chunk stops everything, even SIGINT is ignored | fluent-bit#11847, #5265, vector#17644 | `regression::a_damaged_stream_is_set_aside_and_the_next_is_sent`, [`an_interrupt_ends_an_agent_whose_spool_is_damaged`] |
//! | index and data disagree; a missing index overwrites segments | vector#16231, #16463, rsyslog#5771, #1269 | `survives_crash::a_damaged_ledger_is_named_and_nothing_is_changed`, [`a_missing_ledger_overwrites_nothing`] |
//! | unlink before the ledger's fsync gives a crash loop | vector PR 25570 | [`a_sent_file_that_is_gone_already_is_no_crash_loop`] |
//! | the last event sticks until another arrives | vector#22946 | `delivers::a_running_agent_ships_what_is_appended_and_closes_its_stream` |
//! | an oversized record kills the pipeline | vector disk_v2 | `bad_input::a_line_of_100_megabytes_is_chained_in_parts` |
//! | dropped or aborted events are acknowledged | vector#12217, #17709 | `bad_input::a_policy_that_fails_on_some_lines_is_undecided_there_and_only_there` (no line is ever dropped) |
//! | disk full: sent items can't be deleted | opentelemetry-collector#7198, #8115 | `regression::a_disk_that_others_fill_stops_the_agent_only_for_as_long`, `bad_input::a_full_disk_blocks_and_recovers` |
//! | the last segment is sent again at every restart; an fsync error is ignored | beats#32560 | [`idle_restarts_send_nothing_again`], `disk_faults` |
//! | the size cap evicts live data | fluent-bit#2878, #10334 | `rides_out_outage::a_full_spool_stops_reading_and_goes_on_when_there_is_room` |
//! | half-closed TCP loses a message | rsyslog#3929, #939 | `receive: rides_out_faults` |
//! | state file full of NULs, empty or corrupt | loki#6268, rsyslog#1104, beats#25135 | `survives_crash::a_damaged_ledger_is_named_and_nothing_is_changed`, [`an_empty_ledger_is_named_and_nothing_is_changed`] |

use crate::world::{World, await_that, run, stream_files, text};
use std::fs;
use std::path::PathBuf;

/// Lines that don't compress, so that they fill a spool.
fn filling(count: u64) -> Vec<String> {
    let word =
        |n: u64, salt: u64| (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(salt as u32 * 7) ^ salt << 40;
    (0..count)
        .map(|n| (0..6).fold(format!("{n:06} "), |text, salt| text + &format!("{:016x}", word(n * 31 + salt, salt))))
        .collect()
}

fn spooled_streams(world: &World) -> Vec<PathBuf> {
    let host = world.path("q/archive").read_dir().ok().and_then(|mut hosts| hosts.next());
    let host = host.map_or_else(|| hostname(world), |host| host.unwrap().file_name().to_str().unwrap().to_owned());
    let streams = fs::read_dir(world.path("q/spool").join(host)).into_iter().flatten();
    streams.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

fn hostname(world: &World) -> String {
    let config = fs::read_to_string(world.config()).unwrap();
    config.split_once("name = \"").unwrap().1.split('"').next().unwrap().to_owned()
}

fn await_spooled(world: &World, line: &str) {
    let spool = world.text_path("q/spool");
    await_that(line, || String::from_utf8_lossy(&run(&["cat", &spool]).stdout).lines().any(|found| found == line));
}

// vector#22288: the position could not be written, and then a deleted file was held for ever
#[test]
fn a_file_deleted_while_the_spool_is_full_is_read_and_let_go() {
    let mut world = World::new();
    world.configure(|config| config.replace("dir = \"spool\"", "dir = \"spool\"\nmax_size = \"8MiB\""));
    let mut expected = filling(100_000);
    world.append(expected.join("\n") + "\n");
    world.start_agent();
    await_that("the spool is full", || world.agent_log().contains("the spool is full"));
    fs::remove_file(world.log()).unwrap();
    world.append("anew\n");
    expected.push("anew".into());
    world.start_receiver();
    world.await_archived(expected.len());
    let fds = format!("/proc/{}/fd", world.agent_pid());
    await_that("the deleted file is let go", || {
        let open = fs::read_dir(&fds).unwrap().flatten();
        !open.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|name| name.ends_with("app.log (deleted)"))
    });
    assert_eq!(world.stop_agent(), Some(0));
    assert_eq!(world.messages(), expected);
    world.verify().assert_intact(&[]);
}

// otel-contrib#45120
#[test]
fn a_restart_while_nothing_is_delivered_loses_nothing() {
    let mut world = World::new();
    let mut expected = Vec::new();
    for round in 0..4 {
        let line = format!("line {round}");
        world.append(format!("{line}\n"));
        world.start_agent();
        await_spooled(&world, &line);
        expected.push(line);
        match round % 2 {
            0 => world.kill_agent(),
            _ => assert_eq!(world.stop_agent(), Some(0)),
        }
    }
    world.start_receiver();
    let output = world.run_once();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(world.messages(), expected);
    world.verify().assert_intact(&["UNCLEAN-END"]);
}

// fluent-bit#11847
#[test]
fn an_interrupt_ends_an_agent_whose_spool_is_damaged() {
    let mut world = World::new();
    world.append("one\n");
    world.start_agent();
    await_spooled(&world, "one");
    world.kill_agent();
    for stream in spooled_streams(&world) {
        stream_files(&stream).iter().for_each(|file| fs::write(file, b"\0\0\0\0not zstd").unwrap());
    }
    world.append("two\n");
    world.start_agent();
    await_spooled(&world, "two");
    let pid = rustix::process::Pid::from_raw(world.agent_pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    // its end, and what it says of it
    assert_eq!(world.await_agent_end(), Some(0), "{}", world.agent_log());
}

// vector#16231
#[test]
fn a_missing_ledger_overwrites_nothing() {
    let mut world = World::new();
    world.append("one\n");
    world.start_agent();
    await_spooled(&world, "one");
    world.kill_agent();
    let files: Vec<(PathBuf, Vec<u8>)> = spooled_streams(&world)
        .iter()
        .flat_map(|stream| stream_files(stream))
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect();
    assert!(!files.is_empty());
    fs::remove_file(world.path("q/spool/ledger.json")).unwrap();
    let output = world.run_once();
    // it may go on or refuse, by name; what was spooled is there
    assert!(output.status.success() || text(&output).contains("ledger.json"), "{}", text(&output));
    let archived = world.messages();
    let kept = files.iter().all(|(file, bytes)| fs::read(file).is_ok_and(|now| now.starts_with(bytes)));
    assert!(kept || archived.contains(&"one".to_owned()), "{archived:?}");
}

// vector PR 25570
#[test]
fn a_sent_file_that_is_gone_already_is_no_crash_loop() {
    let mut world = World::new();
    world.start_receiver();
    world.append("one\n");
    world.start_agent();
    world.await_archived(1);
    world.kill_agent();
    for stream in spooled_streams(&world) {
        fs::remove_dir_all(stream).unwrap();
    }
    for line in ["two", "three"] {
        world.append(format!("{line}\n"));
        let output = world.run_once();
        assert!(output.status.success(), "{}", text(&output));
    }
    assert_eq!(world.messages().last().unwrap(), "three");
    assert!(world.messages().contains(&"two".to_owned()));
}

// beats#32560
#[test]
fn idle_restarts_send_nothing_again() {
    let mut world = World::new();
    world.start_receiver();
    world.append("one\n");
    assert!(world.run_once().status.success());
    let size = |world: &World| {
        let first = world.streams().into_iter().min_by_key(|stream| fs::metadata(stream).unwrap().created().unwrap());
        stream_files(&first.unwrap()).iter().map(|file| fs::metadata(file).unwrap().len()).sum::<u64>()
    };
    let before = size(&world);
    for _ in 0..5 {
        assert!(world.run_once().status.success());
    }
    assert_eq!((size(&world), world.messages()), (before, vec!["one".to_owned()]));
    world.verify().assert_intact(&[]);
}

// rsyslog#1104
#[test]
fn an_empty_ledger_is_named_and_nothing_is_changed() {
    let mut world = World::new();
    world.append("one\n");
    world.start_receiver();
    assert!(world.run_once().status.success());
    let ledger = world.path("q/spool/ledger.json");
    fs::write(&ledger, "").unwrap();
    let output = world.run_once();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("ledger.json is damaged"), "{}", text(&output));
    assert!(fs::read(&ledger).unwrap().is_empty());
}
