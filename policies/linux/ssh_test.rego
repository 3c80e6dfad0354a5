package sealtail.linux.ssh_test

import data.sealtail.linux.ssh

ids(message) := {v.id | some v in ssh.verdicts with input as {"message": message}}

test_failed_password if {
	"ssh-login-failed" in ids("Jan 12 06:25:41 web-1 sshd[812]: Failed password for alice from 203.0.113.7 port 51514 ssh2")
	"ssh-login-failed" in ids("2026-01-12T06:25:41.1+00:00 web-1 sshd-session[9]: Failed publickey for root from 203.0.113.7 port 2 ssh2")
}

test_failed_password_near_miss if {
	count(ids("Jan 12 06:25:41 web-1 sshd[812]: Connection closed by 203.0.113.7 port 51514 [preauth]")) == 0
	count(ids("Jan 12 06:25:41 web-1 app[812]: Failed password for alice from 203.0.113.7 port 51514")) == 0
}

test_invalid_user if "ssh-invalid-user" in ids("Jan 12 06:25:40 web-1 sshd[812]: Invalid user admin from 203.0.113.7 port 51514")

test_invalid_user_near_miss if {
	not "ssh-invalid-user" in ids("Jan 12 06:25:40 web-1 sshd[812]: Received disconnect from 203.0.113.7 port 51514:11: Invalid user")
	count(ids("Jan 12 06:25:40 web-1 postfix[812]: Invalid user admin from 203.0.113.7")) == 0
}

test_too_many_failures if {
	"ssh-too-many-failures" in ids("Jan 12 06:25:49 web-1 sshd[812]: error: maximum authentication attempts exceeded for root from 203.0.113.7 port 2 ssh2 [preauth]")
}

test_too_many_failures_near_miss if {
	count(ids("Jan 12 06:25:49 web-1 sshd[812]: error: kex_exchange_identification: Connection closed by remote host")) == 0
}

test_root_login if {
	found := ids("Jan 12 06:26:01 web-1 sshd[900]: Accepted publickey for root from 198.51.100.4 port 40022 ssh2: ED25519 SHA256:x")
	found == {"ssh-root-login", "ssh-login"}
}

test_root_login_near_miss if {
	found := ids("Jan 12 06:26:01 web-1 sshd[900]: Accepted publickey for rooter from 198.51.100.4 port 40022 ssh2")
	found == {"ssh-login"}
}

test_password_login if {
	found := ids("Jan 12 06:26:01 web-1 sshd[900]: Accepted password for bob from 198.51.100.4 port 40022 ssh2")
	found == {"ssh-password-login", "ssh-login"}
}

test_password_login_near_miss if {
	not "ssh-password-login" in ids("Jan 12 06:26:01 web-1 sshd[900]: Accepted keyboard-interactive/pam for bob from 198.51.100.4 port 4 ssh2")
}

test_login_near_miss if {
	count(ids("Jan 12 06:26:01 web-1 sshd[900]: pam_unix(sshd:session): session opened for user bob(uid=1000) by (uid=0)")) == 0
}

# an entry of the journal, and a line of syslog that was taken apart
ids_of(program, message) := {v.id | some v in ssh.verdicts with input as {"message": message, "fields": {"SYSLOG_IDENTIFIER": program}}} & parsed_ids(program, message)

parsed_ids(program, message) := {v.id | some v in ssh.verdicts with input as {"message": concat(" ", ["<86>1 - web-1", program, "- - -", message]), "fields": {"appname": program, "msg": message}}}

test_ssh_user_not_allowed if {
	"ssh-user-not-allowed" in ids("Jan 12 06:25:41 web-1 sshd[812]: User bob from 203.0.113.7 not allowed because not listed in AllowUsers")
	"ssh-user-not-allowed" in ids_of("sshd-session", "User bob from 203.0.113.7 not allowed because shell /bin/false does not exist")
}

test_ssh_user_not_allowed_near_miss if {
	not "ssh-user-not-allowed" in ids("Jan 12 06:25:41 web-1 app[812]: User bob not allowed because")
}

test_ssh_break_in_attempt if {
	"ssh-break-in-attempt" in ids("Jan 12 06:25:41 web-1 sshd[812]: reverse mapping checking getaddrinfo for x.example.com [203.0.113.7] failed - POSSIBLE BREAK-IN ATTEMPT!")
}

test_ssh_break_in_attempt_near_miss if {
	not "ssh-break-in-attempt" in ids("Jan 12 06:25:41 web-1 app[812]: POSSIBLE BREAK-IN ATTEMPT!")
}

test_ssh_server_stopped if {
	"ssh-server-stopped" in ids("Jan 12 06:25:41 web-1 sshd[600]: Received signal 15; terminating.")
}

test_ssh_server_stopped_near_miss if {
	not "ssh-server-stopped" in ids("Jan 12 06:25:41 web-1 sshd[600]: Received signal 15; ignored.")
	not "ssh-server-stopped" in ids("Jan 12 06:25:41 web-1 app[600]: Received signal 15; terminating.")
}
