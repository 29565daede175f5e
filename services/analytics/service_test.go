package analytics_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/analytics/migrations"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/analytics"
	"github.com/commercestack/commercestack/services/analytics/store"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestCountAndRead(t *testing.T) {
	t.Parallel()
	service := analytics.New(store.New(pgtest.New(t, "analytics", migrations.FS)), func() time.Time { return noon })
	first := analytics.Counters{OrdersPlaced: 2, OrdersConfirmed: 1, RevenueMinor: 100}
	second := analytics.Counters{OrdersCancelled: 1, RefundedMinor: 40}
	for _, counters := range []analytics.Counters{first, second} {
		if err := service.Count(t.Context(), analytics.Increment{EventID: uuid.NewString(), Time: noon, CurrencyCode: "EUR", Counters: counters}); err != nil {
			t.Fatal(err)
		}
	}
	days, err := service.Days(t.Context(), "", "")
	if err != nil || len(days) != 1 || days[0].Counters != first.Plus(second) || days[0].CurrencyCode != "EUR" || !days[0].Date.Equal(noon.Truncate(24*time.Hour)) {
		t.Errorf("%+v (%v)", days, err)
	}
	if _, err := service.Days(t.Context(), "yesterday", ""); fault.From(err) == nil || fault.From(err).Field != "startDate" {
		t.Errorf("%v", err)
	}
}
