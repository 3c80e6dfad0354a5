package sealtail.linux.accounts_test

import data.sealtail.linux.accounts

ids(message) := {v.id | some v in accounts.verdicts with input as {"message": message}}

test_user_added if {
	ids("Jan 12 07:00:00 web-1 useradd[321]: new user: name=eve, UID=1002, GID=1002, home=/home/eve, shell=/bin/bash, from=/dev/pts/0") == {"user-added"}
}

test_user_added_near_miss if {
	count(ids("Jan 12 07:00:00 web-1 useradd[321]: failed adding user 'eve', exit code: 9")) == 0
	count(ids("Jan 12 07:00:00 web-1 app[321]: new user: name=eve")) == 0
}

test_user_changed if {
	ids("Jan 12 07:00:02 web-1 usermod[330]: add 'eve' to group 'sudo'") == {"user-changed", "admin-group-joined"}
}

test_user_changed_near_miss if count(ids("Jan 12 07:00:02 web-1 app[330]: usermod is a program")) == 0

test_user_removed if ids("Jan 12 07:00:09 web-1 userdel[340]: delete user 'eve'") == {"user-removed"}

test_user_removed_near_miss if {
	count(ids("Jan 12 07:00:09 web-1 userdel[340]: user 'eve' is currently used by process 8")) == 0
}

test_group_changed if {
	ids("Jan 12 07:01:00 web-1 groupadd[350]: new group: name=ops, GID=1003") == {"group-changed"}
	ids("Jan 12 07:01:00 web-1 groupmod[350]: group changed in /etc/group (group ops/1003)") == {"group-changed"}
	ids("Jan 12 07:01:00 web-1 groupdel[350]: group 'ops' removed") == {"group-changed"}
	ids("Jan 12 07:01:00 web-1 gpasswd[350]: user eve added by root to group sudo") == {"group-changed", "admin-group-joined"}
}

test_group_changed_near_miss if count(ids("Jan 12 07:01:00 web-1 getent[350]: group ops")) == 0

test_password_changed if {
	ids("Jan 12 07:02:00 web-1 passwd[360]: pam_unix(passwd:chauthtok): password changed for alice") == {"password-changed"}
	ids("Jan 12 07:02:00 web-1 chpasswd[360]: pam_unix(chpasswd:chauthtok): password changed for alice") == {"password-changed"}
}

test_password_changed_near_miss if {
	count(ids("Jan 12 07:02:00 web-1 passwd[360]: pam_unix(passwd:chauthtok): authentication failure")) == 0
	count(ids("Jan 12 07:02:00 web-1 app[360]: password changed for alice")) == 0
}

# an entry of the journal, and a line of syslog that was taken apart
ids_of(program, message) := {v.id | some v in accounts.verdicts with input as {"message": message, "fields": {"SYSLOG_IDENTIFIER": program}}} & parsed_ids(program, message)

parsed_ids(program, message) := {v.id | some v in accounts.verdicts with input as {"message": concat(" ", ["<86>1 - web-1", program, "- - -", message]), "fields": {"appname": program, "msg": message}}}

test_uid_zero_account if {
	"uid-zero-account" in ids("Jan 12 06:25:41 web-1 useradd[321]: new user: name=toor, UID=0, GID=0, home=/root, shell=/bin/bash, from=none")
	"uid-zero-account" in ids("Jan 12 06:25:41 web-1 usermod[330]: change user 'eve' UID from '1002' to '0'")
	"uid-zero-account" in ids_of("useradd", "new user: name=toor, UID=0, GID=0, home=/root, shell=/bin/bash, from=none")
}

test_uid_zero_account_near_miss if {
	not "uid-zero-account" in ids("Jan 12 06:25:41 web-1 useradd[321]: new user: name=eve, UID=1002, GID=0, home=/x, shell=/bin/sh")
	not "uid-zero-account" in ids("Jan 12 06:25:41 web-1 usermod[330]: change user 'eve' UID from '0' to '1002'")
}

test_admin_group_joined if {
	"admin-group-joined" in ids("Jan 12 06:25:41 web-1 usermod[330]: add 'eve' to group 'sudo'")
	"admin-group-joined" in ids("Jan 12 06:25:41 web-1 gpasswd[350]: user eve added by root to group wheel")
	"admin-group-joined" in ids_of("usermod", "add 'eve' to shadow group 'docker'")
}

test_admin_group_joined_near_miss if {
	not "admin-group-joined" in ids("Jan 12 06:25:41 web-1 usermod[330]: add 'eve' to group 'printers'")
	not "admin-group-joined" in ids("Jan 12 06:25:41 web-1 gpasswd[350]: user eve removed by root from group sudo")
	not "admin-group-joined" in ids("Jan 12 06:25:41 web-1 app[330]: add 'eve' to group 'sudo'")
}

test_password_ageing_changed if {
	"password-ageing-changed" in ids("Jan 12 06:25:41 web-1 chage[370]: changed password expiry for eve")
	"password-ageing-changed" in ids_of("chage", "changed password expiry for eve")
}

test_password_ageing_changed_near_miss if {
	not "password-ageing-changed" in ids("Jan 12 06:25:41 web-1 app[370]: changed password expiry for eve")
}
