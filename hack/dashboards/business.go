package main

func payments() row {
	return row{title: "Payments", panels: []panel{
		{title: "Payments by outcome", unit: "none", queries: one(increase("commerce_payments_total", "status"), "{{status}}")},
		{
			title: "Payment success", description: "Of the payments that were decided in 30 minutes. The alert is at 80 %.", unit: "percentunit", bad: .8, low: true,
			queries: one(`commerce:payment_success:ratio30m{SELECTOR}`, "{{namespace}}/{{stack}}"),
		},
		{
			title: "Oldest payment with unknown outcome", description: "The customer may have been charged. The alert is at 15 minutes.", unit: "s", bad: 900,
			queries: one(largest("commerce_payment_unknown_oldest_seconds", "namespace, stack"), "{{namespace}}/{{stack}}"),
		},
		{
			title: "Calls to the provider", unit: "reqps",
			queries: one(rate("commerce_payment_provider_calls_total", "operation, outcome"), "{{operation}} {{outcome}}"),
		},
		{
			title: "Latency of the provider, p95", unit: "s",
			queries: one(quantile("0.95", "commerce_payment_provider_call_seconds", "operation"), "{{operation}}"),
		},
		{title: "Refunds by outcome", unit: "none", queries: one(increase("commerce_refunds_total", "status"), "{{status}}")},
	}}
}

func orders() row {
	return row{title: "Orders", panels: []panel{
		{title: "Orders by the state they reached", unit: "none", queries: one(increase("commerce_order_transitions_total", "to"), "{{to}}")},
		{
			title: "Steps of orders that failed", unit: "none",
			description: "Failed or refused steps between order, stock and payment; each is tried again or undone.",
			queries:     one(`sum by (step) (increase(commerce_order_saga_failures_total{SELECTOR}[$__rate_interval])) or vector(0)`, "{{step}}"),
		},
		{
			title: "Broken invariants", unit: "none", bad: 1,
			queries: one(largest("commerce_invariant_violations", "component, invariant"), "{{component}} {{invariant}}"),
		},
		{
			title: "Money that needs a person", description: "Counted since the pods started.", unit: "none", bad: 1,
			queries: one(`sum by (kind) (commerce_billing_alarms_total{SELECTOR}) or vector(0)`, "{{kind}}"),
		},
	}}
}

func queues() row {
	return row{title: "Queues", panels: []panel{
		{title: "Events in the outbox", unit: "none", queries: one(largest("commerce_outbox_depth", "schema"), "{{schema}}")},
		{
			title: "Oldest event in the outbox", description: "The alert is at 5 minutes.", unit: "s", bad: 300,
			queries: one(largest("commerce_outbox_oldest_seconds", "schema"), "{{schema}}"),
		},
		{title: "Events published", unit: "reqps", queries: one(rate("commerce_bus_published_total", "component"), "{{component}}")},
		{title: "Events not handled yet", unit: "none", queries: one(largest("commerce_bus_waiting", "subscription"), "{{subscription}}")},
		{title: "Events given up on", unit: "none", bad: 1, queries: one(largest("commerce_bus_dead", "subscription"), "{{subscription}}")},
		{title: "Deliveries by outcome", unit: "reqps", queries: one(rate("commerce_bus_deliveries_total", "outcome"), "{{outcome}}")},
		{
			title: "Handling of events, p95", unit: "s",
			queries: one(quantile("0.95", "commerce_bus_handling_seconds", "subscription"), "{{subscription}}"),
		},
		{
			title: "Jobs by state", unit: "none",
			queries: one("sum by (schema, state) ("+largest("commerce_job_depth", "namespace, stack, schema, queue, state")+") or vector(0)", "{{schema}} {{state}}"),
		},
		{
			title: "Oldest due job", description: "The alert is at 10 minutes.", unit: "s", bad: 600,
			queries: one(largest("commerce_job_oldest_seconds", "schema"), "{{schema}}"),
		},
		{title: "Billing's queues", unit: "none", queries: one(largest("commerce_billing_queue_depth", "queue"), "{{queue}}")},
		{title: "Billing's oldest due entry", unit: "s", bad: 600, queries: one(largest("commerce_billing_queue_overdue_seconds", "queue"), "{{queue}}")},
		{
			title: "Jobs by outcome", unit: "reqps",
			queries: one(rate("commerce_job_seconds_count", "kind, outcome"), "{{kind}} {{outcome}}"),
		},
	}}
}

func mail() row {
	return row{title: "Mail and limits", panels: []panel{
		{title: "Tries to send mail", unit: "reqps", queries: one(rate("commerce_mail_tries_total", "outcome"), "{{outcome}}")},
		{title: "Mails that wait or were given up", unit: "none", queries: one(largest("commerce_mails", "status"), "{{status}}")},
		{title: "Requests refused by a rate limit", unit: "reqps", queries: one(rate("commerce_http_rate_limited_total", "policy"), "{{policy}}")},
	}}
}
