# METADATA
# title: Secrets in logs
# description: Keys and tokens that somebody who reads the log could use.
# custom:
#   controls: [PCI-DSS-8.3.2, HIPAA-164.312(d), GDPR-5, GDPR-25, GDPR-32, SOC2-CC6.1, ISO27001-A.8.12]
package sealtail.personal.secrets

# METADATA
# title: Private key
# description: PEM of a private key, of any kind.
# custom:
#   severity: critical
verdicts contains {"id": "secret-private-key"} if {
	contains(input.message, "-----BEGIN ")
	contains(input.message, "PRIVATE KEY-----")
}

# METADATA
# title: Bearer token
# description: An Authorization header with its token.
# custom:
#   severity: high
verdicts contains {"id": "secret-bearer-token"} if {
	bearer
	regex.match(`\b[Bb]earer [A-Za-z0-9._~+/-]{16,}`, input.message)
}

bearer if contains(input.message, "Bearer ")

bearer if contains(input.message, "bearer ")

# METADATA
# title: JSON web token
# description: Three parts in base64; the middle one often names a person.
# custom:
#   severity: high
verdicts contains {"id": "secret-jwt"} if {
	contains(input.message, "eyJ")
	regex.match(`\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`, input.message)
}

# METADATA
# title: Access key of AWS
# description: AKIA begins the id of a key that lasts. The id alone opens nothing; its secret is usually near.
# custom:
#   severity: high
verdicts contains {"id": "secret-aws-key"} if {
	contains(input.message, "AKIA")
	not contains(input.message, "\"eventVersion\"")
	regex.match(`\bAKIA[A-Z2-7]{16}\b`, input.message)
}

# METADATA
# title: Token of a code forge or a chat
# description: GitHub, GitLab and Slack mark their tokens, so that they can be found.
# custom:
#   severity: high
verdicts contains {"id": "secret-forge-token"} if {
	forge
	regex.match(`\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,}|glpat-[A-Za-z0-9_-]{20}|xox[baprs]-[A-Za-z0-9-]{20,})`, input.message)
}

forge if contains(input.message, "ghp_")

forge if contains(input.message, "gho_")

forge if contains(input.message, "ghs_")

forge if contains(input.message, "github_pat_")

forge if contains(input.message, "glpat-")

forge if contains(input.message, "xox")

# METADATA
# title: Password in an address
# description: An address of the form scheme://user:password@host.
# custom:
#   severity: high
verdicts contains {"id": "secret-password-in-url"} if {
	contains(input.message, "://")
	contains(input.message, "@")
	regex.match(`://[^/ :@"']+:[^/ :@"']+@[A-Za-z0-9.-]`, input.message)
	not regex.match(`://[^/ :@"']+:(\*+|x+|<[^>]*>|\[[^\]]*\])@`, input.message)
}
