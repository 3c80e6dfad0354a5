//! Copies of a file, plain or compressed: what was not read is read from them, what was read is not read again.

use super::field::gzip;
use super::rotates::rotate;
use super::*;

pub(crate) fn copytruncate(world: &World, to: &str) {
    fs::copy(world.path("a.log"), world.path(to)).unwrap();
    File::create(world.path("a.log")).unwrap();
}

#[test]
fn the_unread_rest_of_a_truncated_file_is_read_from_its_copy() {
    for gz in [false, true] {
        let mut world = World::new(&["a.log"]);
        world.append("a.log", "one\n");
        world.once();
        world.append("a.log", "two\n");
        copytruncate(&world, "a.log.1");
        if gz {
            gzip(&world, "a.log.1");
        }
        world.append("a.log", "three\n");
        world.finish(&["one", "two", "three"]);
        assert_eq!(world.count(is_truncated), 1);
    }
}

#[test]
fn copies_of_several_truncations_while_stopped_are_read_in_order() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\n");
    world.once();
    world.append("a.log", "two\n");
    copytruncate(&world, "a.log.1");
    world.append("a.log", "three\n");
    world.rename("a.log.1", "a.log.2");
    copytruncate(&world, "a.log.1");
    world.append("a.log", "four\n");
    world.finish(&["one", "two", "three", "four"]);
    assert_eq!(world.texts(), ["one", "two", "three", "four"], "oldest first");
}

// otel-contrib#46239: the old offset was used inside the .gz
#[test]
fn the_unread_rest_of_a_file_compressed_while_stopped_is_read() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\n");
    world.once();
    world.append("a.log", "two\n");
    rotate(&world, "a.log");
    gzip(&world, "a.log.1");
    world.append("a.log", "three\n");
    world.finish(&["one", "two", "three"]);
    assert_eq!(world.count(is_vanished), 0);
}

#[test]
fn a_middle_file_that_is_compressed_while_stopped_is_read() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\n");
    world.once();
    rotate(&world, "a.log");
    world.append("a.log", "two\n");
    gzip(&world, "a.log.1");
    world.rename("a.log.1.gz", "a.log.2.gz");
    rotate(&world, "a.log");
    gzip(&world, "a.log.1");
    world.append("a.log", "three\n");
    world.finish(&["one", "two", "three"]);
}

#[test]
fn a_copy_is_not_read_again_when_its_file_is_rotated_by_name() {
    for stopped in [false, true] {
        let mut world = World::new(&["a.log"]);
        world.append("a.log", "one\n");
        world.start();
        world.expect(&["one"]);
        copytruncate(&world, "a.log.1");
        world.append("a.log", "two\n");
        world.expect(&["one", "two"]);
        if stopped {
            world.stop();
        }
        rotate(&world, "a.log");
        world.append("a.log", "three\n");
        if stopped {
            world.start();
        }
        world.expect(&["one", "two", "three"]);
        world.finish(&["one", "two", "three"]);
    }
}

#[test]
fn a_copy_is_not_read_again_when_its_file_is_deleted_and_made_anew() {
    for stopped in [false, true] {
        let mut world = World::new(&["a.log"]);
        world.append("a.log", "one\n");
        world.start();
        world.expect(&["one"]);
        copytruncate(&world, "a.log.1");
        world.append("a.log", "two\n");
        world.expect(&["one", "two"]);
        if stopped {
            world.stop();
        }
        world.remove("a.log");
        world.append("a.log", "three\n");
        if stopped {
            world.start();
        }
        world.expect(&["one", "two", "three"]);
        world.finish(&["one", "two", "three"]);
    }
}

#[test]
fn a_copy_that_matches_is_not_read_again() {
    let mut world = World::new(&["a.log*"]);
    world.append("a.log", "one\n");
    world.start();
    world.expect(&["one"]);
    copytruncate(&world, "a.log.1");
    world.append("a.log", "two\n");
    world.expect(&["one", "two"]);
    world.finish(&["one", "two"]);
}

// the copies of what was read from the file itself are no news, though older copies were read
#[test]
fn copies_made_while_running_are_not_read_again_after_a_restart() {
    for (stopped, running) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
        let mut world = World::new(&["a.log"]);
        let mut expected = vec!["0".to_owned()];
        world.append("a.log", "0\n");
        world.once();
        let shift = |world: &World| {
            for age in (1..5).rev().filter(|age| world.path(&format!("a.log.{age}")).exists()) {
                world.rename(&format!("a.log.{age}"), &format!("a.log.{}", age + 1));
            }
        };
        for round in 1..=stopped + running {
            if round == stopped + 1 {
                world.start();
                world.expect(&expected.iter().map(String::as_str).collect::<Vec<_>>());
            }
            world.append("a.log", format!("line {round}\n"));
            expected.push(format!("line {round}"));
            if round > stopped {
                world.expect(&expected.iter().map(String::as_str).collect::<Vec<_>>());
            }
            shift(&world);
            copytruncate(&world, "a.log.1");
        }
        world.append("a.log", "last\n");
        expected.push("last".into());
        world.finish(&expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

// the copy was made while lines still came, which were read: nothing of it is unread, but what came after it is
#[test]
fn what_came_after_a_copy_that_is_shorter_than_what_was_read_is_read() {
    for gz in [false, true] {
        let mut world = World::new(&["a.log"]);
        let long = "the first file ".repeat(80);
        world.append("a.log", format!("{long}\n"));
        fs::copy(world.path("a.log"), world.path("a.log.1")).unwrap();
        world.append("a.log", "read, and in no copy\n");
        world.once();
        File::create(world.path("a.log")).unwrap();
        world.append("a.log", "two\n");
        world.rename("a.log.1", "a.log.2");
        copytruncate(&world, "a.log.1");
        world.append("a.log", "three\n");
        if gz {
            gzip(&world, "a.log.1");
            gzip(&world, "a.log.2");
        }
        world.finish(&[&long, "read, and in no copy", "two", "three"]);
        assert_eq!(world.count(is_truncated), 1);
    }
}
