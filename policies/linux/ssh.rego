# METADATA
# title: SSH logins
# description: What sshd says of logins, in auth.log, secure or the journal.
# custom:
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
package sealtail.linux.ssh

# sshd: up to OpenSSH 9.7; sshd-session: since 9.8
is_sshd if contains(input.message, "sshd[")

is_sshd if contains(input.message, "sshd-session[")

is_sshd if input.fields.SYSLOG_IDENTIFIER in {"sshd", "sshd-session"}

is_sshd if input.fields.appname in {"sshd", "sshd-session"}

# what the program said: behind syslog's prefix, where the line has one
text := input.fields.msg if {
	input.fields.msg
} else := input.message if {
	input.fields.SYSLOG_IDENTIFIER
} else := substring(input.message, indexof(input.message, ": ") + 2, -1)

# METADATA
# title: Failed SSH login
# description: A password, key or other proof was wrong. PCI DSS asks for every invalid access attempt.
# custom:
#   severity: medium
verdicts contains {"id": "ssh-login-failed"} if {
	contains(input.message, "Failed ")
	is_sshd
	startswith(text, "Failed ")
	contains(text, " from ")
}

# METADATA
# title: SSH login of a user who does not exist
# description: Somebody tries out names.
# custom:
#   severity: medium
verdicts contains {"id": "ssh-invalid-user"} if {
	contains(input.message, "Invalid user ")
	is_sshd
	startswith(text, "Invalid user ")
}

# METADATA
# title: SSH login of a user who may not use SSH
# description: AllowUsers, DenyUsers or the account's shell keep this user out.
# custom:
#   severity: medium
verdicts contains {"id": "ssh-user-not-allowed"} if {
	contains(input.message, " not allowed because ")
	is_sshd
	startswith(text, "User ")
}

# METADATA
# title: Too many failed SSH logins
# description: sshd ended the connection after its limit of attempts.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-8.3.4, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AC-7]
verdicts contains {"id": "ssh-too-many-failures"} if {
	contains(input.message, "maximum authentication attempts exceeded")
	is_sshd
}

# METADATA
# title: SSH name and address do not belong together
# description: sshd's words are POSSIBLE BREAK-IN ATTEMPT; the reverse lookup of the address gave another name.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.4, SOC2-CC7.2, ISO27001-A.8.16, NIST-800-53-SI-4]
verdicts contains {"id": "ssh-break-in-attempt"} if {
	contains(input.message, "POSSIBLE BREAK-IN ATTEMPT")
	is_sshd
}

# METADATA
# title: SSH login as root
# description: A person can't be told from another when both are root.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "ssh-root-login"} if {
	contains(input.message, " for root from ")
	is_sshd
	startswith(text, "Accepted ")
}

# METADATA
# title: SSH login with a password
# description: Passwords can be guessed and taken; keys are the better proof.
# custom:
#   severity: low
verdicts contains {"id": "ssh-password-login"} if {
	contains(input.message, "Accepted password for ")
	is_sshd
	startswith(text, "Accepted password for ")
}

# METADATA
# title: SSH login
# description: Who came in, and from where.
# custom:
#   severity: info
verdicts contains {"id": "ssh-login", "decision": "allow"} if {
	contains(input.message, "Accepted ")
	is_sshd
	startswith(text, "Accepted ")
	contains(text, " from ")
}

# METADATA
# title: The SSH server ends
# description: sshd itself was stopped; what it would have refused is no longer refused by it.
# custom:
#   severity: low
#   controls: [SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "ssh-server-stopped"} if {
	contains(input.message, "; terminating.")
	is_sshd
	startswith(text, "Received signal ")
}
