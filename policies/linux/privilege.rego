# METADATA
# title: Use of another's rights
# description: sudo and su, in auth.log, secure or the journal's text.
# custom:
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
package sealtail.linux.privilege

# syslog writes `sudo: ` or `sudo[12]: `, padded on the left by some versions
is_sudo if contains(input.message, " sudo: ")

is_sudo if contains(input.message, " sudo[")

is_su if contains(input.message, " su: ")

is_su if contains(input.message, " su[")

# METADATA
# title: Command run with sudo
# description: What was run, by whom, as whom. PCI DSS asks for every action with administrative rights.
# custom:
#   severity: low
verdicts contains {"id": "sudo-command"} if {
	is_sudo
	contains(input.message, " COMMAND=")
	contains(input.message, " USER=")
	not refused
}

# METADATA
# title: sudo refused
# description: The user may not do that, gave a wrong password, or is not in sudoers.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "sudo-refused", "decision": "deny"} if {
	is_sudo
	refused
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
	is_sudo
	contains(input.message, "pam_unix(sudo:auth): authentication failure")
}

# METADATA
# title: Became another user with su
# description: A session of another user was opened.
# custom:
#   severity: medium
verdicts contains {"id": "su-session"} if {
	is_su
	contains(input.message, "session opened for user ")
}

# METADATA
# title: su failed
# description: Somebody could not become another user.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "su-failed"} if {
	is_su
	su_failed
}

su_failed if contains(input.message, "FAILED SU")

su_failed if contains(input.message, "authentication failure;")
