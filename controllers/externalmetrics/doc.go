// Package externalmetrics serves the external metrics API of Kubernetes
// (external.metrics.k8s.io/v1beta1), by which autoscalers learn how much waits
// for the workers of a component and for how long.
//
// A metric is asked for with a selector of worker pods. The pods' own metrics are
// read when somebody asks, and kept for a moment, since an autoscaler asks for
// several metrics at once. What cannot be read is an error and never 0.
//
// It is a program of its own (cmd/metrics-adapter): an aggregated API server is
// not to end with the operator, nor the operator to be as large as one.
package externalmetrics
