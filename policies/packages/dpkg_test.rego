package sealtail.packages.dpkg_test

import data.sealtail.packages.dpkg

ids(message) := {v.id | some v in dpkg.verdicts with input as {"message": message}}

test_installed if ids("2026-01-12 06:40:00 install nmap:amd64 <none> 7.93+dfsg1-1") == {"package-installed"}

test_installed_near_miss if {
	count(ids("2026-01-12 06:40:01 status installed nmap:amd64 7.93+dfsg1-1")) == 0
	count(ids("2026-01-12 06:40:00 startup archives install now")) == 0
	count(ids("please do install one more thing")) == 0
}

test_upgraded if ids("2026-01-12 06:40:00 upgrade openssl:amd64 3.0.15-1 3.0.17-1") == {"package-upgraded"}

test_upgraded_near_miss if count(ids("2026-01-12 06:40:00 configure openssl:amd64 upgrade 3.0.17-1")) == 0

test_removed if ids("2026-01-12 06:41:00 remove telnet:amd64 0.17-44 <none>") == {"package-removed"}

test_removed_near_miss if count(ids("2026-01-12 06:41:00 startup packages remove")) == 0

test_purged if ids("2026-01-12 06:42:00 purge telnet:amd64 0.17-44 <none>") == {"package-purged"}

test_purged_near_miss if count(ids("2026-01-12 06:42:00 startup packages purge")) == 0

test_apt_command if ids("Commandline: apt-get install nmap") == {"apt-command"}

test_apt_command_near_miss if count(ids("The Commandline: apt-get install nmap")) == 0

test_apt_change if {
	every kind in ["Install", "Upgrade", "Downgrade", "Reinstall", "Remove", "Purge"] {
		ids(concat(": ", [kind, "nmap:amd64 (7.93+dfsg1-1)"])) == {"apt-change"}
	}
}

test_apt_change_near_miss if {
	count(ids("Start-Date: 2026-01-12  06:40:00")) == 0
	count(ids("Installing: nmap")) == 0
}

test_apt_terminal if {
	ids("Unpacking nmap (7.93+dfsg1-1) ...") == {"apt-terminal"}
	ids("Removing telnet (0.17-44) ...") == {"apt-terminal"}
	ids("Purging configuration files for telnet (0.17-44) ...") == {"apt-terminal"}
}

test_apt_terminal_near_miss if {
	count(ids("Preparing to unpack .../nmap_7.93+dfsg1-1_amd64.deb ...")) == 0
	count(ids("Unpacking took long")) == 0
}
