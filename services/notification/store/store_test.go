package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/ent/notification/migrate"
	"github.com/commercestack/commercestack/ent/notification/migrations"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/notification"
	"github.com/commercestack/commercestack/services/notification/store"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func newStore(t testing.TB) (*store.Store, *postgres.DB) {
	t.Helper()
	db := pgtest.New(t, "notification", migrations.FS)
	key, err := crypto.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypto.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	return store.New(db, ring), db
}

func newMail(key string) notification.Mail {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return notification.Mail{
		ID: uuid.Must(uuid.NewV7()), IdempotencyKey: key, To: "Ada@example.com", Template: "password_reset", TemplateVersion: 1,
		Params: map[string]string{"link": "https://shop.example/reset?token=topsecret"}, Locale: "en", Status: notification.StatusQueued,
		NextAttemptTime: now.Add(-time.Second), CreateTime: now, OrderID: "order-1", UserID: "user-1",
	}
}

func count(t testing.TB, db *postgres.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.Pool().QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMigrationsMatchTheSchema(t *testing.T) {
	t.Parallel()
	_, db := newStore(t)
	pgtest.AssertSchemaMatches(t, db, migrate.Tables)
}

func TestWhatIsStoredComesBackAndIsSealed(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	m := newMail("key")
	if _, err := s.Enqueue(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), m.ID)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(m) {
		t.Errorf("stored %+v, read %+v (%v)", m, got, err)
	}
	var row []byte
	if err := db.Pool().QueryRow(t.Context(), "SELECT convert_to(m::text, 'UTF8') || recipient_sealed || params_sealed FROM mail m").Scan(&row); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"ada@example.com", "Ada@example.com", "example.com", "topsecret"} {
		if bytes.Contains(bytes.ToLower(row), bytes.ToLower([]byte(secret))) {
			t.Errorf("the row holds %s in clear", secret)
		}
	}
	// What is sealed for one row opens in no other.
	other := newMail("other")
	if _, err := s.Enqueue(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool().Exec(t.Context(), "UPDATE mail SET params_sealed = (SELECT params_sealed FROM mail WHERE id = $1) WHERE id = $2", m.ID, other.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), other.ID); err != nil || got.Unreadable == nil || got.To != "" && len(got.Params) > 0 {
		t.Errorf("a swapped secret opens: %+v (%v)", got, err)
	}
	if _, err := s.Get(t.Context(), uuid.New()); fault.From(err) == nil || fault.From(err).Kind != fault.KindNotFound {
		t.Errorf("no mail: %v", err)
	}
}

func TestEnqueueIsIdempotentUnderConcurrency(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	ids := make([]uuid.UUID, 16)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			stored, err := s.Enqueue(t.Context(), newMail("same"))
			if err != nil {
				t.Error(err)
			}
			ids[i] = stored.ID
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] || id == uuid.Nil {
			t.Fatalf("callers got %v", ids)
		}
	}
	if n := count(t, db, "SELECT count(*) FROM mail"); n != 1 {
		t.Errorf("%d rows", n)
	}
}

func TestAnEventQueuesOnce(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	event := uuid.NewString()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			m := newMail(event + "/x")
			if err := s.EnqueueOnce(t.Context(), "test", event, &m); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := count(t, db, "SELECT count(*) FROM mail"); n != 1 {
		t.Errorf("%d rows", n)
	}
	if err := s.EnqueueOnce(t.Context(), "test", uuid.NewString(), nil); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, "SELECT count(*) FROM inbox"); n != 2 {
		t.Errorf("%d events are remembered", n)
	}
	// Another event with the key of a mail that exists, as after a lost inbox.
	m := newMail(event + "/x")
	if err := s.EnqueueOnce(t.Context(), "test", uuid.NewString(), &m); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, "SELECT count(*) FROM mail"); n != 1 {
		t.Errorf("%d rows", n)
	}
}

func TestClaimsDoNotOverlap(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	const mails = 40
	for i := range mails {
		if _, err := s.Enqueue(t.Context(), newMail(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	future := newMail("later")
	future.NextAttemptTime = time.Now().Add(time.Hour)
	if _, err := s.Enqueue(t.Context(), future); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := make(map[uuid.UUID]int)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				claimed, err := s.Claim(t.Context(), 5, time.Minute)
				if err != nil {
					t.Error(err)
				}
				if len(claimed) == 0 {
					return
				}
				mu.Lock()
				for _, m := range claimed {
					seen[m.ID]++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for id, n := range seen {
		if n != 1 || id == future.ID {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
	if len(seen) != mails {
		t.Errorf("%d of %d were claimed", len(seen), mails)
	}
}

func TestMailSentIsToldOnce(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	m := newMail("key")
	if _, err := s.Enqueue(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(t.Context(), m.Failed(time.Now(), fmt.Errorf("no"))); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, "SELECT count(*) FROM outbox"); n != 0 {
		t.Errorf("a failed mail is told")
	}
	for range 3 {
		if err := s.Finish(t.Context(), m.Delivered(time.Now(), "ref")); err != nil {
			t.Fatal(err)
		}
	}
	var payload, kind, subject string
	if n := count(t, db, "SELECT count(*) FROM outbox"); n != 1 {
		t.Fatalf("told %d times", n)
	}
	if err := db.Pool().QueryRow(t.Context(), "SELECT event_type, subject, payload::text FROM outbox").Scan(&kind, &subject, &payload); err != nil {
		t.Fatal(err)
	}
	var event struct{ MailID, Template, OrderID, UserID string }
	if err := json.Unmarshal([]byte(strings.NewReplacer(`"mailId"`, `"MailID"`, `"orderId"`, `"OrderID"`, `"userId"`, `"UserID"`).Replace(payload)), &event); err != nil {
		t.Fatal(err)
	}
	if kind != "MAIL_SENT" || subject != "order/order-1" || event.MailID != m.ID.String() || event.OrderID != "order-1" || event.Template != "password_reset" {
		t.Errorf("%s about %s: %s", kind, subject, payload)
	}
	without := newMail("no order")
	without.OrderID = ""
	if _, err := s.Enqueue(t.Context(), without); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(t.Context(), without.Delivered(time.Now(), "ref")); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, "SELECT count(*) FROM outbox"); n != 1 {
		t.Error("a mail about no order is told to orders")
	}
}

func TestTheDatabaseHoldsTheInvariants(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	if _, err := s.Enqueue(t.Context(), newMail("key")); err != nil {
		t.Fatal(err)
	}
	for constraint, change := range map[string]string{
		"mail_attempts": "attempts = 4", "mail_status": "status = 'LOST'", "mail_sent_time": "status = 'SENT'",
	} {
		if _, err := db.Pool().Exec(t.Context(), "UPDATE mail SET "+change); err == nil || !strings.Contains(err.Error(), constraint) {
			t.Errorf("%s: %v", change, err)
		}
	}
}

func TestListPagesNewestFirst(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var want []uuid.UUID
	for i := range 7 {
		m := newMail(fmt.Sprint(i))
		m.CreateTime = at.Add(time.Duration(i/3) * time.Second) // three share a time
		if i == 5 {
			m.To = "bob@example.com"
		}
		if _, err := s.Enqueue(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		want = append([]uuid.UUID{m.ID}, want...)
	}
	var got []uuid.UUID
	filter := notification.Filter{Limit: 2}
	for {
		page, err := s.List(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page {
			got = append(got, m.ID)
			filter.AfterTime, filter.AfterID = m.CreateTime, m.ID
		}
		if len(page) < 2 {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	if bob, err := s.List(t.Context(), notification.Filter{Limit: 9, To: "BOB@example.com"}); err != nil || len(bob) != 1 {
		t.Errorf("%d mails to Bob (%v)", len(bob), err)
	}
	if dead, err := s.List(t.Context(), notification.Filter{Limit: 9, Status: notification.StatusDead}); err != nil || len(dead) != 0 {
		t.Errorf("%d dead mails (%v)", len(dead), err)
	}
}

func TestCaptureKeepsEachMailOnce(t *testing.T) {
	t.Parallel()
	_, db := newStore(t)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	capture := store.NewCapture(db, func() time.Time { now = now.Add(time.Second); return now })
	first := notification.Message{ID: uuid.New(), To: "Ada@example.com", Subject: "one", Text: "t", HTML: "h"}
	second := notification.Message{ID: uuid.New(), To: "bob@example.com", Subject: "two"}
	for _, m := range []notification.Message{first, second, first} {
		if reference, err := capture.Send(t.Context(), m); err != nil || reference != "captured" {
			t.Fatalf("%q (%v)", reference, err)
		}
	}
	all, err := capture.List(t.Context(), "", 10)
	if err != nil || len(all) != 2 || all[0].Subject != "two" || all[1].Subject != "one" {
		t.Errorf("%+v (%v)", all, err)
	}
	hers, err := capture.List(t.Context(), "ADA@example.com", 10)
	if err != nil || len(hers) != 1 || hers[0].To != "ada@example.com" || hers[0].Text != "t" || hers[0].HTML != "h" {
		t.Errorf("%+v (%v)", hers, err)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	registry := prometheus.NewRegistry()
	registry.MustRegister(store.NewCollector(db))
	old := newMail("old")
	old.NextAttemptTime = time.Now().Add(-time.Hour)
	dead := newMail("dead")
	dead.Status, dead.Attempts = notification.StatusDead, 3
	for _, m := range []notification.Mail{old, dead} {
		if _, err := s.Enqueue(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	figures := make(map[string]float64)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += "/" + label.GetValue()
			}
			figures[name] = metric.GetGauge().GetValue()
		}
	}
	if figures["commerce_mails/QUEUED"] != 1 || figures["commerce_mails/DEAD"] != 1 || figures["commerce_mail_oldest_due_seconds"] < 3599 {
		t.Errorf("figures %v", figures)
	}
	db.Close()
	if families, err := registry.Gather(); err != nil || len(families) != 0 {
		t.Errorf("without a database there are figures: %v (%v)", families, err)
	}
}

func TestADatabaseThatIsGoneIsSaidSo(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	capture := store.NewCapture(db, time.Now)
	m := newMail("key")
	db.Close()
	for name, call := range map[string]func() error{
		"enqueue": func() error { _, err := s.Enqueue(t.Context(), m); return err },
		"claim":   func() error { _, err := s.Claim(t.Context(), 1, time.Minute); return err },
		"get":     func() error { _, err := s.Get(t.Context(), m.ID); return err },
		"list":    func() error { _, err := s.List(t.Context(), notification.Filter{Limit: 1}); return err },
		"redrive": func() error { _, err := s.Redrive(t.Context(), m.ID, time.Now()); return err },
		"finish":  func() error { return s.Finish(t.Context(), m) },
		"erase":   func() error { return s.Erase(t.Context(), "user") },
		"once":    func() error { return s.EnqueueOnce(t.Context(), "s", uuid.NewString(), &m) },
		"capture": func() error { _, err := capture.Send(t.Context(), notification.Message{ID: m.ID}); return err },
		"mails":   func() error { _, err := capture.List(t.Context(), "", 1); return err },
	} {
		if err := call(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRedriveAndErase(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	m := newMail("key")
	if _, err := s.Enqueue(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Redrive(t.Context(), m.ID, time.Now()); !errors.Is(err, notification.ErrNotDead) {
		t.Errorf("a queued mail: %v", err)
	}
	dead := m
	for range notification.MaxAttempts {
		dead = dead.Failed(time.Now(), errors.New("no"))
	}
	if err := s.Finish(t.Context(), dead); err != nil {
		t.Fatal(err)
	}
	if again, err := s.Redrive(t.Context(), m.ID, time.Now()); err != nil || again.Status != notification.StatusQueued || again.Attempts != 0 {
		t.Errorf("%+v (%v)", again, err)
	}
	capture := store.NewCapture(db, time.Now)
	if _, err := capture.Send(t.Context(), notification.Message{ID: m.ID, To: m.To}); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(t.Context(), m.UserID); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), m.ID); err != nil || got.To != "" || got.Params != nil || got.Status != notification.StatusDead || got.Unreadable != nil {
		t.Errorf("%+v (%v)", got, err)
	}
	if n := count(t, db, "SELECT count(*) FROM captured_mail"); n != 0 {
		t.Error("development still shows an erased mail")
	}
	// The key still answers, so that a repeated wish sends nothing.
	if again, err := s.Enqueue(t.Context(), newMail("key")); err != nil || again.ID != m.ID {
		t.Errorf("%+v (%v)", again, err)
	}
}
