# METADATA
# title: Watches of the kernel's audit log
# description: Events of the audit rules that CIS, STIG and PCI DSS recommend, told by the keys (-k) of those rules.
# custom:
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2, NIST-800-53-AU-12]
package sealtail.linux.auditd_rules

# The keys stand in SYSCALL records, and in CONFIG_CHANGE when the rules themselves are loaded; those are not events.
is_event if contains(input.message, "type=SYSCALL ")

# METADATA
# title: A file of identities touched
# description: passwd, shadow, group or their kin were opened for writing.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.5.16, ISO27001-A.8.15, NIST-800-53-AC-2, NIST-800-53-AU-2]
verdicts contains {"id": "audit-identity-file"} if {
	contains(input.message, "key=\"identity\"")
	is_event
}

# METADATA
# title: sudoers touched
# description: Who may become root may have changed.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC6.3, ISO27001-A.8.2, ISO27001-A.8.15, NIST-800-53-AC-6(9), NIST-800-53-AU-2]
verdicts contains {"id": "audit-sudoers"} if {
	sudoers
	is_event
}

sudoers if contains(input.message, "key=\"scope\"")

sudoers if contains(input.message, "key=\"sudoers\"")

# METADATA
# title: Command as another user
# description: A program ran with rights that the user who logged in does not have.
# custom:
#   severity: low
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, SOC2-CC6.1, ISO27001-A.8.2, ISO27001-A.8.15, NIST-800-53-AC-6(9), NIST-800-53-AU-2]
verdicts contains {"id": "audit-privileged-command"} if {
	privileged
	is_event
}

privileged if contains(input.message, "key=\"user_emulation\"")

privileged if contains(input.message, "key=\"privileged\"")

privileged if contains(input.message, "key=\"actions\"")

# METADATA
# title: The clock was set, by the kernel's word
# description: adjtimex, settimeofday or clock_settime; time daemons do it all the time and are left out.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.6.3, SOC2-CC7.2, ISO27001-A.8.17, NIST-800-53-AU-8]
verdicts contains {"id": "audit-time-change"} if {
	contains(input.message, "key=\"time-change\"")
	is_event
	not time_daemon
}

time_daemon if contains(input.message, "comm=\"chronyd\"")

time_daemon if contains(input.message, "comm=\"ntpd\"")

time_daemon if contains(input.message, "comm=\"systemd-timesyn\"")

# METADATA
# title: Kernel module loaded or removed
# description: Code that runs with all rights there are.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC6.8, SOC2-CC7.1, ISO27001-A.8.19, NIST-800-53-SI-7, NIST-800-53-AU-2]
verdicts contains {"id": "audit-kernel-module"} if kernel_module

kernel_module if {
	modules
	is_event
}

kernel_module if contains(input.message, "type=KERN_MODULE ")

modules if contains(input.message, "key=\"kernel_modules\"")

modules if contains(input.message, "key=\"modules\"")

modules if contains(input.message, "key=\"module-load\"")

modules if contains(input.message, "key=\"module-unload\"")

# METADATA
# title: File deleted by a person
# description: unlink or rename by somebody who logged in.
# custom:
#   severity: low
verdicts contains {"id": "audit-file-deleted"} if {
	contains(input.message, "key=\"delete\"")
	is_event
}

# METADATA
# title: Access refused by the file system
# description: Somebody tried to open, make or cut a file and may not.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(b), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-access-denied", "decision": "deny"} if {
	contains(input.message, "key=\"access\"")
	contains(input.message, " success=no ")
	is_event
}

# METADATA
# title: Rights or owner of a file changed
# description: chmod, chown or extended attributes, by somebody who logged in.
# custom:
#   severity: low
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC6.3, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-permissions-changed"} if {
	permissions
	is_event
}

permissions if contains(input.message, "key=\"perm_mod\"")

permissions if contains(input.message, "key=\"perm_chng\"")

# METADATA
# title: File system mounted
# description: A way for data to leave, and for programs to come.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC6.8, ISO27001-A.8.12, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-mount"} if {
	mounts
	is_event
}

mounts if contains(input.message, "key=\"mounts\"")

mounts if contains(input.message, "key=\"export\"")

# METADATA
# title: Name or network of the host changed
# description: hostname, hosts, issue or the network's configuration.
# custom:
#   severity: medium
verdicts contains {"id": "audit-network-config"} if {
	contains(input.message, "key=\"system-locale\"")
	is_event
}

# METADATA
# title: Policy of SELinux or AppArmor touched
# description: What programs may do may have changed.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC7.1, ISO27001-A.8.15, NIST-800-53-SI-7]
verdicts contains {"id": "audit-mac-policy"} if {
	contains(input.message, "key=\"MAC-policy\"")
	is_event
}

# METADATA
# title: Records of logins touched
# description: lastlog, faillock, wtmp, btmp or utmp; whoever changes them hides a login.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.3, PCI-DSS-10.3.2, PCI-DSS-10.2.2, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-9]
verdicts contains {"id": "audit-login-records"} if {
	login_records
	is_event
	not login_program
}

login_records if contains(input.message, "key=\"logins\"")

login_records if contains(input.message, "key=\"session\"")

login_program if contains(input.message, "comm=\"sshd")

login_program if contains(input.message, "comm=\"login\"")

login_program if contains(input.message, "comm=\"systemd-logind\"")

login_program if contains(input.message, "comm=\"systemd-update-")

# METADATA
# title: Audit logs read or touched
# description: Needs a watch on /var/log/audit and on sealtail's spool, with the key auditlog.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.3, PCI-DSS-10.3.1, PCI-DSS-10.3.2, PCI-DSS-10.2.2, HIPAA-164.312(b), SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-9]
verdicts contains {"id": "audit-log-access"} if {
	audit_log
	is_event
	not log_program
}

audit_log if contains(input.message, "key=\"auditlog\"")

audit_log if contains(input.message, "key=\"audit-logs\"")

audit_log if contains(input.message, "key=\"sealtail\"")

log_program if contains(input.message, "comm=\"auditd\"")

log_program if contains(input.message, "comm=\"sealtail\"")

# METADATA
# title: Refused by SELinux
# description: A program tried what its policy does not allow.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.4, SOC2-CC6.8, SOC2-CC7.2, ISO27001-A.8.16, NIST-800-53-SI-4]
verdicts contains {"id": "audit-mac-denied", "decision": "deny"} if {
	contains(input.message, "type=AVC ")
	denied
}

denied if contains(input.message, "avc:  denied ")

denied if contains(input.message, "apparmor=\"DENIED\"")
