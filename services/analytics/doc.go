// Package analytics counts what the event bus tells: registrations, orders,
// revenue and refunds by day (UTC) and currency.
//
// It owns the table daily_metric. Every event is counted once: the counters and
// the event's id in the inbox change in one transaction, so a redelivery finds
// the id and adds nothing. Counting is commutative, so the order in which
// events arrive does not matter. A day is that of the event's own timestamp,
// not of its arrival.
package analytics
