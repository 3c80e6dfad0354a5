//! Which bytes are one line: groups of lines, records of one event, parts, UTF-16, other ends of lines.

use super::*;
use sealtail::record::Labels;
use sealtail::source::{Encoding, Multiline, Opens};
use std::os::unix::fs::symlink;

fn grouped(opens: Opens, timeout: Duration) -> World {
    let mut world = World::new(&["a.log"]);
    world.config.text.multiline = Some(Multiline { opens, timeout });
    world
}

fn starting(timeout: Duration) -> World {
    grouped(Opens::Start(r"^\d".into()), timeout)
}

/// Long enough that a test which waits for it fails.
const NEVER: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_millis(50);

impl World {
    /// What was read, put together again.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in &self.lines {
            bytes.extend_from_slice(&line.text);
            bytes.extend_from_slice(if line.end == End::Newline { b"\n" } else { b"" });
        }
        bytes
    }

    fn labels(&self) -> Vec<Labels> {
        let opened = self.events.iter().filter_map(|(_, event)| match event {
            SourceEvent::Opened { labels, .. } => Some(labels.clone()),
            _ => None,
        });
        opened.collect()
    }
}

#[test]
fn lines_that_go_on_are_one_and_the_last_comes_without_another() {
    for opens in [Opens::Start(r"^\d".into()), Opens::Continue(r"^\s".into())] {
        let mut world = grouped(opens, SOON);
        world.append("a.log", "1 a\n b\n\tc\n2 d\n");
        world.start();
        // nothing is written after it: only time brings the last one
        world.expect(&["1 a\n b\n\tc", "2 d"]);
        world.append("a.log", "3 e\r\n f\r\n");
        world.expect(&["1 a\n b\n\tc", "2 d", "3 e\r\n f\r"]);
        world.finish(&["1 a\n b\n\tc", "2 d", "3 e\r\n f\r"]);
    }
}

#[test]
fn a_group_waits_for_its_rest_and_the_rest_of_a_line() {
    let mut world = starting(NEVER);
    world.append("a.log", "1 a\n");
    world.start();
    for text in [" b\n", " c", "c\n 2\n", "2 d\n"] {
        world.append("a.log", text);
    }
    world.expect(&["1 a\n b\n cc\n 2"]);
    world.finish(&["1 a\n b\n cc\n 2", "2 d"]);
}

#[test]
fn a_restart_in_the_middle_of_a_group_reads_all_of_it_again() {
    let mut world = starting(NEVER);
    world.append("a.log", "0 first\n1 a\n b\n");
    world.start();
    world.expect(&["0 first"]);
    world.stop();
    assert_eq!(world.cursors.values().next().unwrap().offset(), 8);
    world.append("a.log", " c\n2 d\n");
    world.start();
    world.expect(&["0 first", "1 a\n b\n c"]);
    world.finish(&["0 first", "1 a\n b\n c", "2 d"]);
}

#[test]
fn a_rotation_in_the_middle_of_a_group_merges_no_two_files() {
    let mut world = starting(SOON);
    world.append("a.log", "1 a\n b\n");
    world.start();
    world.event("it is followed", |event| matches!(event, SourceEvent::Opened { .. }));
    world.rename("a.log", "a.log.1");
    world.append("a.log", " c\n2 d\n");
    world.expect(&["1 a\n b", " c", "2 d"]);
    world.finish(&["1 a\n b", " c", "2 d"]);
}

#[test]
fn a_stopped_rotation_in_the_middle_of_a_group_merges_no_two_files() {
    let mut world = starting(NEVER);
    world.append("a.log", "0\n1 a\n");
    world.start();
    world.expect(&["0"]);
    world.stop();
    world.append("a.log", " b\n");
    world.rename("a.log", "a.log.1");
    world.append("a.log", " c\n");
    world.finish(&["0", "1 a\n b", " c"]);
}

#[test]
fn the_parts_of_two_rotated_files_of_one_path_stay_apart() {
    let mut world = World::new(&["a.log"]);
    world.config.max_line_bytes = 8;
    world.append("a.log", "longer than eight");
    world.start();
    world.expect(&["longer t", "han eigh"]);
    world.rename("a.log", "a.log.1");
    world.append("a.log", "the rest of another\n");
    let expected = ["longer t", "han eigh", "t", "the rest", " of anot", "her"];
    world.expect(&expected);
    world.finish(&expected);
    let of = |key| world.lines.iter().filter(move |line| line.key == key).collect::<Vec<_>>();
    let (first, second) = (world.lines[0].key, world.lines.iter().find(|line| line.text == b"her").unwrap().key);
    assert_ne!(first, second);
    assert_eq!(of(first).last().map(|line| (line.text.as_slice(), line.end)), Some((b"t".as_slice(), End::Eof)));
    assert_eq!(of(second)[0].text, b"the rest");
}

#[test]
fn an_oversized_group_comes_in_parts_and_stops_nothing() {
    let mut world = starting(SOON);
    world.config.max_line_bytes = 1000;
    let stack: String = (0..2000).map(|n| format!("  at frame {n}\n")).collect();
    let text = format!("1 error\n{stack}2 after it\n");
    world.append("a.log", &text);
    world.start();
    world.until("the line after it", |world| world.texts().contains(&"2 after it".to_owned()));
    world.stop();
    let joined: String = world.texts().concat();
    assert_eq!(joined, text.replace("\n2 after it\n", "2 after it"));
    let parts = world.lines.iter().filter(|line| line.end == End::Part).count();
    assert_eq!((parts, world.lines.len()), (stack.len() / 1000, parts + 2));
}

#[test]
fn a_long_group_before_a_long_line_moves_on() {
    let mut world = starting(NEVER);
    world.config.max_line_bytes = 300 * 1024;
    let (group, long) = (format!("1 {}\n b\n", "x".repeat(250 * 1024)), "y".repeat(290 * 1024));
    world.append("a.log", format!("{group}2{long}\n3\n"));
    world.once();
    world.check(&[group.trim_end(), &format!("2{long}"), "3"]);
}

#[test]
fn records_of_one_event_are_one_line() {
    let record = |kind: &str, serial: u32| format!("type={kind} msg=audit(1364481363.243:{serial}): x=y");
    let event = |serial| ["SYSCALL", "CWD", "PATH", "PROCTITLE"].map(|kind| record(kind, serial)).join("\n");
    for format in [sealtail::record::Format::Auto, sealtail::record::Format::Auditd] {
        let mut world = World::new(&["audit.log"]);
        world.config.text.format = format;
        let (one, two, login) = (event(1), event(2), record("USER_LOGIN", 3));
        // the records of two processors, mixed
        let mixed = [record("SYSCALL", 4), record("SYSCALL", 5), record("PROCTITLE", 4), record("PROCTITLE", 5)];
        let open = record("SYSCALL", 6);
        world.append("audit.log", format!("{one}\n{two}\n{login}\nplain\n{}\n{open}\n", mixed.join("\n")));
        world.start();
        let mut expected = vec![one.as_str(), &two, &login, "plain"];
        expected.extend(mixed.iter().map(String::as_str));
        expected.push(&open);
        world.expect(&expected);
        world.finish(&expected);
    }
}

#[test]
fn a_restart_and_a_rotation_in_the_middle_of_an_event_lose_and_repeat_nothing() {
    let mut world = World::new(&["audit.log"]);
    let record = |kind: &str| format!("type={kind} msg=audit(1364481363.243:1): x=y");
    world.append("audit.log", format!("plain\n{}\n", record("SYSCALL")));
    world.start_with(0);
    world.until("the line before it", |world| !world.lines.is_empty());
    world.crash();
    world.append("audit.log", format!("{}\n", record("CWD")));
    world.rename("audit.log", "audit.log.1");
    world.append("audit.log", format!("{}\n", record("PROCTITLE")));
    let first = format!("{}\n{}", record("SYSCALL"), record("CWD"));
    world.finish(&["plain", &first, &record("PROCTITLE")]);
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect()
}

#[test]
fn utf_16_is_cut_at_its_own_newlines_across_restarts_and_an_odd_end() {
    for (big, end) in [(false, End::Utf16Le), (true, End::Utf16Be)] {
        let mut world = World::new(&["a.log"]);
        world.config.max_line_bytes = 15;
        // U+0A0A and U+0D0A hold bytes of newlines
        let bytes = utf16("one\r\n\u{a0a}\u{d0a}\n\n\u{1f600} long enough for parts\nlast", big);
        let (first, rest) = bytes.split_at(13);
        world.append("a.log", first);
        world.start();
        world.until("the first line", |world| !world.lines.is_empty());
        world.stop();
        assert_eq!(world.cursors.values().next().unwrap().offset(), 12);
        world.append("a.log", rest);
        world.append("a.log", b"x");
        world.once();
        assert_eq!(world.bytes(), [bytes.as_slice(), b"x"].concat());
        assert_eq!(world.lines[0].text, utf16("one\r\n", big));
        assert!(world.lines.iter().all(|line| [end, End::Part].contains(&line.end)));
        assert!(world.lines.iter().filter(|line| line.end == End::Part).all(|line| line.text.len() == 14));
        assert_eq!(world.lines.iter().filter(|line| line.end == end).count(), 5);
    }
}

#[test]
fn utf_16_without_a_mark_needs_to_be_told_and_start_at_end_finds_its_last_line() {
    let mut world = World::new(&["a.log"]);
    world.config.text.encoding = Encoding::Utf16Le;
    world.config.start_at = StartAt::End;
    world.append("a.log", b"o\0l\0d\0\n\0h\0a\0");
    world.start();
    world.event("it is followed", |event| matches!(event, SourceEvent::Opened { .. }));
    world.append("a.log", b"l\0f\0\n\0");
    world.until("the line", |world| !world.lines.is_empty());
    assert_eq!(world.lines[0].text, b"h\0a\0l\0f\0\n\0");
    world.finish(&["h\0a\0l\0f\0\n\0"]);
}

#[test]
fn a_group_that_was_held_back_when_its_file_was_truncated_is_read_from_the_copy() {
    let mut world = starting(NEVER);
    let first = format!("0 {}", "x".repeat(2000));
    world.append("a.log", format!("{first}\n1 a\n b\n"));
    world.start();
    world.expect(&[&first]);
    fs::copy(world.path("a.log"), world.path("a.log.1")).unwrap();
    File::options().write(true).open(world.path("a.log")).unwrap().set_len(0).unwrap();
    world.append("a.log", "2 c\n");
    world.event("the truncation", is_truncated);
    world.finish(&[&first, "1 a\n b", "2 c"]);
}

#[test]
fn compressed_files_have_groups_and_utf_16_too() {
    let mut world = starting(NEVER);
    (world.config.compressed, world.config.include) = (true, vec![world.path("*.gz").display().to_string()]);
    let wide = utf16("1 a\n b\n2 c\n", false);
    for (name, bytes) in [("wide.log", wide.as_slice()), ("plain.log", b"1 a\n b\n2 c\n")] {
        world.append(name, bytes);
        assert!(std::process::Command::new("gzip").arg(world.path(name)).status().unwrap().success());
    }
    world.once();
    world.check(&["1 a\n b", "2 c", &String::from_utf8_lossy(&wide[..16]), &String::from_utf8_lossy(&wide[16..])]);
}

#[test]
fn marks_and_carriage_returns_are_kept() {
    let mut world = World::new(&["a.log"]);
    let bytes = b"\xef\xbb\xbfone\r\n\r\n\rtwo\n\xef\xbb\xbfthree\r\nfour\r";
    world.append("a.log", bytes);
    world.once();
    assert_eq!(world.bytes(), bytes);
    assert_eq!(world.texts(), ["\u{feff}one\r", "\r", "\rtwo", "\u{feff}three\r", "four\r"]);
}

#[test]
fn labels_come_from_the_path_of_a_container_and_from_the_configuration() {
    let id = "0123456789abcdef".repeat(4);
    let mut world = World::new(&["host/var/log/pods/*/*/*.log", "host/var/log/containers/*.log", "host/var/log/a.log"]);
    world.config.labels.fixed.insert("env".into(), "prod".into());
    fs::create_dir_all(world.path("host/var/log/pods/shop_web_uid-1/nginx")).unwrap();
    fs::create_dir_all(world.path("host/var/log/containers")).unwrap();
    let file = "host/var/log/pods/shop_web_uid-1/nginx/0.log";
    world.append(file, "one\n");
    world.append("host/var/log/a.log", "other\n");
    symlink(world.path(file), world.path(&format!("host/var/log/containers/web_shop_nginx-{id}.log"))).unwrap();
    world.once();
    world.check(&["one", "other"]);
    let shown: Vec<String> = world.labels().iter().map(|labels| format!("{labels:?}")).collect();
    let pod =
        r#""container": "nginx", "env": "prod", "namespace": "shop", "pod": "web", "pod_uid": "uid-1", "restart": "0""#;
    let mut expected = [format!("{{{pod}}}"), r#"{"env": "prod"}"#.to_owned()];
    let mut shown = shown;
    shown.sort();
    expected.sort();
    assert_eq!(shown, expected);

    // by the link alone, it has the container's id, and what the link's target says
    let mut world = World {
        config: FileConfig { include: vec![world.config.include[1].clone()], ..world.config.clone() },
        ..world
    };
    world.cursors.clear();
    world.events.clear();
    world.once();
    let labels = world.labels().remove(0);
    assert_eq!((labels["container_id"].as_str(), labels["pod_uid"].as_str()), (id.as_str(), "uid-1"));
}
