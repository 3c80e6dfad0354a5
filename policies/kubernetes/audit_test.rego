package sealtail.kubernetes.audit_test

import data.sealtail.kubernetes.audit

event := {
	"kind": "Event",
	"apiVersion": "audit.k8s.io/v1",
	"level": "Metadata",
	"stage": "ResponseComplete",
	"requestURI": "/api/v1/namespaces/shop/secrets/db",
	"verb": "get",
	"user": {"username": "alice", "groups": ["system:authenticated"]},
	"objectRef": {"resource": "secrets", "namespace": "shop", "name": "db", "apiVersion": "v1"},
	"responseStatus": {"code": 200},
}

ids(change) := {v.id | some v in audit.verdicts with input as {"fields": object.union(event, change)}}

test_secret_read if {
	ids({}) == {"k8s-secret-read"}
	ids({"verb": "watch", "stage": "ResponseStarted"}) == {"k8s-secret-read"}
}

test_secret_read_near_miss if {
	count(ids({"user": {"username": "system:serviceaccount:shop:web"}})) == 0
	count(ids({"objectRef": {"resource": "configmaps"}})) == 0
	count(ids({"verb": "create"})) == 0
	count(ids({"stage": "RequestReceived"})) == 0
	count(ids({"kind": "Secret"})) == 0
	count(ids({"apiVersion": "v1"})) == 0
}

test_into_container if {
	every way in ["exec", "attach", "portforward"] {
		ids({"verb": "create", "stage": "ResponseStarted", "objectRef": {"resource": "pods", "subresource": way}}) == {"k8s-into-container"}
	}
}

test_into_container_near_miss if {
	count(ids({"objectRef": {"resource": "pods", "subresource": "log"}})) == 0
	count(ids({"objectRef": {"resource": "nodes", "subresource": "exec"}})) == 0
	count(ids({"stage": "RequestReceived", "objectRef": {"resource": "pods", "subresource": "exec"}})) == 0
}

test_rbac_changed if {
	every resource in ["roles", "rolebindings", "clusterroles", "clusterrolebindings"] {
		ids({"verb": "patch", "objectRef": {"resource": resource}}) == {"k8s-rbac-changed"}
	}
}

test_rbac_changed_near_miss if {
	count(ids({"verb": "get", "objectRef": {"resource": "roles"}})) == 0
	count(ids({"verb": "update", "objectRef": {"resource": "clusterroles"}, "user": {"username": "system:apiserver"}})) == 0
	count(ids({
		"verb": "update",
		"objectRef": {"resource": "clusterroles"},
		"user": {"username": "system:serviceaccount:kube-system:clusterrole-aggregation-controller"},
	})) == 0
}

anonymous(change) := ids(object.union({"user": {"username": "system:anonymous"}}, change))

test_anonymous if {
	anonymous({}) == {"k8s-anonymous"}
	anonymous({"requestURI": "/healthzz"}) == {"k8s-anonymous"}
}

test_anonymous_near_miss if {
	count(anonymous({"requestURI": "/healthz", "objectRef": {}})) == 0
	count(anonymous({"requestURI": "/livez?verbose", "objectRef": {}})) == 0
	count(anonymous({"requestURI": "/readyz/etcd", "objectRef": {}})) == 0
	not "k8s-anonymous" in anonymous({"responseStatus": {"code": 403}})
}

test_denied if {
	ids({"responseStatus": {"code": 403}}) == {"k8s-secret-read", "k8s-denied"}
	anonymous({"responseStatus": {"code": 401}}) == {"k8s-denied"}
}

test_denied_near_miss if {
	count(ids({"verb": "create", "responseStatus": {"code": 404}})) == 0
	count(ids({"verb": "create", "stage": "RequestReceived", "responseStatus": {"code": 403}})) == 0
	count(ids({"kind": "Status", "responseStatus": {"code": 403}})) == 0
}
