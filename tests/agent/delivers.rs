//! What stood in the files stands in the archive.

use crate::world::{World, await_that, run, sealtail, text};
use std::fs;
use std::io::Write;
use std::process::Stdio;

#[test]
fn quickstart_once_ships_a_whole_file_and_verifies_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("dpkg.log");
    let lines: Vec<String> =
        (0..5000).map(|n| format!("2026-11-23 09:00:00 status installed package-{n}:amd64 1.{n}")).collect();
    fs::write(&log, lines.join("\n") + "\n").unwrap();
    let dir = folder.path().join("q");
    let output = run(&["quickstart", "--once", "--dir", dir.to_str().unwrap(), log.to_str().unwrap()]);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("log lines   5000"), "{said}");
    assert!(said.contains("intact"), "{said}");
    assert!(said.contains("package-4999:amd64"), "{said}");

    // a second run goes on where the first stopped
    fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(b"one more\n").unwrap();
    let again = run(&["quickstart", "--once", "--dir", dir.to_str().unwrap()]);
    let said = text(&again);
    assert!(again.status.success() && said.contains("log lines   1\n") && said.contains("intact"), "{said}");
    assert!(said.contains("(5001 log lines)"), "{said}");
}

#[test]
fn quickstart_touches_nothing_outside_its_folder_and_keeps_secrets_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (log, dir) = (folder.path().join("a.log"), folder.path().join("q"));
    fs::write(&log, "x\n").unwrap();
    assert!(run(&["quickstart", "--once", "--dir", dir.to_str().unwrap(), log.to_str().unwrap()]).status.success());
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.log", "q"]);
    for secret in ["server.key", "client.key", "auditor.key", "host.key", "receipt.key"] {
        let mode = fs::metadata(dir.join(secret)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{secret}");
    }
}

#[test]
fn cat_gives_any_bytes_back() {
    let mut world = World::new();
    let mut bytes = b"plain\nwith \x1b[31mansi\x1b[0m and \x00 NUL\n\xff\xfe broken utf-8 \xc3\n\r\ncrlf\r\n\n\"quoted\\\" \t tab\n".to_vec();
    bytes.extend("unicode: \u{2028} \u{1f600}\n".bytes());
    bytes.extend(vec![b'x'; 700_000]); // longer than max_line: chained in parts
    bytes.extend(b"\nthe last line has no newline");
    fs::write(world.log(), &bytes).unwrap();
    world.start_receiver();
    let output = world.run_once();
    assert!(output.status.success(), "{}", text(&output));
    let back = run(&["cat", &world.text_path("q/archive")]);
    assert!(back.status.success());
    assert_eq!(back.stdout, bytes);
    world.verify().assert_intact(&[]);
}

#[test]
fn a_running_agent_ships_what_is_appended_and_closes_its_stream() {
    let mut world = World::new();
    world.start_receiver();
    world.start_agent();
    world.append("one\n");
    await_that("the first line is archived", || world.messages() == ["one"]);
    // half a line waits for its end
    world.append("tw");
    world.append("o\nthree\n");
    await_that("the others are archived", || world.messages() == ["one", "two", "three"]);
    assert_eq!(world.stop_agent(), Some(0));
    let archive = world.archive();
    assert_eq!(archive[archive.len() - 2]["h"]["type"], "close");
    world.verify().assert_intact(&[]);
}

#[test]
fn standard_input_is_a_source() {
    let mut world = World::new();
    let log = world.text_path("logs/app.log");
    world.configure(|config| {
        config
            .replace("type = \"file\"\nname = \"logs\"\n", "type = \"stdin\"\n")
            .replace(&format!("include = [\"{log}\"]\n"), "")
    });
    world.start_receiver();
    let mut child = sealtail(&["run", "--config", &world.config()]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from a pipe\nwithout end").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(world.messages(), ["from a pipe", "without end"]);
    world.verify().assert_intact(&[]);
}

#[test]
fn verdicts_stand_in_the_lines() {
    let mut world = World::new();
    world.append(
        "Nov 23 09:00:00 web-1 sshd[811]: Failed password for invalid user oracle from 10.1.2.3 port 4711 ssh2\nfine\n",
    );
    world.start_receiver();
    assert!(world.run_once().status.success());
    let archive = world.archive();
    let logs: Vec<_> = archive.iter().filter(|line| line["h"]["type"] == "log").collect();
    let verdicts = logs[0]["h"]["verdicts"].as_array().unwrap();
    assert!(verdicts.iter().any(|verdict| verdict["id"].as_str().unwrap().starts_with("ssh")), "{verdicts:?}");
    assert!(verdicts.iter().all(|verdict| !verdict["controls"].as_array().unwrap().is_empty()), "{verdicts:?}");
    assert_eq!(logs[1]["h"]["verdicts"].as_array().unwrap().len(), 0);
}

#[test]
fn the_lines_of_a_zstd_file_are_plain_ndjson() {
    let mut world = World::new();
    world.append((0..3000).map(|n| format!("line {n}\n")).collect::<String>());
    world.start_receiver();
    assert!(world.run_once().status.success());
    let script = r#"zstdcat "$1"/*/*/*.zst | jq -r 'select(.h.type=="log").p.msg' | cmp - "$2""#;
    let compared = std::process::Command::new("bash")
        .args(["-o", "pipefail", "-c", script, "-", &world.text_path("q/archive"), &world.text_path("logs/app.log")])
        .output()
        .unwrap();
    assert!(compared.status.success(), "{}", text(&compared));
}
