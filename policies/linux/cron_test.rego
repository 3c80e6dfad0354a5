package sealtail.linux.cron_test

import data.sealtail.linux.cron

ids(message) := {v.id | some v in cron.verdicts with input as {"message": message}}

# an entry of the journal, and a line of syslog that was taken apart
ids_of(program, message) := {v.id | some v in cron.verdicts with input as {"message": message, "fields": {"SYSLOG_IDENTIFIER": program}}} & parsed_ids(program, message)

parsed_ids(program, message) := {v.id | some v in cron.verdicts with input as {"message": concat(" ", ["<86>1 - web-1", program, "- - -", message]), "fields": {"appname": program, "msg": message}}}

test_cron_table_replaced if {
	"cron-table-replaced" in ids("Jan 12 06:25:41 web-1 crontab[812]: (bob) REPLACE (bob)")
	"cron-table-replaced" in ids_of("crontab", "(root) REPLACE (root)")
}

test_cron_table_replaced_near_miss if {
	not "cron-table-replaced" in ids("Jan 12 06:25:41 web-1 crontab[812]: (bob) LIST (bob)")
	not "cron-table-replaced" in ids("Jan 12 06:25:41 web-1 app[1]: (bob) REPLACE (bob)")
}

test_cron_table_removed if {
	"cron-table-removed" in ids("Jan 12 06:25:41 web-1 crontab[812]: (bob) DELETE (bob)")
}

test_cron_table_removed_near_miss if {
	not "cron-table-removed" in ids("Jan 12 06:25:41 web-1 crontab[812]: (bob) BEGIN EDIT (bob)")
}

test_cron_refused if {
	"cron-refused" in ids("Jan 12 06:25:41 web-1 crontab[812]: (bob) AUTH (crontab command not allowed)")
}

test_cron_refused_near_miss if {
	not "cron-refused" in ids("Jan 12 06:25:41 web-1 app[812]: AUTH (crontab command not allowed)")
}

test_cron_system_changed if {
	"cron-system-changed" in ids("Jan 12 06:25:41 web-1 cron[500]: (*system*) RELOAD (/etc/crontab)")
	"cron-system-changed" in ids("Jan 12 06:25:41 web-1 cron[500]: (*system*backup) RELOAD (/etc/cron.d/backup)")
	"cron-system-changed" in ids_of("cron", "(*system*) RELOAD (/etc/crontab)")
	"cron-system-changed" in ids("Jan 12 06:25:41 web-1 crond[500]: (*system*) RELOAD (/etc/cron.d/0hourly)")
}

test_cron_system_changed_near_miss if {
	not "cron-system-changed" in ids("Jan 12 06:25:41 web-1 cron[500]: (bob) RELOAD (crontabs/bob)")
	not "cron-system-changed" in ids("Jan 12 06:25:41 web-1 CRON[900]: (root) CMD (run-parts /etc/cron.hourly)")
}

test_cron_table_insecure if {
	"cron-table-insecure" in ids("Jan 12 06:25:41 web-1 cron[500]: (*system*) INSECURE MODE (group/other writable) (/etc/crontab)")
	"cron-table-insecure" in ids("Jan 12 06:25:41 web-1 crond[500]: (root) BAD FILE MODE (/etc/cron.d/x)")
	"cron-table-insecure" in ids("Jan 12 06:25:41 web-1 cron[500]: (*system*x) WRONG FILE OWNER (/etc/cron.d/x)")
}

test_cron_table_insecure_near_miss if {
	not "cron-table-insecure" in ids("Jan 12 06:25:41 web-1 cron[500]: (CRON) INFO (Running @reboot jobs)")
}
