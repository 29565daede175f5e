package order

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
)

// Nothing of these is called: the tests below stop before or look at what is left out.
type (
	noOrders   struct{ OrderStore }
	noCarts    struct{ CartStore }
	noCoupons  struct{ CouponStore }
	noPurse    struct{ Purse }
	noAccounts struct{ Accounts }
	noTokens   struct{ Tokens }
	noMeter    struct{ Meter }
)

// fixedStock answers with what a test gives it.
type fixedStock struct {
	Stock

	articles map[uuid.UUID]Article
	release  error
}

func (f fixedStock) Articles(context.Context, []uuid.UUID) (map[uuid.UUID]Article, error) {
	return f.articles, nil
}

func (f fixedStock) Release(context.Context, uuid.UUID, string) error { return f.release }

type countingMeter struct {
	noMeter

	failed []string
}

func (c *countingMeter) Failed(step string) { c.failed = append(c.failed, step) }

func fullConfig() Config {
	return Config{
		Orders: noOrders{}, Carts: noCarts{}, Coupons: noCoupons{}, Stock: fixedStock{}, Purse: noPurse{}, Accounts: noAccounts{},
		Tokens: noTokens{}, Meter: &countingMeter{}, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
		Settings: Settings{ReservationTTL: time.Minute, PaymentHold: time.Minute, Currency: "EUR"},
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	if _, err := New(fullConfig()); err != nil {
		t.Fatal(err)
	}
	for name, drop := range map[string]func(*Config){
		"orders": func(c *Config) { c.Orders = nil }, "carts": func(c *Config) { c.Carts = nil }, "coupons": func(c *Config) { c.Coupons = nil },
		"stock": func(c *Config) { c.Stock = nil }, "purse": func(c *Config) { c.Purse = nil }, "accounts": func(c *Config) { c.Accounts = nil },
		"tokens": func(c *Config) { c.Tokens = nil }, "meter": func(c *Config) { c.Meter = nil }, "logger": func(c *Config) { c.Logger = nil },
		"clock": func(c *Config) { c.Now = nil }, "TTL": func(c *Config) { c.ReservationTTL = 0 }, "hold": func(c *Config) { c.PaymentHold = -1 },
	} {
		config := fullConfig()
		drop(&config)
		if _, err := New(config); err == nil {
			t.Errorf("without %s: accepted", name)
		}
	}
}

func TestCouponIsUsableInItsTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		coupon Coupon
		ok     bool
	}{
		"always":      {Coupon{}, true},
		"in time":     {Coupon{StartTime: now.Add(-1), EndTime: now.Add(1)}, true},
		"just begun":  {Coupon{StartTime: now}, true},
		"just ended":  {Coupon{EndTime: now}, false},
		"to come":     {Coupon{StartTime: now.Add(1)}, false},
		"disabled":    {Coupon{Disabled: true}, false},
		"used up":     {Coupon{MaxRedemptions: 2, Redemptions: 2}, false},
		"not used up": {Coupon{MaxRedemptions: 2, Redemptions: 1}, true},
	} {
		if err := c.coupon.Usable(now); (err == nil) != c.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := (Coupon{PercentOffBps: 10_000}).Discount(money.Money{CurrencyCode: "EUR", AmountMinor: 1 << 62}); err != nil {
		t.Errorf("all off: %v", err)
	}
}

func TestCartViewLeavesOutWhatCannotBeSummed(t *testing.T) {
	t.Parallel()
	euro, dollar, gone, huge := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	config := fullConfig()
	config.Stock = fixedStock{articles: map[uuid.UUID]Article{
		euro:   {Price: money.Money{CurrencyCode: "EUR", AmountMinor: 5}},
		dollar: {Price: money.Money{CurrencyCode: "USD", AmountMinor: 7}},
		huge:   {Price: money.Money{CurrencyCode: "EUR", AmountMinor: 1 << 62}},
	}}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	view, err := s.view(t.Context(), Cart{Lines: []CartLine{{gone, 1}, {euro, 2}, {dollar, 1}, {huge, 9}}})
	if err != nil || view.Subtotal != (money.Money{CurrencyCode: "EUR", AmountMinor: 10}) {
		t.Errorf("subtotal %s, %v", view.Subtotal, err)
	}
	if view, err := s.view(t.Context(), Cart{}); err != nil || view.Subtotal != money.Zero("EUR") {
		t.Errorf("an empty cart costs %s, %v", view.Subtotal, err)
	}
}

func TestAReleaseThatFailsIsCounted(t *testing.T) {
	t.Parallel()
	config := fullConfig()
	meter := &countingMeter{}
	config.Meter, config.Stock = meter, fixedStock{release: errors.New("down")}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a caller who went away
	s.release(ctx, uuid.New(), "test")
	if len(meter.failed) != 1 || meter.failed[0] != "release" {
		t.Errorf("counted %v", meter.failed)
	}
}

func TestAnOrderMovesOnlyAlongItsArrows(t *testing.T) {
	t.Parallel()
	s, err := New(fullConfig())
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.advance(t.Context(), nil, Order{Status: StatusExpired}, StatusConfirmed)
	if f := fault.From(err); f == nil || f.Kind != fault.KindInternal {
		t.Errorf("got %v", err)
	}
}

func TestActorsAreNamedByWhatTheyAre(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	for _, c := range []struct {
		caller        Caller
		actor, placer string
	}{
		{Caller{}, ActorGuest, ActorGuest},
		{Caller{UserID: id}, ActorUser, ActorUser},
		{Caller{UserID: id, Admin: true}, ActorAdmin, ActorUser},
	} {
		if c.caller.Actor() != c.actor || c.caller.placer() != c.placer {
			t.Errorf("%+v is %s and buys as %s", c.caller, c.caller.Actor(), c.caller.placer())
		}
	}
}

func FuzzNewRates(f *testing.F) {
	f.Add("DE:standard", int32(1900), "EUR", "490/5000")
	f.Add("de", int32(-1), "XXX", "1//2")
	f.Fuzz(func(t *testing.T, key string, bps int32, currency, text string) {
		rates, err := NewRates(map[string]int32{key: bps}, "", map[string]string{currency: text})
		if err != nil {
			return
		}
		rate := rates.Shipping[currency]
		if rate.Price < 0 || rate.FreeFrom < 0 || rates.Tax[key] < 0 || rates.Tax[key] > money.BasisPoints {
			t.Errorf("accepted %q=%d and %q=%q", key, bps, currency, text)
		}
	})
}
