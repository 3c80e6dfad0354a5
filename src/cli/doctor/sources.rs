//! What is to be read.

use super::Finding;
use crate::cli::found::{self, Presence};
use crate::config::Agent;
use crate::source::{self, Preview};
use std::path::Path;

/// Where journald is configured; later files win.
const JOURNALD: [&str; 2] = ["/etc/systemd/journald.conf", "/etc/systemd/journald.conf.d"];

/// What the patterns of each source of files find.
pub(super) fn previews(agent: &Agent) -> Vec<(String, Preview)> {
    let files = agent.sources.iter().filter_map(|source| match source {
        source::Config::File(file) => Some((file.name.clone(), source::preview(file).ok()?)),
        _ => None,
    });
    files.collect()
}

/// Folders that are watched.
pub(super) fn folders(found: &[(String, Preview)]) -> usize {
    found.iter().map(|(_, preview)| preview.folders).sum()
}

/// Everything of every source.
pub(super) fn examine(agent: &Agent, found: &[(String, Preview)]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = found.iter().flat_map(|(name, preview)| files(name, preview)).collect();
    let journals = agent.sources.iter().filter_map(|source| match source {
        source::Config::Journald(journal) => Some(journal),
        _ => None,
    });
    findings.extend(journals.map(|journal| match found::journal_in(&journal.directories) {
        Presence::Readable => Finding::ok("journald", "its files may be read"),
        Presence::Closed => Finding::fail(
            "journald",
            "its files are there, and this user may not read them",
            "usermod -aG systemd-journal USER, or SupplementaryGroups=systemd-journal in the unit",
        ),
        Presence::Absent => Finding::warn(
            "journald",
            "no journal is there",
            "mkdir -p /var/log/journal and restart systemd-journald, or mount the host's",
        ),
    }));
    if agent.sources.iter().any(|source| matches!(source, source::Config::Journald(_))) {
        findings.extend(journald());
    }
    findings
}

fn files(name: &str, preview: &Preview) -> Vec<Finding> {
    let mut findings: Vec<Finding> = preview
        .closed
        .iter()
        .map(|(path, error)| {
            let mend =
                format!("let the agent's user read it: group adm, or setfacl -m u:sealtail:rX {}", path.display());
            Finding::fail("sources", format!("{name}: {}: {error}", path.display()), mend)
        })
        .collect();
    match (preview.files, findings.is_empty()) {
        (0, true) => findings.push(Finding::warn(
            "sources",
            format!("{name}: no file matches"),
            "see its include; files that are made later are found",
        )),
        (files, _) => {
            findings.push(Finding::ok("sources", format!("{name}: {files} files in {} folders", preview.folders)))
        }
    }
    findings
}

/// What journald itself drops or forgets.
fn journald() -> Vec<Finding> {
    let kept = Path::new("/var/log/journal").exists();
    let storage = if setting("Storage").is_some_and(|value| value == "volatile" || value == "none") || !kept {
        Finding::warn(
            "journald",
            "it keeps its entries in memory: what was not read at a reboot is gone",
            "mkdir -p /var/log/journal, and Storage=persistent in journald.conf",
        )
    } else {
        Finding::ok("journald", "it keeps its entries on disk")
    };
    let burst = setting("RateLimitBurst").unwrap_or_else(|| "10000".to_owned());
    let interval = setting("RateLimitIntervalSec").unwrap_or_else(|| "30s".to_owned());
    let limit = match burst == "0" || matches!(interval.as_str(), "0" | "0s") {
        true => Finding::ok("journald", "it drops nothing for being much"),
        false => Finding::ok(
            "journald",
            format!("it drops what a service logs beyond {burst} entries in {interval} (RateLimitBurst=0 ends that)"),
        ),
    };
    vec![storage, limit]
}

/// The last value of a key.
fn setting(key: &str) -> Option<String> {
    let [file, folder] = JOURNALD;
    let mut files: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let texts =
        std::iter::once(Path::new(file).to_owned()).chain(files).filter_map(|path| std::fs::read_to_string(path).ok());
    let mut values = texts.filter_map(|text| {
        let value =
            text.lines().filter_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('=')).next_back();
        value.map(|value| value.trim().to_owned())
    });
    values.next_back()
}
