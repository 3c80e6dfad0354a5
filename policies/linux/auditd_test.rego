package sealtail.linux.auditd_test

import data.sealtail.linux.auditd

ids(message) := {v.id | some v in auditd.verdicts with input as {"message": message}}

test_audit_stopped if {
	ids("type=DAEMON_END msg=audit(1768199999.123:402): op=terminate auid=0 uid=0 ses=1 pid=1 subj=unconfined res=success") == {"audit-stopped"}
	ids("type=DAEMON_ABORT msg=audit(1768199999.123:402): op=error res=failed") == {"audit-stopped"}
}

test_audit_stopped_near_miss if {
	count(ids("type=DAEMON_ROTATE msg=audit(1768199999.123:402): op=rotate-logs res=success")) == 0
	count(ids("they wrote type=DAEMON_END msg=audit(1:1)")) == 0
}

test_audit_started if {
	ids("type=DAEMON_START msg=audit(1768199900.000:401): op=start ver=3.0.9 res=success") == {"audit-started"}
}

test_audit_started_near_miss if count(ids("type=DAEMON_RESUME msg=audit(1768199900.000:401): op=resume-logging")) == 0

test_audit_rules_changed if {
	ids("type=CONFIG_CHANGE msg=audit(1768199999.123:9): op=set audit_enabled=0 old=1 auid=1000 ses=3 res=1") == {"audit-rules-changed"}
}

test_audit_rules_changed_near_miss if count(ids("type=CONFIG_CHANGED msg=audit(1768199999.123:9): x")) == 0

test_audit_service_stopped if {
	ids("Jan 12 08:00:00 web-1 systemd[1]: Stopping auditd.service - Security Audit Logging Service...") == {"audit-service-stopped"}
	ids("Jan 12 08:00:00 web-1 systemd[1]: Stopped auditd.service - Security Audit Logging Service.") == {"audit-service-stopped"}
}

test_audit_service_stopped_near_miss if {
	count(ids("Jan 12 08:00:00 web-1 systemd[1]: Stopped nginx.service - A web server.")) == 0
	count(ids("Jan 12 08:00:00 web-1 systemd[1]: Started auditd.service - Security Audit Logging Service.")) == 0
}

test_login_failed if {
	ids("type=USER_AUTH msg=audit(1768199999.123:9): pid=8 uid=0 msg='op=PAM:authentication acct=\"root\" exe=\"/usr/sbin/sshd\" res=failed'") == {"audit-login-failed"}
	ids("type=USER_LOGIN msg=audit(1768199999.123:9): pid=8 uid=0 msg='op=login acct=\"root\" res=failed'") == {"audit-login-failed"}
}

test_login_failed_near_miss if {
	count(ids("type=USER_AUTH msg=audit(1768199999.123:9): pid=8 msg='op=PAM:authentication acct=\"bob\" res=success'")) == 0
	count(ids("type=USER_END msg=audit(1768199999.123:9): pid=8 msg='op=PAM:session_close res=failed'")) == 0
}

test_sudo_command if {
	ids("type=USER_CMD msg=audit(1768199999.123:9): pid=8 uid=1000 msg='cwd=\"/\" cmd=6C73 exe=\"/usr/bin/sudo\" terminal=pts/0 res=success'") == {"audit-sudo-command"}
}

test_sudo_refused if {
	ids("type=USER_CMD msg=audit(1768199999.123:9): pid=8 uid=1000 msg='cwd=\"/\" cmd=6C73 exe=\"/usr/bin/sudo\" terminal=pts/0 res=failed'") == {"audit-sudo-refused"}
}

test_sudo_near_miss if count(ids("type=USER_ACCT msg=audit(1768199999.123:9): pid=8 msg='op=PAM:accounting res=success'")) == 0

test_account_changed if {
	every kind in ["ADD_USER", "DEL_USER", "ADD_GROUP", "DEL_GROUP", "USER_MGMT", "GRP_MGMT", "USER_CHAUTHTOK", "ACCT_LOCK", "ACCT_UNLOCK"] {
		message := sprintf("type=%s msg=audit(1768199999.123:9): pid=8 uid=0 msg='op=x acct=\"eve\" res=success'", [kind])
		ids(message) == {"audit-account-changed"}
	}
}

test_account_changed_near_miss if {
	count(ids("type=ADD_USER msg=audit(1768199999.123:9): pid=8 uid=0 msg='op=add-user acct=\"eve\" res=failed'")) == 0
	count(ids("type=ADDED_USER msg=audit(1768199999.123:9): pid=8 uid=0 msg='res=success'")) == 0
}
