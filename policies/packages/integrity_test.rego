package sealtail.packages.integrity_test

import data.sealtail.packages.integrity

ids(message) := {v.id | some v in integrity.verdicts with input as {"message": message}}

test_integrity_aide if {
	"integrity-aide" in ids("AIDE found differences between database and filesystem!!")
	"integrity-aide" in ids("Jan 12 06:25:41 web-1 aide[812]: AIDE 0.18.3 found differences between database and filesystem!!")
	"integrity-aide" in ids("AIDE found differences between the two databases!!")
}

test_integrity_aide_near_miss if {
	not "integrity-aide" in ids("AIDE found NO differences between database and filesystem. Looks okay!!")
}

test_integrity_program_changed if {
	"integrity-program-changed" in ids("S.5....T.    /usr/bin/ssh")
	"integrity-program-changed" in ids("..5....T.    /usr/sbin/sshd")
	"integrity-program-changed" in ids("??5??????   /usr/bin/ssh")
	"integrity-program-changed" in ids("debsums: changed file /usr/bin/ssh (from openssh-client package)")
}

test_integrity_program_changed_near_miss if {
	not "integrity-program-changed" in ids("S.5....T.  c /etc/ssh/sshd_config")
	not "integrity-program-changed" in ids("??5?????? c /etc/ssh/sshd_config")
	not "integrity-program-changed" in ids(".......T.    /usr/bin/ssh")
	not "integrity-program-changed" in ids("Some text about /usr/bin/ssh")
	not "integrity-program-changed" in ids("..5....T.    /var/lib/x")
}

test_integrity_program_missing if {
	"integrity-program-missing" in ids("missing     /usr/bin/ssh")
	"integrity-program-missing" in ids("debsums: missing file /usr/bin/ssh (from openssh-client package)")
}

test_integrity_program_missing_near_miss if {
	not "integrity-program-missing" in ids("missing   c /etc/ssh/sshd_config")
	not "integrity-program-missing" in ids("missing     /var/run/x")
	not "integrity-program-missing" in ids("missing you /usr/bin/ssh")
}

test_integrity_ima if {
	"integrity-ima" in ids("type=INTEGRITY_DATA msg=audit(1768199999.123:9): pid=900 uid=0 auid=1000 ses=3 op=appraise_data cause=invalid-hash comm=\"bash\" name=\"/usr/bin/x\" dev=\"vda1\" ino=12 res=0 errno=0")
}

test_integrity_ima_near_miss if {
	not "integrity-ima" in ids("type=INTEGRITY_DATA msg=audit(1768199999.123:9): pid=900 uid=0 op=appraise_data cause=none comm=\"bash\" name=\"/usr/bin/x\" res=1")
	not "integrity-ima" in ids("type=INTEGRITY_RULE msg=audit(1:1): file=\"/x\" res=0")
}
