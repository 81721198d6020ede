// Package chart holds the tests of helm/carillon and of deploy/k8s: whatever the chart renders is valid, safe and agrees
// with the gateway's own configuration, and what it refuses is refused with the value to set.
//
// They run helm, kubeconform and kustomize as Go tools (tools/helm.mod, tools/kustomize.mod) and need no cluster. The
// schemas under schemas/ come from the modules of Kubernetes and its extensions: make schemas.
package chart
