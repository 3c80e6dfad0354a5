# METADATA
# title: What pods ask for
# description: Pods and workloads that break out of their isolation. Needs the audit level Request for them.
# custom:
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC6.8, SOC2-CC8.1, ISO27001-A.8.15, NIST-800-53-AU-2, CIS-K8S-3.2.2]
package sealtail.kubernetes.pods

# The control plane turns a workload into pods; the request is the one that was written by whoever asked.
is_request if {
	input.fields.kind == "Event"
	startswith(input.fields.apiVersion, "audit.k8s.io/")
	input.fields.stage == "ResponseComplete"
	input.fields.verb in {"create", "update", "patch"}
	input.fields.responseStatus.code < 400
}

# a pod is its own, a CronJob has its pod three deep
specs contains input.fields.requestObject.spec

specs contains input.fields.requestObject.spec.template.spec

specs contains input.fields.requestObject.spec.jobTemplate.spec.template.spec

containers contains container if {
	some spec in specs
	some kind in {"containers", "initContainers", "ephemeralContainers"}
	some container in spec[kind]
}

# METADATA
# title: Privileged container
# description: It can do on the node what root can.
# custom:
#   severity: critical
verdicts contains {"id": "k8s-privileged-container"} if {
	contains(input.message, "\"privileged\"")
	is_request
	some container in containers
	container.securityContext.privileged == true
}

# METADATA
# title: Pod in the node's namespaces
# description: It sees the node's processes, network or IPC.
# custom:
#   severity: high
verdicts contains {"id": "k8s-host-namespace"} if {
	host_word
	is_request
	some spec in specs
	some key in {"hostPID", "hostNetwork", "hostIPC"}
	spec[key] == true
}

host_word if contains(input.message, "\"hostPID\"")

host_word if contains(input.message, "\"hostNetwork\"")

host_word if contains(input.message, "\"hostIPC\"")

# METADATA
# title: Pod with a folder of the node
# description: hostPath shows a part of the node's files; some of them are keys.
# custom:
#   severity: high
verdicts contains {"id": "k8s-host-path"} if {
	contains(input.message, "\"hostPath\"")
	is_request
	some spec in specs
	some volume in spec.volumes
	volume.hostPath.path
}

# METADATA
# title: Container with rights of the kernel
# description: Capabilities that let a container change the node, such as SYS_ADMIN, SYS_MODULE, SYS_PTRACE, NET_ADMIN or all.
# custom:
#   severity: high
verdicts contains {"id": "k8s-capabilities-added"} if {
	contains(input.message, "\"capabilities\"")
	is_request
	some container in containers
	some capability in container.securityContext.capabilities.add
	capability in {"ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "NET_ADMIN", "DAC_READ_SEARCH", "BPF"}
}
