package notification_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/notification"
)

func TestAMailIsSentWithWhatItWasQueuedWith(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	deliver(t, p.Service)
	id := p.welcome(t, "ada@example.com")
	m := p.await(t, id, sent)
	if m.Attempts != 1 || m.ProviderReference != "ref-"+id.String() || m.SendTime.IsZero() || m.TemplateVersion != 1 {
		t.Errorf("%+v", m)
	}
	messages := p.provider.messages()
	if len(messages) != 1 || messages[0].ID != id || messages[0].To != "ada@example.com" || messages[0].Subject != "Welcome to Shop" ||
		!strings.Contains(messages[0].Text, "https://shop.example") || !strings.Contains(messages[0].HTML, "Hello Ada") || messages[0].FromAddress != "shop@example.com" {
		t.Errorf("sent %+v", messages)
	}
	if outcome := <-p.outcomes; outcome != "sent" {
		t.Errorf("outcome %q", outcome)
	}
}

func TestThreeTriesThenDeadThenRedriven(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	var mu sync.Mutex
	broken := true
	p.provider.fail = func(to string) error {
		mu.Lock()
		defer mu.Unlock()
		if broken {
			return fmt.Errorf("550 %s unknown", to)
		}
		return nil
	}
	deliver(t, p.Service)
	id := p.welcome(t, "ada@example.com")
	for try := 1; try <= notification.MaxAttempts; try++ {
		p.await(t, id, func(m notification.Mail) bool { return m.Attempts == try })
		p.due(t)
	}
	m := p.await(t, id, func(m notification.Mail) bool { return m.Status == notification.StatusDead })
	if m.LastError != "550 the recipient unknown" {
		t.Errorf("last error %q", m.LastError)
	}
	for i, want := range []string{"failed", "failed", "dead"} {
		if got := <-p.outcomes; got != want {
			t.Errorf("outcome %d is %q", i, got)
		}
	}
	mu.Lock()
	broken = false
	mu.Unlock()
	if again, err := p.Redrive(t.Context(), id); err != nil || again.Attempts != 0 || again.Status != notification.StatusQueued {
		t.Fatalf("%+v (%v)", again, err)
	}
	p.await(t, id, sent)
	if _, err := p.Redrive(t.Context(), id); !errors.Is(err, notification.ErrNotDead) {
		t.Errorf("a sent mail is redriven: %v", err)
	}
	if _, err := p.Redrive(t.Context(), uuid.New()); fault.From(err) == nil || fault.From(err).Kind != fault.KindNotFound {
		t.Errorf("no mail: %v", err)
	}
}

func TestTwoWorkersSendEachMailOnce(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	const mails = 60
	for i := range mails {
		p.welcome(t, fmt.Sprintf("user%d@example.com", i))
	}
	stop1, stop2 := deliver(t, p.Service), deliver(t, p.worker(t, p.provider))
	for end := time.Now().Add(30 * time.Second); len(p.provider.messages()) < mails && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	stop1()
	stop2()
	seen := make(map[uuid.UUID]int)
	for _, m := range p.provider.messages() {
		seen[m.ID]++
	}
	var left int
	if err := p.db.Pool().QueryRow(t.Context(), "SELECT count(*) FROM mail WHERE status <> 'SENT'").Scan(&left); err != nil {
		t.Fatal(err)
	}
	if len(seen) != mails || len(p.provider.messages()) != mails || left != 0 {
		t.Errorf("%d mails were sent %d times, %d are left", len(seen), len(p.provider.messages()), left)
	}
}

func TestTrap25PoisonBlocksNobody(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.provider.fail = func(to string) error {
		switch {
		case strings.HasPrefix(to, "panic"):
			panic("the sender cannot take " + to)
		case strings.HasPrefix(to, "poison"):
			return errRefused
		default:
			return nil
		}
	}
	var poison []uuid.UUID
	for i := range 25 { // more than a batch, and older than the good one
		poison = append(poison, p.welcome(t, fmt.Sprintf("poison%d@example.com", i)))
	}
	panics := p.welcome(t, "panic@example.com")
	unreadable := p.welcome(t, "unreadable@example.com")
	if _, err := p.db.Pool().Exec(t.Context(), "UPDATE mail SET params_sealed = '\\x00', next_attempt_time = now() - interval '1 hour' WHERE id = $1", unreadable); err != nil {
		t.Fatal(err)
	}
	forgotten := p.welcome(t, "forgotten@example.com")
	if _, err := p.db.Pool().Exec(t.Context(), "UPDATE mail SET template = 'gone' WHERE id = $1", forgotten); err != nil {
		t.Fatal(err)
	}
	good := p.welcome(t, "good@example.com")
	deliver(t, p.Service)
	p.await(t, good, sent)
	for id, want := range map[uuid.UUID]string{poison[0]: "refused", panics: "panicked", unreadable: "decrypted", forgotten: "version"} {
		m := p.await(t, id, func(m notification.Mail) bool { return m.Attempts == 1 })
		if m.Status != notification.StatusQueued || !strings.Contains(m.LastError, want) || strings.Contains(m.LastError, "panic@example.com") {
			t.Errorf("%s: %s %q", want, m.Status, m.LastError)
		}
	}
	if mails, err := p.List(t.Context(), notification.Filter{Limit: 100}); err != nil || len(mails) != 29 {
		t.Errorf("the list shows %d mails (%v)", len(mails), err)
	}
}

func TestTrap25ADeadWorkersLeaseEnds(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	id := p.welcome(t, "ada@example.com")
	claimed, err := p.store.Claim(t.Context(), 10, time.Minute)
	if err != nil || len(claimed) != 1 || claimed[0].ID != id || claimed[0].To != "ada@example.com" {
		t.Fatalf("%+v (%v)", claimed, err)
	}
	if other, err := p.store.Claim(t.Context(), 10, time.Minute); err != nil || len(other) != 0 {
		t.Errorf("another worker gets %v (%v)", other, err)
	}
	if _, err := p.db.Pool().Exec(t.Context(), "UPDATE mail SET lease_until = now() - interval '1 second'"); err != nil {
		t.Fatal(err)
	}
	deliver(t, p.Service)
	p.await(t, id, sent)
	// The worker that was thought dead comes back: it cannot make a sent mail unsent.
	if err := p.store.Finish(t.Context(), claimed[0].Failed(time.Now(), errRefused)); err != nil {
		t.Fatal(err)
	}
	if m := p.await(t, id, sent); m.LastError != "" {
		t.Errorf("%+v", m)
	}
}

func TestAMailBeingSentIsFinishedBeforeTheEnd(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	p.provider.fail = func(string) error {
		close(entered)
		<-leave
		return nil
	}
	id := p.welcome(t, "ada@example.com")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Deliver(ctx) }()
	<-entered
	cancel()
	select {
	case <-done:
		t.Error("the worker left a mail in the middle")
	case <-time.After(50 * time.Millisecond):
	}
	close(leave)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	p.await(t, id, sent)
}

func TestTheQueueOutlivesTheDatabase(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	deliver(t, p.Service)
	if _, err := p.db.Pool().Exec(t.Context(), "ALTER TABLE mail RENAME TO away"); err == nil {
		t.Fatal("a component may change its tables")
	}
	var ended int
	if err := p.db.Pool().QueryRow(t.Context(), "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()").Scan(&ended); err != nil {
		t.Fatal(err)
	}
	p.await(t, p.welcomeAgain(t, "ada@example.com"), sent)
}

// welcomeAgain repeats a request as a caller would while connections are lost.
func (p *post) welcomeAgain(t *testing.T, to string) uuid.UUID {
	t.Helper()
	key := uuid.NewString()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		id, err := p.Enqueue(t.Context(), notification.SendInput{To: to, Template: "welcome", Params: map[string]string{"name": ""}, IdempotencyKey: key})
		if err == nil {
			return id
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestEnqueueRefuses(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	for name, test := range map[string]struct {
		input          notification.SendInput
		field, message string
	}{
		"no address":          {notification.SendInput{To: "nobody", Template: "welcome"}, "to", "e-mail"},
		"a header in address": {notification.SendInput{To: "a@example.com\r\nBcc: b@example.com", Template: "welcome"}, "to", "e-mail"},
		"two addresses":       {notification.SendInput{To: "a@example.com, b@example.com", Template: "welcome"}, "to", "e-mail"},
		"an address and name": {notification.SendInput{To: "Ada <a@example.com>", Template: "welcome"}, "to", "e-mail"},
		"no such template":    {notification.SendInput{To: "a@example.com", Template: "newsletter"}, "template", "no template"},
		"a missing parameter": {notification.SendInput{To: "a@example.com", Template: "password_reset", Params: map[string]string{"name": "x"}}, "params", `"link"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := p.Enqueue(t.Context(), test.input)
			failure := fault.From(err)
			if failure == nil || failure.Kind.HTTPStatus() != http.StatusBadRequest || failure.Field != test.field || !strings.Contains(failure.Message, test.message) {
				t.Errorf("%v", err)
			}
			if err := p.EnqueueFor(t.Context(), "s", uuid.NewString(), &test.input); err == nil {
				t.Error("an event may do it")
			}
		})
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	user := uuid.NewString()
	send := func(input notification.SendInput) uuid.UUID {
		t.Helper()
		input.IdempotencyKey = uuid.NewString()
		id, err := p.Enqueue(t.Context(), input)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	welcome := send(notification.SendInput{To: "ada@example.com", Template: "welcome", Params: map[string]string{"name": "Ada"}, UserID: user})
	reset := send(notification.SendInput{To: "Ada@example.com", Template: "password_reset", Params: map[string]string{"name": "Ada", "link": "https://x"}})
	foreign := send(notification.SendInput{To: "bob@example.com", Template: "welcome", Params: map[string]string{"name": "Bob"}, UserID: uuid.NewString()})
	if err := p.Erase(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	if err := p.Erase(t.Context(), uuid.NewString()); err != nil {
		t.Errorf("a user without mails: %v", err)
	}
	for _, id := range []uuid.UUID{welcome, reset} {
		m, err := p.store.Get(t.Context(), id)
		if err != nil || m.To != "" || len(m.Params) != 0 || m.Status != notification.StatusDead {
			t.Errorf("%+v (%v)", m, err)
		}
		if _, err := p.Redrive(t.Context(), id); !errors.Is(err, notification.ErrNotDead) {
			t.Errorf("an erased mail is redriven: %v", err)
		}
	}
	if m, err := p.store.Get(t.Context(), foreign); err != nil || m.To != "bob@example.com" || m.Status != notification.StatusQueued {
		t.Errorf("another's mail: %+v (%v)", m, err)
	}
	if found, err := p.List(t.Context(), notification.Filter{To: "ada@example.com", Limit: 10}); err != nil || len(found) != 0 {
		t.Errorf("the address still finds %d mails (%v)", len(found), err)
	}
	deliver(t, p.Service)
	p.await(t, foreign, sent)
	if messages := p.provider.messages(); len(messages) != 1 {
		t.Errorf("%d mails went out", len(messages))
	}
}
