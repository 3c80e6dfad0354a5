//! The rights of root that come one by one: what a process has of them is given up but for what it needs.

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// Gives up all others, for this thread and all that it starts, and returns those that were given up. No file can give them
/// back: neither the bounding set, where this process may change it, nor `no_new_privs` lets it.
pub(super) fn keep_only(kept: CapabilitySet) -> rustix::io::Result<CapabilitySet> {
    set_no_new_privs(true)?;
    let has = capabilities(None)?;
    // so that a program that another user than root starts has none by itself
    clear_ambient_capability_set()?;
    if has.effective.contains(CapabilitySet::SETPCAP) {
        let all = (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit));
        for one in all.filter(|one| !kept.contains(*one)) {
            // the kernel knows no further ones: an error
            if capability_is_in_bounding_set(one).unwrap_or(false) {
                remove_capability_from_bounding_set(one)?;
            }
        }
    }
    // where there is nothing to give up the call may be denied: systemd's units do
    if !kept.contains(has.permitted | has.inheritable) {
        let [effective, permitted] = [has.effective, has.permitted].map(|set| set & kept);
        set_capabilities(None, CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() })?;
    }
    Ok(has.permitted & !kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown};

    #[test]
    fn what_is_not_kept_is_gone_also_in_threads_that_come_later() {
        if !rustix::process::geteuid().is_root() {
            return eprintln!("SKIPPED: only root has any");
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("of-somebody-else");
        fs::write(&file, "a line").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        chown(&file, Some(65534), None).unwrap();
        for (kept, is_readable) in [(CapabilitySet::DAC_READ_SEARCH, true), (CapabilitySet::empty(), false)] {
            let file = file.clone();
            // on a thread of its own, since it is for good
            let work = move || {
                keep_only(kept).unwrap();
                let later =
                    || (fs::read(&file).is_ok(), fs::write(&file, "another").is_ok(), capabilities(None).unwrap());
                let seen = std::thread::scope(|scope| scope.spawn(later).join().unwrap());
                // a second time there is nothing to give up
                (seen, keep_only(kept).unwrap())
            };
            let ((read, written, has), again) = std::thread::spawn(work).join().unwrap();
            assert_eq!((read, written), (is_readable, false));
            assert_eq!((has.effective, has.permitted, has.inheritable), (kept, kept, CapabilitySet::empty()));
            assert!(again.is_empty());
        }
    }
}
