package sealtail.kubernetes.pods_test

import data.sealtail.kubernetes.pods

event(spec) := {
	"kind": "Event",
	"apiVersion": "audit.k8s.io/v1",
	"level": "Request",
	"stage": "ResponseComplete",
	"verb": "create",
	"user": {"username": "alice"},
	"objectRef": {"resource": "pods", "namespace": "shop"},
	"requestObject": {"spec": spec},
	"responseStatus": {"code": 201},
}

found(fields) := {v.id | some v in pods.verdicts with input as {"message": json.marshal(fields), "fields": fields}}

ids(spec) := found(event(spec))

test_privileged_container if {
	spec := {"containers": [{"name": "a"}, {"name": "b", "securityContext": {"privileged": true}}]}
	ids(spec) == {"k8s-privileged-container"}
	ids({"template": {"spec": spec}}) == {"k8s-privileged-container"}
	ids({"jobTemplate": {"spec": {"template": {"spec": spec}}}}) == {"k8s-privileged-container"}
	ids({"initContainers": [{"securityContext": {"privileged": true}}]}) == {"k8s-privileged-container"}
}

test_privileged_container_near_miss if {
	count(ids({"containers": [{"name": "privileged", "securityContext": {"privileged": false}}]})) == 0
	refused := object.union(event({"containers": [{"securityContext": {"privileged": true}}]}), {"responseStatus": {"code": 403}})
	count(found(refused)) == 0
	count(found(object.union(event({"containers": [{"securityContext": {"privileged": true}}]}), {"verb": "delete"}))) == 0
}

test_host_namespace if {
	ids({"hostPID": true}) == {"k8s-host-namespace"}
	ids({"hostNetwork": true}) == {"k8s-host-namespace"}
	ids({"hostIPC": true}) == {"k8s-host-namespace"}
}

test_host_namespace_near_miss if count(ids({"hostPID": false, "hostname": "x"})) == 0

test_host_path if ids({"volumes": [{"name": "v", "hostPath": {"path": "/etc"}}]}) == {"k8s-host-path"}

test_host_path_near_miss if count(ids({"volumes": [{"name": "hostPath", "emptyDir": {}}]})) == 0

test_capabilities_added if {
	ids({"containers": [{"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]}) == {"k8s-capabilities-added"}
}

test_capabilities_added_near_miss if {
	count(ids({"containers": [{"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}}]})) == 0
}
