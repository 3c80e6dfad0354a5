//! Bugs that tests of rotation found, each by what it took to show it.

use super::copies::copytruncate;
use super::field::{as_nobody, change_ids, gzip};
use super::rotates::{make_room, rotate};
use super::*;
use sealtail::record::FileId;

// otel-contrib#43693, #27037, beats#39731
#[test]
fn copytruncate_to_the_same_head_while_stopped_is_noticed() {
    let mut world = World::new(&["a.log"]);
    let head = "h".repeat(2000);
    world.append("a.log", format!("{head}\none\n"));
    world.once();
    copytruncate(&world, "a.log.1");
    world.append("a.log", format!("{head}\ntwo and longer\nthree\n"));
    world.finish(&[&head, "one", &head, "two and longer", "three"]);
    assert_eq!(world.count(is_truncated), 1);
}

// the same without a copy: the lines before the offset are lost to nobody, but they are new
#[test]
fn truncation_to_the_same_head_while_stopped_is_noticed() {
    let mut world = World::new(&["a.log"]);
    let head = "h".repeat(2000);
    world.append("a.log", format!("{head}\none\n"));
    world.once();
    fs::write(world.path("a.log"), format!("{head}\ntwo and longer\nthree\n")).unwrap();
    world.finish(&[&head, "one", &head, "two and longer", "three"]);
    assert_eq!(world.count(is_truncated), 1);
}

#[test]
fn a_rotation_compressed_before_it_is_seen_is_read() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "0\n");
    world.start();
    world.expect(&["0"]);
    let mut expected = vec!["0".to_owned()];
    for round in 1..30 {
        world.rename("a.log", &format!("a.log-{round:02}"));
        gzip(&world, &format!("a.log-{round:02}"));
        world.append("a.log", format!("{round}\n"));
        expected.push(round.to_string());
    }
    world.finish(&expected.iter().map(String::as_str).collect::<Vec<_>>());
}

// the cursor of the old identity must not outlive the one that took its place
#[test]
fn a_file_of_another_identity_goes_on_at_the_second_start_too() {
    let line = "x".repeat(300);
    let others: [fn(&mut FileId); 2] = [|id| id.dev += 1, |id| id.born_ns = None];
    for other in others {
        let mut world = World::new(&["a.log"]);
        world.append("a.log", format!("{line}\n"));
        world.once();
        change_ids(&mut world, other);
        for new in ["new\n", "newer\n", "newest\n"] {
            world.append("a.log", new);
            world.once();
        }
        world.check(&[&line, "new", "newer", "newest"]);
        assert_eq!(world.cursors.len(), 1, "{:#?}", world.cursors);
    }
}

#[test]
fn a_file_read_to_its_end_and_deleted_is_no_gap() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\n");
    world.start();
    world.expect(&["one"]);
    rotate(&world, "a.log");
    world.append("a.log", "two\n");
    world.expect(&["one", "two"]);
    world.remove("a.log.1");
    world.stop();
    world.finish(&["one", "two"]);
    assert_eq!(world.count(is_vanished), 0, "all of it was read, and it was gone before the stop");
}

// a cursor's hash lacks the last lines: another file that begins alike is no copy of a deleted one
#[test]
fn a_deleted_file_is_not_gone_on_with_in_another_of_the_same_head() {
    let head = "h".repeat(1100);
    let mut world = World::new(&["a.log"]);
    world.append("a.log", format!("{head}\n"));
    world.once();
    world.append("a.log", "line 1\n");
    world.once();
    world.remove("a.log");
    world.append("a.log", format!("{head}\nanother 2\nand 3\n"));
    rotate(&world, "a.log");
    world.append("a.log", format!("{head}\n4\n"));
    world.finish(&[&head, "line 1", &head, "another 2", "and 3", &head, "4"]);
}

// the files of several cursors were compressed: the first one's heir brings the others along, from their beginning
#[test]
fn several_files_of_one_path_that_are_compressed_while_stopped_are_each_read_on() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\n");
    world.start();
    world.expect(&["one"]);
    // both old files are in their grace time at the stop, and have cursors
    for (text, all) in [("two\n", ["one", "two"].as_slice()), ("three\n", &["one", "two", "three"])] {
        rotate(&world, "a.log");
        world.append("a.log", text);
        world.expect(all);
    }
    world.stop();
    gzip(&world, "a.log.1");
    gzip(&world, "a.log.2");
    world.finish(&["one", "two", "three"]);
}

// such as those of a job that says the same each day
#[test]
fn rotations_with_the_same_lines_are_each_read() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "done\n");
    world.once();
    rotate(&world, "a.log");
    for _ in 0..2 {
        world.append("a.log", "done\n");
        rotate(&world, "a.log");
    }
    world.finish(&["done", "done", "done"]);
}

// both were read before the stop; the first one's compressed rest must not bring the second along
#[test]
fn what_was_read_to_its_end_before_the_stop_is_not_read_again_compressed() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\n");
    world.start();
    world.expect(&["one"]);
    rotate(&world, "a.log");
    world.append("a.log", "two\n");
    gzip(&world, "a.log.1");
    world.expect(&["one", "two"]);
    rotate(&world, "a.log");
    gzip(&world, "a.log.1");
    world.append("a.log", "three\n");
    world.expect(&["one", "two", "three"]);
    world.event("a file is let go of", is_ended);
    world.stop();
    world.finish(&["one", "two", "three"]);
}

// a random sequence: the copies were begun as a whole, as if they were rotations that came after an older copy, when the file
// itself could not be gone on with at once; root may read everything, so there it plays as nobody
#[test]
fn copies_of_a_file_that_can_not_be_read_at_the_start_wait_for_it() {
    use std::os::unix::fs::PermissionsExt;
    for (include, once) in [("a.log", true), ("a.log", false), ("a.log*", true), ("a.log*", false)] {
        let mut world = World::new(&[include]);
        let path = world.path("a.log");
        let allow = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        world.append("a.log", "one\n");
        allow(0o000);
        if File::open(&path).is_ok() {
            return as_nobody("regression::copies_of_a_file_that_can_not_be_read_at_the_start_wait_for_it");
        }
        allow(0o600);
        world.once();
        // this copy has a cursor of its own
        world.append("a.log", "two\n");
        copytruncate(&world, "a.log.1");
        world.append("a.log", "three\n");
        world.start();
        world.expect(&["one", "two", "three"]);
        world.stop();
        for line in ["four\n", "five\n"] {
            world.append("a.log", line);
            make_room(world.dir.path(), "a.log");
            copytruncate(&world, "a.log.1");
        }
        world.append("a.log", "six\n");
        allow(0o000);
        let opened = world.count(is_opened);
        if once {
            world.once();
        } else {
            world.start();
            world.until("the look around", |world| world.count(is_opened) > opened);
        }
        world.check(&["one", "two", "three"]);
        allow(0o600);
        world.finish(&["one", "two", "three", "four", "five", "six"]);
        assert_eq!(world.texts(), ["one", "two", "three", "four", "five", "six"], "in order");
        assert_eq!(world.count(is_truncated), 2);
    }
}

// a review: while a younger rotation could not be read, its path was taken for one at which names are changing, and the file that
// has the path by now was not begun
#[test]
fn a_rotation_that_can_not_be_read_does_not_hold_up_what_came_after_it() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\n");
    world.once();
    world.append("a.log", "two\n");
    crate::field::gzip(&world, "a.log");
    fs::rename(world.path("a.log.gz"), world.path("a.log.2.gz")).unwrap();
    let hidden = world.path("a.log.1");
    world.append("a.log.1", "three\n");
    let allow = |mode| fs::set_permissions(&hidden, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o000);
    if File::open(&hidden).is_ok() {
        return as_nobody("regression::a_rotation_that_can_not_be_read_does_not_hold_up_what_came_after_it");
    }
    world.append("a.log", "four\n");
    world.start();
    world.expect(&["one", "two", "four"]);
    allow(0o600);
    world.expect(&["one", "two", "three", "four"]);
    world.finish(&["one", "two", "three", "four"]);
}
