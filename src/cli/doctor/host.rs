//! Limits, clock, kernel, systemd.

use super::Finding;
use crate::agent::memory_limit;
use crate::chain::memory;
use rustix::process::{Resource, getrlimit};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Descriptors with which sources hold as many files open as they may.
const DESCRIPTORS: u64 = 1024;
/// This version was made after that: 2026-01-01. A clock before it is wrong.
const MADE_UNIX_S: u64 = 1_767_225_600;
/// No machine runs a version for so long.
const MADE_LONG_AGO_UNIX_S: u64 = MADE_UNIX_S + 30 * 365 * 86_400;

/// Everything; `folders` are to be watched, and `memory_bytes` may be used.
pub(super) fn examine(proc: &Path, config: &Path, folders: usize, memory_bytes: Option<u64>) -> Vec<Finding> {
    let mut findings = vec![watches(proc, folders), instances(proc), descriptors(), open_files(proc), locked_memory()];
    findings.extend([clock(config), synchronised(), landlock(), seccomp(proc)]);
    findings.extend(memory_bytes.map(|wanted| within_group(wanted, memory_limit())));
    findings.extend(systemd());
    findings
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}

fn watches(proc: &Path, folders: usize) -> Finding {
    let path = proc.join("sys/fs/inotify/max_user_watches");
    let Some(most) = number(&path) else {
        return Finding::skip("inotify", format!("{} can't be read", path.display()));
    };
    // other programs of this user need some too
    let wanted = 2 * folders as u64 + 64;
    let what =
        format!("{folders} folders are to be watched, this user may have {most} watches (fs.inotify.max_user_watches)");
    match most < wanted {
        true => Finding::warn(
            "inotify",
            what,
            format!(
                "sysctl fs.inotify.max_user_watches={}; until then files are looked at each second",
                wanted.next_power_of_two()
            ),
        ),
        false => Finding::ok("inotify", what),
    }
}

fn instances(proc: &Path) -> Finding {
    const WANTED: u64 = 32;
    let path = proc.join("sys/fs/inotify/max_user_instances");
    match number(&path) {
        None => Finding::skip("inotify", format!("{} can't be read", path.display())),
        Some(most) if most < WANTED => Finding::warn(
            "inotify",
            format!("this user may have {most} instances (fs.inotify.max_user_instances)"),
            "sysctl fs.inotify.max_user_instances=128",
        ),
        Some(most) => Finding::ok("inotify", format!("{most} instances for this user")),
    }
}

fn descriptors() -> Finding {
    let limit = getrlimit(Resource::Nofile).current;
    match limit {
        Some(limit) if limit < DESCRIPTORS => Finding::warn(
            "descriptors",
            format!(
                "a process of this user may have {limit} files open, so that sources open and close theirs in turns"
            ),
            format!("LimitNOFILE={DESCRIPTORS} in the unit, or ulimit -n {DESCRIPTORS}"),
        ),
        Some(limit) => Finding::ok("descriptors", format!("{limit} for a process of this user")),
        None => Finding::ok("descriptors", "no limit for a process of this user"),
    }
}

/// Of the whole machine: `file-nr` has those in use, a zero, and the most.
fn open_files(proc: &Path) -> Finding {
    let path = proc.join("sys/fs/file-nr");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [used, _, most] = numbers[..] else {
        return Finding::skip("descriptors", format!("{} can't be read", path.display()));
    };
    match used > most / 10 * 9 {
        true => Finding::warn(
            "descriptors",
            format!("the machine has {used} of {most} files open (fs.file-max)"),
            format!("sysctl fs.file-max={}", most.saturating_mul(2)),
        ),
        false => Finding::ok("descriptors", format!("the machine has {used} of {most} files open")),
    }
}

fn locked_memory() -> Finding {
    match memory::kind() {
        Ok(kind) => Finding::ok("keys", format!("key memory is kept out of swap by {kind}")),
        Err(error) => Finding::fail(
            "keys",
            format!("no memory can be kept out of swap: {error}"),
            "LimitMEMLOCK=8M in the unit, or ulimit -l 8192",
        ),
    }
}

/// What the configuration allows, and what the control group does.
fn within_group(wanted: u64, limit: Option<u64>) -> Finding {
    let wanted_mib = wanted >> 20;
    match limit {
        Some(limit) if limit / 8 * 7 < wanted => Finding::warn(
            "memory",
            format!(
                "[resources] memory is {wanted_mib} MiB, and this control group may have {} MiB: the agent keeps to seven eighths of that",
                limit >> 20
            ),
            format!(
                "give the pod or the unit {} MiB (limits.memory, MemoryMax=), or lower [resources] memory",
                wanted_mib * 8 / 7 + 1
            ),
        ),
        _ => Finding::ok(
            "memory",
            format!("the agent is to keep to {wanted_mib} MiB, which this shell's or pod's control group may have"),
        ),
    }
}

fn clock(config: &Path) -> Finding {
    const MEND: &str = "set the clock, and keep it by NTP: lines and certificates go by it";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    if !(MADE_UNIX_S..MADE_LONG_AGO_UNIX_S).contains(&now.as_secs()) {
        return Finding::fail("clock", format!("it says {} s since 1970, which can't be", now.as_secs()), MEND);
    }
    let written = std::fs::metadata(config).and_then(|meta| meta.modified()).ok();
    let written = written.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    match written.saturating_sub(now).as_secs() {
        ahead if ahead > 60 => {
            Finding::fail("clock", format!("{} was written {ahead} s after now", config.display()), MEND)
        }
        _ => Finding::ok("clock", "the year may be right"),
    }
}

/// Whether the kernel's clock follows another, as systemd asks it.
fn synchronised() -> Finding {
    let asked = Command::new("timedatectl").args(["show", "--property=NTPSynchronized", "--value"]).output();
    match asked.as_ref().map(|output| output.stdout.as_slice()) {
        Ok(b"yes\n") => Finding::ok("clock", "it is synchronised"),
        Ok(b"no\n") => Finding::warn("clock", "it follows no other clock", "timedatectl set-ntp true, or run chrony"),
        _ => Finding::skip("clock", "whether it is synchronised can't be told: timedatectl gives no answer"),
    }
}

fn landlock() -> Finding {
    let path = Path::new("/sys/kernel/security/lsm");
    match std::fs::read_to_string(path) {
        Ok(modules) if modules.split(',').any(|name| name.trim() == "landlock") => {
            Finding::ok("kernel", "it has Landlock")
        }
        Ok(_) => Finding::warn(
            "kernel",
            "it has no Landlock, so that the agent can't shut itself out of files",
            "boot with lsm=landlock,… (Linux 5.13 or later)",
        ),
        Err(error) => {
            Finding::skip("kernel", format!("whether it has Landlock can't be told: {}: {error}", path.display()))
        }
    }
}

fn seccomp(proc: &Path) -> Finding {
    let path = proc.join("sys/kernel/seccomp/actions_avail");
    match path.exists() {
        true => Finding::ok("kernel", "it has seccomp filters"),
        false => Finding::warn(
            "kernel",
            format!("it has no seccomp filters ({} is not there)", path.display()),
            "use a kernel with CONFIG_SECCOMP_FILTER",
        ),
    }
}

fn systemd() -> Option<Finding> {
    Path::new("/run/systemd/system").exists().then(|| {
        let shown = ["--property=LoadState", "--property=ActiveState", "--property=Result", "--property=NRestarts"];
        let asked = Command::new("systemctl").arg("show").arg("sealtail.service").args(shown).output();
        let Ok(output) = asked else { return Finding::skip("systemd", "systemctl gives no answer") };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let property = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default().to_owned()
        };
        let (load, active, result) = (property("LoadState"), property("ActiveState"), property("Result"));
        const MEND: &str = "journalctl -u sealtail says why; then systemctl restart sealtail";
        match (load.as_str(), active.as_str()) {
            ("loaded", "failed") => Finding::fail("systemd", format!("sealtail.service failed: {result}"), MEND),
            ("loaded", _) if property("NRestarts").parse().is_ok_and(|count: u64| count > 0) => Finding::warn(
                "systemd",
                format!("sealtail.service is {active}, and was started again {} times", property("NRestarts")),
                MEND,
            ),
            ("loaded", _) => Finding::ok("systemd", format!("sealtail.service is {active}")),
            _ => Finding::skip("systemd", "there is no sealtail.service"),
        }
    })
}
