//! This process, as the kernel counts it.

use crate::telemetry::status::Process;
use rustix::process::{Resource, getrlimit};

/// Nothing where the kernel doesn't tell.
pub(super) fn look() -> Process {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    // the name, in brackets, may hold anything
    let fields: Vec<&str> = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let number = |text: Option<&&str>| text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    // utime and stime, the 14th and 15th of proc(5); what is left begins with the 3rd
    let ticks = number(fields.get(11)) + number(fields.get(12));
    let pages = number(statm.split(' ').collect::<Vec<_>>().get(1));
    Process {
        cpu_s: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        resident_bytes: pages * rustix::param::page_size() as u64,
        // without the one that reads the folder
        open_fds: std::fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count().saturating_sub(1) as u64),
        max_fds: getrlimit(Resource::Nofile).current.unwrap_or(0),
    }
}
