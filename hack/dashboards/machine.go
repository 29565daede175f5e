package main

func data() row {
	return row{title: "PostgreSQL and the cache", panels: []panel{
		{
			title: "Use of connection pools", description: "The alert is at 90 %.", unit: "percentunit", bad: .9,
			queries: one(`commerce:postgres_pool_use:ratio{SELECTOR}`, "{{schema}} {{server}}"),
		},
		{
			title: "Connections in use", unit: "none",
			queries: one(`sum by (schema, server) (commerce_postgres_connections_acquired{SELECTOR})`, "{{schema}} {{server}}"),
		},
		{
			title: "Waiting for a connection, mean", unit: "s",
			queries: one(`sum by (schema) (rate(commerce_postgres_acquire_seconds_total{SELECTOR}[$__rate_interval]))
  / (sum by (schema) (rate(commerce_postgres_acquires_total{SELECTOR}[$__rate_interval])) > 0)`, "{{schema}}"),
		},
		{
			title: "Transactions run again", description: "After a deadlock or a serialization failure.", unit: "reqps",
			queries: one(rate("commerce_postgres_transaction_retries_total", "schema"), "{{schema}}"),
		},
		{
			title: "Cache hit rate", description: "The alert is at 80 % under load.", unit: "percentunit", bad: .8, low: true,
			queries: one(`commerce:cache_hits:ratio5m{SELECTOR}`, "{{cache}}"),
		},
		{title: "Look-ups in caches", unit: "reqps", queries: one(rate("commerce_cache_requests_total", "cache, result"), "{{cache}} {{result}}")},
	}}
}

// ours keeps a metric of the process to the platform's processes.
const ours = ` and on (namespace, pod, instance) commerce_build_info{SELECTOR}`

func saturation() row {
	return row{title: "Saturation", panels: []panel{
		{
			title: "CPU use", description: "Of what pods request, as the autoscaler counts it. The alert is at 80 %.", unit: "percentunit", bad: .8,
			queries: one(`commerce:cpu_use:ratio5m{SELECTOR}`, "{{component}} {{role}}"),
		},
		{
			title: "CPU", description: "Cores.", unit: "none",
			queries: one(`sum by (component) (rate(process_cpu_seconds_total{SELECTOR}[$__rate_interval])`+ours+`)`, "{{component}}"),
		},
		{title: "Memory, largest pod", unit: "bytes", queries: one(`commerce:memory_use:bytes{SELECTOR}`, "{{component}}")},
		{title: "Goroutines", unit: "none", queries: one(`sum by (component) (go_goroutines{SELECTOR}`+ours+`)`, "{{component}}")},
		{
			title: "Open files", description: "Of those the process may open.", unit: "percentunit", bad: .8,
			queries: one(`max by (component) (process_open_fds{SELECTOR} / process_max_fds{SELECTOR}`+ours+`)`, "{{component}}"),
		},
		{
			title: "Garbage collection", description: "Share of the time that the process stands still.", unit: "percentunit",
			queries: one(`max by (component) (rate(go_gc_duration_seconds_sum{SELECTOR}[$__rate_interval])`+ours+`)`, "{{component}}"),
		},
	}}
}

func versions() row {
	return row{title: "Pods", panels: []panel{
		{
			title: "Pods by version", width: 12, unit: "none",
			queries: one(`sum by (version, goversion) (commerce_build_info{SELECTOR})`, "{{version}} ({{goversion}})"),
		},
		{title: "Pods that answer", width: 12, unit: "none", queries: one(`sum by (component) (up{SELECTOR})`, "{{component}}")},
	}}
}
