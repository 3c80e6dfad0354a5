# METADATA
# title: Software installed and removed with rpm
# description: dnf.rpm.log and yum.log, and the same words of dnf in the journal.
# custom:
#   controls: [PCI-DSS-10.2.1.7, SOC2-CC7.1, SOC2-CC7.2, SOC2-CC8.1, ISO27001-A.8.15, ISO27001-A.8.19, NIST-800-53-AU-2, NIST-800-53-CM-11]
package sealtail.packages.rpm

# yum.log: `Jan 12 06:40:00 Installed: nmap-7.93-1.x86_64`; dnf.rpm.log: `2026-01-12T06:40:00+0000 SUBDEBUG Installed: …`
is_rpm if regex.match(`^([A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(Z|[+-][0-9]{4}) [A-Z]+) [A-Z][a-z]+: [^ ]+$`, input.message)

is_rpm if input.fields.SYSLOG_IDENTIFIER in {"dnf", "yum"}

is_rpm if input.fields.appname in {"dnf", "yum"}

# METADATA
# title: Package installed with rpm
# description: New software on the host.
# custom:
#   severity: medium
verdicts contains {"id": "rpm-installed"} if {
	contains(input.message, "Installed: ")
	is_rpm
}

# METADATA
# title: Package upgraded with rpm
# description: Software has another version.
# custom:
#   severity: low
verdicts contains {"id": "rpm-upgraded"} if {
	upgraded
	is_rpm
}

upgraded if contains(input.message, "Upgraded: ")

upgraded if contains(input.message, "Updated: ")

upgraded if contains(input.message, "Upgrade: ")

upgraded if contains(input.message, "Downgraded: ")

# METADATA
# title: Package removed with rpm
# description: Software is gone.
# custom:
#   severity: medium
verdicts contains {"id": "rpm-removed"} if {
	removed
	is_rpm
}

removed if contains(input.message, "Erased: ")

removed if contains(input.message, "Erase: ")

removed if contains(input.message, "Removed: ")

# METADATA
# title: Package or repository without a good signature
# description: apt or dnf could not tell who made it.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-11.5.2, SOC2-CC6.8, SOC2-CC7.1, ISO27001-A.8.19, NIST-800-53-SI-7]
verdicts contains {"id": "package-signature-bad"} if bad_signature

bad_signature if contains(input.message, "Error: GPG check FAILED")

bad_signature if contains(input.message, " is not signed")

bad_signature if {
	contains(input.message, "GPG error: ")
	contains(input.message, "signature")
}

bad_signature if contains(input.message, "WARNING: The following packages cannot be authenticated!")
