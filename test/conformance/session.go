package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/commercestack/commercestack/test/shop"
)

// Session is a shop under examination. It is safe for concurrent use.
type Session struct {
	// Guest calls the shop as nobody.
	Guest *shop.Shop
	// Admin is logged in as an administrator; nil without a login.
	Admin *shop.Shop
	// Stripe is the simulator; nil without its key.
	Stripe *Simulator
	// Development tells that the shop shows captured mail.
	Development bool
	// Currency of the products that cases make.
	Currency string
}

// open logs in and finds out what the shop offers.
func open(ctx context.Context, o Options) (*Session, error) {
	s := &Session{Guest: shop.New(o.URL), Currency: "EUR"}
	if o.HTTP != nil {
		s.Guest.HTTP = o.HTTP
	}
	products, err := s.Guest.Must(ctx, http.MethodGet, "/api/v1/products?pageSize=1", nil)
	if err != nil {
		return nil, fmt.Errorf("there is no shop at %s: %w", o.URL, err)
	}
	cart, err := send(ctx, s.Guest, http.MethodPost, "/api/v1/carts", map[string]any{})
	if err != nil {
		return nil, err
	}
	// An empty shop has no prices; an empty cart still tells its currency.
	s.Currency = cmp.Or(products.String("products", 0, "price", "currencyCode"), cart.String("cart", "subtotal", "currencyCode"), s.Currency)
	if o.AdminEmail != "" && o.AdminPassword != "" {
		admin, err := s.Guest.Login(ctx, o.AdminEmail, o.AdminPassword)
		if err != nil {
			return nil, fmt.Errorf("log in as %s: %w", o.AdminEmail, err)
		}
		s.Admin = admin.Shop
	}
	mail, err := s.Guest.Do(ctx, http.MethodGet, "/dev/mail"+shop.Query("to", "nobody@example.com"), nil)
	if err != nil {
		return nil, err
	}
	s.Development = mail.Status == http.StatusOK
	if o.SimulatorKey != "" {
		s.Stripe = newSimulator(s.Guest, o.SimulatorKey)
		if err := s.Stripe.Clear(ctx); err != nil {
			return nil, fmt.Errorf("the Stripe simulator: %w", err)
		}
	}
	return s, nil
}

// lacks says what is missing for a case.
func (s *Session) lacks(n Needs) string {
	switch {
	case n.Admin && s.Admin == nil:
		return "it needs an administrator's login"
	case n.Development && !s.Development:
		return "it needs captured mail (development)"
	case (n.Faults || n.Books) && s.Stripe == nil:
		return "it needs the Stripe simulator's key"
	}
	return ""
}

// send is Do that waits when the shop says that it is too much at once. Nothing
// has happened then, so that repeating is safe.
func send(ctx context.Context, who *shop.Shop, method, path string, body any) (*shop.Answer, error) {
	for {
		answer, err := who.Do(ctx, method, path, body)
		if err != nil || answer.Status != http.StatusTooManyRequests {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(answer.RetryAfter()):
		}
	}
}

// mustRefuse sends a request that must be refused.
func mustRefuse(ctx context.Context, who *shop.Shop, method, path string, body any, status int, codes ...string) error {
	answer, err := send(ctx, who, method, path, body)
	if err != nil {
		return err
	}
	if err := refusal(answer, status, codes...); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// refusal checks a refusal and the shape that all of them have: the status, one
// of the codes, a message, the time and the id of the request.
func refusal(a *shop.Answer, status int, codes ...string) error {
	if a.Status != status {
		return fmt.Errorf("status %d, want %d: %s", a.Status, status, brief(a))
	}
	if len(codes) > 0 && !slices.Contains(codes, a.Code()) {
		return fmt.Errorf("code %q, want %s: %s", a.Code(), strings.Join(codes, " or "), brief(a))
	}
	return errorShape(a)
}

// errorShape checks the error body that every refusal has.
func errorShape(a *shop.Answer) error {
	if a.Code() == "" || a.String("error", "message") == "" {
		return fmt.Errorf("status %d without error.code and error.message: %s", a.Status, brief(a))
	}
	if _, err := time.Parse(time.RFC3339, a.String("error", "timestamp")); err != nil {
		return fmt.Errorf("error.timestamp is no RFC 3339 time: %s", brief(a))
	}
	if id := a.String("error", "requestId"); id == "" || id != a.Header.Get("X-Request-Id") {
		return fmt.Errorf("error.requestId %q is not the header's %q", id, a.Header.Get("X-Request-Id"))
	}
	return nil
}

// okay wants a call to succeed.
func okay(a *shop.Answer, err error) error {
	if err != nil {
		return err
	}
	if a.Status < 200 || a.Status > 299 {
		return fmt.Errorf("status %d: %s", a.Status, brief(a))
	}
	return nil
}

// brief is enough of an answer to understand a failure.
func brief(a *shop.Answer) string {
	const most = 300
	text := strings.TrimSpace(string(a.Raw))
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}

// together runs n calls at once, started by one signal, and joins their errors.
func together(n int, call func(i int) error) error {
	start := make(chan struct{})
	errs := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	group.Wait()
	return firstOf(errs)
}

// firstOf returns the first error and how many more there are: a race makes many of the same kind.
func firstOf(errs []error) error {
	var first error
	n := 0
	for _, err := range errs {
		if err == nil {
			continue
		}
		if first == nil {
			first = err
		}
		n++
	}
	if n > 1 {
		return fmt.Errorf("%w (and %d more)", first, n-1)
	}
	return first
}

// eventually waits until check passes; its last failure is returned when the time is over.
func eventually(ctx context.Context, limit time.Duration, check func() error) error {
	var last error
	err := shop.Eventually(ctx, limit, func() (bool, error) {
		last = check()
		return last == nil, nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("after %s: %w", limit, last)
	}
	return err
}

// product makes a product; price is in minor units of the session's currency.
func (s *Session) product(ctx context.Context, name string, price, onHand int64) (string, error) {
	return s.Admin.NewProduct(ctx, "Conformance "+name, s.Currency, price, onHand)
}

// person registers and logs in somebody new.
func (s *Session) person(ctx context.Context) (*shop.Person, error) {
	return s.Guest.Register(ctx, shop.NewEmail())
}

// stock checks the counts of a product; on_hand and reserved are seen by administrators.
func (s *Session) stock(ctx context.Context, product string, onHand, reserved int64) error {
	return eventually(ctx, 10*time.Second, func() error {
		gotOnHand, gotReserved, available, err := s.Admin.Stock(ctx, product)
		switch {
		case err != nil:
			return err
		case gotOnHand != onHand || gotReserved != reserved || available != onHand-reserved:
			return fmt.Errorf("stock is %d on hand, %d reserved, %d available, want %d, %d, %d",
				gotOnHand, gotReserved, available, onHand, reserved, onHand-reserved)
		}
		return nil
	})
}

// buyer is a guest with an order.
type buyer struct {
	*shop.Shop

	// Order as it was placed.
	Order *shop.Answer
	// ID and Total of the order, in minor units.
	ID    string
	Total int64
}

// line asks for pieces of a product.
type line struct {
	product  string
	quantity int
}

// items is the list of an order's body.
func items(lines ...line) []any {
	list := make([]any, len(lines))
	for i, l := range lines {
		list[i] = map[string]any{"productId": l.product, "quantity": l.quantity}
	}
	return list
}

// buy places an order as a new guest.
func (s *Session) buy(ctx context.Context, lines ...line) (*buyer, error) {
	return s.buyWith(ctx, map[string]any{"items": items(lines...), "email": shop.NewEmail()})
}

// buyWith places an order with a body.
func (s *Session) buyWith(ctx context.Context, body map[string]any) (*buyer, error) {
	placed, err := send(ctx, s.Guest, http.MethodPost, "/api/v1/orders", body)
	if err != nil {
		return nil, err
	}
	if placed.Status != http.StatusOK {
		return nil, fmt.Errorf("place an order: status %d: %s", placed.Status, brief(placed))
	}
	return asBuyer(s.Guest, placed)
}

func asBuyer(who *shop.Shop, placed *shop.Answer) (*buyer, error) {
	b := &buyer{Shop: who, Order: placed, ID: placed.String("order", "id"), Total: placed.Int("order", "total", "amountMinor")}
	if token := placed.String("guestToken"); token != "" {
		b.Shop = who.AsGuest(token)
	}
	if b.ID == "" {
		return nil, errors.New("the placed order has no id: " + brief(placed))
	}
	return b, nil
}

// pay asks for the money, waiting out the rate limit.
func (b *buyer) pay(ctx context.Context, method string) (*shop.Answer, error) {
	return send(ctx, b.Shop, http.MethodPost, "/api/v1/billing/payments", map[string]any{"orderId": b.ID, "paymentMethod": method})
}

// paid pays and waits until the order is CONFIRMED. It returns the payment's id.
func (b *buyer) paid(ctx context.Context) (string, error) {
	answer, err := b.pay(ctx, "pm_card_visa")
	if err != nil {
		return "", err
	}
	if answer.Status != http.StatusOK {
		return "", fmt.Errorf("pay: status %d: %s", answer.Status, brief(answer))
	}
	_, err = b.WaitOrder(ctx, b.ID, "CONFIRMED")
	return answer.String("payment", "id"), err
}

// cancel cancels the order.
func (b *buyer) cancel(ctx context.Context) (*shop.Answer, error) {
	return send(ctx, b.Shop, http.MethodPost, "/api/v1/orders/"+b.ID+":cancel", map[string]any{"reason": "conformance"})
}

// steps counts the history's entries by type.
func (b *buyer) steps(ctx context.Context) (map[string]int, error) {
	answer, err := b.Must(ctx, http.MethodGet, "/api/v1/orders/"+b.ID+"/events", nil)
	if err != nil {
		return nil, err
	}
	steps := make(map[string]int)
	for i := range answer.Len("events") {
		steps[answer.String("events", i, "type")]++
	}
	return steps, nil
}
