package sealtail.linux.auditd_rules_test

import data.sealtail.linux.auditd_rules

ids(message) := {v.id | some v in auditd_rules.verdicts with input as {"message": message}}

test_audit_identity_file if {
	"audit-identity-file" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"vi\" exe=\"/usr/bin/vi\" key=\"identity\"")
}

test_audit_identity_file_near_miss if {
	not "audit-identity-file" in ids("type=CONFIG_CHANGE msg=audit(1768199999.123:1): auid=1000 ses=3 op=add_rule key=\"identity\" list=4 res=1")
}

test_audit_sudoers if {
	"audit-sudoers" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"vi\" exe=\"/usr/bin/vi\" key=\"scope\"")
	"audit-sudoers" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"vi\" exe=\"/usr/bin/vi\" key=\"sudoers\"")
}

test_audit_sudoers_near_miss if {
	not "audit-sudoers" in ids("type=CONFIG_CHANGE msg=audit(1768199999.123:1): auid=1000 ses=3 op=add_rule key=\"scope\" list=4 res=1")
}

test_audit_privileged_command if {
	"audit-privileged-command" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"vi\" exe=\"/usr/bin/vi\" key=\"user_emulation\"")
	"audit-privileged-command" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"vi\" exe=\"/usr/bin/vi\" key=\"privileged\"")
	"audit-privileged-command" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"vi\" exe=\"/usr/bin/vi\" key=\"actions\"")
}

test_audit_privileged_command_near_miss if {
	not "audit-privileged-command" in ids("type=CONFIG_CHANGE msg=audit(1768199999.123:1): auid=1000 ses=3 op=add_rule key=\"user_emulation\" list=4 res=1")
}

test_audit_time_change if {
	"audit-time-change" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"date\" exe=\"/usr/bin/date\" key=\"time-change\"")
}

test_audit_time_change_near_miss if {
	not "audit-time-change" in ids("type=CONFIG_CHANGE msg=audit(1768199999.123:1): auid=1000 ses=3 op=add_rule key=\"time-change\" list=4 res=1")
	not "audit-time-change" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"chronyd\" exe=\"/usr/sbin/chronyd\" key=\"time-change\"")
	not "audit-time-change" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"systemd-timesyn\" exe=\"/usr/lib/systemd/systemd-timesyncd\" key=\"time-change\"")
}

test_audit_kernel_module if {
	"audit-kernel-module" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"insmod\" exe=\"/usr/bin/kmod\" key=\"kernel_modules\"")
	"audit-kernel-module" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"insmod\" exe=\"/usr/bin/kmod\" key=\"modules\"")
	"audit-kernel-module" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"insmod\" exe=\"/usr/bin/kmod\" key=\"module-load\"")
	"audit-kernel-module" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"insmod\" exe=\"/usr/bin/kmod\" key=\"module-unload\"")
	"audit-kernel-module" in ids("type=KERN_MODULE msg=audit(1768199999.123:9): name=\"nf_tables\"")
}

test_audit_kernel_module_near_miss if {
	not "audit-kernel-module" in ids("type=CONFIG_CHANGE msg=audit(1768199999.123:1): auid=1000 ses=3 op=add_rule key=\"modules\" list=4 res=1")
}

test_audit_file_deleted if {
	"audit-file-deleted" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"rm\" exe=\"/usr/bin/rm\" key=\"delete\"")
}

test_audit_file_deleted_near_miss if {
	not "audit-file-deleted" in ids("type=CONFIG_CHANGE msg=audit(1768199999.123:1): auid=1000 ses=3 op=add_rule key=\"delete\" list=4 res=1")
}

test_audit_access_denied if {
	"audit-access-denied" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=no exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"cat\" exe=\"/usr/bin/cat\" key=\"access\"")
}

test_audit_access_denied_near_miss if {
	not "audit-access-denied" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"cat\" exe=\"/usr/bin/cat\" key=\"access\"")
	not "audit-access-denied" in ids("type=CONFIG_CHANGE msg=audit(1768199999.123:1): auid=1000 ses=3 op=add_rule key=\"access\" list=4 res=1")
}

test_audit_permissions_changed if {
	"audit-permissions-changed" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"chmod\" exe=\"/usr/bin/chmod\" key=\"perm_mod\"")
	"audit-permissions-changed" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"chmod\" exe=\"/usr/bin/chmod\" key=\"perm_chng\"")
}

test_audit_permissions_changed_near_miss if {
	not "audit-permissions-changed" in ids("type=CONFIG_CHANGE msg=audit(1768199999.123:1): auid=1000 ses=3 op=add_rule key=\"perm_mod\" list=4 res=1")
}

test_audit_mount if {
	"audit-mount" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"mount\" exe=\"/usr/bin/mount\" key=\"mounts\"")
	"audit-mount" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"mount\" exe=\"/usr/bin/mount\" key=\"export\"")
}

test_audit_mount_near_miss if {
	not "audit-mount" in ids("type=CONFIG_CHANGE msg=audit(1768199999.123:1): auid=1000 ses=3 op=add_rule key=\"mounts\" list=4 res=1")
}

test_audit_network_config if {
	"audit-network-config" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"hostname\" exe=\"/usr/bin/hostname\" key=\"system-locale\"")
}

test_audit_network_config_near_miss if {
	not "audit-network-config" in ids("type=CONFIG_CHANGE msg=audit(1768199999.123:1): auid=1000 ses=3 op=add_rule key=\"system-locale\" list=4 res=1")
}

test_audit_mac_policy if {
	"audit-mac-policy" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"vi\" exe=\"/usr/bin/vi\" key=\"MAC-policy\"")
}

test_audit_mac_policy_near_miss if {
	not "audit-mac-policy" in ids("type=CONFIG_CHANGE msg=audit(1768199999.123:1): auid=1000 ses=3 op=add_rule key=\"MAC-policy\" list=4 res=1")
}

test_audit_login_records if {
	"audit-login-records" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"truncate\" exe=\"/usr/bin/truncate\" key=\"logins\"")
	"audit-login-records" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"truncate\" exe=\"/usr/bin/truncate\" key=\"session\"")
}

test_audit_login_records_near_miss if {
	not "audit-login-records" in ids("type=CONFIG_CHANGE msg=audit(1768199999.123:1): auid=1000 ses=3 op=add_rule key=\"logins\" list=4 res=1")
	not "audit-login-records" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"sshd\" exe=\"/usr/sbin/sshd\" key=\"session\"")
	not "audit-login-records" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"systemd-logind\" exe=\"/usr/lib/systemd/systemd-logind\" key=\"session\"")
}

test_audit_log_access if {
	"audit-log-access" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"less\" exe=\"/usr/bin/less\" key=\"auditlog\"")
	"audit-log-access" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"less\" exe=\"/usr/bin/less\" key=\"audit-logs\"")
	"audit-log-access" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"less\" exe=\"/usr/bin/less\" key=\"sealtail\"")
}

test_audit_log_access_near_miss if {
	not "audit-log-access" in ids("type=CONFIG_CHANGE msg=audit(1768199999.123:1): auid=1000 ses=3 op=add_rule key=\"auditlog\" list=4 res=1")
	not "audit-log-access" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"auditd\" exe=\"/usr/sbin/auditd\" key=\"auditlog\"")
	not "audit-log-access" in ids("type=SYSCALL msg=audit(1768199999.123:456): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c ppid=900 pid=901 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm=\"sealtail\" exe=\"/usr/bin/sealtail\" key=\"sealtail\"")
}

test_audit_mac_denied if {
	"audit-mac-denied" in ids("type=AVC msg=audit(1768199999.123:9): avc:  denied  { read } for  pid=900 comm=\"httpd\" name=\"shadow\" dev=\"vda1\" ino=12 scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:shadow_t:s0 tclass=file permissive=0")
	"audit-mac-denied" in ids("type=AVC msg=audit(1768199999.123:9): apparmor=\"DENIED\" operation=\"open\" profile=\"/usr/sbin/mysqld\" name=\"/etc/shadow\" pid=900 comm=\"mysqld\"")
}

test_audit_mac_denied_near_miss if {
	not "audit-mac-denied" in ids("type=AVC msg=audit(1768199999.123:9): avc:  granted  { load_policy } for  pid=900 comm=\"load_policy\"")
}
