package sealtail.packages.rpm_test

import data.sealtail.packages.rpm

ids(message) := {v.id | some v in rpm.verdicts with input as {"message": message}}

# an entry of the journal, and a line of syslog that was taken apart
ids_of(program, message) := {v.id | some v in rpm.verdicts with input as {"message": message, "fields": {"SYSLOG_IDENTIFIER": program}}} & parsed_ids(program, message)

parsed_ids(program, message) := {v.id | some v in rpm.verdicts with input as {"message": concat(" ", ["<86>1 - web-1", program, "- - -", message]), "fields": {"appname": program, "msg": message}}}

test_rpm_installed if {
	"rpm-installed" in ids("Jan 12 06:40:00 Installed: nmap-7.93-1.el9.x86_64")
	"rpm-installed" in ids("2026-01-12T06:40:00+0000 SUBDEBUG Installed: nmap-3:7.93-1.el9.x86_64")
	"rpm-installed" in ids_of("dnf", "Installed: nmap-7.93-1.el9.x86_64")
}

test_rpm_installed_near_miss if {
	not "rpm-installed" in ids("Jan 12 06:40:00 app: Installed: nothing at all")
	not "rpm-installed" in ids("Installed: nmap-7.93-1")
}

test_rpm_upgraded if {
	"rpm-upgraded" in ids("Jan 12 06:40:00 Updated: openssl-3.0.7-25.el9.x86_64")
	"rpm-upgraded" in ids("2026-01-12T06:40:00Z SUBDEBUG Upgrade: openssl-1:3.0.7-25.el9.x86_64")
	"rpm-upgraded" in ids("2026-01-12T06:40:00+0000 SUBDEBUG Downgraded: openssl-1:3.0.7-24.el9.x86_64")
	"rpm-upgraded" in ids("2026-01-12T06:40:00+0000 SUBDEBUG Upgraded: openssl-1:3.0.7-24.el9.x86_64")
}

test_rpm_upgraded_near_miss if {
	not "rpm-upgraded" in ids("2026-01-12T06:40:00+0000 DEBUG Updated: it was")
	not "rpm-upgraded" in ids("the app was Upgraded: yes")
}

test_rpm_removed if {
	"rpm-removed" in ids("Jan 12 06:40:00 Erased: telnet-0.17-85.el9.x86_64")
	"rpm-removed" in ids("2026-01-12T06:40:00+0000 SUBDEBUG Erase: telnet-1:0.17-85.el9.x86_64")
	"rpm-removed" in ids("2026-01-12T06:40:00+0000 SUBDEBUG Removed: telnet-1:0.17-85.el9.x86_64")
}

test_rpm_removed_near_miss if {
	not "rpm-removed" in ids("something Removed: telnet")
}

test_package_signature_bad if {
	"package-signature-bad" in ids("Error: GPG check FAILED")
	"package-signature-bad" in ids("Package nmap-7.93-1.x86_64.rpm is not signed")
	"package-signature-bad" in ids("W: GPG error: http://deb.example.org stable InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 0E98404D386FA1D9")
	"package-signature-bad" in ids("WARNING: The following packages cannot be authenticated!")
}

test_package_signature_bad_near_miss if {
	not "package-signature-bad" in ids("GPG error: no agent")
	not "package-signature-bad" in ids("Importing GPG key 0x0608B895")
}
