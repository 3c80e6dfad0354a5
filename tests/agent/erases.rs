//! Payloads leave an archive by leave only, and the chain holds.

use crate::world::{World, run, sealtail, stream_files, text};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

impl World {
    fn erase(&self, key: &str, seqs: &str) -> Output {
        let stream = self.streams()[0].file_name().unwrap().to_str().unwrap().to_owned();
        let (archive, key) = (self.text_path("q/archive"), self.text_path(key));
        run(&["erase", &archive, "--stream", &stream, "--seq", seqs, "--key", &key, "--reason", "ticket 7"])
    }

    fn statements(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.streams()[0]).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_str().unwrap().ends_with(".erasure.json")).collect()
    }

    /// An archive of six lines, whose genesis names `own.pub`; and the seqs of the lines.
    fn erasable() -> (Self, Vec<u64>) {
        let mut world = Self::new();
        for key in ["own", "other"] {
            let kind = if key == "own" { "p256" } else { "ed25519" };
            let made = run(&["keys", "erasure", "--type", kind, "--out", &world.text_path(&format!("{key}.key"))]);
            assert!(made.status.success(), "{}", text(&made));
        }
        world.configure(|config| format!("{config}\n[erasure]\nkeys = [\"../own.pub\"]\n"));
        world.append((0..6).map(|n| format!("secret number {n}\n")).collect::<String>());
        world.start_receiver();
        let output = world.run_once();
        assert!(output.status.success(), "{}", text(&output));
        world.kill_receiver();
        let logs = world.archive().into_iter().filter(|line| line["h"]["type"] == "log");
        let seqs = logs.map(|line| line["h"]["seq"].as_u64().unwrap()).collect();
        (world, seqs)
    }
}

#[test]
fn what_is_erased_is_gone_and_the_chain_holds() {
    let (mut world, seqs) = World::erasable();
    let before = world.archive();
    let done = world.erase("own.key", &format!("{},{}-{}", seqs[4], seqs[0], seqs[1]));
    assert!(text(&done).contains("erased 3 payloads; 0 were"), "{}", text(&done));
    let after = world.archive();
    for (line, old) in after.iter().zip(&before) {
        let is_erased = [seqs[0], seqs[1], seqs[4]].contains(&line["h"]["seq"].as_u64().unwrap());
        assert_eq!((line["p"].is_null(), &line["h"], &line["t"]), (is_erased, &old["h"], &old["t"]));
    }
    let report = world.verify();
    report.assert_intact(&["REDACTED"]);
    assert_eq!(report.words()["REDACTED"], 3);
    let redacted = report.findings.iter().find(|finding| finding["finding"] == "REDACTED").unwrap();
    assert!(redacted["weight"] == "info" && redacted["detail"].as_str().unwrap().contains("ticket 7"), "{redacted}");

    // once more: nothing is left to do, and no second statement is made
    let again = world.erase("own.key", &format!("{}-{}", seqs[0], seqs[1]));
    assert!(text(&again).contains("erased 0 payloads; 2 were"), "{}", text(&again));
    assert_eq!(world.statements().len(), 1);
    // a crash between statement and files: the lines are there, and the call is made again
    assert!(world.erase("own.key", &seqs[2].to_string()).status.success());
    assert_eq!(world.statements().len(), 2);

    let cat = run(&["cat", "--json", &world.text_path("q/archive")]);
    let shown: Vec<Value> =
        String::from_utf8(cat.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let erased: Vec<bool> = shown.iter().map(|line| line["erased"] == true).collect();
    assert_eq!(erased, [true, true, true, false, true, false]);

    // the store goes on with what it has
    world.append("more\n");
    world.start_receiver();
    let output = world.run_once();
    assert!(output.status.success(), "{}", text(&output));
    world.verify().assert_intact(&["REDACTED"]);

    // a source's path can go too
    world.kill_receiver();
    assert!(text(&world.erase("own.key", "1")).contains("erased 1 payloads"));
    let report = world.verify();
    report.assert_intact(&["REDACTED"]);
    assert_eq!(report.words()["REDACTED"], 5);
}

#[test]
fn whoever_may_not_erase_is_refused() {
    let (mut world, seqs) = World::erasable();
    let before = fs::read(&stream_files(&world.streams()[0])[0]).unwrap();
    for (key, what, says) in [
        ("other.key", seqs[0].to_string(), "does not name that key"),
        ("own.key", "0".to_owned(), "only log and source lines"),
        ("own.key", "1000".to_owned(), "not all of the lines"),
        ("own.key", "7-5".to_owned(), "7 comes after 5"),
        ("own.pub", seqs[0].to_string(), "chmod 600"),
    ] {
        let refused = world.erase(key, &what);
        assert!(!refused.status.success() && text(&refused).contains(says), "{what}: {}", text(&refused));
    }
    let (id, key) = (world.streams()[0].file_name().unwrap().to_str().unwrap().to_owned(), world.text_path("own.key"));
    let spool = ["erase", &world.text_path("q/spool"), "--stream", &id, "--seq", "1", "--key", &key, "--reason", "x"];
    assert!(!run(&spool).status.success());
    world.start_receiver();
    let refused = world.erase("own.key", &seqs[0].to_string());
    assert!(text(&refused).contains("a receiver or another erasure is at work here"), "{}", text(&refused));
    assert_eq!(fs::read(&stream_files(&world.streams()[0])[0]).unwrap(), before);
    assert_eq!(world.statements(), Vec::<PathBuf>::new());
    world.verify().assert_intact(&[]);
}

#[test]
fn an_erasure_without_leave_is_found() {
    let (world, seqs) = World::erasable();
    assert!(world.erase("own.key", &seqs[0].to_string()).status.success());
    let statement = world.statements().remove(0);
    let sound = fs::read_to_string(&statement).unwrap();
    let other_key = || {
        let public = fs::read_to_string(world.path("other.pub")).unwrap();
        public.lines().filter(|line| !line.starts_with('-')).collect::<String>()
    };
    let mut value: Value = serde_json::from_str(&sound).unwrap();
    value["key"] = other_key().into();
    let stream = world.streams()[0].file_name().unwrap().to_str().unwrap().to_owned();
    for forged in [
        String::new(),
        sound.replace("ticket 7", "ticket 8"),
        sound.replace(&format!("[[{0},{0}]]", seqs[0]), &format!("[[{},{}]]", seqs[0] - 1, seqs[0])),
        sound.replace(&stream, &"0".repeat(32)),
        value.to_string(),
    ] {
        assert_ne!(forged, sound);
        fs::write(&statement, forged).unwrap();
        let report = world.verify();
        assert_eq!((report.exit, report.words().get("ERASED-UNAUTHORISED")), (1, Some(&1)), "{report:#?}");
    }
    fs::remove_file(&statement).unwrap();
    assert_eq!(world.verify().words()["ERASED-UNAUTHORISED"], 1);
    fs::write(&statement, &sound).unwrap();
    world.verify().assert_intact(&["REDACTED"]);
    // a line that the statement does not name: somebody else took its payload away, with sealtail's own hands
    assert!(world.erase("own.key", &seqs[1].to_string()).status.success());
    fs::remove_file(world.statements().into_iter().find(|path| *path != statement).unwrap()).unwrap();
    let words = world.verify().words();
    assert_eq!((words["REDACTED"], words["ERASED-UNAUTHORISED"]), (1, 1));
}

#[test]
fn a_killed_erasure_is_taken_up_by_the_next() {
    let (world, seqs) = World::erasable();
    let stream = world.streams()[0].clone();
    let id = stream.file_name().unwrap().to_str().unwrap().to_owned();
    let (archive, key) = (world.text_path("q/archive"), world.text_path("own.key"));
    let lines = format!("{}-{}", seqs[0], seqs[5]);
    let args = ["erase", &archive, "--stream", &id, "--seq", &lines, "--key", &key, "--reason", "x"];
    // wherever the kill comes, nothing is erased without its statement
    for microseconds in (0..40).map(|n| n * 500) {
        let mut child = sealtail(&args).stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(microseconds));
        drop(child.kill());
        child.wait().unwrap();
        world.verify().assert_intact(&["REDACTED"]);
    }
    assert!(run(&args).status.success());
    let report = world.verify();
    report.assert_intact(&["REDACTED"]);
    assert_eq!(report.words()["REDACTED"], 6);
}
