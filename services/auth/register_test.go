package auth_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/auth"
)

func TestRegisterVerifyLogin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.register(t, " Ada@Example.COM ")
	if _, err := b.tryLogin(t, "ada@example.com", goodPassword); !errors.Is(err, auth.ErrEmailNotVerified) {
		t.Fatalf("before verification: %v", err)
	}
	if _, err := b.tryLogin(t, "ada@example.com", "wrong password"); !errors.Is(err, auth.ErrBadCredentials) {
		t.Fatalf("a wrong password tells that the account is not verified: %v", err)
	}
	mail := b.deliverOne(t, "email_verification")
	token := mail.Params["token"]
	if mail.To != "ada@example.com" || mail.Params["name"] != "Ada" || mail.Params["link"] != "https://shop.test/verify-email?token="+token {
		t.Errorf("mail = %+v", mail)
	}
	if err := b.VerifyEmail(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	wantFault(t, b.VerifyEmail(t.Context(), token), auth.ErrMailedToken)
	tokens := b.login(t, "ADA@example.com", goodPassword)
	claims := b.claims(t, tokens.Access)
	if claims.UserID != id || claims.Email != "ada@example.com" || strings.Join(claims.Roles, ",") != "user" || tokens.ExpiresIn != time.Hour {
		t.Errorf("claims = %+v", claims)
	}
	if !b.valid(t, tokens.Access) {
		t.Error("a fresh token is not valid")
	}
	for event, want := range map[string]int{"USER_REGISTERED": 1, "EMAIL_VERIFIED": 1} {
		if got := b.count(t, "SELECT count(*) FROM outbox WHERE event_type = $1 AND subject = $2", event, id.String()); got != want {
			t.Errorf("%d events %s, want %d", got, event, want)
		}
	}
}

func TestRegisterRefusesWeakPasswords(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, password := range []string{
		"short", "1234567", strings.Repeat("ä", 257), "Password1", "aaaaaaaaaa", "someone@example.com", "SOMEONE@example.com ", " \t      ",
	} {
		err := b.Register(t.Context(), auth.RegisterInput{ID: uuid.New(), Email: "someone@example.com", Password: password})
		wantField(t, err, "password")
		if f := fault.From(err); f.Value != "" || strings.Contains(f.Error(), password) {
			t.Errorf("the error repeats the password: %+v", f)
		}
	}
	if n := b.count(t, "SELECT count(*) FROM account"); n != 0 {
		t.Errorf("%d accounts were made", n)
	}
	for _, password := range []string{"pässwörter", strings.Repeat("語言", 4), strings.Repeat("ab", 128)} {
		if err := b.Register(t.Context(), auth.RegisterInput{ID: uuid.New(), Email: "someone@example.com", Password: password}); err != nil {
			t.Errorf("%q: %v", password, err)
		}
	}
}

func TestTrap21RegisteringATakenAddressDoesTheSameWork(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "taken@example.com")
	type work struct {
		err    error
		hashes int64
		jobs   int
	}
	attempt := func(email string) work {
		before := b.hasher.calls.Load()
		err := b.Register(t.Context(), auth.RegisterInput{ID: uuid.Must(uuid.NewV7()), Email: email, Password: goodPassword})
		return work{err, b.hasher.calls.Load() - before, len(b.requests())}
	}
	taken, free := attempt("taken@example.com"), attempt("free@example.com")
	if taken != free || taken != (work{nil, 1, 1}) {
		t.Errorf("taken: %+v, free: %+v", taken, free)
	}
	if n := b.count(t, "SELECT count(*) FROM outbox WHERE event_type = 'USER_REGISTERED'"); n != 2 {
		t.Errorf("%d registrations were announced, want 2", n)
	}
}

func TestTrap21UnknownAddressesCostTheSame(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "known@example.com")
	for _, email := range []string{"known@example.com", "unknown@example.com"} {
		before := b.hasher.calls.Load()
		_, err := b.tryLogin(t, email, "not the password")
		wantFault(t, err, auth.ErrBadCredentials)
		if n := b.hasher.calls.Load() - before; n != 1 {
			t.Errorf("login of %s costs %d hashes", email, n)
		}
		queries := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
			if err := b.RequestPasswordReset(ctx, email); err != nil {
				t.Errorf("reset of %s: %v", email, err)
			}
		})
		if requests := len(b.requests()); requests != 1 || queries != 2 { // BEGIN and COMMIT: the job is collected here
			t.Errorf("reset of %s: %d jobs, %d queries", email, requests, queries)
		}
	}
}

func TestTrap22AStrangerWhoRegisteredFirstKeepsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	register := func(password string) {
		t.Helper()
		err := b.Register(t.Context(), auth.RegisterInput{ID: uuid.Must(uuid.NewV7()), Email: "victim@example.com", Password: password})
		if err != nil {
			t.Fatal(err)
		}
	}
	register("the stranger's password")
	stranger := b.deliverOne(t, "email_verification")
	register("the owner's password")
	owner := b.deliverOne(t, "email_verification")
	if err := b.VerifyEmail(t.Context(), owner.Params["token"]); err != nil {
		t.Fatal(err)
	}
	if _, err := b.tryLogin(t, "victim@example.com", "the stranger's password"); !errors.Is(err, auth.ErrBadCredentials) {
		t.Errorf("the stranger logs in: %v", err)
	}
	b.login(t, "victim@example.com", "the owner's password")
	wantFault(t, b.VerifyEmail(t.Context(), stranger.Params["token"]), auth.ErrMailedToken)
	b.login(t, "victim@example.com", "the owner's password")
}

func TestVerificationEndsSessionsOfAnotherPassword(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *auth.Config) { c.AllowUnverified = true })
	b.register(t, "a@example.com")
	b.deliver(t)
	tokens := b.login(t, "a@example.com", goodPassword)
	if err := b.Register(t.Context(), auth.RegisterInput{ID: uuid.New(), Email: "a@example.com", Password: "another password"}); err != nil {
		t.Fatal(err)
	}
	if err := b.VerifyEmail(t.Context(), b.deliverOne(t, "email_verification").Params["token"]); err != nil {
		t.Fatal(err)
	}
	if b.valid(t, tokens.Access) {
		t.Error("a session of the replaced password lives on")
	}
}

func TestVerificationLinksExpire(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(t, "a@example.com")
	mail := b.deliverOne(t, "email_verification")
	b.advance(24*time.Hour + time.Second)
	wantFault(t, b.VerifyEmail(t.Context(), mail.Params["token"]), auth.ErrMailedToken)
	wantFault(t, b.VerifyEmail(t.Context(), "invented"), auth.ErrMailedToken)
}

func TestTakenAddressGetsAnotherMail(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	b.register(t, "a@example.com")
	if mail := b.deliverOne(t, "account_exists"); mail.To != "a@example.com" || mail.Params["token"] != "" {
		t.Errorf("mail = %+v", mail)
	}
}

func TestMailsToOneAddressAreLimited(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 20 {
		b.register(t, "a@example.com")
	}
	if n := len(b.requests()); n < 3 || n > 10 {
		t.Errorf("20 registrations cause %d mails", n)
	}
}

func TestMailJobSurvivesACrash(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(t, "a@example.com")
	request := b.requests()[0]
	b.mailer.down = errors.New("connection refused")
	if err := b.DeliverMail(t.Context(), request); err == nil {
		t.Fatal("a mail that was not taken counts as sent")
	}
	b.mailer.down = nil
	for range 3 { // the job runs again after it succeeded and before that was recorded
		if err := b.DeliverMail(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	mails := b.mailer.take()
	if len(mails) != 1 {
		t.Fatalf("%d mails", len(mails))
	}
	if err := b.VerifyEmail(t.Context(), mails[0].Params["token"]); err != nil {
		t.Errorf("the link of the mail does not work: %v", err)
	}
}

func TestMailJobsKeepTheirContentSealed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(t, "secret@example.com")
	request := b.requests()[0]
	if strings.Contains(string(request.Sealed), "secret@example.com") {
		t.Error("the address is readable")
	}
	other := request
	other.ID = uuid.New()
	if err := b.DeliverMail(t.Context(), other); err == nil {
		t.Error("content moved to another job is accepted")
	}
}

func TestDeadLinksAreNotMailed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(t, "a@example.com")
	b.advance(25 * time.Hour)
	if mails := b.deliver(t); len(mails) != 0 {
		t.Errorf("mails = %+v", mails)
	}
}

func TestConcurrentRegistrationsMakeOneAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := b.Register(context.Background(), auth.RegisterInput{ID: uuid.Must(uuid.NewV7()), Email: "a@example.com", Password: goodPassword})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := b.count(t, "SELECT (SELECT count(*) FROM account) * 10 + (SELECT count(*) FROM outbox)"); n != 11 {
		t.Errorf("accounts and events: %d", n)
	}
	for _, mail := range b.deliver(t) {
		if mail.Template != "email_verification" {
			t.Errorf("mail %s", mail.Template)
		}
	}
}
