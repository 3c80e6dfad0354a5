//! The policies that come with sealtail, built into the program for `quickstart`.

/// All packs without their tests: the path below `policies/`, and the content.
pub const PACKS: &[(&str, &str)] = &[
    ("kubernetes/audit.rego", include_str!("../../policies/kubernetes/audit.rego")),
    ("linux/accounts.rego", include_str!("../../policies/linux/accounts.rego")),
    ("linux/auditd.rego", include_str!("../../policies/linux/auditd.rego")),
    ("linux/privilege.rego", include_str!("../../policies/linux/privilege.rego")),
    ("linux/ssh.rego", include_str!("../../policies/linux/ssh.rego")),
    ("packages/dpkg.rego", include_str!("../../policies/packages/dpkg.rego")),
];
