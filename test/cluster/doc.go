// Package cluster takes a CommerceStack through its life on a real Kubernetes
// cluster: the operator is installed by its chart, a stack is applied, people
// buy, pods and servers are killed, the spec changes, the stack is deleted.
//
// The tests need a cluster (make cluster-up) whose containerd holds the images
// (make cluster-images), so they carry the build tag "cluster" and run by
// make e2e. KUBECONFIG names the cluster; HELM names the helm program.
package cluster
