// Package measure reads what pods tell of themselves. It looks at canaries: which
// share the gateways give them, how many of their answers are errors, how long
// they take, and how many payments they lose. The built-in measures read pods'
// metrics and need no Prometheus; queries of a spec go to one.
//
// A counter only ever counts from its pod's beginning, so each measurement is the
// difference to the one before it, and the first one to the moment at which the
// canary got its share (Begin). What was read before is kept in memory: a new
// process begins anew, and nothing is decided by less than an interval.
//
// For autoscalers it reads queues: how much waits for the workers of a component,
// and for how long.
package measure
