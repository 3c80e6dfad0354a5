# METADATA
# title: Access logs of web servers
# description: The common and the combined format of nginx, Apache and others, and what their error logs say of passwords.
# custom:
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
package sealtail.web.access

# `203.0.113.7 - alice [12/Jan/2026:06:25:41 +0000] "GET /admin HTTP/1.1" 200 512 "-" "curl"`; what is between the first
# quotes is the client's, so the status is that behind them
parts := split(input.message, "\"")

request := split(parts[1], " ")

path := lower(request[1])

status := to_number(split(parts[2], " ")[1])

is_access if {
	contains(input.message, " HTTP/")
	startswith(request[count(request) - 1], "HTTP/")
	contains(parts[0], " [")
	status >= 100
}

# METADATA
# title: Not let in by the web server
# description: Status 401; the client gave no or a wrong name and password.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.5, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "web-unauthenticated", "decision": "deny"} if {
	contains(input.message, "\" 401 ")
	is_access
	status == 401
}

# METADATA
# title: Refused by the web server
# description: Status 403; whoever it was may not see this.
# custom:
#   severity: low
verdicts contains {"id": "web-forbidden", "decision": "deny"} if {
	contains(input.message, "\" 403 ")
	is_access
	status == 403
}

# METADATA
# title: Wrong password for a page
# description: The error log of nginx or Apache names the user whose password was wrong.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.5, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "web-password-wrong"} if wrong_password

wrong_password if {
	contains(input.message, "[error]")
	contains(input.message, ": password mismatch, client: ")
}

wrong_password if {
	contains(input.message, "[error]")
	contains(input.message, "\" was not found in \"")
}

wrong_password if {
	contains(input.message, "[auth_basic:error]")
	contains(input.message, "AH0161")
}

# METADATA
# title: A page for administrators
# description: Somebody was let into a part that administers something.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, SOC2-CC6.1, ISO27001-A.8.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "web-admin-access"} if {
	admin_word
	is_access
	is_admin_path
	status < 400
}

# METADATA
# title: A page for administrators was tried
# description: Somebody asked for a part that administers something and did not get it.
# custom:
#   severity: low
verdicts contains {"id": "web-admin-refused", "decision": "deny"} if {
	admin_word
	is_access
	is_admin_path
	status >= 400
}

admin_word if contains(input.message, "dmin")

admin_word if contains(input.message, "/manager/")

admin_word if contains(input.message, "/console")

admin_word if contains(input.message, "/actuator")

is_admin_path if regex.match(`^(/[^?]*)?/(admin|administrator|wp-admin|phpmyadmin|pma-admin|manager/html|console|actuator)([/?.]|$)`, path)

# METADATA
# title: A file that is nobody's business
# description: Environment files, repositories, keys and backups, asked for from outside.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.4, SOC2-CC6.6, SOC2-CC7.2, ISO27001-A.8.16, NIST-800-53-SI-4]
verdicts contains {"id": "web-secret-file-probe"} if {
	secret_file
	is_access
	regex.match(`/(\.env|\.git/|\.svn/|\.aws/|\.ssh/|\.htpasswd|id_rsa|wp-config\.php\.|web\.config)`, path)
	status >= 400
}

# METADATA
# title: A file that is nobody's business was given out
# description: The server answered with an environment file, a repository or a key.
# custom:
#   severity: critical
#   controls: [PCI-DSS-10.2.1.1, GDPR-32, GDPR-33, SOC2-CC6.6, SOC2-CC7.3, ISO27001-A.8.12, NIST-800-53-SI-4]
verdicts contains {"id": "web-secret-file-served"} if {
	secret_file
	is_access
	regex.match(`/(\.env|\.git/|\.svn/|\.aws/|\.ssh/|\.htpasswd|id_rsa|wp-config\.php\.|web\.config)`, path)
	status in {200, 206}
}

secret_file if contains(input.message, "/.")

secret_file if contains(input.message, "/id_rsa")

secret_file if contains(input.message, "/wp-config.php.")

secret_file if contains(input.message, "/web.config")

# METADATA
# title: A way out of the folder
# description: A path with `..`, written out or encoded, to reach files outside.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.4, SOC2-CC6.6, SOC2-CC7.2, ISO27001-A.8.16, NIST-800-53-SI-4]
verdicts contains {"id": "web-path-traversal"} if {
	dots
	is_access
	regex.match(`(\.\.|%2e%2e|\.%2e|%2e\.)(/|\\|%2f|%5c)`, path)
}

dots if contains(input.message, "../")

dots if contains(input.message, "..%")

dots if contains(input.message, "%2e")

dots if contains(input.message, "%2E")

dots if contains(input.message, "..\\")

# METADATA
# title: A secret in an address
# description: Passwords and tokens in a query stay in the logs of every server on the way.
# custom:
#   severity: high
#   controls: [PCI-DSS-8.3.2, GDPR-5, GDPR-25, GDPR-32, SOC2-CC6.1, ISO27001-A.8.12]
verdicts contains {"id": "web-secret-in-address"} if {
	secret_word
	is_access
	regex.match(`[?&](password|passwd|pwd|secret|api_?key|access_token|auth_token)=[^&]`, path)
}

secret_word if contains(input.message, "pass")

secret_word if contains(input.message, "pwd=")

secret_word if contains(input.message, "secret=")

secret_word if contains(input.message, "key=")

secret_word if contains(input.message, "_token=")
