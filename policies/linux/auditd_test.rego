package sealtail.linux.auditd_test

import data.sealtail.linux.auditd

# What sealtail makes of a line with one record: pairs are its fields.
event(kind, pairs) := {
	"message": sprintf("type=%s msg=audit(1768199999.123:9): %s", [kind, concat(" ", [sprintf("%s=%s", [k, v]) | some k, v in pairs])]),
	"fields": {"types": [kind], "records": [object.union({"type": kind}, pairs)]},
}

ids(document) := {v.id | some v in auditd.verdicts with input as document}

test_audit_stopped if {
	ids(event("DAEMON_END", {"op": "terminate", "res": "success"})) == {"audit-stopped"}
	ids(event("DAEMON_ABORT", {"op": "error", "res": "failed"})) == {"audit-stopped"}
}

test_audit_stopped_near_miss if {
	count(ids(event("DAEMON_ROTATE", {"op": "rotate-logs", "res": "success"}))) == 0
	count(ids({"message": "they wrote type=DAEMON_END msg=audit(1:1)"})) == 0
	count(ids(event("USER_ACCT", {"acct": "type=DAEMON_END "}))) == 0
}

test_audit_started if ids(event("DAEMON_START", {"op": "start", "res": "success"})) == {"audit-started"}

test_audit_started_near_miss if count(ids(event("DAEMON_RESUME", {"op": "resume-logging"}))) == 0

test_audit_rules_changed if {
	ids(event("CONFIG_CHANGE", {"op": "set", "audit_enabled": "0", "res": "1"})) == {"audit-rules-changed"}
}

# the kernel's record of it comes with that of the call that did it
test_a_record_anywhere_in_its_event if {
	ids({
		"message": "type=SYSCALL msg=audit(1.2:9): syscall=44\ntype=CONFIG_CHANGE msg=audit(1.2:9): op=set audit_enabled=0",
		"fields": {"types": ["SYSCALL", "CONFIG_CHANGE"], "records": []},
	}) == {"audit-rules-changed"}
}

# an event in several lines: the verdict is on that which has the record
test_a_record_of_an_earlier_line if {
	count(ids({
		"message": "type=SYSCALL msg=audit(1.2:9): syscall=44",
		"fields": {"types": ["CONFIG_CHANGE", "SYSCALL"], "records": []},
	})) == 0
}

test_audit_rules_changed_near_miss if count(ids(event("CONFIG_CHANGED", {"op": "set"}))) == 0

test_audit_service_stopped if {
	ids({"message": "Jan 12 08:00:00 web-1 systemd[1]: Stopping auditd.service - Security Audit Logging Service..."}) == {"audit-service-stopped"}
	ids({"message": "Jan 12 08:00:00 web-1 systemd[1]: Stopped auditd.service - Security Audit Logging Service."}) == {"audit-service-stopped"}
}

test_audit_service_stopped_near_miss if {
	count(ids({"message": "Jan 12 08:00:00 web-1 systemd[1]: Stopped nginx.service - A web server."})) == 0
	count(ids({"message": "Jan 12 08:00:00 web-1 systemd[1]: Started auditd.service - Security Audit Logging Service."})) == 0
}

test_login_failed if {
	ids(event("USER_AUTH", {"op": "PAM:authentication", "acct": "root", "res": "failed"})) == {"audit-login-failed"}
	ids(event("USER_LOGIN", {"op": "login", "acct": "root", "res": "failed"})) == {"audit-login-failed"}
}

test_login_failed_near_miss if {
	count(ids(event("USER_AUTH", {"op": "PAM:authentication", "acct": "bob", "res": "success"}))) == 0
	count(ids(event("USER_AUTH", {"acct": "res=failed", "res": "success"}))) == 0
	count(ids(event("USER_END", {"op": "PAM:session_close", "res": "failed"}))) == 0
}

test_sudo_command if ids(event("USER_CMD", {"cwd": "/", "cmd": "ls", "res": "success"})) == {"audit-sudo-command"}

test_sudo_refused if ids(event("USER_CMD", {"cwd": "/", "cmd": "ls", "res": "failed"})) == {"audit-sudo-refused"}

test_sudo_near_miss if count(ids(event("USER_ACCT", {"op": "PAM:accounting", "res": "success"}))) == 0

test_account_changed if {
	every kind in ["ADD_USER", "DEL_USER", "ADD_GROUP", "DEL_GROUP", "USER_MGMT", "GRP_MGMT", "USER_CHAUTHTOK", "ACCT_LOCK", "ACCT_UNLOCK"] {
		ids(event(kind, {"op": "x", "acct": "eve", "res": "success"})) == {"audit-account-changed"}
	}
}

test_account_changed_near_miss if {
	count(ids(event("ADD_USER", {"op": "add-user", "acct": "eve", "res": "failed"}))) == 0
	count(ids(event("ADDED_USER", {"acct": "eve", "res": "success"}))) == 0
}
