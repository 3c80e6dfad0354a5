//! What a service manager hears, on a socket as systemd's.

use crate::world::{PATIENCE, World, await_that, has_strace, sealtail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The manager's end of the socket, and the command that it watches.
struct Manager {
    socket: UnixDatagram,
    child: Child,
}

impl Manager {
    /// Starts `command` with a socket of that name.
    fn start(mut command: Command, socket: UnixDatagram, name: &str) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        command.env("NOTIFY_SOCKET", name).env("WATCHDOG_USEC", "600000").stderr(Stdio::null());
        Self { socket, child: command.spawn().unwrap() }
    }

    fn start_on_path(command: Command, world: &World) -> Self {
        let name = world.text_path("notify");
        Self::start(command, UnixDatagram::bind(&name).unwrap(), &name)
    }

    fn hear(&self) -> String {
        let mut datagram = [0; 4096];
        let len = self.socket.recv(&mut datagram).expect("the command says something");
        String::from_utf8(datagram[..len].to_vec()).unwrap()
    }

    /// What comes before, and then this.
    fn hear_until(&self, beginning: &str) -> Vec<String> {
        let mut heard = vec![self.hear()];
        while !heard.last().unwrap().starts_with(beginning) {
            heard.push(self.hear());
        }
        heard
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit code of a stop that is told of.
    fn stop(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.hear_until("STOPPING=1");
        self.child.wait().unwrap().code()
    }

    /// The files are read again between two notes, with the time by which systemd knows that it was its own signal.
    fn assert_reloads(&self) {
        self.signal(Signal::HUP);
        let reloading = self.hear_until("RELOADING=1").pop().unwrap();
        let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(micros.parse::<u64>().is_ok_and(|micros| micros > 0), "{reloading}");
        let then = self.hear_until("READY=1");
        assert!(then.iter().all(|note| !note.starts_with("STOPPING")), "{then:?}");
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // what strace runs would outlive it
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            let _: Result<(), _> = kill_process(child, Signal::KILL);
        }
        // it may be gone already
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Of the only file of the only stream, which is still being written.
fn first_line(spool: &Path) -> Value {
    let mut path = spool.to_owned();
    while path.is_dir() {
        let mut entries = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
        path = entries.find(|path| path.is_dir() || path.extension().is_some_and(|name| name == "zst")).unwrap();
    }
    let mut line = String::new();
    BufReader::new(zstd::Decoder::new(fs::File::open(path).unwrap()).unwrap()).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

#[test]
fn an_agent_is_ready_once_its_genesis_is_durable() {
    let world = World::new();
    world.append("line\n");
    let manager = Manager::start_on_path(sealtail(&["run", "--config", &world.config()]), &world);
    let before = manager.hear_until("READY=1");
    assert!(before[0].starts_with("STATUS=1 sources, "), "{before:?}");
    assert!(!before.iter().any(|note| note.starts_with("WATCHDOG")), "{before:?}");
    assert_eq!(first_line(&world.path("q/spool"))["h"]["type"], "genesis");
    manager.hear_until("WATCHDOG=1");
    manager.hear_until("WATCHDOG=1");
    manager.assert_reloads();
    assert_eq!(manager.stop(), Some(0));
}

#[test]
fn a_receiver_is_ready_once_it_listens() {
    let world = World::new();
    // the other kind of address that systemd may name
    let name = format!("sealtail-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let manager = Manager::start(sealtail(&["receive", "--config", &world.config()]), socket, &format!("@{name}"));
    let status = manager.hear();
    let address = status.strip_prefix("STATUS=receiving on ").unwrap_or_else(|| panic!("{status}"));
    manager.hear_until("READY=1");
    TcpStream::connect(address).unwrap();
    manager.hear_until("WATCHDOG=1");
    manager.assert_reloads();
    manager.hear_until("WATCHDOG=1");
    assert_eq!(manager.stop(), Some(0));
}

/// strace holds up each fdatasync but the first ones, as a disk that hangs: no sign of life is sent meanwhile, and
/// again when the disk is well.
#[test]
fn an_agent_whose_disk_hangs_gives_no_sign_of_life() {
    if !has_strace() {
        return;
    }
    let world = World::new();
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"])
        .args(["-e", "inject=fdatasync:delay_enter=5s:when=4"])
        .args([env!("CARGO_BIN_EXE_sealtail"), "run", "--config", &world.config()]);
    let manager = Manager::start_on_path(command, &world);
    manager.hear_until("READY=1");
    let mut lines = 0;
    await_that("a look at which no sign of life was given", || {
        lines += 1;
        world.append(format!("line {lines}\n"));
        let heard = manager.hear_until("STATUS=");
        heard.len() == 1
    });
    manager.hear_until("WATCHDOG=1");
}

#[test]
fn a_socket_that_is_none_stops_nobody() {
    let world = World::new();
    world.append("line\n");
    let mut agent = sealtail(&["run", "--config", &world.config()])
        .env("NOTIFY_SOCKET", world.path("nobody"))
        .env("WATCHDOG_USEC", "much")
        .stderr(fs::File::create(world.path("agent.log")).unwrap())
        .spawn()
        .unwrap();
    await_that("it is said", || world.agent_log().contains("could not be told"));
    kill_process(Pid::from_child(&agent), Signal::TERM).unwrap();
    assert_eq!(agent.wait().unwrap().code(), Some(0));
}
