# METADATA
# title: E-mail addresses in logs
# description: An address names a person. Many programs log them for a reason; the verdict says where they are.
# custom:
#   controls: [GDPR-5, GDPR-25, GDPR-30, ISO27001-A.8.11, ISO27001-A.8.12]
package sealtail.personal.email

# METADATA
# title: E-mail address
# description: Names of systemd's units and of SSH's algorithms look alike and are left out.
# custom:
#   severity: low
verdicts contains {"id": "personal-email"} if {
	contains(input.message, "@")
	some address in regex.find_n(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}`, input.message, 8)
	not is_name(address)
}

is_name(address) if {
	parts := split(address, ".")
	parts[count(parts) - 1] in {"service", "timer", "socket", "slice", "scope", "target", "mount", "device", "path", "swap", "local", "internal"}
}

is_name(address) if endswith(address, "@openssh.com")

is_name(address) if endswith(address, "@libssh.org")

is_name(address) if contains(address, "git@")
