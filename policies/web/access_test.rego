package sealtail.web.access_test

import data.sealtail.web.access

ids(message) := {v.id | some v in access.verdicts with input as {"message": message}}

test_web_unauthenticated if {
	"web-unauthenticated" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET / HTTP/1.1\" 401 512 \"-\" \"curl/8.5\"")
}

test_web_unauthenticated_near_miss if {
	not "web-unauthenticated" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET / HTTP/1.1\" 200 512 \"-\" \"x\\\" 401 1\"")
	not "web-unauthenticated" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /401 HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
}

test_web_forbidden if {
	"web-forbidden" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /x HTTP/1.1\" 403 512 \"-\" \"curl/8.5\"")
}

test_web_forbidden_near_miss if {
	not "web-forbidden" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /x HTTP/1.1\" 404 512 \"-\" \"curl/8.5\"")
}

test_web_password_wrong if {
	"web-password-wrong" in ids("2026/01/12 06:25:41 [error] 900#900: *1 user \"bob\": password mismatch, client: 203.0.113.7, server: example.com, request: \"GET / HTTP/1.1\", host: \"example.com\"")
	"web-password-wrong" in ids("2026/01/12 06:25:41 [error] 900#900: *1 user \"bob\" was not found in \"/etc/nginx/htpasswd\", client: 203.0.113.7")
	"web-password-wrong" in ids("[Mon Jan 12 06:25:41.000000 2026] [auth_basic:error] [pid 900] [client 203.0.113.7:5000] AH01617: user bob: authentication failure for \"/\": Password Mismatch")
}

test_web_password_wrong_near_miss if {
	not "web-password-wrong" in ids("2026/01/12 06:25:41 [error] 900#900: *1 open() \"/var/www/x\" failed (2: No such file or directory)")
	not "web-password-wrong" in ids("[Mon Jan 12 06:25:41.000000 2026] [core:error] [pid 900] AH00126: Invalid URI")
}

test_web_admin_access if {
	"web-admin-access" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /admin HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
	"web-admin-access" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"POST /wp-admin/post.php?x=1 HTTP/1.1\" 302 512 \"-\" \"curl/8.5\"")
	"web-admin-access" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /app/actuator/env HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
	"web-admin-access" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /manager/html HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
}

test_web_admin_access_near_miss if {
	not "web-admin-access" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /administration HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
	not "web-admin-access" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /shop/badmin HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
	not "web-admin-access" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /admins?x=/admin/ HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
}

test_web_admin_refused if {
	"web-admin-refused" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /admin/ HTTP/1.1\" 404 512 \"-\" \"curl/8.5\"")
	"web-admin-refused" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /phpMyAdmin/index.php HTTP/1.1\" 404 512 \"-\" \"curl/8.5\"")
	"web-admin-refused" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /console HTTP/1.1\" 500 512 \"-\" \"curl/8.5\"")
}

test_web_admin_refused_near_miss if {
	not "web-admin-refused" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /adminx HTTP/1.1\" 404 512 \"-\" \"curl/8.5\"")
}

test_web_secret_file_probe if {
	"web-secret-file-probe" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /.env HTTP/1.1\" 404 512 \"-\" \"curl/8.5\"")
	"web-secret-file-probe" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /.git/config HTTP/1.1\" 404 512 \"-\" \"curl/8.5\"")
	"web-secret-file-probe" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /wp-config.php.bak HTTP/1.1\" 404 512 \"-\" \"curl/8.5\"")
}

test_web_secret_file_probe_near_miss if {
	not "web-secret-file-probe" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /.well-known/security.txt HTTP/1.1\" 404 512 \"-\" \"curl/8.5\"")
	not "web-secret-file-probe" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /x.env HTTP/1.1\" 404 512 \"-\" \"curl/8.5\"")
}

test_web_secret_file_served if {
	"web-secret-file-served" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /.env HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
	"web-secret-file-served" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /id_rsa HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
	"web-secret-file-served" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /web.config HTTP/1.1\" 206 512 \"-\" \"curl/8.5\"")
}

test_web_secret_file_served_near_miss if {
	not "web-secret-file-served" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /.env HTTP/1.1\" 301 512 \"-\" \"curl/8.5\"")
	not "web-secret-file-served" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /.well-known/acme-challenge/x HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
}

test_web_path_traversal if {
	"web-path-traversal" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /static/../../etc/passwd HTTP/1.1\" 404 512 \"-\" \"curl/8.5\"")
	"web-path-traversal" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /static/..%2f..%2fetc/passwd HTTP/1.1\" 404 512 \"-\" \"curl/8.5\"")
	"web-path-traversal" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /%2e%2e/%2E%2E/etc/passwd HTTP/1.1\" 404 512 \"-\" \"curl/8.5\"")
	"web-path-traversal" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /..\\\\windows HTTP/1.1\" 404 512 \"-\" \"curl/8.5\"")
}

test_web_path_traversal_near_miss if {
	not "web-path-traversal" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /a..b/c HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
	not "web-path-traversal" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /x HTTP/1.1\" 200 512 \"-\" \"../\"")
}

test_web_secret_in_address if {
	"web-secret-in-address" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /x?password=hunter2 HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
	"web-secret-in-address" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /x?a=1&api_key=abc HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
	"web-secret-in-address" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /x?access_token=abc HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
}

test_web_secret_in_address_near_miss if {
	not "web-secret-in-address" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /x?password= HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
	not "web-secret-in-address" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /password=abc HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
	not "web-secret-in-address" in ids("203.0.113.7 - - [12/Jan/2026:06:25:41 +0000] \"GET /x?compass=1 HTTP/1.1\" 200 512 \"-\" \"curl/8.5\"")
}
