package analytics

import (
	"errors"
	"time"

	"github.com/commercestack/commercestack/internal/fault"
)

const (
	// MaxRangeDays bounds the days of one request.
	MaxRangeDays = 366
	// defaultRangeDays is the range of a request that names no first day.
	defaultRangeDays = 30

	dateLayout = "2006-01-02"
)

// Counters are what is counted for one day and currency. Amounts are in minor units.
type Counters struct {
	Registrations, OrdersPlaced, OrdersConfirmed, OrdersCancelled int64
	RevenueMinor, RefundedMinor                                   int64
}

// Plus returns the sum of both.
func (c Counters) Plus(other Counters) Counters {
	return Counters{
		Registrations: c.Registrations + other.Registrations, OrdersPlaced: c.OrdersPlaced + other.OrdersPlaced,
		OrdersConfirmed: c.OrdersConfirmed + other.OrdersConfirmed, OrdersCancelled: c.OrdersCancelled + other.OrdersCancelled,
		RevenueMinor: c.RevenueMinor + other.RevenueMinor, RefundedMinor: c.RefundedMinor + other.RefundedMinor,
	}
}

// Conversion is the share of placed orders that were confirmed, 0 to 1. Orders
// confirmed the day after they were placed can lift it over the true share, so
// it is capped.
func (c Counters) Conversion() float64 {
	if c.OrdersPlaced == 0 {
		return 0
	}
	return min(1, float64(c.OrdersConfirmed)/float64(c.OrdersPlaced))
}

// Day is the counters of one day in one currency.
type Day struct {
	// Date is midnight UTC.
	Date time.Time
	// CurrencyCode is ISO 4217, empty where no money is counted.
	CurrencyCode string
	Counters
}

// Increment is what one event adds.
type Increment struct {
	// EventID makes the increment count once.
	EventID string
	// Time of the event.
	Time         time.Time
	CurrencyCode string
	Counters
}

// Date is the day of the event, at midnight UTC.
func (i Increment) Date() time.Time { return i.Time.UTC().Truncate(24 * time.Hour) }

// Validate refuses increments that would take away from a counter.
func (i Increment) Validate() error {
	c := i.Counters
	for _, n := range []int64{c.Registrations, c.OrdersPlaced, c.OrdersConfirmed, c.OrdersCancelled, c.RevenueMinor, c.RefundedMinor} {
		if n < 0 {
			return errors.New("analytics: an increment is negative")
		}
	}
	return nil
}

// Range is an inclusive range of days.
type Range struct {
	Start, End time.Time
}

// ParseRange reads ISO 8601 dates. An empty end is today (UTC); an empty start is 29 days before the end.
func ParseRange(start, end string, now time.Time) (Range, error) {
	r := Range{End: now.UTC().Truncate(24 * time.Hour)}
	var err error
	if end != "" {
		if r.End, err = time.Parse(dateLayout, end); err != nil {
			return Range{}, fault.Invalid("endDate", "is not a day such as 2026-01-31").WithField("endDate", end)
		}
	}
	r.Start = r.End.AddDate(0, 0, 1-defaultRangeDays)
	if start != "" {
		if r.Start, err = time.Parse(dateLayout, start); err != nil {
			return Range{}, fault.Invalid("startDate", "is not a day such as 2026-01-31").WithField("startDate", start)
		}
	}
	if r.Start.After(r.End) {
		return Range{}, fault.Invalid("startDate", "is after endDate").WithField("startDate", start)
	}
	if r.End.Sub(r.Start) >= MaxRangeDays*24*time.Hour {
		return Range{}, fault.Invalid("startDate", "the range is longer than %d days", MaxRangeDays).WithField("startDate", start)
	}
	return r, nil
}
