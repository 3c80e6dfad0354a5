package sealtail.personal.email_test

import data.sealtail.personal.email

ids(message) := {v.id | some v in email.verdicts with input as {"message": message}}

test_personal_email if {
	"personal-email" in ids("order of alice@example.com placed")
	"personal-email" in ids("{\"to\":\"bob.b+x@mail.example.co.uk\"}")
}

test_personal_email_near_miss if {
	not "personal-email" in ids("Started user@1000.service - User Manager for UID 1000.")
	not "personal-email" in ids("kex: aes128-gcm@openssh.com")
	not "personal-email" in ids("cloned git@github.com:x/y")
	not "personal-email" in ids("root@localhost")
	not "personal-email" in ids("a @ b.com")
	not "personal-email" in ids("cipher none-mac@libssh.org")
}

test_personal_many_emails if {
	"personal-many-emails" in ids("a@b.de c@b.de d@b.de e@b.de f@b.de g@b.de h@b.de i@b.de j@b.de")
}

test_personal_many_emails_near_miss if {
	not "personal-many-emails" in ids("a@b.de c@b.de d@b.de e@b.de f@b.de g@b.de h@b.de i@b.de")
}
