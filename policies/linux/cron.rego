# METADATA
# title: Jobs that run by the clock
# description: What cron says of changed tables. A job is a way to stay on a host, or to undo a change later.
# custom:
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
package sealtail.linux.cron

is_crontab if contains(input.message, " crontab[")

is_crontab if input.fields.SYSLOG_IDENTIFIER == "crontab"

is_crontab if input.fields.appname == "crontab"

# cron: Debian; crond: Red Hat, Alpine
is_cron if contains(input.message, " cron[")

is_cron if contains(input.message, " crond[")

is_cron if input.fields.SYSLOG_IDENTIFIER in {"cron", "crond", "CRON"}

is_cron if input.fields.appname in {"cron", "crond", "CRON"}

# METADATA
# title: A user's jobs changed
# description: crontab replaced the table of a user.
# custom:
#   severity: medium
verdicts contains {"id": "cron-table-replaced"} if {
	contains(input.message, ") REPLACE (")
	is_crontab
}

# METADATA
# title: A user's jobs removed
# description: crontab deleted the table of a user.
# custom:
#   severity: medium
verdicts contains {"id": "cron-table-removed"} if {
	contains(input.message, ") DELETE (")
	is_crontab
}

# METADATA
# title: crontab refused
# description: cron.allow or cron.deny keep this user from having jobs.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "cron-refused", "decision": "deny"} if {
	contains(input.message, "AUTH (crontab command not allowed)")
	is_crontab
}

# METADATA
# title: The system's jobs changed
# description: cron read /etc/crontab, or a file of /etc/cron.d, anew.
# custom:
#   severity: medium
verdicts contains {"id": "cron-system-changed"} if {
	contains(input.message, "(*system*")
	contains(input.message, ") RELOAD (")
	is_cron
}

# METADATA
# title: A job table that others may write
# description: cron refuses it, and somebody could have written into it.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.4, SOC2-CC7.2, ISO27001-A.8.16, NIST-800-53-SI-7]
verdicts contains {"id": "cron-table-insecure"} if {
	insecure
	is_cron
}

insecure if contains(input.message, "INSECURE MODE ")

insecure if contains(input.message, "WRONG FILE OWNER ")

insecure if contains(input.message, "BAD FILE MODE ")
