//! What a command that runs on gives up before it takes anything from outside: files, ports, rights and system calls that nothing
//! in it needs and that whoever took it over would want. All are the process's for good, and that of what it starts.

mod capabilities;
mod files;
mod ports;

pub use files::Places;
pub use ports::Ports;

use landlock::{ABI, LandlockStatus, RestrictionStatus};
use rustix::process::{DumpableBehavior, Resource, Rlimit, dumpable_behavior, set_dumpable_behavior, setrlimit};
use rustix::thread::CapabilitySet;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// `[hardening]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Whether system calls are denied.
    pub seccomp: bool,
    /// Whether files are: to write and to execute them, and also to read them where `more` has any to read; and TCP ports.
    pub landlock: bool,
    /// Whether capabilities are given up.
    pub drop_capabilities: bool,
    /// Folders that are within reach besides what the configuration names.
    pub more: Places,
    /// TCP ports that may be connected to besides those that the configuration names. With any, no others may.
    pub connect: BTreeSet<u16>,
    /// Whether what can't be denied ends the command; else it is said in the log.
    pub require: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seccomp: true,
            landlock: true,
            drop_capabilities: true,
            more: Places::default(),
            connect: BTreeSet::new(),
            require: false,
        }
    }
}

/// What a command works with; all else is given up.
#[derive(Clone, Debug, PartialEq)]
pub struct Needs {
    /// Files.
    pub places: Places,
    /// TCP ports.
    pub ports: Ports,
    /// Other programs, and nobody knows what files and ports those need.
    pub may_execute: bool,
    /// Of the rights of root, where it has them.
    pub capabilities: CapabilitySet,
}

/// What was given up.
#[derive(Clone, Debug)]
pub struct Confined {
    /// None: all files are within reach.
    places: Option<Places>,
    /// None: all TCP ports are.
    ports: Option<Ports>,
    /// What is gone of the rights that it had.
    dropped: CapabilitySet,
    has_seccomp: bool,
    has_dropped: bool,
}

impl Confined {
    /// Each guard by its name, and whether it is in force.
    pub fn guards(&self) -> [(&'static str, bool); 6] {
        let is_undumpable = dumpable_behavior() == Ok(DumpableBehavior::NotDumpable);
        [
            ("undumpable", is_undumpable),
            ("capabilities", self.has_dropped),
            ("landlock_files", self.places.is_some()),
            ("landlock_bind", self.ports.is_some()),
            ("landlock_connect", self.ports.as_ref().is_some_and(|ports| ports.connect.is_some())),
            ("seccomp", self.has_seccomp),
        ]
    }

    /// What of other needs is out of reach.
    pub fn lack(&self, other: &Needs) -> Option<String> {
        let file = self.places.as_ref().and_then(|places| places.lack(&other.places));
        let file = file.map(|path| path.display().to_string());
        let port = || self.ports.as_ref().and_then(|ports| ports.lack(&other.ports));
        let right = || {
            let lost = (self.dropped & other.capabilities).iter_names().next();
            lost.map(|(name, _)| format!("CAP_{name}"))
        };
        file.or_else(port).or_else(right)
    }
}

/// No core dumps of this process, and nobody of the same user attaches to it: who did would get at keys to come. To be called before
/// there are any.
pub fn forbid_dumps() -> rustix::io::Result<()> {
    let undumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    undumpable.and(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }))
}

/// Of other processes, the kernel, its keys, mounts and namespaces.
const DENIED: [i64; 43] = [
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // around all folders, for whoever may read every file
    libc::SYS_open_by_handle_at,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
];
/// Of other programs.
const EXECUTE: [i64; 2] = [libc::SYS_execve, libc::SYS_execveat];

/// Gives up all that is not needed, for this thread and all that it starts, so it is to be called before there are others. No file can
/// give this process rights any more (`no_new_privs`). What can't be had is an error only where it is required.
pub fn confine(config: &Config, needs: &Needs) -> Result<Confined, String> {
    let (places, ports) = match config.landlock && !needs.may_execute {
        true => confine_reach(config, needs)?,
        false => (None, None),
    };
    if !config.connect.is_empty() && ports.is_none() {
        let why = "TCP ports can't be bounded: that takes `landlock`, Linux 6.7, and no [[alert]] of type \"command\"";
        lacking(config, &format!("[hardening] connect: {why}"))?;
    }
    let dropped = if config.drop_capabilities { drop_capabilities(config, needs)? } else { None };
    let has_seccomp = config.seccomp && confine_calls(config, needs.may_execute)?;
    let has_dropped = dropped.is_some();
    Ok(Confined { places, ports, dropped: dropped.unwrap_or(CapabilitySet::empty()), has_seccomp, has_dropped })
}

fn confine_calls(config: &Config, may_execute: bool) -> Result<bool, String> {
    match deny(may_execute) {
        Ok(()) => {
            tracing::debug!(may_execute, "system calls that nothing here needs are denied from now on");
            Ok(true)
        }
        Err(error) => {
            lacking(config, &format!("[hardening] seccomp: system calls can't be denied here: {error}")).map(|()| false)
        }
    }
}

/// What is read is out of reach only where that is asked for: links among logs may lead elsewhere tomorrow.
fn confine_reach(config: &Config, needs: &Needs) -> Result<(Option<Places>, Option<Ports>), String> {
    let [read, write] = [(&needs.places.read, &config.more.read), (&needs.places.write, &config.more.write)]
        .map(|(all, more)| all.iter().chain(more).cloned().collect());
    let read = if config.more.read.is_empty() { vec![files::ALL.into()] } else { read };
    let places = Places { read, write }.resolved();
    let why = match files::confine(&places, &needs.ports) {
        Ok(RestrictionStatus { landlock: LandlockStatus::Available { effective_abi, .. }, .. }) => {
            if effective_abi < files::RIGHTS {
                tracing::info!(
                    "this kernel's Landlock is older than Linux 6.10's: it denies less than it could (TCP ports since 6.7)"
                );
            }
            let has_ports = effective_abi >= ABI::V4;
            return Ok((Some(places), has_ports.then(|| needs.ports.clone())));
        }
        Ok(_) => "this kernel has no Landlock".to_owned(),
        Err(error) => error.to_string(),
    };
    lacking(config, &format!("[hardening] landlock: files can't be denied here: {why}")).map(|()| (None, None))
}

fn drop_capabilities(config: &Config, needs: &Needs) -> Result<Option<CapabilitySet>, String> {
    let dropped = match capabilities::keep_only(needs.capabilities) {
        Ok(dropped) => dropped,
        Err(error) => {
            let why = format!("[hardening] drop_capabilities: they can't be given up here: {error}");
            return lacking(config, &why).map(|()| None);
        }
    };
    match needs.may_execute && !dropped.is_empty() {
        true => {
            tracing::info!(kept = ?needs.capabilities, "the programs of alerts have no more of root's rights than the agent keeps ([hardening] drop_capabilities)")
        }
        false => tracing::debug!(?dropped, "capabilities that nothing here needs are given up"),
    }
    if dropped.contains(CapabilitySet::DAC_OVERRIDE) {
        needs.places.write.iter().collect::<BTreeSet<_>>().into_iter().filter(|path| is_denied(path)).for_each(|path| {
            let path = path.display();
            tracing::warn!("{path} can't be written: it belongs to another user, and root's right to write it all the same was given up ([hardening] drop_capabilities); run as that user, or `chown` it");
        });
    }
    Ok(Some(dropped))
}

/// Whether this process may not write to a folder that is there.
fn is_denied(folder: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(folder, Access::WRITE_OK | Access::EXEC_OK) == Err(rustix::io::Errno::ACCESS)
}

fn lacking(config: &Config, why: &str) -> Result<(), String> {
    if config.require {
        return Err(format!("{why}; run on a kernel that can, or set `require = false`"));
    }
    tracing::warn!("{why}; going on without");
    Ok(())
}

fn deny(may_execute: bool) -> Result<(), Box<dyn std::error::Error>> {
    let execute = EXECUTE.iter().filter(|_| !may_execute);
    // a call without conditions is denied whatever its arguments
    let denied: BTreeMap<_, _> = DENIED.iter().chain(execute).map(|call| (*call, Vec::new())).collect();
    let errno = SeccompAction::Errno(libc::EPERM as u32);
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let program: BpfProgram = SeccompFilter::new(denied, SeccompAction::Allow, errno, arch)?.try_into()?;
    Ok(apply_filter(&program)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::process::Command;

    /// On a thread of its own, since it is for good.
    fn confined<T: Send + 'static>(may_execute: bool, work: impl FnOnce() -> T + Send + 'static) -> T {
        let thread = std::thread::spawn(move || {
            confine_calls(&Config { require: true, ..Config::default() }, may_execute).unwrap();
            work()
        });
        thread.join().unwrap()
    }

    #[test]
    fn programs_are_started_only_where_that_is_allowed() {
        let start = || Command::new("/bin/true").status().map(|status| status.success());
        assert_eq!(confined(false, start).unwrap_err().kind(), ErrorKind::PermissionDenied);
        assert!(confined(true, start).unwrap());
    }

    #[test]
    fn what_is_denied_fails_also_in_threads_that_come_later() {
        let enter = || rustix::process::chroot("/");
        // root alone may; what others are denied is the kernel's doing
        assert_eq!(enter().is_ok(), rustix::process::geteuid().is_root());
        let denied = confined(true, move || std::thread::spawn(enter).join().unwrap());
        assert_eq!(denied, Err(rustix::io::Errno::PERM));
    }
}
