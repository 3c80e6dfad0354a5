//! The rest of a file that was truncated, compressed or deleted before it was read is read from its copy.

use super::*;
use std::process::Command;

/// Copies and empties a file, as logrotate's copytruncate does.
pub(crate) fn copytruncate(world: &World, name: &str, copy: &str) {
    fs::copy(world.path(name), world.path(copy)).unwrap();
    File::options().write(true).open(world.path(name)).unwrap().set_len(0).unwrap();
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("line {n:06} of a log that goes on and on")).collect()
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| line.clone() + "\n").collect()
}

fn as_str(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

/// Compresses a file and deletes it, as logrotate's compress does: the time of its last write stays.
pub(crate) fn compress(world: &World, name: &str, how: &str) -> String {
    let (program, ending) = match how {
        "gzip" => ("gzip", "gz"),
        "zstd" => ("zstd", "zst"),
        other => (other, "bz2"),
    };
    let rm: &[&str] = if how == "zstd" { &["--rm", "-q"] } else { &[] };
    let done = Command::new(program).args(rm).arg(world.path(name)).status().unwrap();
    assert!(done.success());
    format!("{name}.{ending}")
}

#[test]
fn the_unread_rest_of_a_copytruncated_file_is_read_from_the_copy() {
    for lines in [10, 30_000] {
        let mut world = World::new(&["*.log"]);
        world.append("a.log", text(&numbered(0..lines)));
        world.start();
        world.expect(&as_str(&numbered(0..lines)));
        world.stop();
        // not read before the truncation
        world.append("a.log", text(&numbered(lines..lines + 7)));
        copytruncate(&world, "a.log", "a.log.1");
        world.append("a.log", text(&numbered(lines + 7..lines + 9)));
        world.start();
        world.expect(&as_str(&numbered(0..lines + 9)));
        assert_eq!(world.texts(), numbered(0..lines + 9), "in order");
        assert_eq!(world.count(is_truncated), 1);
        world.finish(&as_str(&numbered(0..lines + 9)));
    }
}

#[test]
fn copytruncate_while_the_output_is_blocked_loses_nothing_that_was_copied() {
    let mut world = World::new(&["*.log"]);
    world.append("a.log", text(&numbered(0..20_000)));
    world.start_with(0);
    world.until("the first lines", |world| !world.lines.is_empty());
    // the source stands in the middle of the file and can hand on nothing
    copytruncate(&world, "a.log", "a.log.1");
    world.append("a.log", text(&numbered(20_000..20_005)));
    world.expect(&as_str(&numbered(0..20_005)));
    world.finish(&as_str(&numbered(0..20_005)));
}

// a random sequence: the copy was taken for one of which nothing is known, as the file that it was made of was as long as before
#[test]
fn a_copy_of_a_file_that_is_as_long_again_is_not_read_after_what_was_compressed() {
    let mut world = World::new(&["*.log"]);
    world.append("b.log", "line 1\n");
    world.start();
    world.expect(&["line 1"]);
    copytruncate(&world, "b.log", "b.log.1");
    world.event("the truncation", is_truncated);
    let is_copy = |cursor: &Cursor| matches!(cursor, Cursor::File { path, .. } if path.ends_with("b.log.1"));
    let (key, copy) = world.cursors.iter().find(|(_, cursor)| is_copy(cursor)).map(|(k, c)| (*k, c.clone())).unwrap();
    compress(&world, "b.log.1", "gzip");
    world.remove("b.log");
    world.append("b.log", "line 2\n");
    world.expect(&["line 1", "line 2"]);
    world.stop();
    // as after a crash: that the copy ended was not durable yet
    world.cursors.insert(key, copy);
    world.ended.clear();
    world.rename("b.log.1.gz", "b.log.2.gz");
    copytruncate(&world, "b.log", "b.log.1");
    world.append("b.log", "line 3\n");
    world.start();
    world.expect(&["line 1", "line 2", "line 3"]);
    world.finish(&["line 1", "line 2", "line 3"]);
}

// a random sequence: what the file held by then was hashed as if it were what had been read, and so no copy was its
#[test]
fn copytruncate_between_a_restart_and_the_first_turn_loses_nothing() {
    let mut world = World::new(&["*.log"]);
    world.append("a.log", text(&numbered(0..5)));
    world.append("b.log", "b 1\n");
    world.start();
    world.expect(&["b 1"].into_iter().chain(as_str(&numbered(0..5))).collect::<Vec<_>>());
    world.stop();
    world.append("a.log", text(&numbered(5..20_000)));
    world.append("b.log", "b 2\nb 3\n");
    world.start_with(0);
    // it stands in the middle of a.log, and b.log is open and had no turn
    world.until("some of a.log", |world| world.lines.len() > 6);
    copytruncate(&world, "b.log", "b.log.1");
    world.append("b.log", "b 4\nb 5\nb 6\n");
    let expected = numbered(0..20_000).into_iter().chain((1..=6).map(|n| format!("b {n}"))).collect::<Vec<_>>();
    world.expect(&as_str(&expected));
    world.finish(&as_str(&expected));
}

#[test]
fn copytruncate_while_stopped_loses_nothing_though_the_file_begins_alike_and_outgrew_what_was_read() {
    let mut world = World::new(&["*.log"]);
    let head = "head ".repeat(250);
    let lines = |range: std::ops::Range<usize>| [head.clone()].into_iter().chain(numbered(range)).collect::<Vec<_>>();
    world.append("a.log", text(&lines(0..10)));
    world.start();
    world.expect(&as_str(&lines(0..10)));
    world.stop();
    world.append("a.log", text(&numbered(10..17)));
    copytruncate(&world, "a.log", "a.log.1");
    world.append("a.log", text(&lines(17..40)));
    world.start();
    let expected: Vec<String> = lines(0..17).into_iter().chain(lines(17..40)).collect();
    world.expect(&as_str(&expected));
    world.finish(&as_str(&expected));
}

#[test]
fn several_copytruncates_while_stopped_lose_nothing() {
    let mut world = World::new(&["*.log"]);
    world.append("a.log", text(&numbered(0..100)));
    world.start();
    world.expect(&as_str(&numbered(0..100)));
    world.stop();
    world.append("a.log", text(&numbered(100..110)));
    copytruncate(&world, "a.log", "a.log.2");
    world.append("a.log", text(&numbered(110..200)));
    copytruncate(&world, "a.log", "a.log.1");
    let packed = compress(&world, "a.log.2", "gzip");
    assert!(world.path(&packed).exists());
    world.append("a.log", text(&numbered(200..210)));
    world.start();
    world.expect(&as_str(&numbered(0..210)));
    world.finish(&as_str(&numbered(0..210)));
}

#[test]
fn a_truncation_without_a_copy_is_said_and_nothing_is_read_twice() {
    let mut world = World::new(&["*.log"]);
    // an older copy begins as the file does, but was written before
    world.append("a.log.1", text(&numbered(0..50)));
    let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    world.writer("a.log.1").set_modified(hour_ago).unwrap();
    world.append("a.log", text(&numbered(0..20)));
    world.start();
    world.expect(&as_str(&numbered(0..20)));
    File::options().write(true).open(world.path("a.log")).unwrap().set_len(0).unwrap();
    world.event("the truncation", is_truncated);
    world.append("a.log", "anew\n");
    let mut expected = numbered(0..20);
    expected.push("anew".into());
    world.expect(&as_str(&expected));
    world.finish(&as_str(&expected));
}

#[test]
fn a_rotation_that_was_compressed_while_stopped_is_read_on() {
    for how in ["gzip", "zstd", "bzip2"] {
        for lines in [10, 30_000] {
            let mut world = World::new(&["*.log"]);
            world.append("a.log", text(&numbered(0..lines)));
            world.start();
            world.expect(&as_str(&numbered(0..lines)));
            world.stop();
            world.append("a.log", text(&numbered(lines..lines + 10)));
            world.rename("a.log", "a.log.1");
            compress(&world, "a.log.1", how);
            world.append("a.log", text(&numbered(lines + 10..lines + 20)));
            world.start();
            world.expect(&as_str(&numbered(0..lines + 20)));
            assert_eq!(world.texts(), numbered(0..lines + 20), "in order, {how}");
            world.finish(&as_str(&numbered(0..lines + 20)));
            assert_eq!((world.count(is_vanished), world.count(is_truncated)), (0, 0));
        }
    }
}

#[test]
fn a_restart_in_the_middle_of_a_compressed_rest_goes_on_there() {
    let mut world = World::new(&["*.log"]);
    world.append("a.log", text(&numbered(0..100)));
    world.start();
    world.expect(&as_str(&numbered(0..100)));
    world.stop();
    world.append("a.log", text(&numbered(100..40_000)));
    world.rename("a.log", "a.log.1");
    compress(&world, "a.log.1", "gzip");
    world.append("a.log", text(&numbered(40_000..40_010)));
    for _ in 0..3 {
        let before = world.lines.len();
        world.start_with(0);
        world.until("some of it", |world| world.lines.len() > before);
        world.crash();
    }
    world.start();
    world.expect(&as_str(&numbered(0..40_010)));
    world.finish(&as_str(&numbered(0..40_010)));
}

#[test]
fn compressed_files_are_read_from_their_beginning_when_configured() {
    let mut world = World::new(&["*"]);
    world.config.compressed = true;
    for (at, how) in ["gzip", "zstd", "bzip2"].into_iter().enumerate() {
        let name = format!("{how}.log");
        world.append(&name, text(&numbered(at * 10_000..(at + 1) * 10_000)));
        compress(&world, &name, how);
    }
    world.start();
    world.expect(&as_str(&numbered(0..30_000)));
    world.stop();
    world.start();
    world.append("plain.log", "plain\n");
    let mut expected = numbered(0..30_000);
    expected.push("plain".into());
    world.expect(&as_str(&expected));
    world.finish(&as_str(&expected));
}

#[test]
fn a_file_that_becomes_gz_is_not_read_twice_though_the_pattern_matches_it() {
    let mut world = World::new(&["*"]);
    world.config.compressed = true;
    world.append("a.log", text(&numbered(0..100)));
    world.start();
    world.expect(&as_str(&numbered(0..100)));
    world.rename("a.log", "a.log.1");
    world.append("a.log", text(&numbered(100..110)));
    world.expect(&as_str(&numbered(0..110)));
    compress(&world, "a.log.1", "gzip");
    world.append("a.log", "more\n");
    let mut expected = numbered(0..110);
    expected.push("more".into());
    world.expect(&as_str(&expected));
    world.stop();
    world.start();
    world.append("a.log", "and more\n");
    expected.push("and more".into());
    world.expect(&as_str(&expected));
    world.finish(&as_str(&expected));
}

#[test]
fn a_copy_that_the_pattern_matches_is_not_read_twice() {
    let mut world = World::new(&["*"]);
    world.append("a.log", text(&numbered(0..100)));
    world.start();
    world.expect(&as_str(&numbered(0..100)));
    world.append("a.log", text(&numbered(100..105)));
    copytruncate(&world, "a.log", "a.log.1");
    world.append("a.log", text(&numbered(105..110)));
    world.expect(&as_str(&numbered(0..110)));
    world.stop();
    world.append("a.log", text(&numbered(110..115)));
    world.rename("a.log.1", "a.log.2");
    copytruncate(&world, "a.log", "a.log.1");
    world.append("a.log", text(&numbered(115..120)));
    world.start();
    world.expect(&as_str(&numbered(0..120)));
    world.finish(&as_str(&numbered(0..120)));
}

#[test]
fn a_damaged_compressed_file_is_said_and_what_can_be_unpacked_is_read() {
    let mut world = World::new(&["*.gz", "*.log"]);
    world.config.compressed = true;
    world.append("a", text(&numbered(0..50_000)));
    let packed = compress(&world, "a", "gzip");
    let mut bytes = fs::read(world.path(&packed)).unwrap();
    let half = bytes.len() / 2;
    bytes[half..half + 64].fill(0xff);
    fs::write(world.path(&packed), bytes).unwrap();
    world.append("b.log", "the others go on\n");
    world.start();
    world.event("the damage", |event| matches!(event, SourceEvent::Missed { lost: None }));
    world.until("the other file", |world| world.texts().iter().any(|text| text == "the others go on"));
    assert!(world.lines.len() > 1000, "{}", world.lines.len());
}
