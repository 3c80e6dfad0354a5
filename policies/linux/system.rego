# METADATA
# title: The system itself
# description: Services that protect, the clock, the kernel, and devices, as systemd and the kernel log them.
# custom:
#   controls: [PCI-DSS-10.7.2, SOC2-CC7.2, ISO27001-A.8.16, NIST-800-53-AU-5]
package sealtail.linux.system

# systemd's own word, not what a service called so says of itself
is_systemd if contains(input.message, " systemd[1]: ")

is_systemd if {
	input.fields.SYSLOG_IDENTIFIER == "systemd"
	object.get(input.fields, "_PID", "1") == "1"
}

is_systemd if {
	input.fields.appname == "systemd"
	object.get(input.fields, "procid", "1") == "1"
}

is_kernel if contains(input.message, " kernel: ")

is_kernel if input.fields.SYSLOG_IDENTIFIER == "kernel"

is_kernel if input.fields.appname == "kernel"

stopped if contains(input.message, "Stopped ")

stopped if contains(input.message, "Failed with result ")

# systemd writes `Stopped rsyslog.service - System Logging Service.`; before 248 only the description
names(units) if {
	some unit in units
	contains(input.message, unit)
}

# METADATA
# title: Logging stopped
# description: rsyslog, syslog-ng or journald ended; what is not logged can't be shipped.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.6, PCI-DSS-10.7.2, HIPAA-164.312(b), SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-5]
verdicts contains {"id": "logging-stopped"} if {
	stopped
	is_systemd
	names({"rsyslog.service", "System Logging Service", "syslog-ng.service", "systemd-journald.service"})
}

# METADATA
# title: The clock's keeper stopped
# description: Without it times drift, and logs of several hosts no longer fit together.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.6.1, PCI-DSS-10.7.2, SOC2-CC7.2, ISO27001-A.8.17, NIST-800-53-AU-8]
verdicts contains {"id": "time-sync-stopped"} if {
	stopped
	is_systemd
	names({"chrony.service", "chronyd.service", "systemd-timesyncd.service", "ntp.service", "ntpd.service", "ntpsec.service", "Network Time Synchronization"})
}

# METADATA
# title: The clock was set
# description: Times before and after do not count on; somebody may hide when something was done.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.6.3, SOC2-CC7.2, ISO27001-A.8.17, NIST-800-53-AU-8]
verdicts contains {"id": "clock-set"} if clock_set

clock_set if contains(input.message, "Changed local time to ")

clock_set if contains(input.message, "System clock was stepped by ")

clock_set if contains(input.message, "Changed time zone to ")

# METADATA
# title: Firewall stopped
# description: What it kept out is no longer kept out.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.7.2, SOC2-CC6.6, SOC2-CC7.2, ISO27001-A.8.16, NIST-800-53-SI-4]
verdicts contains {"id": "firewall-stopped"} if {
	stopped
	is_systemd
	names({"firewalld.service", "nftables.service", "ufw.service", "iptables.service"})
}

# METADATA
# title: Protection stopped
# description: fail2ban, ClamAV, Falco, AppArmor, Wazuh or osquery ended.
# custom:
#   severity: high
verdicts contains {"id": "protection-stopped"} if {
	stopped
	is_systemd
	names({"fail2ban.service", "clamav-daemon.service", "clamd@", "falco.service", "apparmor.service", "wazuh-agent.service", "osqueryd.service"})
}

# METADATA
# title: Access control of the kernel switched off
# description: SELinux is permissive or disabled, or a profile of AppArmor was taken out.
# custom:
#   severity: critical
#   controls: [PCI-DSS-10.7.2, SOC2-CC6.1, SOC2-CC7.2, ISO27001-A.8.16, NIST-800-53-SI-7]
verdicts contains {"id": "mac-switched-off"} if mac_off

mac_off if {
	contains(input.message, "type=MAC_STATUS ")
	contains(input.message, " enforcing=0 old_enforcing=1")
}

mac_off if {
	contains(input.message, "SELinux:  Disabled at runtime")
	is_kernel
}

mac_off if contains(input.message, "apparmor=\"STATUS\" operation=\"profile_remove\"")

# METADATA
# title: Foreign code in the kernel
# description: A module that is not part of the kernel, or is not signed, was loaded.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-11.5.2, SOC2-CC6.8, SOC2-CC7.1, ISO27001-A.8.19, NIST-800-53-SI-7]
verdicts contains {"id": "kernel-module-foreign"} if {
	foreign
	is_kernel
}

foreign if contains(input.message, ": loading out-of-tree module taints kernel")

foreign if contains(input.message, ": module verification failed: ")

foreign if contains(input.message, " is rejected: unsigned ")

# METADATA
# title: A network card listens to all
# description: Promiscuous mode is how traffic of others is read; bridges of containers use it too.
# custom:
#   severity: medium
#   controls: [SOC2-CC7.2, ISO27001-A.8.16, NIST-800-53-SI-4]
verdicts contains {"id": "promiscuous-mode"} if {
	contains(input.message, "entered promiscuous mode")
	is_kernel
	not contains(input.message, " veth")
}

# METADATA
# title: USB disk plugged in
# description: A way for data to leave, and for programs to come.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.7, SOC2-CC6.8, ISO27001-A.8.12, NIST-800-53-AU-2]
verdicts contains {"id": "usb-storage"} if {
	contains(input.message, "USB Mass Storage device detected")
	is_kernel
}

# METADATA
# title: The machine goes down
# description: A pair to its start; between them nothing is recorded.
# custom:
#   severity: low
#   controls: [PCI-DSS-10.2.1.6, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "system-shutdown"} if {
	goes_down
	is_logind
}

goes_down if contains(input.message, "System is powering down")

goes_down if contains(input.message, "System is rebooting")

goes_down if contains(input.message, "The system will reboot now!")

goes_down if contains(input.message, "The system will power off now!")

is_logind if contains(input.message, " systemd-logind[")

is_logind if input.fields.SYSLOG_IDENTIFIER == "systemd-logind"

is_logind if input.fields.appname == "systemd-logind"
