# METADATA
# title: The kernel's audit log
# description: Events of auditd (type=… msg=audit(…)), as in /var/log/audit/audit.log.
# custom:
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
package sealtail.linux.auditd

# A line is an event of one record or several, so each rule looks for its record wherever it stands. The conditions on the
# message spare other lines the rest, and see to it that the verdict falls on the line that has the record.

# METADATA
# title: Auditing stops
# description: auditd ends or is told to; what follows is not recorded.
# custom:
#   severity: critical
#   controls: [PCI-DSS-10.2.1.6, HIPAA-164.312(b), SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-stopped", "decision": "deny"} if {
	contains(input.message, "type=DAEMON_")
	daemon_ends
}

daemon_ends if {
	contains(input.message, "type=DAEMON_END ")
	"DAEMON_END" in input.fields.types
}

daemon_ends if {
	contains(input.message, "type=DAEMON_ABORT ")
	"DAEMON_ABORT" in input.fields.types
}

# METADATA
# title: Auditing starts
# description: auditd began; a pair to its end.
# custom:
#   severity: low
#   controls: [PCI-DSS-10.2.1.6, HIPAA-164.312(b), SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-started"} if {
	contains(input.message, "type=DAEMON_START ")
	"DAEMON_START" in input.fields.types
}

# METADATA
# title: Auditing switched off or its rules changed
# description: auditctl changed what is recorded; audit_enabled=0 records nothing.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.6, HIPAA-164.312(b), SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-rules-changed"} if {
	contains(input.message, "type=CONFIG_CHANGE ")
	"CONFIG_CHANGE" in input.fields.types
}

# METADATA
# title: The audit service is stopped
# description: systemd's word on it, in syslog.
# custom:
#   severity: critical
#   controls: [PCI-DSS-10.2.1.6, HIPAA-164.312(b), SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-service-stopped", "decision": "deny"} if {
	contains(input.message, "systemd[1]: Stopp")
	contains(input.message, "auditd.service")
}

# METADATA
# title: Login failed
# description: PAM refused, whatever the service.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-login-failed"} if {
	contains(input.message, "res=failed")
	authentication
	some record in input.fields.records
	record.type in {"USER_AUTH", "USER_LOGIN"}
	record.res == "failed"
}

authentication if contains(input.message, "type=USER_AUTH ")

authentication if contains(input.message, "type=USER_LOGIN ")

# METADATA
# title: Command run with sudo
# description: sudo's own record.
# custom:
#   severity: low
verdicts contains {"id": "audit-sudo-command"} if {
	contains(input.message, "type=USER_CMD ")
	contains(input.message, "res=success")
	some record in input.fields.records
	record.type == "USER_CMD"
	record.res == "success"
}

# METADATA
# title: sudo refused
# description: sudo's own record of a command that was not run.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-sudo-refused", "decision": "deny"} if {
	contains(input.message, "type=USER_CMD ")
	contains(input.message, "res=failed")
	some record in input.fields.records
	record.type == "USER_CMD"
	record.res == "failed"
}

# METADATA
# title: Account or group changed
# description: Users, groups and passwords.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-account-changed"} if {
	contains(input.message, "res=success")
	account
	some record in input.fields.records
	record.type in changes
	record.res == "success"
}

changes := {
	"ADD_USER",
	"DEL_USER",
	"ADD_GROUP",
	"DEL_GROUP",
	"USER_MGMT",
	"GRP_MGMT",
	"USER_CHAUTHTOK",
	"ACCT_LOCK",
	"ACCT_UNLOCK",
}

account if contains(input.message, "type=ADD_USER ")

account if contains(input.message, "type=DEL_USER ")

account if contains(input.message, "type=ADD_GROUP ")

account if contains(input.message, "type=DEL_GROUP ")

account if contains(input.message, "type=USER_MGMT ")

account if contains(input.message, "type=GRP_MGMT ")

account if contains(input.message, "type=USER_CHAUTHTOK ")

account if contains(input.message, "type=ACCT_LOCK ")

account if contains(input.message, "type=ACCT_UNLOCK ")
