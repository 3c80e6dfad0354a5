//! What goes wrong with files in other shippers, by the reports of their users: each scenario and the test that plays it.
//!
//! | scenario | seen in | test |
//! | --- | --- | --- |
//! | stale position past the end of a file on a reused inode | vector#23076 | `resumes::a_stale_offset_past_the_end_is_a_truncation`, [`a_stale_position_on_a_reused_inode_without_births_is_no_silence`] |
//! | two files with identical heads, one is skipped | vector#25079, otel-contrib#46496 | `finds::empty_and_small_files_and_identical_heads_are_each_read`, [`files_with_identical_heads_are_told_apart_across_restart_and_rotation`] |
//! | small or empty files never read | beats#44780, vector#643, vector#2701 | `finds::empty_and_small_files_and_identical_heads_are_each_read`, [`a_file_that_stays_empty_or_tiny_through_restarts_is_read_when_it_grows`] |
//! | restart, or two rotations while the output is blocked | vector#22954, loki#14462 | `rotates::while_the_output_is_blocked_nothing_is_lost`, [`two_rotations_while_the_output_is_blocked_and_a_restart_lose_no_middle_file`] |
//! | plain file becomes .gz | otel-contrib#40523, #46239, vector#7990, alloy#3193 | [`a_rotation_that_is_compressed_is_not_read_again`], `copies`, `heirs`, `agent: rotates_for_real` |
//! | copytruncate to a file with the same first kilobyte | otel-contrib#43693, #27037, beats#39731 | `follows::copytruncate_to_the_same_head_is_noticed_though_it_outgrew_the_offset`, `regression::copytruncate_to_the_same_head_while_stopped_is_noticed` |
//! | close and reopen while the output is slow | beats#50738 | [`files_closed_and_opened_again_under_a_slow_output_go_on_where_they_were`] |
//! | half a line at the end of the file across a restart | fluent-bit#11265 | `follows::half_a_line_stays_for_the_next_start` |
//! | inode reuse | fluent-bit#8025, rsyslog#2659, #4648, #4875 | `resumes::a_reused_inode_number_is_another_file`, [`inode_numbers_that_wander_through_the_rotations_confuse_nothing`] |
//! | no space left while the position is written, then stuck on a deleted file | vector#22288 | `agent: field::a_file_deleted_while_the_spool_is_full_is_read_and_let_go` |
//! | rotation faster than discovery | vector#12014, #7934, fluent-bit#1108, #2110 | `rotates::rotation_faster_than_looking_loses_nothing` |
//! | thousands of files, descriptors exhausted | filebeat fd_exhaustion | `finds::thousands_of_files_cost_few_descriptors`, `agent: many_files` |
//! | permission removed and restored | fluent-bit in_tail | `resumes::a_file_that_cannot_be_read_is_read_once_it_can`, [`permission_that_is_removed_and_restored_loses_nothing`] |
//! | symlink target rotated | fluent-bit in_tail | `rotates::a_link_whose_target_is_replaced_is_followed_to_the_new_one`, [`a_link_whose_target_is_rotated_is_followed_to_the_new_one`] |
//! | delete and recreate the same path | fluent-bit in_tail | `follows::a_deleted_file_ends_and_the_one_made_anew_is_another`, [`a_path_deleted_and_made_anew_again_and_again_is_read_each_time`] |
//!
//! The rotation matrix is `matrix`.

use super::rotates::rotate;
use super::*;
use sealtail::record::FileId;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

pub(crate) fn change_ids(world: &mut World, change: impl Fn(&mut FileId)) {
    for cursor in world.cursors.values_mut() {
        if let Cursor::File { id, .. } = cursor {
            change(id);
        }
    }
}

// vector#23076: the new file had the old one's inode and the old one's offset, past its end
#[test]
fn a_stale_position_on_a_reused_inode_without_births_is_no_silence() {
    for same_path in [true, false] {
        let mut world = World::new(&["*.log"]);
        world.append("a.log", "one\ntwo\nthree\n");
        world.once();
        world.remove("a.log");
        let name = if same_path { "a.log" } else { "b.log" };
        world.append(name, "new\n");
        let now = fs::metadata(world.path(name)).unwrap();
        // a file system without births, which gave the number again
        change_ids(&mut world, |id| *id = FileId { dev: now.dev(), ino: now.ino(), born_ns: None });
        world.start();
        world.expect(&["one", "two", "three", "new"]);
        world.append(name, "more\n");
        world.expect(&["one", "two", "three", "new", "more"]);
        assert_eq!(world.count(|event| is_truncated(event) || is_vanished(event)), 1, "it is told");
        world.stop();
    }
}

// vector#25079, otel-contrib#46496: both were one by their checksum
#[test]
fn files_with_identical_heads_are_told_apart_across_restart_and_rotation() {
    let head = "# the same banner in each file ".repeat(50);
    let mut world = World::new(&["*.log"]);
    let mut expected = Vec::new();
    for name in ["a.log", "b.log"] {
        world.append(name, format!("{head}\n{name} 1\n"));
        expected.extend([head.clone(), format!("{name} 1")]);
    }
    world.once();
    for name in ["a.log", "b.log"] {
        world.append(name, format!("{name} 2\n"));
        rotate(&world, name);
        world.append(name, format!("{head}\n{name} 3\n"));
        expected.extend([format!("{name} 2"), head.clone(), format!("{name} 3")]);
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    world.start();
    world.expect(&expected);
    world.finish(&expected);
}

// beats#44780, vector#643, vector#2701
#[test]
fn a_file_that_stays_empty_or_tiny_through_restarts_is_read_when_it_grows() {
    let mut world = World::new(&["*.log"]);
    world.append("empty.log", "");
    world.append("tiny.log", "x");
    for _ in 0..3 {
        world.start();
        world.until("both are begun", |world| world.cursors.len() == 2);
        world.crash();
    }
    world.append("empty.log", "e\n");
    world.append("tiny.log", "y\n");
    world.start();
    world.expect(&["e", "xy"]);
    world.finish(&["e", "xy"]);
}

// vector#22954, loki#14462
#[test]
fn two_rotations_while_the_output_is_blocked_and_a_restart_lose_no_middle_file() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "0 begin\n");
    world.start_with(0);
    world.expect(&["0 begin"]);
    let mut expected = vec!["0 begin".to_owned()];
    for round in 0..3 {
        let lines: Vec<String> = (0..20_000).map(|line| format!("{round} {line}")).collect();
        world.append("a.log", lines.join("\n") + "\n");
        rotate(&world, "a.log");
        expected.extend(lines);
        if round == 1 {
            world.crash();
            world.start_with(0);
        }
    }
    world.crash();
    world.start();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    world.expect(&expected);
    world.finish(&expected);
}

// otel-contrib#40523, vector#7990, alloy#3193: read twice, or from the plain file's offset
#[test]
fn a_rotation_that_is_compressed_is_not_read_again() {
    let mut world = World::new(&["a.log*"]);
    world.append("a.log", "one\n");
    world.start();
    world.expect(&["one"]);
    rotate(&world, "a.log");
    world.append("a.log", "two\n");
    world.expect(&["one", "two"]);
    gzip(&world, "a.log.1");
    world.append("a.log", "three\n");
    world.expect(&["one", "two", "three"]);
    world.stop();
    rotate(&world, "a.log");
    world.append("a.log", "four\n");
    world.finish(&["one", "two", "three", "four"]);
}

/// As logrotate does: NAME becomes NAME.gz.
pub(crate) fn gzip(world: &World, name: &str) {
    let status = std::process::Command::new("gzip").arg(world.path(name)).status().unwrap();
    assert!(status.success());
}

// beats#50738: closed as idle while its lines were not acknowledged, then opened where they had ended
#[test]
fn files_closed_and_opened_again_under_a_slow_output_go_on_where_they_were() {
    const FILES: usize = 600;
    let mut world = World::new(&["*.log"]);
    let mut expected = Vec::new();
    let write = |world: &World, expected: &mut Vec<String>, round: usize| {
        for file in 0..FILES {
            let line = format!("{file} {round}");
            world.append(&format!("{file}.log"), format!("{line}\n"));
            expected.push(line);
        }
    };
    write(&world, &mut expected, 0);
    world.start_with(0);
    for round in 1..6 {
        world.until("some lines", |world| world.lines.len() > FILES * (round - 1) / 2);
        write(&world, &mut expected, round);
        // what was handed on and not taken has to be read again
        world.crash();
        world.start_with(0);
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    world.expect(&expected);
    world.finish(&expected);
}

// fluent-bit#8025, rsyslog#2659, #4648, #4875
#[test]
fn inode_numbers_that_wander_through_the_rotations_confuse_nothing() {
    let mut world = World::new(&["a.log"]);
    let mut expected = vec!["0".to_owned()];
    world.append("a.log", "0\n");
    world.once();
    for round in 1..12 {
        rotate(&world, "a.log");
        // the oldest one goes and gives its number to the new one
        if round > 2 {
            world.remove("a.log.3");
        }
        world.append("a.log", format!("{round}\n"));
        expected.push(round.to_string());
        if round % 3 == 0 {
            world.once();
        } else {
            world.start();
            world.expect(&expected.iter().map(String::as_str).collect::<Vec<_>>());
            world.crash();
        }
    }
    world.finish(&expected.iter().map(String::as_str).collect::<Vec<_>>());
}

// fluent-bit in_tail; root may read everything, so there it plays as nobody
#[test]
fn permission_that_is_removed_and_restored_loses_nothing() {
    let mut world = World::new(&["*.log"]);
    world.append("a.log", "one\n");
    let path = world.path("a.log");
    let allow = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    allow(&path, 0o000);
    if File::open(&path).is_ok() {
        return as_nobody("field::permission_that_is_removed_and_restored_loses_nothing");
    }
    allow(&path, 0o600);
    world.start();
    world.expect(&["one"]);
    let mut writer = world.writer("a.log");
    world.stop();
    allow(&path, 0o000);
    writer.write_all(b"two\n").unwrap();
    world.append("b.log", "b\n");
    world.start();
    world.expect(&["one", "b"]);
    // rotated while nobody may read it
    world.rename("a.log", "a.log.1");
    world.append("a.log", "three\n");
    world.expect(&["one", "b", "three"]);
    allow(&world.path("a.log.1"), 0o600);
    world.expect(&["one", "b", "three", "two"]);
    assert_eq!(world.count(is_vanished), 0);
    world.finish(&["one", "b", "three", "two"]);
}

/// Runs a test of this program as the user nobody.
pub(crate) fn as_nobody(test: &str) {
    use std::os::unix::process::CommandExt;
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    let output = again.args(["--exact", test, "--nocapture"]).current_dir("/tmp").uid(65534).gid(65534).output();
    match output {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.contains("1 passed"), "{said}");
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "CI must be able to run a test as nobody: {error}");
            eprintln!("SKIPPED: {test} can't be run as nobody: {error}");
        }
    }
}

// fluent-bit in_tail
#[test]
fn a_link_whose_target_is_rotated_is_followed_to_the_new_one() {
    let mut world = World::new(&["links/current.log"]);
    fs::create_dir(world.path("links")).unwrap();
    world.append("app.txt", "one\n");
    std::os::unix::fs::symlink(world.path("app.txt"), world.path("links/current.log")).unwrap();
    world.start();
    world.expect(&["one"]);
    world.append("app.txt", "late\n");
    rotate(&world, "app.txt");
    world.append("app.txt", "two\n");
    world.expect(&["one", "late", "two"]);
    world.finish(&["one", "late", "two"]);
}

#[test]
fn a_path_deleted_and_made_anew_again_and_again_is_read_each_time() {
    let mut world = World::new(&["a.log"]);
    let mut expected = Vec::new();
    world.start();
    for round in 0..20 {
        // alternately the same and another content, so that heads and sizes are no help
        let line = format!("line {}", round / 2);
        world.append("a.log", format!("{line}\n"));
        expected.push(line);
        world.expect(&expected.iter().map(String::as_str).collect::<Vec<_>>());
        world.remove("a.log");
    }
    world.finish(&expected.iter().map(String::as_str).collect::<Vec<_>>());
}
