package conformance

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/commercestack/commercestack/test/shop"
)

// Simulator is the shop's Stripe simulator: its books, and its switches.
type Simulator struct {
	api *shop.Shop
	// since bounds lists to what this session can have made.
	since time.Time
}

func newSimulator(guest *shop.Shop, key string) *Simulator {
	api := guest.As(key)
	api.URL += "/dev/stripe"
	return &Simulator{api: api, since: time.Now().Add(-time.Minute)}
}

// Clear ends all faults and settings.
func (s *Simulator) Clear(ctx context.Context) error {
	_, err := s.api.Must(ctx, http.MethodDelete, "/sim/control", nil)
	return err
}

// Set changes settings such as {"down":true}; absent ones stay.
func (s *Simulator) Set(ctx context.Context, settings map[string]any) error {
	_, err := s.api.Must(ctx, http.MethodPatch, "/sim/control/settings", settings)
	return err
}

// Fault makes the next calls of an operation fail. hold is how long a call without an answer is held.
func (s *Simulator) Fault(ctx context.Context, operation, kind string, count int, hold time.Duration) error {
	_, err := s.api.Must(ctx, http.MethodPost, "/sim/control/faults", map[string]any{
		"operation": operation, "kind": kind, "count": count, "milliseconds": hold.Milliseconds(),
	})
	return err
}

// form posts parameters as Stripe's clients do.
func (s *Simulator) form(ctx context.Context, path string, values url.Values) (*shop.Answer, error) {
	return s.api.With("Content-Type", "application/x-www-form-urlencoded").Must(ctx, http.MethodPost, path, values.Encode())
}

// intent is one payment intent in the books.
type intent struct {
	id, status, currency, charge string
	amount, received             int64
	metadata                     map[string]any
}

// list walks all pages of a list, newest first, back to the start of the session.
func (s *Simulator) list(ctx context.Context, path string, filter url.Values, each func(page *shop.Answer, i int)) error {
	query := url.Values{"limit": {"100"}, "created[gte]": {strconv.FormatInt(s.since.Unix(), 10)}}
	maps.Copy(query, filter)
	for {
		page, err := s.api.Must(ctx, http.MethodGet, path+"?"+query.Encode(), nil)
		if err != nil {
			return err
		}
		n := page.Len("data")
		for i := range n {
			each(page, i)
		}
		if page.String("has_more") != "true" || n == 0 {
			return nil
		}
		query.Set("starting_after", page.String("data", n-1, "id"))
	}
}

// intents returns the payment intents of an order.
func (s *Simulator) intents(ctx context.Context, orderID string) ([]intent, error) {
	var found []intent
	err := s.list(ctx, "/v1/payment_intents", nil, func(page *shop.Answer, i int) {
		if page.String("data", i, "metadata", "order_id") != orderID {
			return
		}
		metadata, _ := page.Get("data", i, "metadata").(map[string]any)
		found = append(found, intent{
			id: page.String("data", i, "id"), status: page.String("data", i, "status"), currency: page.String("data", i, "currency"),
			charge: page.String("data", i, "latest_charge"), amount: page.Int("data", i, "amount"),
			received: page.Int("data", i, "amount_received"), metadata: metadata,
		})
	})
	return found, err
}

// ledger is what the provider holds of an order's money.
type ledger struct {
	// charges is the number of intents that succeeded, refunds that of refunds that did not fail.
	charges, refunds int
	// taken and returned are sums in minor units.
	taken, returned int64
	// open is the number of intents that may still succeed.
	open int
}

func (l ledger) String() string {
	return fmt.Sprintf("%d charges of %d in all, %d refunds of %d, %d open intents", l.charges, l.taken, l.refunds, l.returned, l.open)
}

// ledger adds up an order's money in the books.
func (s *Simulator) ledger(ctx context.Context, orderID string) (ledger, error) {
	intents, err := s.intents(ctx, orderID)
	if err != nil {
		return ledger{}, err
	}
	var l ledger
	for _, in := range intents {
		switch in.status {
		case "canceled":
			continue
		case "succeeded":
		default:
			l.open++
			continue
		}
		l.charges++
		l.taken += in.received
		err := s.list(ctx, "/v1/refunds", url.Values{"payment_intent": {in.id}}, func(page *shop.Answer, i int) {
			if status := page.String("data", i, "status"); status != "failed" && status != "canceled" {
				l.refunds++
				l.returned += page.Int("data", i, "amount")
			}
		})
		if err != nil {
			return l, err
		}
	}
	return l, nil
}

// expect waits until the books show exactly this money for an order.
func (s *Simulator) expect(ctx context.Context, orderID string, limit time.Duration, want func(ledger) bool, what string) error {
	return eventually(ctx, limit, func() error {
		l, err := s.ledger(ctx, orderID)
		if err != nil {
			return err
		}
		if !want(l) {
			return fmt.Errorf("the provider's books show %s, want %s", l, what)
		}
		return nil
	})
}

// chargedOnce wants one charge of the amount, and nothing given back.
func (s *Simulator) chargedOnce(ctx context.Context, orderID string, amount int64) error {
	return s.expect(ctx, orderID, 20*time.Second, func(l ledger) bool {
		return l.charges == 1 && l.taken == amount && l.refunds == 0
	}, fmt.Sprintf("one charge of %d and no refund", amount))
}

// holdsNothing wants everything that was taken to be given back, and nothing open.
func (s *Simulator) holdsNothing(ctx context.Context, orderID string, limit time.Duration) error {
	return s.expect(ctx, orderID, limit, func(l ledger) bool { return l.taken == l.returned && l.open == 0 },
		"as much returned as taken, and nothing open")
}

// resend sends every event about an order's intents n times more.
func (s *Simulator) resend(ctx context.Context, orderID string, n int) (int, error) {
	intents, err := s.intents(ctx, orderID)
	if err != nil {
		return 0, err
	}
	ours := make(map[string]bool)
	for _, in := range intents {
		ours[in.id] = true
	}
	var ids []string
	err = s.list(ctx, "/v1/events", nil, func(page *shop.Answer, i int) {
		if ours[page.String("data", i, "data", "object", "id")] || ours[page.String("data", i, "data", "object", "payment_intent")] {
			ids = append(ids, page.String("data", i, "id"))
		}
	})
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		for range n {
			if _, err := s.api.Must(ctx, http.MethodPost, "/sim/control/events/"+id+"/resend", map[string]any{}); err != nil {
				return 0, err
			}
		}
	}
	return len(ids), s.delivered(ctx)
}

// delivered waits until no event is on its way.
func (s *Simulator) delivered(ctx context.Context) error {
	return eventually(ctx, 30*time.Second, func() error {
		report, err := s.api.Must(ctx, http.MethodGet, "/sim/control", nil)
		if err != nil {
			return err
		}
		if n := report.Int("pending_deliveries"); n > 0 {
			return fmt.Errorf("%d events are not delivered", n)
		}
		return nil
	})
}

// authenticate answers the bank's question about an intent for the customer.
func (s *Simulator) authenticate(ctx context.Context, payment *shop.Answer) (*shop.Answer, error) {
	id, secret := payment.String("payment", "providerReference"), payment.String("payment", "clientSecret")
	page := s.api.As("").With("Content-Type", "application/x-www-form-urlencoded")
	client := *page.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	page.HTTP = &client
	return page.Do(ctx, http.MethodPost, "/sim/3ds/"+id+"/complete", url.Values{"client_secret": {secret}}.Encode())
}
