package main

// platform is the dashboard of shops: what customers feel first, then money,
// then what is behind it.
func platform() board {
	return board{
		file: "platform.json", uid: "commercestack-platform", title: "CommerceStack platform",
		description: "Shops run by the CommerceStack operator: what customers feel, what happens to their money, and what is behind it.",
		variables: []variable{
			{name: "namespace", label: "Namespace", query: `label_values(commerce_build_info, namespace)`},
			{name: "stack", label: "Stack", query: `label_values(commerce_build_info{namespace=~"$namespace"}, stack)`},
		},
		rows: fill([]row{
			glance(), traffic(), endpoints(), components(), payments(), orders(), queues(), data(), mail(), saturation(), versions(),
		}, stackSelector),
	}
}

func glance() row {
	return row{title: "At a glance", panels: []panel{
		{title: "Requests", kind: stat, width: 3, unit: "reqps", queries: one(`sum(rate(commerce_http_requests_total{SELECTOR}[$__rate_interval]))`, "")},
		{
			title: "Failing requests", kind: stat, width: 3, unit: "percentunit", warn: .005, bad: .01,
			queries: one(`(sum(rate(commerce_http_requests_total{SELECTOR, status=~"5.."}[$__rate_interval])) or vector(0))
  / sum(rate(commerce_http_requests_total{SELECTOR}[$__rate_interval]))`, ""),
		},
		{
			title: "Latency p95", kind: stat, width: 3, unit: "s", warn: .5, bad: 2,
			queries: one(`histogram_quantile(0.95, sum by (le) (rate(commerce_http_request_duration_seconds_bucket{SELECTOR}[$__rate_interval])))`, ""),
		},
		{
			title: "Payment success", description: "Of the payments that were decided in the last 30 minutes.",
			kind: stat, width: 3, unit: "percentunit", warn: .9, bad: .8, low: true, queries: one(`min(commerce:payment_success:ratio30m{SELECTOR})`, ""),
		},
		{
			title: "Orders in an hour", kind: stat, width: 3, unit: "none",
			queries: one(`sum(increase(commerce_order_transitions_total{SELECTOR, from=""}[1h]))`, ""),
		},
		{
			title: "Broken invariants", description: "What must always hold between orders, stock, payments and events, and does not.",
			kind: stat, width: 3, unit: "none", bad: 1,
			queries: one("sum("+largest("commerce_invariant_violations", "namespace, stack, component, invariant")+")", ""),
		},
		{
			title: "Oldest event", description: "How long the oldest event has waited in an outbox.",
			kind: stat, width: 3, unit: "s", warn: 60, bad: 300, queries: one(`max(commerce_outbox_oldest_seconds{SELECTOR})`, ""),
		},
		{
			title: "Alerts", description: "Alerts that fire now.", kind: stat, width: 3, unit: "none", bad: 1,
			queries: one(`count(ALERTS{SELECTOR, alertstate="firing", product="commercestack"}) or vector(0)`, ""),
		},
	}}
}

func traffic() row {
	return row{title: "Requests at the gateway", panels: []panel{
		{title: "Requests by component", unit: "reqps", queries: one(rate("commerce_http_requests_total", "component"), "{{component}}")},
		{
			title: "Failing requests by component", description: "Share of answers with a server error. The alert is at 1 %.", unit: "percentunit", bad: .01,
			queries: one(`(sum by (component) (rate(commerce_http_requests_total{SELECTOR, status=~"5.."}[$__rate_interval]))
    or 0 * sum by (component) (rate(commerce_http_requests_total{SELECTOR}[$__rate_interval])))
  / (sum by (component) (rate(commerce_http_requests_total{SELECTOR}[$__rate_interval])) > 0)`, "{{component}}"),
		},
		{title: "Answers by status", unit: "reqps", queries: one(rate("commerce_http_requests_total", "status"), "{{status}}")},
		{title: "Latency", description: "The alert is at a p95 of 2 seconds.", unit: "s", bad: 2, queries: quantiles("commerce_http_request_duration_seconds")},
		{
			title: "Latency p95 by component", unit: "s", bad: 2,
			queries: one(quantile("0.95", "commerce_http_request_duration_seconds", "component"), "{{component}}"),
		},
		{
			title: "Latency p99 by component", unit: "s",
			queries: one(quantile("0.99", "commerce_http_request_duration_seconds", "component"), "{{component}}"),
		},
	}}
}

func endpoints() row {
	ofRange := func(q string) string {
		return "histogram_quantile(" + q + `, sum by (component, endpoint, le) (rate(commerce_http_request_duration_seconds_bucket{SELECTOR}[$__range])))`
	}
	return row{title: "Endpoints", panels: []panel{
		{
			title: "Endpoints in the chosen time", kind: table, width: 24,
			queries: []query{
				{legend: "requests", unit: "reqps", expr: `sum by (component, endpoint) (rate(commerce_http_requests_total{SELECTOR}[$__range])) > 0`},
				{legend: "failing", unit: "percentunit", expr: `(sum by (component, endpoint) (rate(commerce_http_requests_total{SELECTOR, status=~"5.."}[$__range]))
    or 0 * sum by (component, endpoint) (rate(commerce_http_requests_total{SELECTOR}[$__range])))
  / (sum by (component, endpoint) (rate(commerce_http_requests_total{SELECTOR}[$__range])) > 0)`},
				{legend: "p50", unit: "s", expr: ofRange("0.5")},
				{legend: "p95", unit: "s", expr: ofRange("0.95")},
				{legend: "p99", unit: "s", expr: ofRange("0.99")},
			},
		},
		{
			title: "Busiest endpoints", width: 12, unit: "reqps",
			queries: one(`topk(10, sum by (endpoint) (rate(commerce_http_requests_total{SELECTOR}[$__rate_interval])))`, "{{endpoint}}"),
		},
		{
			title: "Slowest endpoints, p95", width: 12, unit: "s",
			queries: one("topk(10, "+quantile("0.95", "commerce_http_request_duration_seconds", "endpoint")+" > 0)", "{{endpoint}}"),
		},
	}}
}

func components() row {
	return row{title: "Calls between components", panels: []panel{
		{title: "Calls", unit: "reqps", width: 6, queries: one(rate("commerce_rpc_requests_total", "component"), "{{component}}")},
		{
			title: "Failing calls", description: "Share of calls that failed for reasons that are not the caller's.", unit: "percentunit", width: 6, bad: .01,
			queries: one(`commerce:rpc_errors:ratio5m{SELECTOR}`, "{{component}}"),
		},
		{
			title: "Latency p95", unit: "s", width: 6, bad: 2,
			queries: one(quantile("0.95", "commerce_rpc_duration_seconds", "component"), "{{component}}"),
		},
		{title: "Calls being served", unit: "none", width: 6, queries: one(`sum by (component) (commerce_rpc_in_flight{SELECTOR})`, "{{component}}")},
	}}
}
