//! Which files are followed.

use super::*;

#[test]
fn empty_and_small_files_and_identical_heads_are_each_read() {
    let mut world = World::new(&["*.log"]);
    world.append("empty.log", "");
    world.append("small.log", "x\n");
    let same = "same ".repeat(500);
    world.append("one.log", format!("{same}\n"));
    world.append("two.log", format!("{same}\n"));
    world.start();
    world.expect(&["x", &same, &same]);
    world.append("empty.log", "no more\n");
    world.expect(&["x", &same, &same, "no more"]);
    world.finish(&["x", &same, &same, "no more"]);
}

#[test]
fn one_file_of_several_names_is_read_once() {
    let mut world = World::new(&["*.log"]);
    world.append("b.log", "one\n");
    fs::hard_link(world.path("b.log"), world.path("a.log")).unwrap();
    std::os::unix::fs::symlink("b.log", world.path("0.log")).unwrap();
    world.start();
    world.expect(&["one"]);
    world.append("b.log", "two\n");
    world.expect(&["one", "two"]);
    world.remove("a.log");
    world.append("b.log", "three\n");
    world.expect(&["one", "two", "three"]);
    world.finish(&["one", "two", "three"]);
    assert_eq!(world.count(|event| matches!(event, SourceEvent::Opened { .. })), 2, "once a start");
}

#[test]
fn folders_made_later_are_walked() {
    let mut world = World::new(&["logs/**/*.log"]);
    world.start();
    fs::create_dir_all(world.path("logs/a/b")).unwrap();
    world.append("logs/a/b/deep.log", "deep\n");
    world.expect(&["deep"]);
    world.append("logs/top.log", "top\n");
    world.append("logs/a/b/deep.txt", "not this\n");
    world.expect(&["deep", "top"]);
    fs::remove_dir_all(world.path("logs/a")).unwrap();
    fs::create_dir_all(world.path("logs/a/b")).unwrap();
    world.append("logs/a/b/deep.log", "again\n");
    world.expect(&["deep", "top", "again"]);
    world.finish(&["deep", "top", "again"]);
}

#[test]
fn what_is_no_log_is_left_out() {
    let mut world = World::new(&["**"]);
    world.config.exclude = vec![world.path("*.tmp").display().to_string()];
    let own = world.path("spool");
    fs::create_dir(&own).unwrap();
    world.own = vec![own];
    fs::create_dir(world.path("folder.log")).unwrap();
    world.append("spool/segment.log", "mine\n");
    world.append("wtmp", "login\n");
    world.append("system.journal", "journal\n");
    world.append("left.tmp", "excluded\n");
    world.append("a.log.1.gz", "compressed\n");
    for (name, head) in [
        ("program", b"\x7fELF\x02\x01\n".as_slice()),
        ("gzip", b"\x1f\x8b\x08\0\n"),
        ("zstd", b"\x28\xb5\x2f\xfd\n"),
        ("sqlite", b"SQLite format 3\0\n"),
        ("journal", b"LPKSHHRH\n"),
    ] {
        world.append(name, head);
    }
    let _socket = std::os::unix::net::UnixListener::bind(world.path("socket.log")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        world.path("pipe.log"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    world.append("a.log", "a log\n");
    world.start();
    world.expect(&["a log"]);
    world.finish(&["a log"]);
}

#[test]
fn thousands_of_files_cost_few_descriptors() {
    let mut world = World::new(&["**/*.log"]);
    let mut expected = Vec::new();
    for number in 0..2000 {
        let folder = format!("{}", number % 10);
        fs::create_dir_all(world.path(&folder)).unwrap();
        world.append(&format!("{folder}/{number}.log"), format!("{number}\n"));
        expected.push(number.to_string());
    }
    world.start();
    let expect = |world: &mut World, lines: &[String]| {
        world.expect(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let open = descriptors(world);
        assert!(open <= 256, "{open} descriptors");
    };
    expect(&mut world, &expected);
    for number in (0..2000).step_by(3) {
        world.append(&format!("{}/{number}.log", number % 10), format!("again {number}\n"));
        expected.push(format!("again {number}"));
    }
    expect(&mut world, &expected);
    for number in (0..2000).step_by(7) {
        let name = format!("{}/{number}.log", number % 10);
        world.rename(&name, &format!("{name}.1"));
        world.append(&format!("{name}.1"), format!("late {number}\n"));
        world.append(&name, format!("new {number}\n"));
        expected.extend([format!("late {number}"), format!("new {number}")]);
    }
    expect(&mut world, &expected);
    world.finish(&expected.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Descriptors of this process for files of this world.
fn descriptors(world: &World) -> usize {
    let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
    all.filter(|fd| fs::read_link(fd.path()).is_ok_and(|path| path.starts_with(world.dir.path()))).count()
}

#[test]
fn faults_in_the_config_say_what_and_where() {
    let world = World::new(&["[.log"]);
    let error = |include: &str| {
        let config = FileConfig { include: vec![include.into()], ..world.config.clone() };
        Source::new(&Config::File(config), Known::default(), Arc::default(), &[]).unwrap_err().to_string()
    };
    let not_a_glob = error("/var/log/[.log");
    assert!(not_a_glob.contains("\"app\"") && not_a_glob.contains("/var/log/[.log"), "{not_a_glob}");
    assert!(error("log/*.log").contains("absolute"));
}
