# METADATA
# title: SSH logins
# description: What sshd says of logins, in auth.log, secure or the journal's text.
# custom:
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
package sealtail.linux.ssh

# sshd: up to OpenSSH 9.7; sshd-session: since 9.8
is_sshd if contains(input.message, "sshd[")

is_sshd if contains(input.message, "sshd-session[")

# METADATA
# title: Failed SSH login
# description: A password, key or other proof was wrong. PCI DSS asks for every invalid access attempt.
# custom:
#   severity: medium
verdicts contains {"id": "ssh-login-failed"} if {
	is_sshd
	contains(input.message, "]: Failed ")
	contains(input.message, " from ")
}

# METADATA
# title: SSH login of a user who does not exist
# description: Somebody tries out names.
# custom:
#   severity: medium
verdicts contains {"id": "ssh-invalid-user"} if {
	is_sshd
	contains(input.message, "]: Invalid user ")
}

# METADATA
# title: Too many failed SSH logins
# description: sshd ended the connection after its limit of attempts.
# custom:
#   severity: high
verdicts contains {"id": "ssh-too-many-failures"} if {
	is_sshd
	contains(input.message, "maximum authentication attempts exceeded")
}

# METADATA
# title: SSH login as root
# description: A person can't be told from another when both are root.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "ssh-root-login"} if {
	is_sshd
	contains(input.message, "]: Accepted ")
	contains(input.message, " for root from ")
}

# METADATA
# title: SSH login with a password
# description: Passwords can be guessed and taken; keys are the better proof.
# custom:
#   severity: low
verdicts contains {"id": "ssh-password-login"} if {
	is_sshd
	contains(input.message, "]: Accepted password for ")
}

# METADATA
# title: SSH login
# description: Who came in, and from where.
# custom:
#   severity: info
verdicts contains {"id": "ssh-login", "decision": "allow"} if {
	is_sshd
	contains(input.message, "]: Accepted ")
	contains(input.message, " from ")
}
