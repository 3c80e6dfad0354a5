//! The spool.

use super::Finding;
use crate::chain::stamp::parse_rfc3339;
use crate::spool;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Without that much no segment and no ledger can be written.
const FREE_MIN_BYTES: u64 = 64 << 20;
const INODES_MIN: u64 = 1000;
/// Heartbeats alone make batches far oftener.
const RECEIPT_AGE_MAX_S: u64 = 15 * 60;

/// File systems on which a spool is not what it seems, by the number that statfs(2) gives.
const SUSPECT: [(i64, &str, &str); 6] = [
    (0x0102_1994, "tmpfs", "what it holds is gone after a reboot"),
    (0x8584_58f6, "ramfs", "what it holds is gone after a reboot"),
    (0x794c_7630, "overlayfs", "what it holds is gone with the container"),
    (0x6969, "NFS", "an outage of the network stops reading, and locks may not keep a second agent out"),
    (0xff53_4d42, "SMB", "an outage of the network stops reading, and locks may not keep a second agent out"),
    (0x6573_5546, "FUSE", "whether fdatasync makes bytes durable is up to its program"),
];

/// Its disk, its file system, who has it, and when it last gave something away.
pub(super) fn spool(config: &spool::Config, proc: &Path) -> Vec<Finding> {
    let Some(nearest) = config.dir.ancestors().find(|folder| folder.exists()) else { return Vec::new() };
    let mut findings = vec![room(config, nearest), file_system(nearest), birth(nearest)];
    let holder = holder(&config.dir.join(".lock"), proc);
    match holder {
        Some(pid) => {
            findings.push(Finding::ok("spool", format!("process {pid} has it; a second agent can't start on it")))
        }
        None => findings.push(Finding::ok("spool", "no agent has it")),
    }
    if config.dir.exists() {
        findings.extend(receipts(&config.dir, holder.is_some()));
    }
    findings
}

fn room(config: &spool::Config, nearest: &Path) -> Finding {
    let Ok(disk) = rustix::fs::statvfs(nearest) else {
        return Finding::skip("disk", format!("{} tells no size", nearest.display()));
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let held = held(&config.dir);
    let what = format!(
        "{} MiB are free for the spool at {}, which may grow to {} MiB",
        free >> 20,
        nearest.display(),
        config.max_size_bytes >> 20
    );
    if free < FREE_MIN_BYTES || (disk.f_files > 0 && disk.f_favail < INODES_MIN) {
        let what = format!("{what}; {} inodes are free", disk.f_favail);
        return Finding::fail("disk", what, "make room, or put the spool on another disk ([spool] dir)");
    }
    match free + held < config.max_size_bytes {
        true => Finding::warn("disk", what, "make room, or set [spool] max_size lower; a full disk stops reading"),
        false => Finding::ok("disk", what),
    }
}

/// Bytes of files in a folder; what can't be seen doesn't count.
fn held(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => held(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn file_system(nearest: &Path) -> Finding {
    let Ok(found) = rustix::fs::statfs(nearest) else { return Finding::skip("disk", "its file system can't be told") };
    match SUSPECT.iter().find(|(number, ..)| *number == found.f_type) {
        Some((_, name, why)) => {
            let what = format!("the spool is on {name}: {why}");
            Finding::warn(
                "disk",
                what,
                "put it on a local disk that stays ([spool] dir; in a pod a hostPath or a volume claim)",
            )
        }
        None => Finding::ok("disk", "the spool is on a file system that stays"),
    }
}

/// By its time of birth a file is told from a later one on the same inode.
fn birth(nearest: &Path) -> Finding {
    match std::fs::metadata(nearest).and_then(|meta| meta.created()) {
        Ok(_) => Finding::ok("kernel", "files have a time of birth (statx)"),
        Err(_) => Finding::warn(
            "kernel",
            format!(
                "files of {} have no time of birth, so that they are known by their inode and content alone",
                nearest.display()
            ),
            "keep logs on ext4, XFS, Btrfs or tmpfs, and use Linux 4.11 or later",
        ),
    }
}

/// The process that holds a lock, as the kernel lists it: asking for the lock could keep an agent from starting.
fn holder(lock: &Path, proc: &Path) -> Option<u64> {
    let inode = std::fs::metadata(lock).ok()?.ino().to_string();
    let locks = std::fs::read_to_string(proc.join("locks")).ok()?;
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "FLOCK")?;
        let place = words.get(at + 4)?;
        (place.rsplit(':').next() == Some(inode.as_str())).then(|| words.get(at + 3)?.parse().ok())?
    })
}

fn receipts(dir: &Path, in_use: bool) -> Vec<Finding> {
    let receipts = match spool::last_receipts(dir) {
        Ok(receipts) => receipts,
        Err(spool::Error::Io { error, .. }) => {
            return vec![Finding::skip("spool", format!("its ledger can't be read: {error}"))];
        }
        Err(error) => {
            let mend = "stop the agent, and run `sealtail spool check --config FILE`";
            return vec![Finding::fail("spool", error.to_string(), mend)];
        }
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let of = |(name, stored): (String, Option<String>)| {
        let Some(stored) = stored else {
            return Finding::ok("spool", format!("target {name:?} gave no receipt so far"));
        };
        let at = parse_rfc3339(&stored).and_then(|ns| u64::try_from(ns / 1_000_000_000).ok()).unwrap_or(now);
        let age = now.saturating_sub(at);
        let what = format!("target {name:?} stored its last batch {age} s ago");
        match in_use && age > RECEIPT_AGE_MAX_S {
            true => Finding::warn("spool", what, "see what the agent's log says of this target"),
            false => Finding::ok("spool", what),
        }
    };
    receipts.into_iter().map(of).collect()
}
