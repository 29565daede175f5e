package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/order/migrations"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/job"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/order"
	"github.com/commercestack/commercestack/services/order/store"
	"github.com/commercestack/commercestack/services/order/task"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// shop is a service over a real database, with upstreams that tests control.
type shop struct {
	*order.Service

	db    *postgres.DB
	store *store.Store
	jobs  *job.Client
	stock *stock
	purse *purse
	clock *clock
	meter *meter
}

func newShop(t testing.TB, change ...func(*order.Config)) *shop {
	t.Helper()
	s := &shop{
		db: pgtest.New(t, "order", migrations.FS), stock: newStock(), purse: &purse{}, meter: &meter{moves: map[string]int{}},
		clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
	}
	var err error
	if s.jobs, err = job.New(s.db, job.Config{Logger: slog.New(slog.DiscardHandler), Poll: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	s.store = store.New(s.db, s.jobs)
	config := order.Config{
		Orders: s.store, Carts: s.store, Coupons: s.store, Stock: s.stock, Purse: s.purse, Accounts: accounts{}, Tokens: tokens{},
		Meter: s.meter, Logger: slog.New(slog.DiscardHandler), Now: s.clock.Now,
		Settings: order.Settings{ReservationTTL: 15 * time.Minute, PaymentHold: 30 * time.Minute, Currency: "EUR"},
	}
	for _, c := range change {
		c(&config)
	}
	if s.Service, err = order.New(config); err != nil {
		t.Fatal(err)
	}
	if err := task.Register(s.jobs, s.Service, time.Second); err != nil {
		t.Fatal(err)
	}
	return s
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

func eur(minor int64) money.Money { return money.Money{CurrencyCode: "EUR", AmountMinor: minor} }

func user() order.Caller {
	id := newID()
	return order.Caller{UserID: id, Email: id.String() + "@example.com"}
}

// place places an order of pieces of a product at 10.00.
func (s *shop) place(t testing.TB, caller order.Caller, change ...func(*order.PlaceInput)) order.Order {
	t.Helper()
	in := s.input(caller)
	for _, c := range change {
		c(&in)
	}
	receipt, err := s.Place(t.Context(), in)
	if err != nil {
		t.Fatalf("place: %v", err)
	}
	return receipt.Order
}

func (s *shop) input(caller order.Caller) order.PlaceInput {
	return order.PlaceInput{ID: newID(), Caller: caller, Items: []order.Item{{ProductID: s.stock.product(1000, 1000), Quantity: 2}}}
}

// pay announces a payment and lets it succeed.
func (s *shop) pay(t testing.TB, o order.Order, caller order.Caller) uuid.UUID {
	t.Helper()
	payment := newID()
	if _, err := s.BeginPayment(t.Context(), order.BeginPaymentInput{OrderID: o.ID, PaymentID: payment, Caller: caller}); err != nil {
		t.Fatalf("begin payment: %v", err)
	}
	s.settle(t, o, payment)
	return payment
}

func (s *shop) settle(t testing.TB, o order.Order, payment uuid.UUID) {
	t.Helper()
	if err := s.Settle(t.Context(), order.SettleInput{EventID: newID(), OrderID: o.ID, PaymentID: payment, Amount: o.Money(o.Total)}); err != nil {
		t.Fatalf("settle: %v", err)
	}
}

func (s *shop) get(t testing.TB, id uuid.UUID) order.Order {
	t.Helper()
	o, err := s.store.Order(t.Context(), id, order.Owner{Everyone: true})
	if err != nil {
		t.Fatalf("get order: %v", err)
	}
	return o
}

func (s *shop) wantStatus(t testing.TB, id uuid.UUID, want order.Status) {
	t.Helper()
	if got := s.get(t, id).Status; got != want {
		t.Errorf("status is %s, want %s", got, want)
	}
}

// count answers a query that counts.
func (s *shop) count(t testing.TB, query string, args ...any) int {
	t.Helper()
	var n int
	if err := s.db.Pool().QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func (s *shop) events(t testing.TB, kind string, id uuid.UUID) int {
	t.Helper()
	return s.count(t, "SELECT count(*) FROM outbox WHERE event_type = $1 AND subject = $2", kind, id.String())
}

func (s *shop) errands(t testing.TB, kind string, id uuid.UUID) int {
	t.Helper()
	return s.count(t, "SELECT count(*) FROM river_job WHERE kind = $1 AND args ->> 'order_id' = $2", kind, id.String())
}

func (s *shop) steps(t testing.TB, id uuid.UUID) []order.StepType {
	t.Helper()
	steps, err := s.store.History(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	types := make([]order.StepType, len(steps))
	for i, step := range steps {
		types[i] = step.Type
	}
	return types
}

func wantFault(t testing.TB, err error, kind fault.Kind, reason string) {
	t.Helper()
	f := fault.From(err)
	if f == nil || f.Kind != kind || (reason != "" && f.Reason != reason) {
		t.Errorf("got error %v, want kind %d %s", err, kind, reason)
	}
}

// together runs f n times at once and returns the errors.
func together(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	group.Wait()
	return errs
}

type clock struct {
	mutex sync.Mutex
	now   time.Time
}

func (c *clock) Now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.now = c.now.Add(d)
}

type tokens struct{}

func (tokens) GuestTokens(kind string, id uuid.UUID) []order.GuestToken {
	token := kind + id.String()
	return []order.GuestToken{{Token: token, Hash: crypto.HashToken(token)}}
}

type accounts struct{}

func (accounts) Email(_ context.Context, id uuid.UUID) (string, error) {
	return "account-" + id.String() + "@example.com", nil
}

type purse struct {
	mutex   sync.Mutex
	refunds []uuid.UUID
}

func (p *purse) Refund(_ context.Context, id uuid.UUID, _ string) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.refunds = append(p.refunds, id)
	return nil
}

func (p *purse) refunded() []uuid.UUID {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return append([]uuid.UUID(nil), p.refunds...)
}

type meter struct {
	mutex sync.Mutex
	moves map[string]int
}

func (m *meter) Moved(from, to order.Status) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.moves[fmt.Sprintf("%s→%s", from, to)]++
}

func (m *meter) Failed(string) {}

// stock counts pieces in memory, by the rules of the product component.
type stock struct {
	mutex    sync.Mutex
	products map[uuid.UUID]*article
	held     map[uuid.UUID]*reservation
	fail     error
	reserved int
	lookups  int
	extended time.Time
}

type article struct {
	order.Article
	grams int64
}

type reservation struct {
	items []order.Item
	state string // held, sold, released
}

func newStock() *stock {
	return &stock{products: map[uuid.UUID]*article{}, held: map[uuid.UUID]*reservation{}}
}

func (s *stock) product(price int64, pieces int32) uuid.UUID {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	id := newID()
	s.products[id] = &article{Article: order.Article{Name: "Thing", Price: eur(price), Available: pieces}}
	return id
}

func (s *stock) failWith(err error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.fail = err
}

func (s *stock) available(id uuid.UUID) int32 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.products[id].Available
}

func (s *stock) state(id uuid.UUID) string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if r := s.held[id]; r != nil {
		return r.state
	}
	return ""
}

func (s *stock) Reserve(_ context.Context, id uuid.UUID, items []order.Item, _ time.Time) ([]order.Goods, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.reserved++
	if s.fail != nil {
		return nil, s.fail
	}
	goods := make([]order.Goods, len(items))
	for i, item := range items {
		p := s.products[item.ProductID]
		if p == nil {
			return nil, fault.NotFound("product", item.ProductID.String())
		}
		goods[i] = order.Goods{ProductID: item.ProductID, SKU: "S", Name: p.Name, UnitPrice: p.Price, WeightGrams: p.grams, Quantity: item.Quantity}
	}
	if r := s.held[id]; r != nil && r.state != "released" {
		return goods, nil
	}
	for _, item := range items {
		if s.products[item.ProductID].Available < item.Quantity {
			return nil, fault.Conflict("OUT_OF_STOCK", "not enough")
		}
	}
	for _, item := range items {
		s.products[item.ProductID].Available -= item.Quantity
	}
	s.held[id] = &reservation{items: items, state: "held"}
	return goods, nil
}

func (s *stock) Extend(_ context.Context, id uuid.UUID, expire time.Time) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if r := s.held[id]; r == nil || r.state == "released" {
		return fault.Conflict("RESERVATION_EXPIRED", "gone")
	}
	s.extended = expire
	return nil
}

func (s *stock) Commit(_ context.Context, id uuid.UUID) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.fail != nil {
		return s.fail
	}
	r := s.held[id]
	if r == nil || r.state == "released" {
		return fault.Conflict("RESERVATION_EXPIRED", "gone")
	}
	r.state = "sold"
	return nil
}

func (s *stock) Release(_ context.Context, id uuid.UUID, _ string) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	r := s.held[id]
	if r == nil || r.state == "released" {
		return nil
	}
	for _, item := range r.items {
		s.products[item.ProductID].Available += item.Quantity
	}
	r.state = "released"
	return nil
}

func (s *stock) Articles(_ context.Context, ids []uuid.UUID) (map[uuid.UUID]order.Article, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.lookups++
	if s.fail != nil {
		return nil, s.fail
	}
	found := map[uuid.UUID]order.Article{}
	for _, id := range ids {
		if p := s.products[id]; p != nil {
			found[id] = p.Article
		}
	}
	return found, nil
}
