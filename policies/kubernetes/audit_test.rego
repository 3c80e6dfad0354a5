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

changed(resource, change) := ids(object.union({"verb": "create", "objectRef": {"resource": resource}}, change))

without_name := {"user": {"username": "system:serviceaccount:kube-system:x", "groups": ["system:serviceaccounts"]}}

test_cluster_admin_bound if {
	found := changed("clusterrolebindings", {"requestObject": {"roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}}})
	found == {"k8s-cluster-admin-bound", "k8s-rbac-changed"}
}

test_cluster_admin_bound_near_miss if {
	changed("clusterrolebindings", {"requestObject": {"roleRef": {"name": "view"}}}) == {"k8s-rbac-changed"}
	count(changed("configmaps", {"requestObject": {"roleRef": {"name": "cluster-admin"}}})) == 0
}

test_impersonated if {
	fields := object.union(event, {"verb": "list", "objectRef": {"resource": "services"}, "impersonatedUser": {"username": "admin"}})
	found := {v.id | some v in audit.verdicts with input as {"message": json.marshal(fields), "fields": fields}}
	found == {"k8s-impersonated"}
}

test_impersonated_near_miss if {
	fields := object.union(event, {"verb": "list", "objectRef": {"resource": "services"}, "requestURI": "/impersonatedUser"})
	count({v.id | some v in audit.verdicts with input as {"message": json.marshal(fields), "fields": fields}}) == 0
}

masters(name) := {v.id |
	fields := object.union(event, {"verb": "list", "objectRef": {"resource": "services"}, "user": {"username": name, "groups": ["system:masters"]}})
	some v in audit.verdicts with input as {"message": json.marshal(fields), "fields": fields}
}

test_masters_used if masters("kubernetes-admin") == {"k8s-masters-used"}

test_masters_used_near_miss if count(masters("system:apiserver")) == 0

test_proxy if {
	every resource in ["pods", "services", "nodes"] {
		changed(resource, {"verb": "get", "objectRef": {"subresource": "proxy"}}) == {"k8s-proxy"}
	}
}

test_proxy_near_miss if {
	count(changed("pods", {"verb": "get", "objectRef": {"subresource": "log"}})) == 0
	count(changed("services", object.union(without_name, {"verb": "get", "objectRef": {"subresource": "proxy"}}))) == 0
}

test_token_made if changed("serviceaccounts", {"objectRef": {"subresource": "token"}}) == {"k8s-token-made"}

test_token_made_near_miss if {
	count(changed("serviceaccounts", object.union(without_name, {"objectRef": {"subresource": "token"}}))) == 0
}

test_service_account_changed if changed("serviceaccounts", {}) == {"k8s-service-account-changed"}

test_service_account_changed_near_miss if {
	count(changed("serviceaccounts", {"verb": "get"})) == 0
	count(changed("serviceaccounts", without_name)) == 0
}

test_certificate_approved if {
	changed("certificatesigningrequests", {"verb": "update", "objectRef": {"subresource": "approval"}}) == {"k8s-certificate-approved"}
}

test_certificate_approved_near_miss if {
	count(changed("certificatesigningrequests", {})) == 0
	count(changed("certificatesigningrequests", object.union(without_name, {"objectRef": {"subresource": "approval"}}))) == 0
}

test_admission_changed if {
	changed("validatingwebhookconfigurations", {"verb": "delete"}) == {"k8s-admission-changed"}
	changed("mutatingwebhookconfigurations", {"verb": "patch"}) == {"k8s-admission-changed"}
}

test_admission_changed_near_miss if {
	count(changed("validatingwebhookconfigurations", {"verb": "list"})) == 0
	count(changed("validatingwebhookconfigurations", object.union(without_name, {"verb": "patch"}))) == 0
}

test_network_policy_changed if changed("networkpolicies", {"verb": "delete"}) == {"k8s-network-policy-changed"}

test_network_policy_changed_near_miss if count(changed("networkpolicies", {"verb": "watch"})) == 0

test_namespace_removed if changed("namespaces", {"verb": "delete"}) == {"k8s-namespace-removed"}

test_namespace_removed_near_miss if count(changed("namespaces", {})) == 0

test_workload_changed if {
	changed("deployments", {"verb": "patch"}) == {"k8s-workload-changed"}
	changed("pods", {"verb": "delete"}) == {"k8s-workload-changed"}
}

test_workload_changed_near_miss if {
	count(changed("deployments", {"verb": "get"})) == 0
	count(changed("deployments", {"verb": "patch", "objectRef": {"subresource": "status"}})) == 0
	count(changed("replicasets", without_name)) == 0
}

test_ephemeral_container if {
	changed("pods", {"verb": "patch", "objectRef": {"subresource": "ephemeralcontainers"}}) == {"k8s-ephemeral-container"}
}

test_ephemeral_container_near_miss if {
	count(changed("pods", {"verb": "get", "objectRef": {"subresource": "ephemeralcontainers"}})) == 0
}

test_system_config_changed if {
	changed("configmaps", {"verb": "update", "objectRef": {"namespace": "kube-system"}}) == {"k8s-system-config-changed"}
}

test_system_config_changed_near_miss if {
	count(changed("configmaps", {"verb": "update", "objectRef": {"namespace": "shop"}})) == 0
	count(changed("configmaps", object.union(without_name, {"verb": "update", "objectRef": {"namespace": "kube-system"}}))) == 0
}
