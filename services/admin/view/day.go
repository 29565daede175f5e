package view

import (
	"strings"

	analyticsv1 "github.com/commercestack/commercestack/api/gen/commerce/analytics/v1"
)

// Day is one day (UTC) in all currencies.
type Day struct {
	// Date is ISO 8601.
	Date string
	// Registrations, Placed, Confirmed and Cancelled are counts.
	Registrations, Placed, Confirmed, Cancelled int64

	revenue, refunded []string
}

// Days joins the rows of each day, of which there is one for each currency and
// one for what has none, in the order in which the days come.
func Days(rows []*analyticsv1.DailyMetrics) []Day {
	var days []Day
	for _, row := range rows {
		if len(days) == 0 || days[len(days)-1].Date != row.Date {
			days = append(days, Day{Date: row.Date})
		}
		day := &days[len(days)-1]
		day.Registrations += row.Registrations
		day.Placed += row.OrdersPlaced
		day.Confirmed += row.OrdersConfirmed
		day.Cancelled += row.OrdersCancelled
		if row.CurrencyCode != "" {
			day.revenue = append(day.revenue, minor(row.CurrencyCode, row.RevenueMinor))
			day.refunded = append(day.refunded, minor(row.CurrencyCode, row.RefundedMinor))
		}
	}
	return days
}

// conversion is the share of placed orders that were confirmed. Orders of the
// day before can lift it over the true share, so it is capped.
func (d Day) conversion() float64 {
	if d.Placed == 0 {
		return 0
	}
	return min(1, float64(d.Confirmed)/float64(d.Placed))
}

// sums shows amounts of several currencies.
func sums(amounts []string) string {
	if len(amounts) == 0 {
		return "–"
	}
	return strings.Join(amounts, " + ")
}
