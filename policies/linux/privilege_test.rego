package sealtail.linux.privilege_test

import data.sealtail.linux.privilege

ids(message) := {v.id | some v in privilege.verdicts with input as {"message": message}}

test_sudo_command if {
	ids("Jan 12 06:30:01 web-1 sudo:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/apt update") == {"sudo-command"}
	ids("Jan 12 06:30:01 web-1 sudo[77]:    alice : TTY=pts/0 ; PWD=/ ; USER=postgres ; COMMAND=/bin/sh") == {"sudo-command"}
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
