// Package chart holds the Helm chart and the kustomize files of the operator
// against each other, against their schema and against a real API server.
package chart
