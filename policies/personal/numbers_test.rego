package sealtail.personal.numbers_test

import data.sealtail.personal.numbers

ids(message) := {v.id | some v in numbers.verdicts with input as {"message": message}}

test_personal_card_number if {
	"personal-card-number" in ids("card 4111111111111111 declined")
	"personal-card-number" in ids("card 4111 1111 1111 1111 declined")
	"personal-card-number" in ids("card 5500-0000-0000-0004")
	"personal-card-number" in ids("amex 378282246310005")
	"personal-card-number" in ids("{\"pan\":\"6011111111111117\"}")
	"personal-card-number" in ids("visa 4222222222222")
}

test_personal_card_number_near_miss if {
	not "personal-card-number" in ids("card 4111111111111112 declined")
	not "personal-card-number" in ids("order 1234567890123456")
	not "personal-card-number" in ids("time 1768199999123")
	not "personal-card-number" in ids("id 4111111111111111000000000")
	not "personal-card-number" in ids("0000000000000000")
}

test_personal_iban if {
	"personal-iban" in ids("to DE89370400440532013000")
	"personal-iban" in ids("to GB82 WEST 1234 5698 7654 32")
}

test_personal_iban_near_miss if {
	not "personal-iban" in ids("to DE88370400440532013000")
	not "personal-iban" in ids("REF12345678901234")
}

test_personal_ssn if {
	"personal-ssn" in ids("ssn 219-09-9999")
}

test_personal_ssn_near_miss if {
	not "personal-ssn" in ids("ssn 000-12-3456")
	not "personal-ssn" in ids("ssn 666-12-3456")
	not "personal-ssn" in ids("ssn 987-65-4321")
	not "personal-ssn" in ids("ssn 219-00-9999")
	not "personal-ssn" in ids("ssn 219-09-0000")
	not "personal-ssn" in ids("phone 555-123-4567")
}

test_personal_many_numbers if {
	"personal-many-numbers" in ids("078-05-1120 078-05-1121 078-05-1122 078-05-1123 078-05-1124 078-05-1125 078-05-1126 078-05-1127 078-05-1128")
}

test_personal_many_numbers_near_miss if {
	not "personal-many-numbers" in ids("078-05-1120 078-05-1121 078-05-1122 078-05-1123 078-05-1124 078-05-1125 078-05-1126 078-05-1127")
}

test_what_is_found_is_hidden if {
	some verdict in numbers.verdicts with input as {"message": "paid with 4111 1111 1111 1111"}
	verdict.redact == [{"text": "4111 1111 1111 1111"}]
}
