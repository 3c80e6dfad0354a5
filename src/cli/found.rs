//! Logs that this machine has.

use std::fs::File;
use std::path::Path;

/// Logs of one kind.
pub(super) struct Group {
    /// What a source of them is called.
    pub(super) name: &'static str,
    /// Patterns of files that this user may read.
    pub(super) readable: Vec<String>,
    /// Patterns of files that are there, and that this user may not read.
    pub(super) closed: Vec<String>,
}

/// Where hosts keep text logs.
const TEXT_LOGS: [(&str, &[&str]); 4] = [
    ("logs", &["/var/log/*.log", "/var/log/syslog", "/var/log/messages", "/var/log/secure", "/var/log/cron"]),
    ("packages", &["/var/log/apt/*.log"]),
    ("audit", &["/var/log/audit/audit.log"]),
    ("web", &["/var/log/nginx/*.log", "/var/log/apache2/*.log", "/var/log/httpd/*_log"]),
];

/// Where containers of this node write: `<pod>/<container>/<restart>.log`.
const PODS: &str = "/var/log/pods";

const JOURNALS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// Whether something is there, and whether this user may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is there, and may be read.
    Readable,
    /// It is there, and may not be read.
    Closed,
    /// It is not there.
    Absent,
}

/// The text logs of this machine, by kind; kinds that it has none of are left out.
pub(super) fn text_logs() -> Vec<Group> {
    let group = |(name, globs): (&'static str, &[&str])| {
        let with =
            |presence| globs.iter().filter(move |glob| matching(glob) == presence).map(|glob| (*glob).to_owned());
        Group { name, readable: with(Presence::Readable).collect(), closed: with(Presence::Closed).collect() }
    };
    let groups = TEXT_LOGS.into_iter().map(group);
    groups.filter(|group| !group.readable.is_empty() || !group.closed.is_empty()).collect()
}

/// Whether this is a node of Kubernetes, with logs of containers.
pub(super) fn pods() -> bool {
    std::fs::read_dir(PODS).is_ok_and(|mut entries| entries.next().is_some())
}

/// systemd's journal, where it is as a rule.
pub(super) fn journal() -> Presence {
    journal_in(&JOURNALS)
}

/// systemd's journal in these folders.
pub(super) fn journal_in(folders: &[impl AsRef<Path>]) -> Presence {
    let machines = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    let machines =
        machines.filter(|entry| entry.path().is_dir()).map(|machine| match std::fs::read_dir(machine.path()) {
            Ok(files) => all(files
                .flatten()
                .map(|file| file.path())
                .filter(|path| path.extension().is_some_and(|e| e == "journal"))),
            Err(_) => Presence::Closed,
        });
    machines.fold(Presence::Absent, better)
}

/// What a pattern finds whose last part alone may begin with a star.
fn matching(glob: &str) -> Presence {
    let (folder, name) = glob.rsplit_once('/').unwrap_or(("/", glob));
    let fits = |file: &str| name.strip_prefix('*').map_or(file == name, |suffix| file.ends_with(suffix));
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // what is in it can't be told; that it is there can
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Presence::Closed,
        Err(_) => return Presence::Absent,
    };
    all(entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(fits)).map(|entry| entry.path()))
}

fn all(files: impl Iterator<Item = impl AsRef<Path>>) -> Presence {
    files.fold(Presence::Absent, |presence, file| better(presence, readable(file.as_ref())))
}

/// A file.
pub(super) fn readable(path: &Path) -> Presence {
    match File::open(path) {
        Ok(_) => Presence::Readable,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Presence::Absent,
        Err(_) => Presence::Closed,
    }
}

fn better(a: Presence, b: Presence) -> Presence {
    match (a, b) {
        (Presence::Readable, _) | (_, Presence::Readable) => Presence::Readable,
        (Presence::Closed, _) | (_, Presence::Closed) => Presence::Closed,
        _ => Presence::Absent,
    }
}
