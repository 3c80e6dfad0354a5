//! Which files are within reach: Landlock, which the kernel asks besides modes and capabilities. What was given up can't be had
//! again while the process runs. A new file in a folder is within reach as the folder is; one that is replaced needs its folder.

use super::ports::Ports;
use crate::durable::real;
use landlock::{
    ABI, Access, AccessFs, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    path_beneath_rules,
};
use std::path::{Path, PathBuf};

/// The rights that are handled are those of Linux 6.10; an older kernel enforces those that it knows.
pub(super) const RIGHTS: ABI = ABI::V5;

/// Under this is everything.
pub(super) const ALL: &str = "/";
/// What every program reads: libraries, certificates that the machine trusts, names and how they are looked up, itself.
const SYSTEM: [&str; 15] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/proc/self",
    "/proc/sys",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    "/dev/null",
    "/dev/urandom",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/secrets",
    "/var/lib/ca-certificates",
];
/// Variables that name further files of that kind.
const VARIABLES: [&str; 7] = [
    "CREDENTIALS_DIRECTORY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// Folders and files that a command works with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    /// What it reads.
    pub read: Vec<PathBuf>,
    /// What it reads and writes.
    pub write: Vec<PathBuf>,
}

impl Places {
    /// The same by their real paths, with those of the system. What is read and not there yet is within reach by the nearest
    /// folder that is there; what is written by the one around it, as a target's folder may be a disk's that is missing.
    pub(super) fn resolved(&self) -> Self {
        let system = SYSTEM.iter().map(PathBuf::from).filter(|path| path.exists());
        let named = VARIABLES.iter().filter_map(std::env::var_os).map(PathBuf::from);
        let home = std::env::home_dir().map(|home| home.join(".aws")).filter(|folder| folder.exists());
        let named = named.flat_map(|path| [path.parent().map(Path::to_owned), path.is_dir().then_some(path)]).flatten();
        let read = self.read.iter().filter_map(|path| nearest(path)).chain(named).chain(home).chain(system);
        let real = |path: PathBuf| path.canonicalize().unwrap_or(path);
        let there = |path: &PathBuf| match path.parent() {
            Some(folder) if !path.exists() => {
                tracing::warn!(path = %path.display(), "not there: until the next start all of the folder around it can be written ([hardening] landlock)");
                folder.to_owned()
            }
            _ => path.clone(),
        };
        let write = self.write.iter().map(there).map(real).collect();
        Self { read: read.map(real).collect(), write }
    }

    /// What of other places is out of reach of whoever is confined to these.
    pub(super) fn lack(&self, other: &Places) -> Option<PathBuf> {
        let is_within = |path: &PathBuf, all: &[PathBuf]| all.iter().any(|place| real(path).starts_with(place));
        let read = other.read.iter().find(|path| !is_within(path, &self.read) && !is_within(path, &self.write));
        read.or_else(|| other.write.iter().find(|path| !is_within(path, &self.write))).cloned()
    }
}

fn nearest(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|folder| folder.exists()).map(Path::to_owned)
}

/// Gives up all other files and TCP ports, and the execution of any file, for this thread and all that it starts. In one go: a set of
/// rules that says nothing of files forbids to move them to another folder.
pub(super) fn confine(places: &Places, ports: &Ports) -> Result<RestrictionStatus, RulesetError> {
    let reads_all = places.read.iter().any(|place| place == Path::new(ALL));
    let handled = match reads_all {
        true => AccessFs::from_write(RIGHTS) | AccessFs::Execute,
        false => AccessFs::from_all(RIGHTS),
    };
    let mut ruleset = Ruleset::default().handle_access(handled)?.handle_access(ports.handled())?.create()?;
    if !reads_all {
        let read = AccessFs::from_read(RIGHTS) & !AccessFs::Execute;
        ruleset = ruleset.add_rules(path_beneath_rules(&places.read, read))?;
    }
    let ruleset = ruleset.add_rules(path_beneath_rules(&places.write, handled & !AccessFs::Execute))?;
    ruleset.add_rules(ports.rules())?.restrict_self()
}

#[cfg(test)]
mod tests {
    use super::*;
    use landlock::RulesetStatus;
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_places_that_are_named_are_within_reach_and_links_lead_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["read", "write", "else"] {
            fs::create_dir(at(folder)).unwrap();
            fs::write(at(folder).join("file"), "").unwrap();
        }
        for reads_all in [false, true] {
            let read = if reads_all { PathBuf::from(ALL) } else { at("read") };
            let places = Places { read: vec![read], write: vec![at("write")] }.resolved();
            check(&places, reads_all, &at);
        }
    }

    fn check(places: &Places, reads_all: bool, at: &(impl Fn(&str) -> PathBuf + Sync)) {
        // on a thread of its own, since it is for good
        let work = || {
            let status = confine(places, &Ports::default()).unwrap().ruleset;
            fs::write(at("write/new"), "").unwrap();
            fs::create_dir_all(at("write/folder")).unwrap();
            fs::rename(at("write/new"), at("write/folder/new")).unwrap();
            if !reads_all {
                symlink(at("else"), at("write/link")).unwrap();
            }
            let opened =
                ["read/file", "write/file", "else/file", "write/link/file"].map(|name| File::open(at(name)).is_ok());
            let made =
                ["read/new", "else/new", "write/link/new"].map(|name| File::create(at(name)).map_err(|e| e.kind()));
            (status, opened, made.map(|result| result.err()))
        };
        let (status, opened, made) = std::thread::scope(|scope| scope.spawn(work).join().unwrap());
        if status == RulesetStatus::NotEnforced {
            assert!(std::env::var_os("CI").is_none(), "CI must have Landlock");
            return eprintln!("SKIPPED: this kernel has no Landlock");
        }
        assert_eq!(opened, [true, true, reads_all, reads_all]);
        assert_eq!(made, [Some(ErrorKind::PermissionDenied); 3]);
    }

    #[test]
    fn what_is_out_of_reach_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("read")).unwrap();
        fs::create_dir(at("write")).unwrap();
        symlink(at("else"), at("read/link")).unwrap();
        fs::create_dir(at("else")).unwrap();
        let places = Places { read: vec![at("read")], write: vec![at("write")] }.resolved();
        let read = |name: &str| places.lack(&Places { read: vec![at(name)], write: Vec::new() });
        assert_eq!((read("read/a/b"), read("write"), read("else")), (None, None, Some(at("else"))));
        assert_eq!(read("read/link/file"), Some(at("read/link/file")));
        let write = places.lack(&Places { read: Vec::new(), write: vec![at("read")] });
        assert_eq!(write, Some(at("read")));
        assert_eq!(places.lack(&Places { read: vec!["/etc/hosts".into()], write: Vec::new() }), None);
    }
}
