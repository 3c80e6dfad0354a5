# METADATA
# title: Changes of accounts
# description: useradd, usermod, userdel, the same for groups, and passwords, as shadow-utils and PAM log them.
# custom:
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
package sealtail.linux.accounts

# METADATA
# title: User added
# description: A new account; with uid 0 it is another root.
# custom:
#   severity: high
verdicts contains {"id": "user-added"} if {
	contains(input.message, " useradd[")
	contains(input.message, "new user: ")
}

# METADATA
# title: User changed
# description: Groups, shell, home, name or lock of an account.
# custom:
#   severity: high
verdicts contains {"id": "user-changed"} if contains(input.message, " usermod[")

# METADATA
# title: User removed
# description: An account is gone.
# custom:
#   severity: medium
verdicts contains {"id": "user-removed"} if {
	contains(input.message, " userdel[")
	contains(input.message, "delete user ")
}

# METADATA
# title: Group added, changed or removed
# description: Groups give rights.
# custom:
#   severity: medium
verdicts contains {"id": "group-changed"} if group_tool

group_tool if contains(input.message, " groupadd[")

group_tool if contains(input.message, " groupmod[")

group_tool if contains(input.message, " groupdel[")

group_tool if contains(input.message, " gpasswd[")

# METADATA
# title: Password changed
# description: By its owner or by root.
# custom:
#   severity: medium
verdicts contains {"id": "password-changed"} if {
	contains(input.message, "password changed for ")
	password_tool
}

password_tool if contains(input.message, " passwd[")

password_tool if contains(input.message, " chpasswd[")

password_tool if contains(input.message, " usermod[")
