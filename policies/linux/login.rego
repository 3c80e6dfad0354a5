# METADATA
# title: Logins by PAM
# description: What PAM and login say, whatever the service; SSH, sudo and su have packages of their own.
# custom:
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.5, ISO27001-A.8.15, NIST-800-53-AU-2]
package sealtail.linux.login

# METADATA
# title: Login failed by PAM
# description: A password was wrong, for a service other than SSH, sudo and su.
# custom:
#   severity: medium
verdicts contains {"id": "pam-login-failed"} if {
	contains(input.message, ":auth): authentication failure;")
	not others
}

others if contains(input.message, "(sshd:auth)")

others if contains(input.message, "(sudo:auth)")

others if contains(input.message, "(sudo-i:auth)")

others if contains(input.message, "(su:auth)")

others if contains(input.message, "(su-l:auth)")

# METADATA
# title: Account locked after failed logins
# description: pam_faillock or pam_tally2 locked it; PCI DSS asks for a lock after at most ten attempts.
# custom:
#   severity: high
#   controls: [PCI-DSS-8.3.4, PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, SOC2-CC7.2, ISO27001-A.8.5, NIST-800-53-AC-7]
verdicts contains {"id": "account-locked"} if locked

locked if {
	contains(input.message, "pam_faillock(")
	contains(input.message, "Consecutive login failures for user ")
}

locked if {
	contains(input.message, "pam_tally2(")
	contains(input.message, " tally ")
	contains(input.message, ", deny ")
}

# METADATA
# title: root at the console
# description: Somebody who sits at the machine, or at its remote console, is root.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, SOC2-CC6.1, ISO27001-A.8.2, ISO27001-A.8.15, NIST-800-53-AC-6(9), NIST-800-53-AU-2]
verdicts contains {"id": "console-root-login"} if {
	contains(input.message, "ROOT LOGIN ")
	is_login
}

# METADATA
# title: Login failed at the console
# description: Somebody who sits at the machine gave a wrong name or password.
# custom:
#   severity: medium
verdicts contains {"id": "console-login-failed"} if {
	contains(input.message, "FAILED LOGIN ")
	is_login
}

is_login if contains(input.message, " login[")

is_login if contains(input.message, " login: ")

is_login if input.fields.SYSLOG_IDENTIFIER == "login"

is_login if input.fields.appname == "login"

# METADATA
# title: PAM is broken
# description: A module of PAM could not be loaded; who is let in is no longer what the configuration says.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.7.2, SOC2-CC7.2, ISO27001-A.8.16, NIST-800-53-SI-7]
verdicts contains {"id": "pam-broken"} if broken

broken if contains(input.message, "PAM unable to dlopen(")

broken if contains(input.message, "PAM adding faulty module: ")
