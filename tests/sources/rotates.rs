//! Rotation by rename: while running, while stopped, while the output is blocked.

use super::*;
use std::path::Path;

/// NAME.1 becomes NAME.2 and so on, then NAME becomes NAME.1.
pub(crate) fn rotate(world: &World, name: &str) {
    rotate_in(world.dir.path(), name);
}

fn rotate_in(dir: &Path, name: &str) {
    make_room(dir, name);
    fs::rename(dir.join(name), dir.join(format!("{name}.1"))).unwrap();
}

/// NAME.1 becomes NAME.2 and so on, compressed or not.
pub(crate) fn make_room(dir: &Path, name: &str) {
    let names = |number: usize| [format!("{name}.{number}"), format!("{name}.{number}.gz")].map(|name| dir.join(name));
    let last = (1..).find(|number| names(*number).iter().all(|path| !path.exists())).unwrap();
    for number in (1..last).rev() {
        for (from, to) in names(number).iter().zip(names(number + 1)).filter(|(from, _)| from.exists()) {
            fs::rename(from, to).unwrap();
        }
    }
}

#[test]
fn while_running_the_old_file_is_read_to_its_end() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\n");
    world.start();
    world.expect(&["one"]);
    let mut stale = world.writer("a.log");
    rotate(&world, "a.log");
    world.append("a.log", "new\n");
    world.expect(&["one", "new"]);
    stale.write_all(b"stale\nhalf").unwrap();
    world.expect(&["one", "new", "stale"]);
    world.event("the old file ends", is_ended);
    let old = world.events.iter().find(|(_, event)| is_ended(event)).unwrap().0;
    let last = world.lines.iter().rfind(|line| line.key == old).unwrap();
    assert_eq!((last.text.as_slice(), last.end), (b"half".as_slice(), End::Eof));
    world.finish(&["one", "new", "stale", "half"]);
}

#[test]
fn while_stopped_the_cursor_finds_the_file_under_its_new_name() {
    for rotated in ["a.log.1", "a.log-20240101", "old-a.log"] {
        let mut world = World::new(&["a.log"]);
        world.append("a.log", "one\n");
        world.start();
        world.expect(&["one"]);
        world.stop();
        world.append("a.log", "two\nhalf");
        world.rename("a.log", rotated);
        world.append("a.log", "three\n");
        world.finish(&["one", "two", "half", "three"]);
        assert_eq!(world.texts(), ["one", "two", "half", "three"], "oldest first");
        assert_eq!(world.count(is_ended), 1);
        assert_eq!(world.count(is_vanished), 0);
    }
}

#[test]
fn several_rotations_while_stopped_lose_no_middle_file_and_repeat_no_old_one() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "older\n");
    rotate(&world, "a.log");
    world.append("a.log", "one\n");
    world.once();
    for text in ["two\n", "three\n", "four\n"] {
        rotate(&world, "a.log");
        world.append("a.log", text);
    }
    fs::write(world.path("a.log.9.gz"), b"\x1f\x8b\x08\0").unwrap();
    world.start();
    world.expect(&["one", "two", "three", "four"]);
    assert_eq!(world.texts(), ["one", "two", "three", "four"], "oldest first");
    world.finish(&["one", "two", "three", "four"]);
}

#[test]
fn a_middle_file_is_read_when_the_last_known_one_was_deleted_and_the_path_is_empty() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\n");
    world.once();
    rotate(&world, "a.log");
    world.append("a.log", "two\n");
    rotate(&world, "a.log");
    world.remove("a.log.2");
    world.finish(&["one", "two"]);
    assert_eq!(world.count(is_vanished), 1);
}

#[test]
fn a_fresh_start_reads_no_old_rotations_but_those_that_match() {
    let mut world = World::new(&["a.log", "b.log*"]);
    for name in ["a.log.1", "a.log", "b.log.1", "b.log"] {
        world.append(name, format!("{name}\n"));
    }
    world.finish(&["a.log", "b.log.1", "b.log"]);
}

#[test]
fn rotations_that_match_are_read_once() {
    let mut world = World::new(&["a.log*"]);
    world.append("a.log", "one\n");
    world.start();
    world.expect(&["one"]);
    for (text, all) in [("two\n", ["one", "two"].as_slice()), ("three\n", &["one", "two", "three"])] {
        rotate(&world, "a.log");
        world.append("a.log", text);
        world.expect(all);
    }
    world.stop();
    rotate(&world, "a.log");
    world.append("a.log", "four\n");
    world.finish(&["one", "two", "three", "four"]);
}

#[test]
fn while_the_output_is_blocked_nothing_is_lost() {
    let mut world = World::new(&["a.log"]);
    let mut expected = Vec::new();
    world.append("a.log", "first\n");
    world.start_with(0);
    world.expect(&["first"]);
    expected.push("first".to_owned());
    for round in 0..5 {
        // more than a batch, so that the source blocks within each file
        let lines: Vec<String> = (0..20_000).map(|line| format!("{round} {line}")).collect();
        world.append("a.log", lines.join("\n") + "\n");
        rotate(&world, "a.log");
        expected.extend(lines);
    }
    world.append("a.log", "last\n");
    expected.push("last".to_owned());
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    world.expect(&expected);
    world.finish(&expected);
}

#[test]
fn rotation_faster_than_looking_loses_nothing() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "0\n");
    world.start();
    world.expect(&["0"]);
    let mut expected = vec!["0".to_owned()];
    for number in 1..60 {
        rotate(&world, "a.log");
        world.append("a.log", format!("{number}\n"));
        expected.push(number.to_string());
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    world.expect(&expected);
    world.finish(&expected);
}

#[test]
fn a_new_file_that_is_rotated_before_it_is_seen_is_read_and_one_that_was_read_is_not() {
    let mut world = World::new(&["*.log"]);
    world.append("b.log", "first\n");
    world.start();
    world.expect(&["first"]);
    for text in ["one\n", "two\n"] {
        world.append("a.log", text);
        rotate(&world, "a.log");
    }
    world.append("a.log", "three\n");
    world.expect(&["first", "one", "two", "three"]);
    world.remove("a.log");
    world.until("all three have ended", |world| world.count(is_ended) == 3);
    world.append("a.log", "anew\n");
    world.expect(&["first", "one", "two", "three", "anew"]);
    world.finish(&["first", "one", "two", "three", "anew"]);
}

#[test]
fn deletion_while_blocked_loses_nothing_that_was_seen() {
    let mut world = World::new(&["a.log"]);
    let lines: Vec<String> = (0..200_000).map(|line| line.to_string()).collect();
    world.append("a.log", lines.join("\n") + "\n");
    world.start_with(0);
    world.until("the first batch", |world| !world.lines.is_empty());
    world.remove("a.log");
    let expected: Vec<&str> = lines.iter().map(String::as_str).collect();
    world.expect(&expected);
    world.event("the deleted file ends", is_ended);
    world.finish(&expected);
}

#[test]
fn a_link_whose_target_is_replaced_is_followed_to_the_new_one() {
    let mut world = World::new(&["current.log"]);
    world.append("one.txt", "one\n");
    std::os::unix::fs::symlink("one.txt", world.path("current.log")).unwrap();
    world.start();
    world.expect(&["one"]);
    world.append("one.txt", "late\n");
    world.append("two.txt", "two\n");
    std::os::unix::fs::symlink("two.txt", world.path("next")).unwrap();
    world.rename("next", "current.log");
    world.expect(&["one", "late", "two"]);
    world.finish(&["one", "late", "two"]);
}

#[test]
fn a_busy_writer_that_rotates_meanwhile_and_restarts_lose_and_repeat_nothing() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "begin\n");
    world.start();
    world.expect(&["begin"]);
    let mut expected: Vec<String> = vec!["begin".into()];
    expected.extend((0..40_000).map(|line| format!("line {line}")));
    let (dir, lines) = (world.dir.path().to_owned(), expected[1..].to_vec());
    let writer = std::thread::spawn(move || {
        for lines in lines.chunks(500) {
            for lines in lines.chunks(100) {
                let mut file = OpenOptions::new().append(true).create(true).open(dir.join("a.log")).unwrap();
                file.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
            }
            rotate_in(&dir, "a.log");
        }
    });
    let mut taken = 0;
    while !writer.is_finished() {
        taken += 700;
        world.until("lines while writing", |world| world.lines.len() > taken || writer.is_finished());
        world.crash();
        world.start_with(taken % 3);
    }
    writer.join().unwrap();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    world.finish(&expected);
}
