package main

import (
	"fmt"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

const (
	stackSelector = `namespace=~"$namespace", stack=~"$stack"`
	// operatorSelector finds the operator's own metrics: its ServiceMonitor names the job so.
	operatorSelector = `job="commercestack-operator"`
)

// operator is the dashboard of what the operator says about stacks, and of the
// operator itself.
func operator() board {
	b := board{
		file: "operator.json", uid: "commercestack-operator", title: "CommerceStack operator",
		description: "Whether stacks are what their specs say, and how the operator works on them.",
		variables: []variable{
			{name: "namespace", label: "Namespace", query: `label_values(commercestack_condition, namespace)`},
			{name: "stack", label: "Stack", query: `label_values(commercestack_condition{namespace=~"$namespace"}, stack)`},
		},
		rows: fill([]row{stacks(), secrets()}, stackSelector),
	}
	b.rows = append(b.rows, fill([]row{reconciling(), writing(), workqueue(), operatorProcess()}, operatorSelector)...)
	return b
}

// holds is 1 for stacks whose condition is True, 0 for the others.
func holds(condition string) string {
	return `max by (namespace, stack) (commercestack_condition{SELECTOR, condition="` + condition + `", status="True"})`
}

func stacks() row {
	conditions := make([]query, 0, len(v1alpha1.ConditionTypes))
	for _, condition := range v1alpha1.ConditionTypes {
		conditions = append(conditions, query{legend: condition, unit: "bool_yes_no", expr: holds(condition)})
	}
	count := func(condition, value string) []query {
		return one(fmt.Sprintf("count(%s == %s) or vector(0)", holds(condition), value), "")
	}
	return row{title: "Stacks", panels: []panel{
		{title: "Stacks", kind: stat, width: 4, unit: "none", queries: one("count("+holds(v1alpha1.ConditionReady)+")", "")},
		{title: "Not ready", kind: stat, width: 4, unit: "none", bad: 1, queries: count(v1alpha1.ConditionReady, "0")},
		{
			title: "Stalled", description: "Only a change of the spec, or of what it refers to, helps.", kind: stat, width: 4, unit: "none", bad: 1,
			queries: count(v1alpha1.ConditionStalled, "1"),
		},
		{title: "Rolling out", kind: stat, width: 4, unit: "none", queries: count(v1alpha1.ConditionRollingOut, "1")},
		{title: "Awaiting approval", kind: stat, width: 4, unit: "none", warn: 1, bad: 1000, queries: count(v1alpha1.ConditionAwaitingApproval, "1")},
		{title: "Paused", kind: stat, width: 4, unit: "none", warn: 1, bad: 1000, queries: count(v1alpha1.ConditionPaused, "1")},
		{title: "Conditions", description: "Whether each condition is True.", kind: table, width: 24, queries: conditions},
		{title: "Ready over time", width: 12, unit: "none", queries: one(holds(v1alpha1.ConditionReady), "{{namespace}}/{{stack}}")},
		{title: "Rollouts over time", width: 12, unit: "none", queries: one(holds(v1alpha1.ConditionRollingOut), "{{namespace}}/{{stack}}")},
	}}
}

func secrets() row {
	const eachSecret = "{{namespace}}/{{stack}} {{secret}}"
	return row{title: "Secrets and certificates", panels: []panel{
		{
			title: "Time until a secret or certificate ends", width: 12, unit: "s", bad: 259200, low: true,
			description: "The operator replaces it before. The alert is at three days.",
			queries:     one(`min by (namespace, stack, secret) (commercestack_secret_expiry_timestamp_seconds{SELECTOR}) - time()`, eachSecret),
		},
		{
			title: "Age of secrets", width: 12, unit: "s",
			queries: one("time() - "+largest("commercestack_secret_rotated_timestamp_seconds", "namespace, stack, secret"), eachSecret),
		},
	}}
}

func reconciling() row {
	return row{title: "Reconciling", panels: []panel{
		{title: "Reconciles by result", unit: "reqps", queries: one(rate("controller_runtime_reconcile_total", "controller, result"), "{{controller}} {{result}}")},
		{title: "Reconcile time", unit: "s", bad: 5, queries: quantiles("controller_runtime_reconcile_time_seconds")},
		{title: "Errors", unit: "reqps", queries: one(rate("controller_runtime_reconcile_errors_total", "controller"), "{{controller}}")},
		{
			title: "Time by phase, p95", unit: "s",
			queries: one(quantile("0.95", "commercestack_operator_phase_seconds", "phase"), "{{phase}}"),
		},
		{title: "Reconciles at work", unit: "none", queries: one(`sum by (controller) (controller_runtime_active_workers{SELECTOR})`, "{{controller}}")},
		{
			title: "Leaders", description: "One operator works; the others wait.", unit: "none",
			queries: one(`sum by (name) (leader_election_master_status{SELECTOR})`, "{{name}}"),
		},
	}}
}

func writing() row {
	return row{title: "What it writes", panels: []panel{
		{
			title: "Applies by kind", description: "At rest there are none.", unit: "reqps",
			queries: one(rate("commercestack_operator_applies_total", "kind, result"), "{{kind}} {{result}}"),
		},
		{
			title: "Objects not sent because nothing changed", unit: "reqps",
			queries: one(`sum(rate(commercestack_operator_apply_skips_total{SELECTOR}[$__rate_interval]))`, "skipped"),
		},
		{
			title: "Deletions by kind", unit: "reqps",
			queries: one(`sum by (kind) (rate(commercestack_operator_deletes_total{SELECTOR}[$__rate_interval])) or vector(0)`, "{{kind}}"),
		},
		{title: "Calls to the API server", width: 12, unit: "reqps", queries: one(rate("rest_client_requests_total", "method, code"), "{{method}} {{code}}")},
	}}
}

func workqueue() row {
	return row{title: "Work queue", panels: []panel{
		{title: "Waiting", unit: "none", queries: one(`sum by (name) (workqueue_depth{SELECTOR})`, "{{name}}")},
		{
			title: "Waiting in the queue, p99", unit: "s", bad: 60,
			queries: one(quantile("0.99", "workqueue_queue_duration_seconds", "name"), "{{name}}"),
		},
		{title: "Added and retried", unit: "reqps", queries: []query{
			{expr: rate("workqueue_adds_total", "name"), legend: "{{name}} added"},
			{expr: rate("workqueue_retries_total", "name"), legend: "{{name}} retried"},
		}},
	}}
}

func operatorProcess() row {
	return row{title: "The operator's pods", panels: []panel{
		{title: "CPU", description: "Cores.", unit: "none", queries: one(rate("process_cpu_seconds_total", "pod"), "{{pod}}")},
		{title: "Memory", unit: "bytes", queries: one(largest("process_resident_memory_bytes", "pod"), "{{pod}}")},
		{title: "Goroutines", unit: "none", queries: one(`sum by (pod) (go_goroutines{SELECTOR})`, "{{pod}}")},
	}}
}
