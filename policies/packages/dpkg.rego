# METADATA
# title: Software installed and removed
# description: Debian's dpkg.log, apt's history.log and term.log.
# custom:
#   controls: [PCI-DSS-10.2.1.7, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
package sealtail.packages.dpkg

# dpkg.log: `2026-01-12 06:40:00 install name:arch <old> <new>`
words := split(input.message, " ")

is_dpkg if {
	count(words) == 6
	regex.match(`^\d{4}-\d{2}-\d{2}$`, words[0])
}

# METADATA
# title: Package installed
# description: New software on the host.
# custom:
#   severity: medium
verdicts contains {"id": "package-installed"} if {
	contains(input.message, " install ")
	is_dpkg
	words[2] == "install"
}

# METADATA
# title: Package upgraded
# description: Software has another version.
# custom:
#   severity: low
verdicts contains {"id": "package-upgraded"} if {
	contains(input.message, " upgrade ")
	is_dpkg
	words[2] == "upgrade"
}

# METADATA
# title: Package removed
# description: Software is gone, its configuration stays.
# custom:
#   severity: medium
verdicts contains {"id": "package-removed"} if {
	contains(input.message, " remove ")
	is_dpkg
	words[2] == "remove"
}

# METADATA
# title: Package purged
# description: Software is gone with its configuration.
# custom:
#   severity: medium
verdicts contains {"id": "package-purged"} if {
	contains(input.message, " purge ")
	is_dpkg
	words[2] == "purge"
}

# METADATA
# title: apt command
# description: The command line that was given to apt, in history.log.
# custom:
#   severity: low
verdicts contains {"id": "apt-command"} if startswith(input.message, "Commandline: ")

# METADATA
# title: Packages changed by apt
# description: What apt installed, upgraded or removed, in history.log.
# custom:
#   severity: low
verdicts contains {"id": "apt-change"} if apt_change

apt_change if startswith(input.message, "Install: ")

apt_change if startswith(input.message, "Upgrade: ")

apt_change if startswith(input.message, "Downgrade: ")

apt_change if startswith(input.message, "Reinstall: ")

apt_change if startswith(input.message, "Remove: ")

apt_change if startswith(input.message, "Purge: ")

# METADATA
# title: Package being unpacked or removed by apt
# description: dpkg's words to the terminal, in term.log.
# custom:
#   severity: info
verdicts contains {"id": "apt-terminal"} if apt_terminal

apt_terminal if {
	startswith(input.message, "Unpacking ")
	endswith(input.message, " ...")
}

apt_terminal if {
	startswith(input.message, "Removing ")
	endswith(input.message, " ...")
}

apt_terminal if {
	startswith(input.message, "Purging configuration files for ")
	endswith(input.message, " ...")
}
