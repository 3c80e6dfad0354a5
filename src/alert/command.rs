//! A program of this machine: `argv` without a shell, the alert as JSON on its standard input.
//!
//! Arguments take names and numbers only: `{id}` and the others of [`PLACEHOLDERS`]. Text of lines (message, path, reason) reaches the
//! program by its standard input and no other way, so that no line becomes an option of it. The environment is empty but for
//! `PATH`; output is thrown away; an exit code other than 0 is a failure. Each run is a process group, which ends as a whole
//! when the time is over.

use super::Alert;
use super::deliver::Outcome;
use rustix::fs::Access;
use rustix::process::{Pid, Signal, kill_process_group};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// What an argument may name.
const PLACEHOLDERS: [&str; 13] = [
    "id",
    "decision",
    "severity",
    "alert",
    "host",
    "source",
    "stream",
    "seq",
    "time",
    "count",
    "first_seq",
    "last_seq",
    "notification",
];
/// Where a program finds others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether `{name}` stands for something.
pub fn is_placeholder(name: &str) -> bool {
    PLACEHOLDERS.contains(&name)
}

/// Whether the program could be run.
pub(super) fn check(argv: &[String]) -> Result<(), String> {
    let Some(program) = argv.first() else { return Err("argv is empty; name a program".into()) };
    let path = Path::new(program);
    let meta = std::fs::metadata(path).map_err(|e| format!("{program}: {e}; name a program that is there"))?;
    match meta.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok() {
        true => Ok(()),
        false => Err(format!("{program}: this user can't run it; run: chmod +x {program}, or name a program")),
    }
}

/// Runs it once, to its end.
pub(super) async fn run(argv: &[String], timeout: Duration, alert: &Alert) -> Outcome {
    let later = |why: String| Outcome::Later { why, after: None };
    let input = match serde_json::to_vec(alert) {
        Ok(input) => input,
        Err(error) => return Outcome::Refused { why: error.to_string() },
    };
    let Some((program, arguments)) = argv.split_first() else {
        return Outcome::Refused { why: "argv is empty".into() };
    };
    let mut command = Command::new(program);
    command.args(arguments.iter().map(|argument| filled(argument, alert)));
    command.env_clear().env("PATH", PATH).current_dir("/").process_group(0).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return later(format!("cannot start {program}: {error}")),
    };
    let group = Group::of(&child);
    match tokio::time::timeout(timeout, feed(&mut child, &input)).await {
        Ok(Ok(status)) => {
            // what it left running in the background is its own affair, and its number may be another's by now
            group.leave();
            if status.success() { Outcome::Delivered } else { later(format!("{program}: {status}")) }
        }
        Ok(Err(error)) => later(format!("{program}: {error}")),
        Err(_) => {
            drop(group);
            // killed: it ends at once, and is waited for so that no zombie stays
            drop(child.wait().await);
            later(format!("{program}: still running after {timeout:?}, and killed"))
        }
    }
}

async fn feed(child: &mut Child, input: &[u8]) -> std::io::Result<std::process::ExitStatus> {
    if let Some(mut stdin) = child.stdin.take() {
        // a program that doesn't read has what it needs in its arguments
        drop(stdin.write_all(input).await);
    }
    child.wait().await
}

/// A process group that is killed when it is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // it may be gone already
            let _: Result<(), _> = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// An argument with its placeholders replaced.
fn filled(argument: &str, alert: &Alert) -> String {
    let mut text = String::with_capacity(argument.len());
    let mut rest = argument;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        match after.split_once('}') {
            Some((name, after)) if is_placeholder(name) => {
                text.push_str(&value(name, alert));
                rest = after;
            }
            _ => {
                text.push('{');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

/// What a placeholder stands for. An id may come from a line: it is kept from looking like an option or anything but a name.
fn value(name: &str, alert: &Alert) -> String {
    match name {
        "id" => {
            let plain = |c: char| if c.is_alphanumeric() || "._:/-".contains(c) { c } else { '_' };
            let id: String = alert.id.chars().map(plain).collect();
            if id.starts_with('-') { format!("_{id}") } else { id }
        }
        "decision" => format!("{:?}", alert.decision).to_lowercase(),
        "severity" => alert.severity.map_or("none".to_owned(), |severity| format!("{severity:?}").to_lowercase()),
        "alert" => alert.alert.clone(),
        "host" => alert.host.clone(),
        "source" => alert.source.clone(),
        "stream" => alert.stream.to_string(),
        "seq" => alert.seq.to_string(),
        "time" => alert.time.clone(),
        "count" => alert.count.to_string(),
        "first_seq" => alert.first_seq.to_string(),
        "last_seq" => alert.last_seq.to_string(),
        _ => alert.notification.clone(),
    }
}
