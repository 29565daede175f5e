package main

func payments() row {
	return row{title: "Payments", panels: []panel{
		{title: "Payments by outcome", unit: "none", queries: one(`sum by (status) (increase(commerce_payments_total{SELECTOR}[$__rate_interval]))`, "{{status}}")},
		{
			title: "Payment success", description: "Of the payments that were decided in 30 minutes. The alert is at 80 %.", unit: "percentunit", bad: .8, low: true,
			queries: one(`commerce:payment_success:ratio30m{SELECTOR}`, "{{namespace}}/{{stack}}"),
		},
		{
			title: "Oldest payment with unknown outcome", description: "The customer may have been charged. The alert is at 15 minutes.", unit: "s", bad: 900,
			queries: one(`max by (namespace, stack) (commerce_payment_unknown_oldest_seconds{SELECTOR})`, "{{namespace}}/{{stack}}"),
		},
		{title: "Calls to the provider", unit: "reqps", queries: one(`sum by (operation, outcome) (rate(commerce_payment_provider_calls_total{SELECTOR}[$__rate_interval]))`, "{{operation}} {{outcome}}")},
		{
			title: "Latency of the provider, p95", unit: "s",
			queries: one(`histogram_quantile(0.95, sum by (operation, le) (rate(commerce_payment_provider_call_seconds_bucket{SELECTOR}[$__rate_interval])))`, "{{operation}}"),
		},
		{title: "Refunds by outcome", unit: "none", queries: one(`sum by (status) (increase(commerce_refunds_total{SELECTOR}[$__rate_interval]))`, "{{status}}")},
	}}
}

func orders() row {
	return row{title: "Orders", panels: []panel{
		{title: "Orders by the state they reached", unit: "none", queries: one(`sum by (to) (increase(commerce_order_transitions_total{SELECTOR}[$__rate_interval]))`, "{{to}}")},
		{
			title: "Steps of orders that failed", description: "Failed or refused steps between order, stock and payment; each is tried again or undone.", unit: "none",
			queries: one(`sum by (step) (increase(commerce_order_saga_failures_total{SELECTOR}[$__rate_interval])) or vector(0)`, "{{step}}"),
		},
		{
			title: "Broken invariants", unit: "none", bad: 1,
			queries: one(`max by (component, invariant) (commerce_invariant_violations{SELECTOR})`, "{{component}} {{invariant}}"),
		},
		{
			title: "Money that needs a person", description: "Counted since the pods started.", unit: "none", bad: 1,
			queries: one(`sum by (kind) (commerce_billing_alarms_total{SELECTOR}) or vector(0)`, "{{kind}}"),
		},
	}}
}

func queues() row {
	return row{title: "Queues", panels: []panel{
		{title: "Events in the outbox", unit: "none", queries: one(`max by (schema) (commerce_outbox_depth{SELECTOR})`, "{{schema}}")},
		{title: "Oldest event in the outbox", description: "The alert is at 5 minutes.", unit: "s", bad: 300, queries: one(`max by (schema) (commerce_outbox_oldest_seconds{SELECTOR})`, "{{schema}}")},
		{title: "Events published", unit: "reqps", queries: one(`sum by (component) (rate(commerce_bus_published_total{SELECTOR}[$__rate_interval]))`, "{{component}}")},
		{title: "Events not handled yet", unit: "none", queries: one(`max by (subscription) (commerce_bus_waiting{SELECTOR})`, "{{subscription}}")},
		{title: "Events given up on", unit: "none", bad: 1, queries: one(`max by (subscription) (commerce_bus_dead{SELECTOR})`, "{{subscription}}")},
		{title: "Deliveries by outcome", unit: "reqps", queries: one(`sum by (outcome) (rate(commerce_bus_deliveries_total{SELECTOR}[$__rate_interval]))`, "{{outcome}}")},
		{
			title: "Handling of events, p95", unit: "s",
			queries: one(`histogram_quantile(0.95, sum by (subscription, le) (rate(commerce_bus_handling_seconds_bucket{SELECTOR}[$__rate_interval])))`, "{{subscription}}"),
		},
		{title: "Jobs by state", unit: "none", queries: one(`sum by (schema, state) (max by (namespace, stack, schema, queue, state) (commerce_job_depth{SELECTOR})) or vector(0)`, "{{schema}} {{state}}")},
		{title: "Oldest due job", description: "The alert is at 10 minutes.", unit: "s", bad: 600, queries: one(`max by (schema) (commerce_job_oldest_seconds{SELECTOR})`, "{{schema}}")},
		{title: "Billing's queues", unit: "none", queries: one(`max by (queue) (commerce_billing_queue_depth{SELECTOR})`, "{{queue}}")},
		{title: "Billing's oldest due entry", unit: "s", bad: 600, queries: one(`max by (queue) (commerce_billing_queue_overdue_seconds{SELECTOR})`, "{{queue}}")},
		{
			title: "Jobs by outcome", unit: "reqps",
			queries: one(`sum by (kind, outcome) (rate(commerce_job_seconds_count{SELECTOR}[$__rate_interval]))`, "{{kind}} {{outcome}}"),
		},
	}}
}

func mail() row {
	return row{title: "Mail and limits", panels: []panel{
		{title: "Tries to send mail", unit: "reqps", queries: one(`sum by (outcome) (rate(commerce_mail_tries_total{SELECTOR}[$__rate_interval]))`, "{{outcome}}")},
		{title: "Mails that wait or were given up", unit: "none", queries: one(`max by (status) (commerce_mails{SELECTOR})`, "{{status}}")},
		{title: "Requests refused by a rate limit", unit: "reqps", queries: one(`sum by (policy) (rate(commerce_http_rate_limited_total{SELECTOR}[$__rate_interval]))`, "{{policy}}")},
	}}
}
