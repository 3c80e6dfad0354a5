# METADATA
# title: Programs and files that are not as they were
# description: What AIDE, debsums, rpm -V, dpkg -V and the kernel's IMA report, from their logs or a job's output.
# custom:
#   controls: [PCI-DSS-11.5.2, PCI-DSS-10.3.4, HIPAA-164.312(c)(1), SOC2-CC7.1, ISO27001-A.8.16, NIST-800-53-SI-7]
package sealtail.packages.integrity

# METADATA
# title: AIDE found differences
# description: Files differ from the database of AIDE; the report lists them.
# custom:
#   severity: high
verdicts contains {"id": "integrity-aide"} if {
	contains(input.message, "AIDE")
	aide
}

aide if contains(input.message, "found differences between database and filesystem")

aide if contains(input.message, "found differences between the two databases")

# METADATA
# title: A program differs from its package
# description: The checksum of a file that a package brought is another; the file is no configuration.
# custom:
#   severity: critical
verdicts contains {"id": "integrity-program-changed"} if program_changed

program_changed if {
	contains(input.message, " /")
	verify_reports
}

program_changed if startswith(input.message, "debsums: changed file /")

# `S.5....T.    /usr/bin/ssh` (rpm), `??5??????   /usr/bin/ssh` (dpkg); a `c` between the two is for configuration
verify_reports if {
	starts_verify
	regex.match(`^[S.][M.?]5[.DLUGTP?]{4,7} +/(usr|bin|sbin|lib|lib64|opt)/[^ ]`, input.message)
}

verify_reports if {
	startswith(input.message, "??5")
	regex.match(`^\?\?5\?{6} +/(usr|bin|sbin|lib|lib64|opt)/[^ ]`, input.message)
}

starts_verify if startswith(input.message, "S")

starts_verify if startswith(input.message, ".")

# METADATA
# title: A program is gone
# description: A file that a package brought is missing.
# custom:
#   severity: high
verdicts contains {"id": "integrity-program-missing"} if program_missing

program_missing if {
	startswith(input.message, "missing ")
	regex.match(`^missing  +/(usr|bin|sbin|lib|lib64|opt)/[^ ]`, input.message)
}

program_missing if startswith(input.message, "debsums: missing file /")

# METADATA
# title: The kernel refused a file
# description: IMA found that a file's hash or signature is not what it should be.
# custom:
#   severity: critical
verdicts contains {"id": "integrity-ima", "decision": "deny"} if {
	contains(input.message, "type=INTEGRITY_DATA ")
	contains(input.message, " res=0")
}
