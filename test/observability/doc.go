// Package observability holds the dashboards and alerts against what they read:
// a real Prometheus scrapes a running shop, and every query of every panel must
// return data, every rule must load, and nothing may fire where all is well.
package observability
