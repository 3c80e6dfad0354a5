# METADATA
# title: Changes of accounts
# description: useradd, usermod, userdel, the same for groups, and passwords, as shadow-utils and PAM log them.
# custom:
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, SOC2-CC6.2, ISO27001-A.5.16, ISO27001-A.8.15, NIST-800-53-AC-2, NIST-800-53-AU-2]
package sealtail.linux.accounts

# what the program said: behind syslog's prefix, where the line has one
text := input.fields.msg if {
	input.fields.msg
} else := input.message if {
	input.fields.SYSLOG_IDENTIFIER
} else := substring(input.message, indexof(input.message, ": ") + 2, -1)

is_useradd if contains(input.message, " useradd[")

is_useradd if input.fields.SYSLOG_IDENTIFIER == "useradd"

is_useradd if input.fields.appname == "useradd"

is_usermod if contains(input.message, " usermod[")

is_usermod if input.fields.SYSLOG_IDENTIFIER == "usermod"

is_usermod if input.fields.appname == "usermod"

is_userdel if contains(input.message, " userdel[")

is_userdel if input.fields.SYSLOG_IDENTIFIER == "userdel"

is_userdel if input.fields.appname == "userdel"

# METADATA
# title: User added
# description: A new account.
# custom:
#   severity: high
verdicts contains {"id": "user-added"} if {
	contains(input.message, "new user: ")
	is_useradd
}

# METADATA
# title: Another root
# description: A new account, or a changed one, has the uid 0; it can do whatever root can.
# custom:
#   severity: critical
verdicts contains {"id": "uid-zero-account"} if uid_zero

uid_zero if {
	contains(input.message, "new user: ")
	contains(input.message, ", UID=0,")
	is_useradd
}

uid_zero if {
	contains(input.message, "UID from '")
	endswith(input.message, "' to '0'")
	is_usermod
}

# METADATA
# title: User changed
# description: Groups, shell, home, name or lock of an account.
# custom:
#   severity: high
verdicts contains {"id": "user-changed"} if is_usermod

# METADATA
# title: Administrator added
# description: An account came into a group whose members may become root, or read all logs.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC6.3, ISO27001-A.8.2, ISO27001-A.5.18, NIST-800-53-AC-2, NIST-800-53-AU-2]
verdicts contains {"id": "admin-group-joined"} if {
	joins_group
	last in {"sudo", "wheel", "admin", "root", "adm", "docker", "lxd", "disk", "shadow", "systemd-journal"}
}

# usermod quotes the group, gpasswd does not
last := trim(words[count(words) - 1], "'") if words := split(text, " ")

joins_group if {
	contains(input.message, "add '")
	is_usermod
}

joins_group if {
	contains(input.message, " added by ")
	is_gpasswd
}

is_gpasswd if contains(input.message, " gpasswd[")

is_gpasswd if input.fields.SYSLOG_IDENTIFIER == "gpasswd"

is_gpasswd if input.fields.appname == "gpasswd"

# METADATA
# title: User removed
# description: An account is gone.
# custom:
#   severity: medium
verdicts contains {"id": "user-removed"} if {
	contains(input.message, "delete user ")
	is_userdel
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

group_tool if input.fields.SYSLOG_IDENTIFIER in {"groupadd", "groupmod", "groupdel"}

group_tool if input.fields.appname in {"groupadd", "groupmod", "groupdel"}

group_tool if is_gpasswd

# METADATA
# title: Password changed
# description: By its owner or by root.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.5, ISO27001-A.8.15, NIST-800-53-IA-5, NIST-800-53-AU-2]
verdicts contains {"id": "password-changed"} if {
	contains(input.message, "password changed for ")
	password_tool
}

password_tool if contains(input.message, " passwd[")

password_tool if contains(input.message, " chpasswd[")

password_tool if is_usermod

password_tool if input.fields.SYSLOG_IDENTIFIER in {"passwd", "chpasswd"}

password_tool if input.fields.appname in {"passwd", "chpasswd"}

# METADATA
# title: Password ageing changed
# description: chage made a password last longer or shorter.
# custom:
#   severity: low
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, SOC2-CC6.1, ISO27001-A.8.5, ISO27001-A.8.15, NIST-800-53-IA-5]
verdicts contains {"id": "password-ageing-changed"} if {
	contains(input.message, "changed password expiry for ")
	is_chage
}

is_chage if contains(input.message, " chage[")

is_chage if input.fields.SYSLOG_IDENTIFIER == "chage"

is_chage if input.fields.appname == "chage"
