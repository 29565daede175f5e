package view

import (
	"testing"

	analyticsv1 "github.com/commercestack/commercestack/api/gen/commerce/analytics/v1"
)

func TestDaysHaveOneRowEach(t *testing.T) {
	t.Parallel()
	days := Days([]*analyticsv1.DailyMetrics{
		{Date: "2026-11-26", Registrations: 2},
		{Date: "2026-11-26", CurrencyCode: "EUR", OrdersPlaced: 3, OrdersConfirmed: 2, OrdersCancelled: 1, RevenueMinor: 5926, RefundedMinor: 500},
		{Date: "2026-11-26", CurrencyCode: "JPY", OrdersPlaced: 1, RevenueMinor: 1500},
		{Date: "2026-11-25", Registrations: 1},
		{Date: "2026-11-24", CurrencyCode: "EUR", OrdersConfirmed: 1, OrdersPlaced: 0},
		{Date: "2026-11-23", CurrencyCode: "EUR", OrdersConfirmed: 2, OrdersPlaced: 1},
	})
	if len(days) != 4 {
		t.Fatalf("%d days: %+v", len(days), days)
	}
	first := days[0]
	if first.Registrations != 2 || first.Placed != 4 || first.Confirmed != 2 || first.Cancelled != 1 || first.conversion() != 0.5 {
		t.Errorf("counts %+v", first)
	}
	if revenue, refunded := sums(first.revenue), sums(first.refunded); revenue != "€59.26 + ¥1,500" || refunded != "€5.00 + ¥0" {
		t.Errorf("revenue %s, refunded %s", revenue, refunded)
	}
	if second := days[1]; second.Date != "2026-11-25" || sums(second.revenue) != "–" {
		t.Errorf("a day without money: %+v", second)
	}
	if nothing, capped := days[2].conversion(), days[3].conversion(); nothing != 0 || capped != 1 {
		t.Errorf("conversions %v and %v", nothing, capped)
	}
}
