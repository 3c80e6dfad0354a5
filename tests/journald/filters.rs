//! Units, priorities, namespaces: what is left out is no gap.

use crate::Reader;
use crate::daemon::{Daemon, available};
use sealtail::source::{Namespaces, Priority};

fn mixed(daemon: &Daemon) {
    for n in 0..3000 {
        daemon.send(format!("MESSAGE=line {n}\nPRIORITY={}\n", n % 8).as_bytes());
    }
    daemon.send(b"MESSAGE=no priority\n");
    daemon.sync();
}

#[test]
fn a_filter_makes_no_gaps_even_over_a_restart_and_a_vacuum() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    mixed(&daemon);
    let mut reader = Reader::new(daemon.config());
    reader.config.priority = Some(Priority::Err);
    reader.once();
    let mut expected: Vec<String> = (0..3000).filter(|n| n % 8 <= 3).map(|n| format!("line {n}")).collect();
    expected.push("no priority".into());
    assert_eq!(reader.messages(), expected);
    // everything was read; then much that is left out, and it is vacuumed
    for n in 0..500 {
        daemon.send(format!("MESSAGE=debug {n}\nPRIORITY=7\n").as_bytes());
    }
    daemon.sync();
    reader.once();
    daemon.rotate();
    daemon.send(b"MESSAGE=last\nPRIORITY=0\n");
    daemon.sync();
    daemon.journalctl(&["--vacuum-files=1"]);
    reader.once();
    expected.push("last".into());
    assert_eq!(reader.messages(), expected);
    assert_eq!(reader.missed(), []);
}

#[test]
fn units_are_those_that_journalctl_chooses() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    for unit in ["sshd.service", "cron.service", "user@1.service"] {
        // sent by root, so that journald takes root's word for the object
        daemon.send(format!("MESSAGE=about {unit}\nOBJECT_SYSTEMD_UNIT={unit}\n").as_bytes());
        daemon.send(format!("MESSAGE=forged for {unit}\nUNIT={unit}\n").as_bytes());
    }
    daemon.sync();
    let about = || -> Vec<String> {
        let entries = daemon.oracle(&["-u", "sshd", "-u", "user@*.service"]);
        entries.iter().map(|entry| entry["MESSAGE"].as_str().unwrap().to_owned()).collect()
    };
    // in one run beside others journalctl listed neither entry at first; why is not known
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while about().len() < 2 && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let expected = about();
    let mut reader = Reader::new(daemon.config());
    reader.config.units = vec!["sshd".into(), "user@*.service".into()];
    reader.once();
    assert_eq!(reader.messages(), expected);
    assert_eq!(reader.messages(), ["about sshd.service", "about user@1.service"]);
}

#[test]
fn namespaces_are_read_as_they_are_named() {
    if !available() {
        return;
    }
    let (one, two) = (Daemon::start(""), Daemon::start(""));
    one.say(["from one".to_owned()]);
    two.say(["from two".to_owned()]);
    one.sync();
    two.sync();
    // other tests' namespaces are not to be among them
    let root = tempfile::TempDir::new().unwrap();
    for folder in [one.folder(), two.folder()] {
        std::os::unix::fs::symlink(&folder, root.path().join(folder.file_name().unwrap())).unwrap();
    }
    let mut reader = Reader::new(one.config());
    reader.config.directories = vec![root.path().to_owned()];
    assert_eq!(reader.once().messages(), ["from one"]);
    reader.config.namespaces = Namespaces::All;
    assert_eq!(reader.once().messages(), ["from one", "from two"]);
    assert!(reader.entries().iter().any(|entry| entry["_NAMESPACE"] == two.namespace.as_str()));
}
