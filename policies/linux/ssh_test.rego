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
