# METADATA
# title: The kernel's audit log
# description: Records of auditd (type=… msg=audit(…)), as in /var/log/audit/audit.log.
# custom:
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
package sealtail.linux.auditd

# METADATA
# title: Auditing stops
# description: auditd ends or is told to; what follows is not recorded.
# custom:
#   severity: critical
#   controls: [PCI-DSS-10.2.1.6, HIPAA-164.312(b), SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-stopped", "decision": "deny"} if {
	startswith(input.message, "type=DAEMON_")
	daemon_ends
}

daemon_ends if startswith(input.message, "type=DAEMON_END ")

daemon_ends if startswith(input.message, "type=DAEMON_ABORT ")

# METADATA
# title: Auditing starts
# description: auditd began; a pair to its end.
# custom:
#   severity: low
#   controls: [PCI-DSS-10.2.1.6, HIPAA-164.312(b), SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-started"} if startswith(input.message, "type=DAEMON_START ")

# METADATA
# title: Auditing switched off or its rules changed
# description: auditctl changed what is recorded; audit_enabled=0 records nothing.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.6, HIPAA-164.312(b), SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-rules-changed"} if startswith(input.message, "type=CONFIG_CHANGE ")

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
	authentication
	contains(input.message, "res=failed")
}

authentication if startswith(input.message, "type=USER_AUTH ")

authentication if startswith(input.message, "type=USER_LOGIN ")

# METADATA
# title: Command run with sudo
# description: sudo's own record.
# custom:
#   severity: low
verdicts contains {"id": "audit-sudo-command"} if {
	startswith(input.message, "type=USER_CMD ")
	contains(input.message, "res=success")
}

# METADATA
# title: sudo refused
# description: sudo's own record of a command that was not run.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-sudo-refused", "decision": "deny"} if {
	startswith(input.message, "type=USER_CMD ")
	contains(input.message, "res=failed")
}

# METADATA
# title: Account or group changed
# description: Users, groups and passwords.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "audit-account-changed"} if {
	account
	contains(input.message, "res=success")
}

account if startswith(input.message, "type=ADD_USER ")

account if startswith(input.message, "type=DEL_USER ")

account if startswith(input.message, "type=ADD_GROUP ")

account if startswith(input.message, "type=DEL_GROUP ")

account if startswith(input.message, "type=USER_MGMT ")

account if startswith(input.message, "type=GRP_MGMT ")

account if startswith(input.message, "type=USER_CHAUTHTOK ")

account if startswith(input.message, "type=ACCT_LOCK ")

account if startswith(input.message, "type=ACCT_UNLOCK ")
