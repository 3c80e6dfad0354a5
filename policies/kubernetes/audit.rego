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

is_change if input.fields.verb in {"create", "update", "patch", "delete", "deletecollection"}

# METADATA
# title: Full rights given away
# description: A binding to cluster-admin; whoever is bound can do everything. Needs the audit level Request for bindings.
# custom:
#   severity: critical
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC6.3, ISO27001-A.8.2, ISO27001-A.8.15, NIST-800-53-AC-2, NIST-800-53-AC-6(9), CIS-K8S-3.2.2]
verdicts contains {"id": "k8s-cluster-admin-bound"} if {
	input.fields.requestObject.roleRef.name == "cluster-admin"
	input.fields.objectRef.resource in {"clusterrolebindings", "rolebindings"}
	input.fields.verb in {"create", "update", "patch"}
	is_event
	is_done
}

# METADATA
# title: In another's name
# description: A request by impersonation; the rights are those of the impersonated.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AC-6(9), NIST-800-53-AU-2]
verdicts contains {"id": "k8s-impersonated"} if {
	contains(input.message, "impersonatedUser")
	input.fields.impersonatedUser.username
	is_event
	is_done
}

# METADATA
# title: Past all rules of access
# description: A member of system:masters; no role limits it and none can take it away. Break-glass only.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, SOC2-CC6.1, ISO27001-A.8.2, ISO27001-A.8.15, NIST-800-53-AC-6(9)]
verdicts contains {"id": "k8s-masters-used"} if {
	contains(input.message, "system:masters")
	is_event
	is_done
	"system:masters" in input.fields.user.groups
	is_person
}

# METADATA
# title: Through the API server's proxy
# description: Requests to pods, services or nodes by the proxy go around network policies and their logs.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC6.6, ISO27001-A.8.15, NIST-800-53-AU-2, CIS-K8S-3.2.2]
verdicts contains {"id": "k8s-proxy"} if {
	input.fields.objectRef.subresource == "proxy"
	input.fields.objectRef.resource in {"pods", "services", "nodes"}
	is_event
	is_begun
	is_person
}

# METADATA
# title: Token of a service account made by a person
# description: The token lets its holder act as the service account, outside the cluster too.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.5, ISO27001-A.8.15, NIST-800-53-IA-5]
verdicts contains {"id": "k8s-token-made"} if {
	input.fields.objectRef.resource == "serviceaccounts"
	input.fields.objectRef.subresource == "token"
	input.fields.verb == "create"
	is_event
	is_done
	is_person
}

# METADATA
# title: Account of a program added or removed
# description: Service accounts are what roles are bound to.
# custom:
#   severity: low
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC6.2, ISO27001-A.5.16, ISO27001-A.8.15, NIST-800-53-AC-2]
verdicts contains {"id": "k8s-service-account-changed"} if {
	input.fields.objectRef.resource == "serviceaccounts"
	is_change
	is_event
	is_done
	not input.fields.objectRef.subresource
	is_person
}

# METADATA
# title: Client certificate approved
# description: A signed certificate lets its holder in until it expires; it can't be revoked.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.5, ISO27001-A.8.15, NIST-800-53-IA-5]
verdicts contains {"id": "k8s-certificate-approved"} if {
	input.fields.objectRef.resource == "certificatesigningrequests"
	input.fields.objectRef.subresource == "approval"
	is_event
	is_done
	is_person
}

# METADATA
# title: Admission changed
# description: Webhooks and admission policies decide what may run; whoever changes them can let anything in.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC6.8, SOC2-CC8.1, ISO27001-A.8.15, NIST-800-53-SI-7]
verdicts contains {"id": "k8s-admission-changed"} if {
	input.fields.objectRef.resource in {"mutatingwebhookconfigurations", "validatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"}
	is_change
	is_event
	is_done
	is_person
}

# METADATA
# title: Network policy changed or removed
# description: What may talk to what is another now.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC6.6, SOC2-CC8.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "k8s-network-policy-changed"} if {
	input.fields.objectRef.resource == "networkpolicies"
	is_change
	is_event
	is_done
	is_person
}

# METADATA
# title: Namespace removed
# description: Everything in it goes with it.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "k8s-namespace-removed"} if {
	input.fields.objectRef.resource == "namespaces"
	input.fields.verb == "delete"
	is_event
	is_done
}

# METADATA
# title: Workload changed by a person
# description: A pod, deployment or its kin. CIS asks for these in the audit policy; a pipeline is better than a person.
# custom:
#   severity: low
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC8.1, ISO27001-A.8.15, NIST-800-53-AU-2, CIS-K8S-3.2.2]
verdicts contains {"id": "k8s-workload-changed"} if {
	input.fields.objectRef.resource in {"pods", "deployments", "daemonsets", "statefulsets", "replicasets", "jobs", "cronjobs"}
	is_change
	is_event
	is_done
	not input.fields.objectRef.subresource
	is_person
}

# METADATA
# title: Debugging container put into a pod
# description: An ephemeral container sees what the pod sees, and is not in its specification.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC6.8, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "k8s-ephemeral-container"} if {
	input.fields.objectRef.subresource == "ephemeralcontainers"
	is_event
	is_done
	is_change
}

# METADATA
# title: The system's configuration changed by a person
# description: ConfigMaps of kube-system hold aws-auth, coredns, kubeadm-config and others that decide who is who.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC8.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "k8s-system-config-changed"} if {
	input.fields.objectRef.namespace == "kube-system"
	input.fields.objectRef.resource == "configmaps"
	is_change
	is_event
	is_done
	is_person
}
