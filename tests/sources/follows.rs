//! One file: what is appended, cut short, put in parts.

use super::*;

#[test]
fn lines_come_as_they_are_written_and_half_a_line_waits() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\ntw");
    world.start();
    world.expect(&["one"]);
    world.append("a.log", "o\nthree\n");
    world.expect(&["one", "two", "three"]);
    world.finish(&["one", "two", "three"]);
    assert_eq!(world.count(is_ended), 0, "a file in its place may still grow");
}

#[test]
fn half_a_line_stays_for_the_next_start() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\nha");
    world.start();
    world.expect(&["one"]);
    world.stop();
    world.append("a.log", "lf\n");
    world.finish(&["one", "half"]);
}

#[test]
fn once_hands_on_half_a_line_at_the_end() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\r\nhalf");
    world.once();
    world.check(&["one\r", "half"]);
    assert_eq!(world.lines[1].end, End::Eof);
    world.append("a.log", " more\n");
    world.finish(&["one\r", "half", " more"]);
}

#[test]
fn any_bytes_are_lines() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", b"\xff\0\xfebroken\n\0\0\n\n\xc3(\n");
    world.once();
    let texts: Vec<&[u8]> = world.lines.iter().map(|line| line.text.as_slice()).collect();
    assert_eq!(texts, [b"\xff\0\xfebroken".as_slice(), b"\0\0", b"", b"\xc3("]);
}

#[test]
fn a_long_line_comes_in_parts_and_goes_on_after_a_restart() {
    let mut world = World::new(&["a.log"]);
    world.config.max_line_bytes = 1000;
    let long: String = (0..5_000_000).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
    world.append("a.log", format!("{long}\nshort\n"));
    world.start_with(1);
    world.until("some parts", |world| world.lines.len() > 10);
    world.crash();
    world.once();
    let parts: Vec<&Line> = world.lines.iter().filter(|line| line.end == End::Part).collect();
    assert!(parts.iter().all(|part| part.text.len() == 1000));
    assert_eq!(world.texts().concat(), format!("{long}short"));
    assert_eq!(world.lines.len(), 5001);
}

#[test]
fn lines_of_nearly_the_greatest_length_are_whole() {
    let mut world = World::new(&["a.log"]);
    world.config.max_line_bytes = 600 * 1024;
    let line = "x".repeat(600 * 1024);
    world.append("a.log", format!("{line}\n{line}\n{line}y\n"));
    world.once();
    let lens: Vec<(usize, End)> = world.lines.iter().map(|line| (line.text.len(), line.end)).collect();
    let whole = (line.len(), End::Newline);
    assert_eq!(lens, [whole, whole, (line.len(), End::Part), (1, End::Newline)]);
}

#[test]
fn a_file_of_newlines_costs_bounded_batches() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", vec![b'\n'; 300_000]);
    world.once();
    assert_eq!(world.lines.len(), 300_000);
}

#[test]
fn a_truncated_file_is_read_from_its_start() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\ntwo\n");
    world.start();
    world.expect(&["one", "two"]);
    File::create(world.path("a.log")).unwrap().write_all(b"new\n").unwrap();
    world.expect(&["one", "two", "new"]);
    assert_eq!(world.count(is_truncated), 1);
    world.finish(&["one", "two", "new"]);
}

#[test]
fn copytruncate_to_the_same_head_is_noticed_though_it_outgrew_the_offset() {
    let mut world = World::new(&["a.log"]);
    let head = "h".repeat(2000) + "\n";
    world.append("a.log", format!("{head}one\n"));
    world.start();
    world.expect(&[&head[..2000], "one"]);
    fs::copy(world.path("a.log"), world.path("a.log.1")).unwrap();
    // in one write, so that no look falls between the truncation and the growth
    let mut file = OpenOptions::new().write(true).open(world.path("a.log")).unwrap();
    file.write_all(format!("{head}two\nthree\n").as_bytes()).unwrap();
    world.expect(&[&head[..2000], "one", &head[..2000], "two", "three"]);
    assert_eq!(world.count(is_truncated), 1);
    world.finish(&[&head[..2000], "one", &head[..2000], "two", "three"]);
}

#[test]
fn a_file_truncated_while_stopped_is_told_by_its_size_or_head() {
    let mut world = World::new(&["*.log"]);
    world.append("short.log", "one\ntwo\n");
    world.append("other.log", "first\n");
    world.once();
    File::create(world.path("short.log")).unwrap().write_all(b"new\n").unwrap();
    File::create(world.path("other.log")).unwrap().write_all(b"second and longer\n").unwrap();
    world.once();
    world.finish(&["one", "two", "first", "new", "second and longer"]);
    assert_eq!(world.count(is_truncated), 2);
}

#[test]
fn a_deleted_file_ends_and_the_one_made_anew_is_another() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "one\n");
    world.start();
    world.expect(&["one"]);
    let mut stale = world.writer("a.log");
    world.remove("a.log");
    world.append("a.log", "one\n");
    world.expect(&["one", "one"]);
    stale.write_all(b"late\nhalf").unwrap();
    world.expect(&["one", "one", "late"]);
    world.event("the deleted file ends", is_ended);
    world.check(&["one", "one", "late", "half"]);
    world.finish(&["one", "one", "late", "half"]);
}

#[test]
fn a_stop_is_obeyed_while_the_output_is_blocked() {
    let mut world = World::new(&["a.log"]);
    world.append("a.log", "x\n".repeat(500_000));
    world.start_with(0);
    world.until("the first batch", |world| !world.lines.is_empty());
    world.crash();
    world.finish(&vec!["x"; 500_000]);
}

#[test]
fn zeros_that_a_writer_left_at_its_old_place_after_a_truncation_are_no_line() {
    let mut world = World::new(&["*.log"]);
    let mut writer = File::create(world.path("a.log")).unwrap();
    let before = vec![b'x'; 100_000];
    writer.write_all(&before).unwrap();
    writer.write_all(b"\n").unwrap();
    world.start();
    let long = String::from_utf8(before).unwrap();
    world.expect(&[&long]);
    // opened without O_APPEND: it goes on at its old place
    File::options().write(true).open(world.path("a.log")).unwrap().set_len(0).unwrap();
    world.event("the truncation", is_truncated);
    writer.write_all(b"goes on\n").unwrap();
    world.expect(&[&long, "goes on"]);
    world.stop();
    world.append("a.log", "and on\n");
    world.finish(&[&long, "goes on", "and on"]);
}
