{{/* What the operator may do in a namespace where policies live. */}}
{{- define "tradewind.tradingRules" -}}
# What users declare: read only, the operator never writes a spec. The processes get the same right on their own object, and
# nobody can hand out what he does not hold: so no `escalate` and no `bind`.
- apiGroups: [tradewind.dev]
  resources: [tradingpolicies, riskprofiles, modelcheckpoints]
  verbs: [get, list, watch]
- apiGroups: [tradewind.dev]
  resources: [tradingpolicies/status, riskprofiles/status, modelcheckpoints/status]
  verbs: [patch]
# Children, by server-side apply.
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, serviceaccounts, secrets]
  verbs: [list, watch, create, patch, delete]
# `get` too: the risk process gets it on the one ConfigMap with its account.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [list, watch, create, patch, delete]
# Pods that a kubelet rejected are removed.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}
