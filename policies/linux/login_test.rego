package sealtail.linux.login_test

import data.sealtail.linux.login

ids(message) := {v.id | some v in login.verdicts with input as {"message": message}}

# an entry of the journal, and a line of syslog that was taken apart
ids_of(program, message) := {v.id | some v in login.verdicts with input as {"message": message, "fields": {"SYSLOG_IDENTIFIER": program}}} & parsed_ids(program, message)

parsed_ids(program, message) := {v.id | some v in login.verdicts with input as {"message": concat(" ", ["<86>1 - web-1", program, "- - -", message]), "fields": {"appname": program, "msg": message}}}

test_pam_login_failed if {
	"pam-login-failed" in ids("Jan 12 06:25:41 web-1 gdm-password][812]: pam_unix(gdm-password:auth): authentication failure; logname=bob uid=0 euid=0 tty=/dev/tty1 ruser= rhost=  user=bob")
	"pam-login-failed" in ids_of("cockpit-session", "pam_sss(cockpit:auth): authentication failure; logname= uid=0 euid=0 tty= ruser= rhost=203.0.113.7 user=bob")
}

test_pam_login_failed_near_miss if {
	not "pam-login-failed" in ids("Jan 12 06:25:41 web-1 sshd[812]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=bob")
	not "pam-login-failed" in ids("Jan 12 06:25:41 web-1 su[99]: pam_unix(su-l:auth): authentication failure; logname=bob uid=1001 user=root")
	not "pam-login-failed" in ids("Jan 12 06:25:41 web-1 vsftpd[9]: pam_unix(vsftpd:session): session opened for user bob")
}

test_account_locked if {
	"account-locked" in ids("Jan 12 06:25:41 web-1 login[812]: pam_faillock(login:auth): Consecutive login failures for user bob account temporarily locked")
	"account-locked" in ids("Jan 12 06:25:41 web-1 sshd[812]: pam_tally2(sshd:auth): user bob (1001) tally 5, deny 3")
}

test_account_locked_near_miss if {
	not "account-locked" in ids("Jan 12 06:25:41 web-1 login[812]: pam_faillock(login:auth): User unknown")
	not "account-locked" in ids("Jan 12 06:25:41 web-1 sshd[812]: pam_tally2(sshd:auth): user bob (1001) tally 1")
}

test_console_root_login if {
	"console-root-login" in ids("Jan 12 06:25:41 web-1 login[700]: ROOT LOGIN  on '/dev/tty1'")
	"console-root-login" in ids_of("login", "ROOT LOGIN ON tty1")
}

test_console_root_login_near_miss if {
	not "console-root-login" in ids("Jan 12 06:25:41 web-1 login[700]: LOGIN ON tty1 BY bob")
	not "console-root-login" in ids("Jan 12 06:25:41 web-1 app[700]: ROOT LOGIN  on '/dev/tty1'")
}

test_console_login_failed if {
	"console-login-failed" in ids("Jan 12 06:25:41 web-1 login[700]: FAILED LOGIN (1) on '/dev/tty1' FOR 'bob', Authentication failure")
	"console-login-failed" in ids_of("login", "FAILED LOGIN SESSION FROM tty1 FOR bob, Authentication failure")
}

test_console_login_failed_near_miss if {
	not "console-login-failed" in ids("Jan 12 06:25:41 web-1 app[700]: FAILED LOGIN (1) on a page")
	not "console-login-failed" in ids("Jan 12 06:25:41 web-1 login[700]: pam_unix(login:session): session opened for user bob")
}

test_pam_broken if {
	"pam-broken" in ids("Jan 12 06:25:41 web-1 sshd[812]: PAM unable to dlopen(pam_faillock.so): /lib/security/pam_faillock.so: cannot open shared object file")
	"pam-broken" in ids("Jan 12 06:25:41 web-1 sshd[812]: PAM adding faulty module: pam_faillock.so")
}

test_pam_broken_near_miss if {
	not "pam-broken" in ids("Jan 12 06:25:41 web-1 sshd[812]: PAM service(sshd) ignoring max retries; 6 > 3")
}
