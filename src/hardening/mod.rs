//! What a command that runs on gives up before it takes anything from outside: files and system calls that nothing in it needs
//! and that whoever took it over would want. Both are the process's for good, and that of what it starts.

mod files;

pub use files::Places;

use landlock::RulesetStatus;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use std::collections::BTreeMap;

/// `[hardening]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Whether system calls are denied.
    pub seccomp: bool,
    /// Whether files are: to write and to execute them, and also to read them where `more` has any to read.
    pub landlock: bool,
    /// Folders that are within reach besides what the configuration names.
    pub more: Places,
    /// Whether what can't be denied ends the command; else it is said in the log.
    pub require: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { seccomp: true, landlock: true, more: Places::default(), require: false }
    }
}

/// Of other processes, the kernel, its keys, mounts and namespaces.
const DENIED: [i64; 42] = [
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
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

/// Denies them to this thread and to all that it starts, so it is to be called before there are others. No file can give this
/// process rights any more (`no_new_privs`). `may_execute`: other programs may be started. What can't be had is an error only
/// where it is required.
pub fn confine(config: &Config, may_execute: bool) -> Result<(), String> {
    if !config.seccomp {
        return Ok(());
    }
    match deny(may_execute) {
        Ok(()) => {
            tracing::debug!(may_execute, "system calls that nothing here needs are denied from now on");
            Ok(())
        }
        Err(error) => lacking(config, &format!("[hardening] seccomp: system calls can't be denied here: {error}")),
    }
}

/// Puts all files out of reach but these, and returns those that are within; None where all are. What is read is out of reach only
/// where that is asked for: links among logs may lead elsewhere tomorrow. It is to be called before [`confine`], and before there
/// are other threads.
pub fn confine_files(config: &Config, places: &Places) -> Result<Option<Places>, String> {
    if !config.landlock {
        return Ok(None);
    }
    let [read, write] = [(&places.read, &config.more.read), (&places.write, &config.more.write)]
        .map(|(all, more)| all.iter().chain(more).cloned().collect());
    let read = if config.more.read.is_empty() { vec![files::ALL.into()] } else { read };
    let places = Places { read, write }.resolved();
    let why = match files::confine(&places) {
        Ok(RulesetStatus::NotEnforced) => "this kernel has no Landlock".to_owned(),
        Ok(RulesetStatus::PartiallyEnforced) => {
            tracing::info!("this kernel's Landlock is older than Linux 6.10's: it denies less than it could");
            return Ok(Some(places));
        }
        Ok(RulesetStatus::FullyEnforced) => return Ok(Some(places)),
        Err(error) => error.to_string(),
    };
    lacking(config, &format!("[hardening] landlock: files can't be denied here: {why}")).map(|()| None)
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
        let config = Config { require: true, ..Config::default() };
        let thread = std::thread::spawn(move || {
            confine(&config, may_execute).unwrap();
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
