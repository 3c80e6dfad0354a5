# METADATA
# title: The audit log of the Kubernetes API
# description: Events of audit.k8s.io/v1, one JSON object a line, as the API server writes them.
# custom:
#   controls: [PCI-DSS-10.2.2, HIPAA-164.312(b), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
package sealtail.kubernetes.audit

is_event if {
	input.fields.kind == "Event"
	startswith(input.fields.apiVersion, "audit.k8s.io/")
}

# One line for each request: its last stage. Long-running requests (watch, exec) have only begun at the one before.
is_done if input.fields.stage in {"ResponseComplete", "Panic"}

is_begun if input.fields.stage in {"ResponseStarted", "ResponseComplete", "Panic"}

# The control plane, nodes and pods; everybody else is a person or their program.
is_person if {
	not startswith(input.fields.user.username, "system:")
	input.fields.user.username
}

# METADATA
# title: Secret read by a person
# description: Programs read secrets through their service accounts; a person who reads one sees it.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.1, PCI-DSS-10.2.2, HIPAA-164.312(b), SOC2-CC6.1, GDPR-32, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "k8s-secret-read"} if {
	input.fields.objectRef.resource == "secrets"
	input.fields.verb in {"get", "list", "watch"}
	is_event
	is_begun
	is_person
}

# METADATA
# title: Into a container
# description: exec, attach and port-forward go around everything that a container's own logs would show.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, HIPAA-164.312(b), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "k8s-into-container"} if {
	input.fields.objectRef.resource == "pods"
	input.fields.objectRef.subresource in {"exec", "attach", "portforward"}
	is_event
	is_begun
}

# METADATA
# title: Access rights changed
# description: Roles and their bindings say who may do what.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, HIPAA-164.312(b), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "k8s-rbac-changed"} if {
	input.fields.objectRef.resource in {"roles", "rolebindings", "clusterroles", "clusterrolebindings"}
	input.fields.verb in {"create", "update", "patch", "delete", "deletecollection"}
	is_event
	is_done
	not is_controller
}

# the API server keeps its default roles and aggregated roles up to date
is_controller if input.fields.user.username == "system:apiserver"

is_controller if input.fields.user.username == "system:serviceaccount:kube-system:clusterrole-aggregation-controller"

# METADATA
# title: Anonymous access
# description: A request without a name was let through, to more than health and version.
# custom:
#   severity: critical
#   controls: [PCI-DSS-10.2.1.1, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "k8s-anonymous", "decision": "deny"} if {
	input.fields.user.username == "system:anonymous"
	is_event
	is_done
	input.fields.responseStatus.code < 400
	not is_public
}

public_paths := {"/healthz", "/livez", "/readyz", "/version"}

is_public if {
	some path in public_paths
	path_is(path)
}

path_is(path) if input.fields.requestURI == path

path_is(path) if {
	some end in ["/", "?"]
	startswith(input.fields.requestURI, concat("", [path, end]))
}

# METADATA
# title: Request denied
# description: The API server did not know who asks (401) or did not allow it (403).
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(b), SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "k8s-denied", "decision": "deny"} if {
	input.fields.responseStatus.code in {401, 403}
	is_event
	is_done
}
