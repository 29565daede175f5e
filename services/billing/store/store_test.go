package store_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/ent/billing/migrate"
	"github.com/commercestack/commercestack/ent/billing/migrations"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/billing"
	"github.com/commercestack/commercestack/services/billing/store"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func newStore(t *testing.T) (*store.Store, *postgres.DB) {
	t.Helper()
	db := pgtest.New(t, "billing", migrations.FS)
	return store.New(db, newRing(t)), db
}

func newRing(t *testing.T) *crypto.Keyring {
	t.Helper()
	key, err := crypto.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypto.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func payment(owner uuid.UUID) billing.Payment {
	return billing.Payment{
		ID: uuid.Must(uuid.NewV7()), OrderID: uuid.Must(uuid.NewV7()), OrderNumber: "CS-1", UserID: owner, Email: "ann@example.com",
		Amount: money.Money{CurrencyCode: "EUR", AmountMinor: 1000}, Status: billing.StatusPending, Attempts: 1,
		ExpireTime: noon.Add(time.Hour), NextPollTime: noon, CreateTime: noon, UpdateTime: noon,
	}
}

func insert(t *testing.T, s *store.Store, p billing.Payment) error {
	t.Helper()
	return s.InTx(t.Context(), func(ctx context.Context, tx billing.Tx) error { return tx.InsertPayment(ctx, p) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMigrationsMatchTheSchema(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "billing", migrations.FS)
	pgtest.AssertSchemaMatches(t, db, migrate.Tables)
}

func TestTheRoleWritesItsOwnSchemaOnly(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "billing", Migrations: migrations.FS}, pgtest.Schema{Component: "order"})
	db := database.DB(t, "billing")
	for _, statement := range []string{
		`INSERT INTO "order".inbox (subscriber, event_id) VALUES ('billing.x', gen_random_uuid())`,
		`SELECT * FROM "order".outbox`,
		`DROP TABLE payment`,
		`ALTER TABLE payment DROP CONSTRAINT payment_refunds`,
	} {
		if _, err := db.Pool().Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// The rules about money hold whatever the program does.
func TestTheDatabaseRefuses(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	p := payment(uuid.New())
	must(t, insert(t, s, p))
	for name, statement := range map[string]string{
		"a payment of nothing":         `INSERT INTO payment (id, order_id, order_number, amount, currency_code, status, create_time, update_time) VALUES (gen_random_uuid(), gen_random_uuid(), 'x', 0, 'EUR', 'PENDING', now(), now())`,
		"a currency that is none":      `INSERT INTO payment (id, order_id, order_number, amount, currency_code, status, create_time, update_time) VALUES (gen_random_uuid(), gen_random_uuid(), 'x', 1, 'eur', 'PENDING', now(), now())`,
		"an unknown state":             `UPDATE payment SET status = 'PAID'`,
		"more promised than came in":   `UPDATE payment SET refund_reserved = 1001`,
		"more returned than promised":  `UPDATE payment SET refunded = 1`,
		"less than nothing returned":   `UPDATE payment SET refunded = -1`,
		"a refund of nothing":          `INSERT INTO refund (id, payment_id, order_id, amount, currency_code, reason, status, create_time, update_time) VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 0, 'EUR', 'x', 'PENDING', now(), now())`,
		"an invoice that does not add": `INSERT INTO invoice (id, number, kind, order_id, order_number, currency_code, subtotal, discount, tax, shipping, total, lines, create_time) VALUES (gen_random_uuid(), 'INV-1', 'INVOICE', gen_random_uuid(), 'x', 'EUR', 1, 0, 0, 0, 2, '[]', now())`,
		"a credit note of no refund":   `INSERT INTO invoice (id, number, kind, order_id, order_number, currency_code, subtotal, discount, tax, shipping, total, lines, create_time) VALUES (gen_random_uuid(), 'CN-1', 'CREDIT_NOTE', gen_random_uuid(), 'x', 'EUR', 1, 0, 0, 0, 1, '[]', now())`,
		"number nought":                `INSERT INTO invoice_counter (id, last) VALUES ('x', 0)`,
	} {
		if _, err := db.Pool().Exec(t.Context(), statement); !postgres.IsCheck(err, "") {
			t.Errorf("%s: %v", name, err)
		}
	}
	second := payment(p.UserID)
	second.OrderID = p.OrderID
	if err := insert(t, s, second); !errors.Is(err, billing.ErrInProgress) {
		t.Errorf("a second live payment: %v", err)
	}
	if err := insert(t, s, p); !errors.Is(err, billing.ErrInProgress) {
		t.Errorf("the same payment again: %v", err)
	}
	if _, err := db.Pool().Exec(t.Context(), `UPDATE payment SET status = 'FAILED'`); err != nil {
		t.Fatal(err)
	}
	must(t, insert(t, s, second))
	other := payment(p.UserID)
	must(t, insert(t, s, other))
	if _, err := db.Pool().Exec(t.Context(), `UPDATE payment SET intent_id = 'pi_1' WHERE id IN ($1, $2)`, second.ID, other.ID); !postgres.IsUnique(err, "payment_intent_id") {
		t.Errorf("one intent for two payments: %v", err)
	}
}

func TestAPaymentIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	p := payment(uuid.New())
	p.PaymentMethod, p.CustomerID, p.ReturnURL, p.OffSession = "pm_1", "cus_1", "https://shop", true
	must(t, insert(t, s, p))
	p.Status, p.IntentID, p.ClientSecret, p.RedirectURL = billing.StatusUnknown, "pi_1", "hush", "https://bank"
	p.FailureCode, p.FailureMessage, p.Attempts, p.Polls = "x", strings.Repeat("é", 400), 2, 3
	p.NextAttemptTime, p.NextPollTime = noon.Add(time.Minute), time.Time{}
	must(t, s.InTx(t.Context(), func(ctx context.Context, tx billing.Tx) error { return tx.SavePayment(ctx, p) }))
	p.FailureMessage = strings.Repeat("é", 250)
	got, err := s.Payment(t.Context(), p.ID, billing.Owner{UserID: p.UserID})
	if err != nil || got != p {
		t.Errorf("read %+v, %v\nwant %+v", got, err, p)
	}
	if found, ok, err := s.PaymentByIntent(t.Context(), "pi_1"); err != nil || !ok || found.ID != p.ID {
		t.Errorf("by intent: %v %v", ok, err)
	}
	if _, ok, err := s.PaymentByIntent(t.Context(), "pi_2"); err != nil || ok {
		t.Errorf("by an unknown intent: %v %v", ok, err)
	}
	other := store.New(db, newRing(t))
	if _, err := other.Payment(t.Context(), p.ID, billing.Owner{Everyone: true}); err == nil {
		t.Error("another key opens the secret")
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	ann, bob := uuid.New(), uuid.New()
	p := payment(ann)
	must(t, insert(t, s, p))
	g := payment(uuid.Nil)
	g.GuestTokenHash = "guest"
	must(t, insert(t, s, g))
	for name, tt := range map[string]struct {
		owner billing.Owner
		want  int
	}{
		"nobody": {billing.Owner{}, 0}, "ann": {billing.Owner{UserID: ann}, 1}, "bob": {billing.Owner{UserID: bob}, 0},
		"guest": {billing.Owner{GuestTokenHash: "guest"}, 1}, "another guest": {billing.Owner{GuestTokenHash: "x"}, 0},
		"ann with a guest's token": {billing.Owner{UserID: ann, GuestTokenHash: "guest"}, 2}, "administrator": {billing.Owner{UserID: bob, Everyone: true}, 2},
	} {
		got, err := s.Payments(t.Context(), billing.Filter{Owner: tt.owner, Limit: 10})
		if err != nil || len(got) != tt.want {
			t.Errorf("%s sees %d payments, %v", name, len(got), err)
		}
		if list, err := s.Invoices(t.Context(), billing.Filter{Owner: tt.owner, OrderID: uuid.New(), AfterTime: noon, AfterID: ann, Limit: 10}); err != nil || len(list) != 0 {
			t.Errorf("%s sees %d documents, %v", name, len(list), err)
		}
	}
	if list, err := s.Payments(t.Context(), billing.Filter{Owner: billing.Owner{Everyone: true}, OrderID: g.OrderID, Limit: 10}); err != nil || len(list) != 1 {
		t.Errorf("%d payments of an order, %v", len(list), err)
	}
}

// Replicas share a queue, and the row of a dead worker comes back.
func TestClaim(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	for range 20 {
		must(t, insert(t, s, payment(uuid.New())))
	}
	early := payment(uuid.New())
	early.NextPollTime = noon.Add(time.Hour)
	must(t, insert(t, s, early))
	var mu sync.Mutex
	seen := map[string]int{}
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			for {
				ids, err := s.Claim(context.Background(), billing.QueuePayments, noon, time.Minute, 3)
				if err != nil {
					t.Error(err)
				}
				if len(ids) == 0 {
					return
				}
				mu.Lock()
				for _, id := range ids {
					seen[id]++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d of 20 were claimed", len(seen))
	}
	if ids, err := s.Claim(t.Context(), billing.QueuePayments, noon.Add(2*time.Minute), time.Minute, 100); err != nil || len(ids) != 20 {
		t.Errorf("%d come back after the lease, %v", len(ids), err)
	}
}

func TestProfilesAreSavedByVersion(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	p, err := s.Profile(t.Context(), uuid.New())
	if err != nil || p.Version != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	p.Version, p.UpdateTime, p.CustomerID = 1, noon, "cus_1"
	p.Recipient = billing.Recipient{Name: "Ann", TaxID: "DE1", Address: billing.Address{City: "Köln"}}
	must(t, s.SaveProfile(t.Context(), p))
	if got, err := s.Profile(t.Context(), p.UserID); err != nil || got != p {
		t.Errorf("%+v, %v", got, err)
	}
	for _, version := range []int64{1, 3} {
		stale := p
		stale.Version = version
		if f := fault.From(s.SaveProfile(t.Context(), stale)); f == nil || f.Kind != fault.KindStale {
			t.Errorf("version %d: %v", version, f)
		}
	}
	other := p
	other.UserID, other.Version = uuid.New(), 1
	if err := s.SaveProfile(t.Context(), other); err == nil {
		t.Error("two users share a customer")
	}
}

func TestWebhooksAreStoredOnceAndForgottenInTime(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	e := billing.WebhookEvent{ID: "evt_1", Type: "payment_intent.succeeded", IntentID: "pi_1", NextPollTime: noon, CreateTime: noon}
	for i := range 2 {
		if fresh, err := s.AddWebhook(t.Context(), e); err != nil || fresh != (i == 0) {
			t.Errorf("round %d: %t, %v", i, fresh, err)
		}
	}
	must(t, s.Purge(t.Context(), noon.Add(time.Hour)))
	got, err := s.Webhook(t.Context(), e.ID)
	if err != nil || got != e {
		t.Fatalf("%+v, %v: a webhook that waits must not be forgotten", got, err)
	}
	e.Attempts, e.NextPollTime = 1, time.Time{}
	must(t, s.SaveWebhook(t.Context(), e))
	must(t, s.Purge(t.Context(), noon.Add(time.Hour)))
	if _, err := s.Webhook(t.Context(), e.ID); err == nil {
		t.Error("a handled webhook is kept for ever")
	}
}

func TestErasureKeepsWhatTheLawAsksFor(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	user := uuid.New()
	p := payment(user)
	must(t, insert(t, s, p))
	must(t, s.SaveProfile(t.Context(), billing.Profile{UserID: user, Version: 1, UpdateTime: noon}))
	document := billing.Invoice{
		ID: uuid.New(), Number: "INV-2026-000001", Kind: billing.KindInvoice, OrderID: p.OrderID, OrderNumber: "CS-1", UserID: user,
		Email: "ann@example.com", Recipient: billing.Recipient{Name: "Ann"}, Currency: "EUR", Amounts: billing.Amounts{Subtotal: 1, Total: 1},
		Lines: []billing.Line{{Description: "Lamp", Quantity: 1, UnitPrice: 1, Total: 1}}, CreateTime: noon,
	}
	must(t, s.InTx(t.Context(), func(ctx context.Context, tx billing.Tx) error { return tx.InsertInvoice(ctx, document) }))
	event := uuid.NewString()
	for range 2 {
		must(t, s.Erase(t.Context(), billing.SubscriberAccounts, event, user))
	}
	if profile, err := s.Profile(t.Context(), user); err != nil || profile.Version != 0 {
		t.Errorf("profile is %+v, %v", profile, err)
	}
	if got, err := s.Payment(t.Context(), p.ID, billing.Owner{Everyone: true}); err != nil || got.UserID != uuid.Nil || got.Email != "" {
		t.Errorf("payment is %+v, %v", got, err)
	}
	got, err := s.Invoice(t.Context(), document.ID, billing.Owner{Everyone: true})
	if err != nil || got.UserID != uuid.Nil || got.Email != "" || got.Recipient.Name != "Ann" || len(got.Lines) != 1 {
		t.Errorf("invoice is %+v, %v", got, err)
	}
	if _, err := s.Invoice(t.Context(), document.ID, billing.Owner{UserID: user}); err == nil {
		t.Error("the erased user still owns the invoice")
	}
}

// A list costs one statement, however long it is.
func TestListsCostOneStatement(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	user := uuid.New()
	for range 5 {
		must(t, insert(t, s, payment(user)))
	}
	for name, list := range map[string]func(ctx context.Context) error{
		"payments": func(ctx context.Context) error {
			_, err := s.Payments(ctx, billing.Filter{Owner: billing.Owner{UserID: user}, Limit: 5})
			return err
		},
		"invoices": func(ctx context.Context) error {
			_, err := s.Invoices(ctx, billing.Filter{Owner: billing.Owner{UserID: user}, Limit: 5})
			return err
		},
	} {
		n := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
			if err := list(ctx); err != nil {
				t.Error(err)
			}
		})
		if n != 1 {
			t.Errorf("%s cost %d statements", name, n)
		}
	}
}

func TestALostDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	registry := prometheus.NewRegistry()
	registry.MustRegister(store.NewCollector(db))
	if families, err := registry.Gather(); err != nil || len(families) != 3 {
		t.Errorf("%d metrics, %v", len(families), err)
	}
	db.Close()
	ctx := t.Context()
	id := uuid.New()
	owner := billing.Owner{Everyone: true}
	for name, call := range map[string]func() error{
		"Payment":         func() error { _, err := s.Payment(ctx, id, owner); return err },
		"PaymentByIntent": func() error { _, _, err := s.PaymentByIntent(ctx, "pi"); return err },
		"LivePayment":     func() error { _, _, err := s.LivePayment(ctx, id); return err },
		"Payments":        func() error { _, err := s.Payments(ctx, billing.Filter{Owner: owner, Limit: 1}); return err },
		"OrderPayments":   func() error { _, err := s.OrderPayments(ctx, id); return err },
		"Refund":          func() error { _, err := s.Refund(ctx, id); return err },
		"PaymentRefunds":  func() error { _, err := s.PaymentRefunds(ctx, id); return err },
		"OrderRefunds":    func() error { _, err := s.OrderRefunds(ctx, id); return err },
		"RefundOrder":     func() error { _, _, err := s.RefundOrder(ctx, id); return err },
		"SaveRefundOrder": func() error { return s.SaveRefundOrder(ctx, id, noon) },
		"AddWebhook":      func() error { _, err := s.AddWebhook(ctx, billing.WebhookEvent{ID: "e"}); return err },
		"Webhook":         func() error { _, err := s.Webhook(ctx, "e"); return err },
		"SaveWebhook":     func() error { return s.SaveWebhook(ctx, billing.WebhookEvent{ID: "e"}) },
		"Purge":           func() error { return s.Purge(ctx, noon) },
		"Claim":           func() error { _, err := s.Claim(ctx, billing.QueueRefunds, noon, time.Minute, 1); return err },
		"Invoice":         func() error { _, err := s.Invoice(ctx, id, owner); return err },
		"Invoices":        func() error { _, err := s.Invoices(ctx, billing.Filter{Owner: owner, Limit: 1}); return err },
		"Profile":         func() error { _, err := s.Profile(ctx, id); return err },
		"SaveProfile":     func() error { return s.SaveProfile(ctx, billing.Profile{UserID: id, Version: 1}) },
		"SaveProfile 2":   func() error { return s.SaveProfile(ctx, billing.Profile{UserID: id, Version: 2}) },
		"Erase":           func() error { return s.Erase(ctx, "billing.x", id.String(), id) },
	} {
		if err := call(); err == nil {
			t.Errorf("%s succeeds without a database", name)
		}
	}
	if families, _ := registry.Gather(); len(families) != 0 {
		t.Errorf("%d figures are made up", len(families))
	}
}
