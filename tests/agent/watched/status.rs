//! `sealtail status`, and who may ask.

use super::{assert_golden, at_rest, at_rest_in, call, lines, masked, status};
use crate::world::{World, await_that, run, sealtail, text};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};

const CARD: &str = "4111111111111111";

#[test]
fn one_look_tells_all_and_says_so_when_all_is_well() {
    let (mut world, _) = at_rest();
    let shown = call(&world, &[]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown));
    let page = String::from_utf8(shown.stdout).unwrap();
    assert!(!page.contains('\u{1b}'), "colours without a terminal: {page}");
    let widest = page.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{page}");
    assert_golden("status.txt", &masked(&world, &page));
    // what a shell script reads
    let json = status(&world).unwrap();
    assert_eq!((&json["version"], &json["state"]), (&1.into(), &"running".into()));
    assert_eq!(json["sources"][0]["bytes"], lines().0.len() - lines().1);
    assert_eq!(json["spool"]["is_full"], false);
    assert!(json.get("flagged").is_none(), "{json}");
    let verdicts = json["verdicts"].as_array().unwrap();
    let told: u64 = verdicts.iter().map(|of| of["count"].as_u64().unwrap()).sum();
    let chained = world.archive();
    let chained = chained.iter().filter_map(|line| line["h"]["verdicts"].as_array()).map(Vec::len);
    assert_eq!(told, chained.sum::<usize>() as u64);
    assert_eq!(world.stop_agent(), Some(0));
    // and afterwards there is nobody, and no file left
    let gone = call(&world, &[]);
    assert_eq!(gone.status.code(), Some(2), "{}", text(&gone));
    assert!(text(&gone).contains("no agent listens at"), "{}", text(&gone));
    assert!(!world.path("q/spool/status.sock").exists());
}

#[test]
fn a_target_that_does_not_answer_is_a_problem() {
    let mut world = World::new();
    world.append("a line\n");
    world.start_agent();
    await_that("it is told", || {
        let shown = call(&world, &[]);
        let is_told = text(&shown).contains("PROBLEMS\n  target archive: cannot deliver");
        assert!(!is_told || shown.status.code() == Some(1), "{}", text(&shown));
        is_told
    });
    world.start_receiver();
    await_that("it is no problem any more", || call(&world, &[]).status.code() == Some(0));
}

/// The socket of an agent that a user without its rights may reach, but for what the agent itself checks.
fn open_to_all(world: &World) -> String {
    let socket = world.text_path("q/spool/status.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    for (path, mode) in [("", 0o755), ("q", 0o755), ("q/spool", 0o755), ("q/spool/status.sock", 0o666)] {
        fs::set_permissions(world.path(path), Permissions::from_mode(mode)).unwrap();
    }
    socket
}

#[test]
fn others_than_root_and_the_agents_own_are_turned_away() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("SKIPPED: only root can be somebody else");
    }
    let (world, _) = at_rest();
    let socket = open_to_all(&world);
    // where nobody but root may go, the program can't be called from
    let program = world.path("sealtail");
    fs::copy(env!("CARGO_BIN_EXE_sealtail"), &program).unwrap();
    let as_group = |group: &str| -> Output {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", &format!("--regid={group}"), "--clear-groups"]);
        command.arg(&program).args(["status", "--socket", &socket]).output().unwrap()
    };
    let refused = as_group("65534");
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("only root, and whoever has the agent's user or group"), "{}", text(&refused));
    assert!(!text(&refused).contains("archive"), "{}", text(&refused));
    let welcome = as_group("0");
    assert_eq!(welcome.status.code(), Some(0), "{}", text(&welcome));
}

#[test]
fn what_clients_do_wrong_harms_nobody() {
    let (world, _) = at_rest();
    let socket = world.path("q/spool/status.sock");
    // more than may ask at one time, none of which says anything
    let silent: Vec<UnixStream> = (0..7).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    for nonsense in [&b"\n"[..], b"\"secrets\"\n", b"{\"a\":\xff}\n", &[b'x'; 4096]] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        drop(stream.write_all(nonsense));
        let mut answer = Vec::new();
        // what is too long ends in a reset
        let _: Result<_, _> = BufReader::new(stream).read_until(b'\n', &mut answer);
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.is_empty() || answer.starts_with("{\"error\":"), "{answer}");
    }
    assert!(status(&world).is_some());
    drop(silent);
    let second = run(&["status", "--socket", &world.text_path("q/nothing.sock")]);
    assert_eq!(second.status.code(), Some(2), "{}", text(&second));
}

#[test]
fn flagged_lines_are_only_in_what_top_asks_for_and_only_as_they_are_chained() {
    let world = World::new();
    let pack = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/personal/numbers.rego");
    fs::copy(pack, world.path("q/policies/numbers.rego")).unwrap();
    let (mut world, _) = at_rest_in(world);
    world.append(format!("Jan 12 06:25:41 web-1 app[1]: paid with card {CARD}\n"));
    world.await_archived(lines().1 + 1);
    let socket = world.path("q/spool/status.sock");
    let ask = |what: &str| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        writeln!(stream, "\"{what}\"").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer
    };
    let top = ask("top");
    let json: serde_json::Value = serde_json::from_str(&top).unwrap();
    let latest = json["flagged"][0]["message"].as_str().unwrap();
    assert!(latest.contains("paid with card [redacted:"), "{latest}");
    assert!(!top.contains(CARD));
    assert!(!ask("status").contains("paid with"));
    assert!(json["flagged"].as_array().unwrap().len() <= 50);
    assert_eq!(world.stop_agent(), Some(0));
}

#[test]
fn a_socket_can_be_put_elsewhere_and_what_a_killed_agent_left_is_replaced() {
    let mut world = World::new();
    let socket = world.text_path("own.sock");
    world.configure(|config| config.replace("[telemetry]", &format!("[telemetry]\nsocket = {socket:?}")));
    world.start_agent();
    await_that("it answers", || status(&world).is_some());
    world.kill_agent();
    assert!(world.path("own.sock").exists());
    assert_eq!(call(&world, &[]).status.code(), Some(2));
    world.start_agent();
    await_that("the next one answers", || status(&world).is_some());
    assert!(sealtail(&["status", "--socket", &socket]).output().unwrap().status.code() != Some(2));
    // a second agent does not take it away
    let second = sealtail(&["run", "--once", "--config", &world.config()]).output().unwrap();
    assert!(text(&second).contains("another sealtail listens there"), "{}", text(&second));
    assert!(status(&world).is_some());
    world.start_receiver();
    assert_eq!(world.stop_agent(), Some(0));
}
