//! The policies that come with sealtail, built into the program for `quickstart` and `init`.

use std::path::Path;

/// The packs without their tests: the path below `policies/`, and the content. Those of [`LEFT_OUT`] are not among them.
pub const PACKS: &[(&str, &str)] = &[
    ("aws/cloudtrail.rego", include_str!("../../policies/aws/cloudtrail.rego")),
    ("kubernetes/audit.rego", include_str!("../../policies/kubernetes/audit.rego")),
    ("kubernetes/pods.rego", include_str!("../../policies/kubernetes/pods.rego")),
    ("linux/accounts.rego", include_str!("../../policies/linux/accounts.rego")),
    ("linux/auditd.rego", include_str!("../../policies/linux/auditd.rego")),
    ("linux/auditd_rules.rego", include_str!("../../policies/linux/auditd_rules.rego")),
    ("linux/cron.rego", include_str!("../../policies/linux/cron.rego")),
    ("linux/login.rego", include_str!("../../policies/linux/login.rego")),
    ("linux/privilege.rego", include_str!("../../policies/linux/privilege.rego")),
    ("linux/ssh.rego", include_str!("../../policies/linux/ssh.rego")),
    ("linux/system.rego", include_str!("../../policies/linux/system.rego")),
    ("packages/dpkg.rego", include_str!("../../policies/packages/dpkg.rego")),
    ("packages/integrity.rego", include_str!("../../policies/packages/integrity.rego")),
    ("packages/rpm.rego", include_str!("../../policies/packages/rpm.rego")),
    ("personal/secrets.rego", include_str!("../../policies/personal/secrets.rego")),
    ("web/access.rego", include_str!("../../policies/web/access.rego")),
];

/// What has no condition that spares it most lines, and so costs more than all the others together: for those who want it.
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("personal/email.rego", include_str!("../../policies/personal/email.rego")),
    ("personal/numbers.rego", include_str!("../../policies/personal/numbers.rego")),
];

/// Writes [`PACKS`] into `dir`.
pub fn unpack(dir: &Path) -> Result<(), String> {
    for (name, text) in PACKS {
        let path = dir.join(name);
        let written = std::fs::create_dir_all(path.parent().unwrap_or(dir)).and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
