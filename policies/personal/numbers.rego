# METADATA
# title: Numbers that belong to a person
# description: Card and account numbers whose check digits are right, and US social security numbers. Looks at every line; not among quickstart's packs for that.
# custom:
#   controls: [GDPR-5, GDPR-25, GDPR-32, ISO27001-A.8.11, ISO27001-A.8.12]
package sealtail.personal.numbers

# METADATA
# title: Card number
# description: 13 to 19 digits of a known scheme, the last of which is right by Luhn's rule.
# custom:
#   severity: critical
#   controls: [PCI-DSS-3.5.1, PCI-DSS-3.4.1, GDPR-5, GDPR-32, SOC2-CC6.1, ISO27001-A.8.11, ISO27001-A.8.12]
verdicts contains {"id": "personal-card-number", "redact": [{"text": found}]} if {
	some found in cards
	is_card(regex.replace(found, `[ -]`, ""))
}

card := `\b[2-6][0-9]{3}(?:[ -]?[0-9]{4}){2}[ -]?[0-9]{1,7}\b|\b3[0-9]{3}[ -]?[0-9]{6}[ -]?[0-9]{4,5}\b`

cards := regex.find_n(card, input.message, 9)

# Visa, Mastercard, American Express, Discover, Diners, JCB, UnionPay, Maestro
is_card(number) if {
	regex.match(`^(4[0-9]{12}([0-9]{3}){0,2}|5[1-5][0-9]{14}|2(22[1-9]|2[3-9][0-9]|[3-6][0-9][0-9]|7[01][0-9]|720)[0-9]{12}|3[47][0-9]{13}|6(011|5[0-9][0-9]|4[4-9][0-9])[0-9]{12}|3(0[0-5]|[689][0-9])[0-9]{11}|35[0-9]{14}|62[0-9]{14,17}|(5018|5020|5038|6304|6759|676[1-3])[0-9]{8,15})$`, number)
	luhn(number)
}

luhn(number) if {
	digits := split(number, "")
	last := count(digits) - 1
	total := sum([counted |
		some i
		digit := digits[i]
		counted := value(to_number(digit), (last - i) % 2)
	])
	total % 10 == 0
}

# every second digit from the right counts twice, and of ten and more its digits
value(digit, 0) := digit

value(digit, 1) := digit * 2 if digit < 5

value(digit, 1) := (digit * 2) - 9 if digit >= 5

# METADATA
# title: IBAN
# description: An account number whose check digits are right.
# custom:
#   severity: high
verdicts contains {"id": "personal-iban", "redact": [{"text": found}]} if {
	some found in ibans
	is_iban(replace(found, " ", ""))
}

iban := `\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2}(?: ?[A-Z0-9]{3}|(?: ?[A-Z0-9]{4}){1,5}(?: ?[A-Z0-9]{1,3})?)\b`

ibans := regex.find_n(iban, input.message, 9)

is_iban(number) if {
	length := count(number)
	length >= 15
	length <= 34
	turned := concat("", [substring(number, 4, -1), substring(number, 0, 4)])
	digits := split(concat("", [as_digits(c) | some c in split(turned, "")]), "")
	last := count(digits) - 1
	total := sum([counted |
		some i
		digit := digits[i]
		counted := to_number(digit) * powers[last - i]
	])
	total % 97 == 1
}

as_digits(c) := letters[c]

as_digits(c) := c if not letters[c]

letters := {
	"A": "10", "B": "11", "C": "12", "D": "13", "E": "14", "F": "15", "G": "16", "H": "17", "I": "18", "J": "19",
	"K": "20", "L": "21", "M": "22", "N": "23", "O": "24", "P": "25", "Q": "26", "R": "27", "S": "28", "T": "29",
	"U": "30", "V": "31", "W": "32", "X": "33", "Y": "34", "Z": "35",
}

# 10^n modulo 97: the remainder of a number of 68 digits without numbers of 68 digits
powers := [
	1, 10, 3, 30, 9, 90, 27, 76, 81, 34, 49, 5, 50, 15, 53, 45, 62, 38, 89, 17, 73, 51, 25,
	56, 75, 71, 31, 19, 93, 57, 85, 74, 61, 28, 86, 84, 64, 58, 95, 77, 91, 37, 79, 14, 43, 42,
	32, 29, 96, 87, 94, 67, 88, 7, 70, 21, 16, 63, 48, 92, 47, 82, 44, 52, 35, 59, 8, 80,
]

# METADATA
# title: US social security number
# description: Three, two and four digits with hyphens, within what was ever given out.
# custom:
#   severity: high
verdicts contains {"id": "personal-ssn", "redact": [{"text": found}]} if {
	some found in ssns
	parts := split(found, "-")
	not parts[0] in {"000", "666"}
	not startswith(parts[0], "9")
	parts[1] != "00"
	parts[2] != "0000"
}

ssn := `\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b`

ssns := regex.find_n(ssn, input.message, 9)

# METADATA
# title: Many numbers
# description: More numbers that look so than are looked at one by one; all of them are hidden.
# custom:
#   severity: medium
verdicts contains {"id": "personal-many-numbers", "redact": [card, iban, ssn]} if many

many if count(cards) > 8

many if count(ibans) > 8

many if count(ssns) > 8
