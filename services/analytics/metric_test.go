package analytics_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/analytics"
)

var noon = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

func TestParseRange(t *testing.T) {
	t.Parallel()
	day := func(text string) time.Time {
		d, err := time.Parse("2006-01-02", text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	tests := map[string]struct {
		start, end string
		want       analytics.Range
		field      string
	}{
		"defaults to thirty days up to today": {"", "", analytics.Range{Start: day("2026-03-02"), End: day("2026-03-31")}, ""},
		"thirty days up to the end":           {"", "2026-01-30", analytics.Range{Start: day("2026-01-01"), End: day("2026-01-30")}, ""},
		"one day":                             {"2026-02-28", "2026-02-28", analytics.Range{Start: day("2026-02-28"), End: day("2026-02-28")}, ""},
		"a leap year":                         {"2024-01-01", "2024-12-31", analytics.Range{Start: day("2024-01-01"), End: day("2024-12-31")}, ""},
		"too long":                            {"2024-01-01", "2025-01-01", analytics.Range{}, "startDate"},
		"backwards":                           {"2026-03-02", "2026-03-01", analytics.Range{}, "startDate"},
		"a day that is not":                   {"2026-02-30", "", analytics.Range{}, "startDate"},
		"an end that is not":                  {"", "2026-13-01", analytics.Range{}, "endDate"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := analytics.ParseRange(test.start, test.end, noon)
			if test.field != "" {
				failure := fault.From(err)
				if failure == nil || failure.Kind != fault.KindInvalidInput || failure.Field != test.field {
					t.Fatalf("error is %v, want INVALID_INPUT on %s", err, test.field)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("range is %v (%v), want %v", got, err, test.want)
			}
		})
	}
}

func TestConversion(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		counters analytics.Counters
		want     float64
	}{
		"nothing placed":            {analytics.Counters{OrdersConfirmed: 3}, 0},
		"half":                      {analytics.Counters{OrdersPlaced: 4, OrdersConfirmed: 2}, 0.5},
		"confirmed on the next day": {analytics.Counters{OrdersPlaced: 1, OrdersConfirmed: 2}, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := test.counters.Conversion(); got != test.want {
				t.Errorf("conversion is %v, want %v", got, test.want)
			}
		})
	}
}

func TestDayIsThatOfTheEventInUTC(t *testing.T) {
	t.Parallel()
	late := time.Date(2026, 1, 1, 1, 30, 0, 0, time.FixedZone("CET", 2*60*60))
	if got := (analytics.Increment{Time: late}).Date(); !got.Equal(time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("day is %v", got)
	}
}

type refusingStore struct{ analytics.Store }

func (refusingStore) Add(context.Context, ...analytics.Increment) error {
	return errors.New("the store was asked")
}

func TestNegativeIncrementsAreRefused(t *testing.T) {
	t.Parallel()
	service := analytics.New(refusingStore{}, time.Now)
	err := service.Count(t.Context(), analytics.Increment{Counters: analytics.Counters{RevenueMinor: -1}})
	if err == nil || err.Error() == "the store was asked" {
		t.Errorf("a negative increment gave %v", err)
	}
}
