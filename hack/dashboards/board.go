package main

import "strings"

// board is a dashboard.
type board struct {
	file, uid, title, description string

	variables []variable
	rows      []row
}

// variable is a choice at the top of a dashboard: the values of a label.
type variable struct {
	name, label, query string
}

// row is a heading with its panels.
type row struct {
	title  string
	panels []panel
}

// kind is how a panel shows its figures.
type kind int

const (
	// graph shows figures over time.
	graph kind = iota
	// stat shows the newest figure, large.
	stat
	// table shows the newest figures of several queries side by side, joined by their labels.
	table
)

// panel shows the answers of queries.
type panel struct {
	title, description, unit string

	kind kind
	// width of the 24 columns; 0 is a third.
	width uint32
	// warn and bad colour figures above them; with low, below them. 0 leaves them out.
	warn, bad float64
	low       bool
	queries   []query
}

// query is a PromQL expression; SELECTOR in it stands for the matchers of the
// dashboard's variables.
type query struct {
	expr, legend string
	// unit of a table's column, where the panel has several.
	unit string
}

func one(expr, legend string) []query { return []query{{expr: expr, legend: legend}} }

// rate is how fast a counter grows, by some labels.
func rate(counter, by string) string {
	return "sum by (" + by + ") (rate(" + counter + "{SELECTOR}[$__rate_interval]))"
}

// increase is by how much a counter grew, by some labels.
func increase(counter, by string) string {
	return "sum by (" + by + ") (increase(" + counter + "{SELECTOR}[$__rate_interval]))"
}

// largest is the largest of gauges that should be equal in every replica.
func largest(gauge, by string) string { return "max by (" + by + ") (" + gauge + "{SELECTOR})" }

// quantile of a histogram, by some labels.
func quantile(q, histogram, by string) string {
	return "histogram_quantile(" + q + ", sum by (" + by + ", le) (rate(" + histogram + "_bucket{SELECTOR}[$__rate_interval])))"
}

// quantiles are the usual three of a whole histogram.
func quantiles(histogram string) []query {
	expr := func(q string) string {
		return "histogram_quantile(" + q + ", sum by (le) (rate(" + histogram + "_bucket{SELECTOR}[$__rate_interval])))"
	}
	return []query{{expr: expr("0.5"), legend: "p50"}, {expr: expr("0.95"), legend: "p95"}, {expr: expr("0.99"), legend: "p99"}}
}

// fill puts the matchers into every query.
func fill(rows []row, selector string) []row {
	for _, r := range rows {
		for _, p := range r.panels {
			for i := range p.queries {
				p.queries[i].expr = strings.ReplaceAll(p.queries[i].expr, "SELECTOR", selector)
			}
		}
	}
	return rows
}
