package sealtail.personal.secrets_test

import data.sealtail.personal.secrets

ids(message) := {v.id | some v in secrets.verdicts with input as {"message": message}}

test_secret_private_key if {
	"secret-private-key" in ids("-----BEGIN OPENSSH PRIVATE KEY-----")
	"secret-private-key" in ids("key: -----BEGIN RSA PRIVATE KEY-----\\nMIIE")
}

test_secret_private_key_near_miss if {
	not "secret-private-key" in ids("-----BEGIN CERTIFICATE-----")
	not "secret-private-key" in ids("-----BEGIN PUBLIC KEY-----")
}

test_secret_bearer_token if {
	"secret-bearer-token" in ids("GET /x Authorization: Bearer 0123456789abcdef0123")
	"secret-bearer-token" in ids("authorization: bearer 0123456789abcdef0123")
}

test_secret_bearer_token_near_miss if {
	not "secret-bearer-token" in ids("Bearer of good news")
	not "secret-bearer-token" in ids("Bearer <redacted>")
}

test_secret_jwt if {
	"secret-jwt" in ids("cookie=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N")
}

test_secret_jwt_near_miss if {
	not "secret-jwt" in ids("eyJhbGciOiJIUzI1NiJ9 alone")
	not "secret-jwt" in ids("heyJude")
}

test_secret_aws_key if {
	"secret-aws-key" in ids("aws_access_key_id = AKIAIOSFODNN7EXAMPLE")
}

test_secret_aws_key_near_miss if {
	not "secret-aws-key" in ids("AKIA is a prefix")
	not "secret-aws-key" in ids("{\"eventVersion\":\"1.08\",\"userIdentity\":{\"accessKeyId\":\"AKIAIOSFODNN7EXAMPLE\"}}")
}

test_secret_forge_token if {
	"secret-forge-token" in ids("cloned with ghp_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2")
	"secret-forge-token" in ids("token glpat-abcdefghij0123456789")
	"secret-forge-token" in ids("xoxb-123456789012-abcdefghijkl")
	"secret-forge-token" in ids("gho_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2")
	"secret-forge-token" in ids("ghs_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2")
	"secret-forge-token" in ids("github_pat_a1B2c3a1B2c3a1B2c3a1B2c3a1B2c3a1B2c3a1B2c3a1B2c3a1B2c3a1B2c3a1B2c3")
}

test_secret_forge_token_near_miss if {
	not "secret-forge-token" in ids("ghp_short")
	not "secret-forge-token" in ids("xoxo from us")
}

test_secret_password_in_url if {
	"secret-password-in-url" in ids("connecting to postgres://app:s3cret@db.internal:5432/shop")
}

test_secret_password_in_url_near_miss if {
	not "secret-password-in-url" in ids("connecting to postgres://app:****@db.internal/shop")
	not "secret-password-in-url" in ids("see https://example.com:8443/@alice")
	not "secret-password-in-url" in ids("connecting to postgres://app@db.internal/shop")
}
