# METADATA
# title: Use of another's rights
# description: sudo, su and pkexec, in auth.log, secure or the journal.
# custom:
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, SOC2-CC6.1, ISO27001-A.8.2, ISO27001-A.8.15, NIST-800-53-AC-6(9), NIST-800-53-AU-2]
package sealtail.linux.privilege

# syslog writes `sudo: ` or `sudo[12]: `, padded on the left by some versions
is_sudo if contains(input.message, " sudo: ")

is_sudo if contains(input.message, " sudo[")

is_sudo if input.fields.SYSLOG_IDENTIFIER == "sudo"

is_sudo if input.fields.appname == "sudo"

is_su if contains(input.message, " su: ")

is_su if contains(input.message, " su[")

is_su if input.fields.SYSLOG_IDENTIFIER == "su"

is_su if input.fields.appname == "su"

is_pkexec if contains(input.message, " pkexec[")

is_pkexec if contains(input.message, " pkexec: ")

is_pkexec if input.fields.SYSLOG_IDENTIFIER == "pkexec"

is_pkexec if input.fields.appname == "pkexec"

# METADATA
# title: Command run with sudo
# description: What was run, by whom, as whom. PCI DSS asks for every action with administrative rights.
# custom:
#   severity: low
verdicts contains {"id": "sudo-command"} if {
	contains(input.message, "COMMAND=")
	contains(input.message, " USER=")
	is_sudo
	not refused
}

# METADATA
# title: Shell opened with sudo
# description: What is done inside is not in sudo's log.
# custom:
#   severity: medium
verdicts contains {"id": "sudo-shell"} if {
	contains(input.message, "COMMAND=")
	is_sudo
	is_shell
	not refused
}

is_shell if endswith(input.message, "/bash")

is_shell if endswith(input.message, "/sh")

is_shell if endswith(input.message, "/zsh")

is_shell if endswith(input.message, "/dash")

is_shell if endswith(input.message, "/su")

is_shell if endswith(input.message, "/su -")

# METADATA
# title: sudo refused
# description: The user may not do that, gave a wrong password, or is not in sudoers.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "sudo-refused", "decision": "deny"} if {
	refused
	is_sudo
}

refused if contains(input.message, "user NOT in sudoers")

refused if contains(input.message, "command not allowed")

refused if contains(input.message, "user NOT authorized on host")

refused if contains(input.message, "incorrect password attempt")

# METADATA
# title: Wrong password for sudo
# description: PAM's word on it, which comes once an attempt.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "sudo-password-wrong"} if {
	contains(input.message, "pam_unix(sudo:auth): authentication failure")
	is_sudo
}

# METADATA
# title: Became another user with su
# description: A session of another user was opened.
# custom:
#   severity: medium
verdicts contains {"id": "su-session"} if {
	contains(input.message, "session opened for user ")
	is_su
}

# METADATA
# title: su failed
# description: Somebody could not become another user.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "su-failed"} if {
	su_failed
	is_su
}

su_failed if contains(input.message, "FAILED SU")

su_failed if contains(input.message, "FAILED su for ")

su_failed if contains(input.message, "authentication failure;")

# METADATA
# title: Command run with pkexec
# description: polkit let a user run a command as another.
# custom:
#   severity: low
verdicts contains {"id": "pkexec-command"} if {
	contains(input.message, "Executing command [USER=")
	is_pkexec
}

# METADATA
# title: pkexec refused
# description: polkit did not let a user run a command as another.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "pkexec-refused", "decision": "deny"} if {
	contains(input.message, "Error executing command as another user: Not authorized")
	is_pkexec
}
