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
verdicts contains {"id": "personal-email", "redact": [{"text": address}]} if {
	contains(input.message, "@")
	some address in found
	not is_name(address)
}

pattern := `[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}`

found := regex.find_n(pattern, input.message, 9)

# METADATA
# title: Many e-mail addresses
# description: More of them than are looked at one by one; all that looks like one is hidden.
# custom:
#   severity: low
verdicts contains {"id": "personal-many-emails", "redact": [pattern]} if {
	contains(input.message, "@")
	count(found) > 8
}

is_name(address) if regex.match(name, address)

name := `git@|@(?:openssh\.com|libssh\.org)$|\.(?:service|timer|socket|slice|scope|target|mount|device|path|swap|local|internal)$`
