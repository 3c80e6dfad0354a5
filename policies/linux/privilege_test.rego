package sealtail.linux.privilege_test

import data.sealtail.linux.privilege

ids(message) := {v.id | some v in privilege.verdicts with input as {"message": message}}

test_sudo_command if {
	ids("Jan 12 06:30:01 web-1 sudo:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/apt update") == {"sudo-command"}
	ids("Jan 12 06:30:01 web-1 sudo[77]:    alice : TTY=pts/0 ; PWD=/ ; USER=postgres ; COMMAND=/bin/sh") == {"sudo-command", "sudo-shell"}
}

test_sudo_command_near_miss if {
	count(ids("Jan 12 06:30:01 web-1 sudo: pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)")) == 0
	count(ids("Jan 12 06:30:01 web-1 CRON[8]: (root) CMD (COMMAND=/bin/true USER=root)")) == 0
}

test_sudo_refused if {
	ids("Jan 12 06:30:09 web-1 sudo:  mallory : user NOT in sudoers ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/su") == {"sudo-refused"}
	ids("Jan 12 06:30:09 web-1 sudo:    bob : command not allowed ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/su") == {"sudo-refused"}
	ids("Jan 12 06:30:09 web-1 sudo:    bob : user NOT authorized on host ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/su") == {"sudo-refused"}
	ids("Jan 12 06:30:09 web-1 sudo:    bob : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/su") == {"sudo-refused"}
}

test_sudo_refused_near_miss if {
	count(ids("Jan 12 06:30:09 web-1 app: user NOT in sudoers, says the manual")) == 0
}

test_sudo_password_wrong if {
	ids("Jan 12 06:30:05 web-1 sudo: pam_unix(sudo:auth): authentication failure; logname=bob uid=1001 euid=0 tty=/dev/pts/1 ruser=bob rhost=  user=bob") == {"sudo-password-wrong"}
}

test_sudo_password_wrong_near_miss if {
	count(ids("Jan 12 06:30:05 web-1 sudo: pam_unix(sudo:auth): conversation failed")) == 0
}

test_su_session if {
	ids("Jan 12 06:31:00 web-1 su[99]: pam_unix(su:session): session opened for user root(uid=0) by alice(uid=1000)") == {"su-session"}
	ids("Jan 12 06:31:00 web-1 su: pam_unix(su-l:session): session opened for user postgres by (uid=0)") == {"su-session"}
}

test_su_session_near_miss if {
	count(ids("Jan 12 06:31:00 web-1 su[99]: pam_unix(su:session): session closed for user root")) == 0
	count(ids("Jan 12 06:31:00 web-1 login[99]: pam_unix(login:session): session opened for user root(uid=0)")) == 0
}

test_su_failed if {
	ids("Jan 12 06:31:10 web-1 su[99]: FAILED SU (to root) bob on pts/1") == {"su-failed"}
	ids("Jan 12 06:31:09 web-1 su[99]: pam_unix(su:auth): authentication failure; logname=bob uid=1001 euid=0 tty=/dev/pts/1 ruser=bob rhost=  user=root") == {"su-failed"}
}

test_su_failed_near_miss if count(ids("Jan 12 06:31:10 web-1 su[99]: (to root) alice on pts/0")) == 0

# an entry of the journal, and a line of syslog that was taken apart
ids_of(program, message) := {v.id | some v in privilege.verdicts with input as {"message": message, "fields": {"SYSLOG_IDENTIFIER": program}}} & parsed_ids(program, message)

parsed_ids(program, message) := {v.id | some v in privilege.verdicts with input as {"message": concat(" ", ["<86>1 - web-1", program, "- - -", message]), "fields": {"appname": program, "msg": message}}}

test_sudo_shell if {
	"sudo-shell" in ids("Jan 12 06:25:41 web-1 sudo:    alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/bash")
	"sudo-shell" in ids("Jan 12 06:25:41 web-1 sudo:    alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/su -")
	"sudo-shell" in ids_of("sudo", "   alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/zsh")
}

test_sudo_shell_near_miss if {
	not "sudo-shell" in ids("Jan 12 06:25:41 web-1 sudo:    alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/bashful")
	not "sudo-shell" in ids("Jan 12 06:25:41 web-1 sudo:    bob : command not allowed ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/bash")
}

test_pkexec_command if {
	"pkexec-command" in ids("Jan 12 06:25:41 web-1 pkexec[812]: alice: Executing command [USER=root] [TTY=unknown] [CWD=/home/alice] [COMMAND=/usr/bin/id]")
	"pkexec-command" in ids_of("pkexec", "alice: Executing command [USER=root] [TTY=unknown] [CWD=/] [COMMAND=/usr/bin/id]")
}

test_pkexec_command_near_miss if {
	not "pkexec-command" in ids("Jan 12 06:25:41 web-1 app[812]: Executing command [USER=root]")
}

test_pkexec_refused if {
	"pkexec-refused" in ids("Jan 12 06:25:41 web-1 pkexec[812]: bob: Error executing command as another user: Not authorized [USER=root] [TTY=/dev/pts/1] [CWD=/] [COMMAND=/bin/sh]")
}

test_pkexec_refused_near_miss if {
	not "pkexec-refused" in ids("Jan 12 06:25:41 web-1 pkexec[812]: bob: Error executing command as another user: No session found")
}
