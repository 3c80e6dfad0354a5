package sealtail.linux.system_test

import data.sealtail.linux.system

ids(message) := {v.id | some v in system.verdicts with input as {"message": message}}

# an entry of the journal, and a line of syslog that was taken apart
ids_of(program, message) := {v.id | some v in system.verdicts with input as {"message": message, "fields": {"SYSLOG_IDENTIFIER": program}}} & parsed_ids(program, message)

parsed_ids(program, message) := {v.id | some v in system.verdicts with input as {"message": concat(" ", ["<86>1 - web-1", program, "- - -", message]), "fields": {"appname": program, "msg": message}}}

test_logging_stopped if {
	"logging-stopped" in ids("Jan 12 06:25:41 web-1 systemd[1]: Stopped rsyslog.service - System Logging Service.")
	"logging-stopped" in ids("Jan 12 06:25:41 web-1 systemd[1]: Stopped System Logging Service.")
	"logging-stopped" in ids_of("systemd", "systemd-journald.service: Failed with result 'signal'.")
}

test_logging_stopped_near_miss if {
	not "logging-stopped" in ids("Jan 12 06:25:41 web-1 systemd[1]: Started rsyslog.service - System Logging Service.")
	not "logging-stopped" in ids("Jan 12 06:25:41 web-1 systemd[1]: Stopped nginx.service - A high performance web server.")
	not "logging-stopped" in ids("Jan 12 06:25:41 web-1 systemd[900]: Stopped rsyslog.service by hand")
}

test_time_sync_stopped if {
	"time-sync-stopped" in ids("Jan 12 06:25:41 web-1 systemd[1]: Stopped systemd-timesyncd.service - Network Time Synchronization.")
	"time-sync-stopped" in ids("Jan 12 06:25:41 web-1 systemd[1]: Stopped chrony.service - chrony, an NTP client/server.")
}

test_time_sync_stopped_near_miss if {
	not "time-sync-stopped" in ids("Jan 12 06:25:41 web-1 systemd[1]: Stopping chrony.service - chrony, an NTP client/server...")
	not "time-sync-stopped" in ids("Jan 12 06:25:41 web-1 systemd[1]: Stopped cron.service - Regular background program processing daemon.")
}

test_clock_set if {
	"clock-set" in ids("Jan 12 06:25:41 web-1 systemd-timedated[600]: Changed local time to Mon 2026-01-12 03:00:00 UTC")
	"clock-set" in ids("Jan 12 06:25:41 web-1 chronyd[500]: System clock was stepped by 3600.000012 seconds")
	"clock-set" in ids("Jan 12 06:25:41 web-1 systemd-timedated[600]: Changed time zone to 'Asia/Tokyo' (JST).")
}

test_clock_set_near_miss if {
	not "clock-set" in ids("Jan 12 06:25:41 web-1 chronyd[500]: Selected source 203.0.113.9 (2.debian.pool.ntp.org)")
}

test_firewall_stopped if {
	"firewall-stopped" in ids("Jan 12 06:25:41 web-1 systemd[1]: Stopped ufw.service - Uncomplicated firewall.")
	"firewall-stopped" in ids("Jan 12 06:25:41 web-1 systemd[1]: nftables.service: Failed with result 'exit-code'.")
}

test_firewall_stopped_near_miss if {
	not "firewall-stopped" in ids("Jan 12 06:25:41 web-1 systemd[1]: Started firewalld.service - firewalld - dynamic firewall daemon.")
}

test_protection_stopped if {
	"protection-stopped" in ids("Jan 12 06:25:41 web-1 systemd[1]: Stopped fail2ban.service - Fail2Ban Service.")
	"protection-stopped" in ids_of("systemd", "Stopped falco.service - Falco: Container Native Runtime Security.")
}

test_protection_stopped_near_miss if {
	not "protection-stopped" in ids("Jan 12 06:25:41 web-1 systemd[1]: Reloaded fail2ban.service - Fail2Ban Service.")
}

test_mac_switched_off if {
	"mac-switched-off" in ids("type=MAC_STATUS msg=audit(1768199999.123:9): enforcing=0 old_enforcing=1 auid=1000 ses=3 enabled=1 old-enabled=1 lsm=selinux res=1")
	"mac-switched-off" in ids("Jan 12 06:25:41 web-1 kernel: SELinux:  Disabled at runtime.")
	"mac-switched-off" in ids("type=AVC msg=audit(1768199999.123:9): apparmor=\"STATUS\" operation=\"profile_remove\" profile=\"unconfined\" name=\"/usr/sbin/mysqld\" pid=900 comm=\"apparmor_parser\"")
}

test_mac_switched_off_near_miss if {
	not "mac-switched-off" in ids("type=MAC_STATUS msg=audit(1768199999.123:9): enforcing=1 old_enforcing=0 auid=1000 ses=3 res=1")
	not "mac-switched-off" in ids("type=AVC msg=audit(1768199999.123:9): apparmor=\"STATUS\" operation=\"profile_load\" profile=\"unconfined\" name=\"/usr/sbin/mysqld\" pid=900")
}

test_kernel_module_foreign if {
	"kernel-module-foreign" in ids("Jan 12 06:25:41 web-1 kernel: [   12.345678] rootkit: loading out-of-tree module taints kernel.")
	"kernel-module-foreign" in ids("Jan 12 06:25:41 web-1 kernel: rootkit: module verification failed: signature and/or required key missing - tainting kernel")
	"kernel-module-foreign" in ids_of("kernel", "Lockdown: insmod: x is rejected: unsigned module loading is restricted")
}

test_kernel_module_foreign_near_miss if {
	not "kernel-module-foreign" in ids("Jan 12 06:25:41 web-1 kernel: [   12.345678] usbcore: registered new interface driver usb-storage")
	not "kernel-module-foreign" in ids("Jan 12 06:25:41 web-1 app[1]: rootkit: loading out-of-tree module taints kernel.")
}

test_promiscuous_mode if {
	"promiscuous-mode" in ids("Jan 12 06:25:41 web-1 kernel: [  812.000001] device eth0 entered promiscuous mode")
	"promiscuous-mode" in ids_of("kernel", "eth0: entered promiscuous mode")
}

test_promiscuous_mode_near_miss if {
	not "promiscuous-mode" in ids("Jan 12 06:25:41 web-1 kernel: [  812.000001] device eth0 left promiscuous mode")
	not "promiscuous-mode" in ids("Jan 12 06:25:41 web-1 kernel: device veth12ab entered promiscuous mode")
}

test_usb_storage if {
	"usb-storage" in ids("Jan 12 06:25:41 web-1 kernel: [  812.000001] usb-storage 1-1:1.0: USB Mass Storage device detected")
}

test_usb_storage_near_miss if {
	not "usb-storage" in ids("Jan 12 06:25:41 web-1 kernel: [  812.000001] usb 1-1: Product: USB Keyboard")
}

test_system_shutdown if {
	"system-shutdown" in ids("Jan 12 06:25:41 web-1 systemd-logind[400]: System is rebooting (Kernel upgrade).")
	"system-shutdown" in ids_of("systemd-logind", "The system will power off now!")
}

test_system_shutdown_near_miss if {
	not "system-shutdown" in ids("Jan 12 06:25:41 web-1 systemd-logind[400]: New session 4 of user bob.")
	not "system-shutdown" in ids("Jan 12 06:25:41 web-1 app[4]: System is rebooting")
}

# a user's own systemd stops what is called so, too
test_not_the_users_systemd if {
	message := "Jan 12 06:25:41 web-1 systemd[900]: Stopped rsyslog.service - mine."
	parsed := {"message": message, "fields": {"appname": "systemd", "procid": "900", "msg": "Stopped rsyslog.service - mine."}}
	count({v.id | some v in system.verdicts with input as parsed}) == 0
	entry := {"message": "Stopped rsyslog.service - mine.", "fields": {"SYSLOG_IDENTIFIER": "systemd", "_PID": "900"}}
	count({v.id | some v in system.verdicts with input as entry}) == 0
}
