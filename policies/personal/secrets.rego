# METADATA
# title: Secrets in logs
# description: Keys and tokens that somebody who reads the log could use.
# custom:
#   controls: [PCI-DSS-8.3.2, HIPAA-164.312(d), GDPR-5, GDPR-25, GDPR-32, SOC2-CC6.1, ISO27001-A.8.12]
package sealtail.personal.secrets

# METADATA
# title: Private key
# description: PEM of a private key, of any kind. What follows its first line in other lines is not known to be of it.
# custom:
#   severity: critical
verdicts contains {"id": "secret-private-key", "redact": [pem]} if {
	contains(input.message, "-----BEGIN ")
	contains(input.message, "PRIVATE KEY-----")
}

pem := `(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:.*?-----END [A-Z0-9 ]*PRIVATE KEY-----|.*)`

# METADATA
# title: Bearer token
# description: An Authorization header with its token.
# custom:
#   severity: high
verdicts contains {"id": "secret-bearer-token", "redact": [token]} if {
	bearer
	regex.match(token, input.message)
}

token := `\b[Bb]earer ([A-Za-z0-9._~+/-]{16,}=*)`

bearer if contains(input.message, "Bearer ")

bearer if contains(input.message, "bearer ")

# METADATA
# title: JSON web token
# description: Three parts in base64; the middle one often names a person.
# custom:
#   severity: high
verdicts contains {"id": "secret-jwt", "redact": [jwt]} if {
	contains(input.message, "eyJ")
	regex.match(jwt, input.message)
}

jwt := `\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`

# METADATA
# title: Access key of AWS
# description: AKIA begins the id of a key that lasts. The id alone opens nothing; its secret is usually near.
# custom:
#   severity: high
verdicts contains {"id": "secret-aws-key", "redact": [aws_key]} if {
	contains(input.message, "AKIA")
	not contains(input.message, "\"eventVersion\"")
	regex.match(aws_key, input.message)
}

aws_key := `\bAKIA[A-Z2-7]{16}\b`

# METADATA
# title: Token of a code forge or a chat
# description: GitHub, GitLab and Slack mark their tokens, so that they can be found.
# custom:
#   severity: high
verdicts contains {"id": "secret-forge-token", "redact": [forge_token]} if {
	forge
	regex.match(forge_token, input.message)
}

forge_token := `\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,}|glpat-[A-Za-z0-9_-]{20,}|xox[baprs]-[A-Za-z0-9-]{20,})`

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
verdicts contains {"id": "secret-password-in-url", "redact": [password]} if {
	contains(input.message, "://")
	contains(input.message, "@")
	regex.match(password, input.message)
	not regex.match(`://[^/ :@"']+:(\*+|x+|<[^>]*>|\[[^\]]*\])@`, input.message)
}

password := `://[^/ :@"']+:([^/ :@"']+)@[A-Za-z0-9.-]`
