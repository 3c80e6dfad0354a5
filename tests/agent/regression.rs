//! A test for each bug that was found after it was built.

use crate::world::{PATIENCE, World, await_that, has_strace, run, sealtail, text};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Awaits that a line stands in the spool's files, sent or not.
fn await_spooled(world: &World, line: &str) {
    let spool = world.text_path("q/spool");
    await_that(line, || String::from_utf8_lossy(&run(&["cat", &spool]).stdout).lines().any(|found| found == line));
}

/// Nothing is sent before a minute has passed.
fn send_late(world: &World) {
    world.configure(|config| config.replace("max_age = \"250ms\"", "max_age = \"60s\""));
}

fn spooled_streams(world: &World) -> Vec<PathBuf> {
    let folders = fs::read_dir(world.path("q/spool")).unwrap().map(|entry| entry.unwrap().path());
    let host = folders
        .into_iter()
        .find(|path| path.is_dir() && !["receipts", "quarantine"].iter().any(|name| path.ends_with(name)));
    fs::read_dir(host.unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_pattern_that_is_taken_out_and_put_back_repeats_nothing() {
    let mut world = World::new();
    let (a, b) = (world.text_path("logs/app.log"), world.text_path("logs/b.log"));
    fs::write(&b, "b0\n").unwrap();
    world.append("a0\n");
    let (only_a, both, only_b) = (format!("[\"{a}\"]"), format!("[\"{a}\", \"{b}\"]"), format!("[\"{b}\"]"));
    world.start_receiver();
    world.configure(|config| config.replace(&only_a, &both));
    assert!(world.run_once().status.success());
    fs::write(&b, "b0\nb1\n").unwrap();
    world.configure(|config| config.replace(&both, &only_b));
    assert!(world.run_once().status.success());
    world.append("a1\n");
    world.configure(|config| config.replace(&only_b, &both));
    assert!(world.run_once().status.success());
    let mut messages = world.messages();
    messages.sort();
    assert_eq!(messages, ["a0", "a1", "b0", "b1"]);
}

#[test]
fn more_sources_than_a_segment_has_lines_are_declared_in_several() {
    let mut world = World::new();
    fs::create_dir(world.path("many")).unwrap();
    for n in 0..4500 {
        fs::write(world.path(&format!("many/{n}.log")), format!("file {n}\n")).unwrap();
    }
    let (log, many) = (world.text_path("logs/app.log"), world.text_path("many/*.log"));
    world.configure(|config| config.replace(&format!("\"{log}\""), &format!("\"{log}\", \"{many}\"")));
    world.start_receiver();
    let first = world.run_once();
    assert!(first.status.success(), "{}", text(&first));
    world.append("second\n");
    let second = world.run_once();
    assert!(second.status.success(), "{}", text(&second));
    assert_eq!(world.messages().len(), 4501);
    world.verify().assert_intact(&[]);
}

#[test]
fn once_ends_on_sigterm_though_nothing_is_delivered() {
    let world = World::new();
    world.append("one\n");
    let mut child = sealtail(&["run", "--once", "--config", &world.config()]).stderr(Stdio::null()).spawn().unwrap();
    await_spooled(&world, "one");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut ended = None;
    await_that("the end", || {
        ended = child.try_wait().unwrap();
        ended.is_some() || Instant::now() > deadline
    });
    assert!(ended.is_some());
}

#[test]
fn a_renamed_target_gets_what_the_old_one_was_not_sent() {
    let mut world = World::new();
    world.append("old\n");
    world.start_agent();
    await_spooled(&world, "old");
    world.kill_agent();
    world.configure(|config| config.replacen("name = \"archive\"", "name = \"vault\"", 1));
    world.append("new\n");
    world.start_receiver();
    let output = world.run_once();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(world.messages(), ["old", "new"]);
    world.verify().assert_intact(&["UNCLEAN-END"]);
}

#[test]
fn a_stream_that_left_no_line_takes_none_with_it() {
    let mut world = World::new();
    send_late(&world);
    world.start_receiver();
    world.append("s0\n");
    assert!(world.run_once().status.success());
    world.append("s1\n");
    world.start_agent();
    await_spooled(&world, "s1");
    world.kill_agent();
    // a power cut before the first fdatasync of that stream
    for stream in spooled_streams(&world) {
        fs::read_dir(stream).unwrap().for_each(|file| fs::write(file.unwrap().path(), "").unwrap());
    }
    world.append("s2\n");
    world.start_agent();
    await_spooled(&world, "s2");
    world.kill_agent();
    world.append("s3\n");
    let output = world.run_once();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(world.messages(), ["s0", "s1", "s2", "s3"]);
    world.verify().assert_intact(&["UNCLEAN-END"]);
}

#[test]
fn a_damaged_stream_is_set_aside_and_the_next_is_sent() {
    let mut world = World::new();
    send_late(&world);
    world.append("s1\n");
    world.start_agent();
    await_spooled(&world, "s1");
    world.kill_agent();
    let damaged = spooled_streams(&world).pop().unwrap();
    world.append("s2\n");
    world.start_agent();
    await_spooled(&world, "s2");
    world.kill_agent();
    fs::write(damaged.join("00000000000000000000.ndjson.zst"), b"\0\0\0\0not zstd").unwrap();
    world.start_receiver();
    let output = world.run_once();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("damaged"), "{}", text(&output));
    assert_eq!(world.messages(), ["s2"]);
    assert!(world.path("q/spool/quarantine/damaged").exists());
    assert_eq!(world.verify().exit, 1, "the successor bears witness that lines are missing");
}

#[test]
fn a_disk_that_others_fill_stops_the_agent_only_for_as_long() {
    let mut world = World::new();
    let spool = world.path("q/spool");
    fs::create_dir(&spool).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs"]).arg(&spool).status();
    if !mounted.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount a tmpfs");
        eprintln!("SKIPPED: mounting a tmpfs takes root");
        return;
    }
    world.append("before\n");
    world.start_agent();
    await_spooled(&world, "before");
    let filler = spool.join(".filler");
    fs::write(&filler, vec![1; 8 << 20]).unwrap_err();
    world.append(
        (0..40_000u64).map(|n| format!("{n} {:016x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect::<String>(),
    );
    await_that("the disk is full", || {
        world.agent_log().contains("disk of the spool is full") || world.agent_log().contains("No space left")
    });
    world.start_receiver();
    fs::remove_file(&filler).unwrap();
    await_that("everything is archived", || world.messages().len() == 40_001);
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&["UNCLEAN-END"]);
    drop(world);
    let unmounted = Command::new("umount").arg("-l").arg(&spool).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
}

#[test]
fn once_tells_by_its_exit_that_a_target_refused() {
    let mut world = World::new();
    world.append("one\n");
    world.start_agent();
    await_that("a batch is tried", || world.agent_log().contains("cannot deliver"));
    world.kill_agent();
    crate::refused::store_other_bytes(&world);
    world.start_receiver();
    let output = world.run_once();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("ALARM") && text(&output).contains("refused"), "{}", text(&output));
}

/// strace lets the copy have another name for one moment, as if it were rotated just then: the file can't be gone on with
/// before the next look around, and its copies, which an older one with a cursor lets look like rotations, wait for it.
#[test]
fn a_copy_that_is_renamed_as_the_agent_starts_is_not_read_as_a_whole() {
    if !has_strace() {
        return;
    }
    for is_anew in [false, true] {
        let mut world = World::new();
        let copy = |age: usize| world.log().with_extension(format!("log.{age}"));
        let (older, newer) = (copy(2), copy(1));
        world.start_receiver();
        world.append("line 1\n");
        assert!(world.run_once().status.success());
        world.append("line 2\n");
        fs::copy(world.log(), &newer).unwrap();
        File::create(world.log()).unwrap();
        world.append("line 3\n");
        world.start_agent();
        world.await_archived(3);
        assert_eq!(world.stop_agent(), Some(0));
        fs::rename(&newer, older).unwrap();
        world.append("line 4\n");
        fs::copy(world.log(), &newer).unwrap();
        File::create(world.log()).unwrap();
        if is_anew {
            fs::remove_file(world.log()).unwrap();
        }
        world.append("line 5\n");
        let output = Command::new("strace")
            .args(["-f", "-qq", "-o", &world.text_path("trace"), "-P", newer.to_str().unwrap()])
            .args(["-e", "trace=openat", "-e", "inject=openat:error=ENOENT:when=1"])
            .args([env!("CARGO_BIN_EXE_sealtail"), "run", "--once", "--config", &world.config()])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let trace = fs::read_to_string(world.path("trace")).unwrap();
        assert_eq!(trace.matches("(INJECTED)").count(), 1, "{trace}");
        assert_eq!(world.messages(), ["line 1", "line 2", "line 3", "line 4", "line 5"]);
        world.verify().assert_intact(&["SOURCE-GAP"]);
    }
}
