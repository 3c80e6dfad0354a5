//! This process, as the kernel counts it.

use crate::telemetry::status::Process;
use rustix::process::{Resource, getrlimit};
use std::fs::read_to_string;
use std::path::Path;

/// Nothing where the kernel doesn't tell.
pub(super) fn look() -> Process {
    let stat = read_to_string("/proc/self/stat").unwrap_or_default();
    // the name, in brackets, may hold anything
    let fields: Vec<&str> = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let number = |text: Option<&&str>| text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    // utime and stime, the 14th and 15th of proc(5); what is left begins with the 3rd
    let ticks = number(fields.get(11)) + number(fields.get(12));
    Process {
        cpu_s: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        resident_bytes: resident_bytes(),
        // without the one that reads the folder
        open_fds: std::fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count().saturating_sub(1) as u64),
        max_fds: getrlimit(Resource::Nofile).current.unwrap_or(0),
        ..Process::default()
    }
}

/// Memory that is resident.
pub(super) fn resident_bytes() -> u64 {
    // the second of statm, proc(5)
    let statm = read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

/// What its control group may have (cgroups(7), version 2); None where nothing bounds it.
pub fn memory_limit() -> Option<u64> {
    limit_of(&read_to_string("/proc/self/cgroup").ok()?, Path::new("/sys/fs/cgroup"))
}

fn limit_of(groups: &str, root: &Path) -> Option<u64> {
    let own = root.join(groups.lines().find_map(|line| line.strip_prefix("0::/"))?);
    let within = own.ancestors().take_while(|folder| folder.starts_with(root));
    // "max" is no number
    within.filter_map(|folder| read_to_string(folder.join("memory.max")).ok()?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_least_of_the_groups_around_it_counts() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("pods/one");
        fs::create_dir_all(&group).unwrap();
        let limit = || limit_of("1:name=systemd:/other\n0::/pods/one\n", root.path());
        assert_eq!(limit(), None);
        fs::write(group.join("memory.max"), "max\n").unwrap();
        assert_eq!(limit(), None);
        fs::write(root.path().join("pods/memory.max"), "134217728\n").unwrap();
        assert_eq!(limit(), Some(128 << 20));
        fs::write(group.join("memory.max"), "67108864\n").unwrap();
        assert_eq!(limit(), Some(64 << 20));
        assert!(resident_bytes() > 1 << 20);
    }
}
