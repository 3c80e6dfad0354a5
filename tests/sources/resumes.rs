//! Which file a cursor belongs to after a restart.

use super::*;
use std::os::unix::fs::MetadataExt;

#[test]
fn reading_goes_on_in_the_middle_of_a_file() {
    let mut world = World::new(&["a.log"]);
    let lines: Vec<String> = (0..300_000).map(|line| format!("line {line}")).collect();
    world.append("a.log", lines.join("\n") + "\n");
    world.start_with(1);
    world.until("the first batch", |world| !world.lines.is_empty());
    world.crash();
    let resumed_at = world.cursors.values().next().unwrap().offset();
    assert!(resumed_at > 0 && resumed_at < fs::metadata(world.path("a.log")).unwrap().len());
    let expected: Vec<&str> = lines.iter().map(String::as_str).collect();
    world.finish(&expected);
}

#[test]
fn a_reused_inode_number_is_another_file() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\ntwo\nthree\n");
    world.once();
    let ino = fs::metadata(world.path("a.log")).unwrap().ino();
    // file systems hand out the lowest free number, so a few attempts do; where they don't, it is a plain recreation
    for _ in 0..20 {
        world.remove("a.log");
        world.append("a.log", "one\n");
        if fs::metadata(world.path("a.log")).unwrap().ino() == ino {
            break;
        }
    }
    world.append("a.log", "two\nthree\nfour\n");
    world.finish(&["one", "two", "three", "one", "two", "three", "four"]);
    assert_eq!(world.count(is_vanished), 1);
}

#[test]
fn a_stale_offset_past_the_end_is_a_truncation() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\n");
    world.once();
    world.cursors.values_mut().for_each(|cursor| cursor.set_offset(1_000_000));
    world.append("a.log", "two\n");
    world.finish(&["one", "one", "two"]);
    assert_eq!(world.count(is_truncated), 1);
}

#[test]
fn a_vanished_file_is_said_once() {
    let mut world = World::new(&["*.log"]);
    world.append("a.log", "one\n");
    world.append("b.log", "two\n");
    world.once();
    world.remove("a.log");
    world.once();
    world.finish(&["one", "two"]);
    assert_eq!(world.count(is_vanished), 1);
}

/// Changes what the only cursor says of the identity of its file.
fn change_identity(world: &mut World, change: impl Fn(&mut sealtail::record::FileId)) {
    for cursor in world.cursors.values_mut() {
        if let Cursor::File { id, .. } = cursor {
            change(id);
        }
    }
}

#[test]
fn a_renumbered_disk_is_no_new_file_but_a_common_head_is() {
    let line = "x".repeat(300);
    for (renumbered, expected) in [(true, 2), (false, 3)] {
        let mut world = World::new(&["a.log"]);
        world.append("a.log", format!("{line}\n"));
        world.once();
        let old = world.cursors.clone();
        change_identity(&mut world, |id| if renumbered { id.dev += 1 } else { id.ino += 1 });
        world.append("a.log", "new\n");
        world.once();
        assert_eq!(world.lines.len(), expected, "{old:?}");
        assert_eq!(world.count(is_vanished), usize::from(!renumbered));
    }
}

#[test]
fn a_file_put_back_from_a_backup_goes_on() {
    let mut world = World::new(&["a.log"]);
    let line = "x".repeat(300);
    world.append("a.log", format!("{line}\n"));
    world.once();
    world.append("a.log", "two\n");
    let written = fs::metadata(world.path("a.log")).unwrap().modified().unwrap();
    let bytes = fs::read(world.path("a.log")).unwrap();
    world.remove("a.log");
    fs::write(world.path("a.log"), bytes).unwrap();
    world.writer("a.log").set_modified(written - Duration::from_secs(60)).unwrap();
    world.finish(&[&line, "two"]);
}

#[test]
fn a_cursor_that_no_pattern_wants_is_left_alone() {
    let mut world = World::new(&["*.log"]);
    world.append("a.log", "one\n");
    world.once();
    let other = vec![world.path("*.txt").display().to_string()];
    let include = std::mem::replace(&mut world.config.include, other);
    world.append("a.log", "two\n");
    world.once();
    world.check(&["one"]);
    world.config.include = include;
    world.finish(&["one", "two"]);
}

#[test]
fn start_at_end_skips_what_was_there_and_nothing_else() {
    let mut world = World::new(&["*.log"]);
    world.config.start_at = StartAt::End;
    world.append("a.log", "old\nha");
    world.start();
    world.event("a.log is begun", |event| matches!(event, SourceEvent::Opened { .. }));
    world.append("a.log", "lf\n");
    world.append("b.log", "later\n");
    world.expect(&["half", "later"]);
    world.stop();
    world.append("a.log", "stopped\n");
    world.append("c.log", "came while stopped\n");
    world.finish(&["half", "later", "stopped", "came while stopped"]);
}

#[test]
fn a_file_that_cannot_be_read_is_read_once_it_can() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = World::new(&["*.log"]);
    world.append("a.log", "one\n");
    world.append("b.log", "other\n");
    world.once();
    world.append("a.log", "two\n");
    let path = world.path("a.log");
    let allow = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o000);
    if File::open(world.path("a.log")).is_ok() {
        eprintln!("skipped: root may read everything");
        return;
    }
    world.once();
    world.check(&["one", "other"]);
    assert_eq!(world.count(is_vanished), 0);
    allow(0o600);
    world.finish(&["one", "other", "two"]);
}
