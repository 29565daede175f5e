package auth_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/auth"
)

const newPassword = "staple battery horse"

func (b *bench) resetToken(t *testing.T, email string) string {
	t.Helper()
	if err := b.RequestPasswordReset(t.Context(), email); err != nil {
		t.Fatal(err)
	}
	mail := b.deliverOne(t, "password_reset")
	if !strings.HasPrefix(mail.Params["link"], "https://shop.test/reset-password?token=") {
		t.Errorf("link = %s", mail.Params["link"])
	}
	return mail.Params["token"]
}

func TestTrap20ResetEndsSessionsAndIsSingleUse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	tokens := b.login(t, "a@example.com", goodPassword)
	token := b.resetToken(t, "A@example.com")
	wantField(t, b.ConfirmPasswordReset(t.Context(), token, "short"), "newPassword")
	wantField(t, b.ConfirmPasswordReset(t.Context(), token, "a@example.com"), "newPassword")
	if err := b.ConfirmPasswordReset(t.Context(), token, newPassword); err != nil {
		t.Fatal(err)
	}
	if b.valid(t, tokens.Access) {
		t.Error("an access token outlives the reset")
	}
	if _, err := b.Refresh(t.Context(), tokens.Refresh); err == nil {
		t.Error("a refresh token outlives the reset")
	}
	before := b.hasher.calls.Load()
	wantFault(t, b.ConfirmPasswordReset(t.Context(), token, "yet another word"), auth.ErrMailedToken)
	wantFault(t, b.ConfirmPasswordReset(t.Context(), "invented", "yet another word"), auth.ErrMailedToken)
	if b.hasher.calls.Load() != before {
		t.Error("an invalid link costs a hash")
	}
	if _, err := b.tryLogin(t, "a@example.com", goodPassword); err == nil {
		t.Error("the old password works")
	}
	b.login(t, "a@example.com", newPassword)
}

func TestTrap20OneOfManyConcurrentResetsWins(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	token := b.resetToken(t, "a@example.com")
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if b.ConfirmPasswordReset(context.Background(), token, newPassword) == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("one link was used %d times", won.Load())
	}
}

func TestTrap20NewerLinksSupersede(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	first := b.resetToken(t, "a@example.com")
	b.advance(time.Minute)
	second := b.resetToken(t, "a@example.com")
	wantFault(t, b.ConfirmPasswordReset(t.Context(), first, newPassword), auth.ErrMailedToken)
	b.advance(30*time.Minute + time.Second)
	wantFault(t, b.ConfirmPasswordReset(t.Context(), second, newPassword), auth.ErrMailedToken)
}

func TestALateJobDoesNotReplaceANewerLink(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	if err := b.RequestPasswordReset(t.Context(), "a@example.com"); err != nil {
		t.Fatal(err)
	}
	late := b.requests()[0]
	b.advance(time.Minute)
	token := b.resetToken(t, "a@example.com")
	if err := b.DeliverMail(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if err := b.ConfirmPasswordReset(t.Context(), token, newPassword); err != nil {
		t.Errorf("the newest link: %v", err)
	}
}

func TestResetProvesTheAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(t, "a@example.com")
	b.deliver(t)
	if err := b.ConfirmPasswordReset(t.Context(), b.resetToken(t, "a@example.com"), newPassword); err != nil {
		t.Fatal(err)
	}
	b.login(t, "a@example.com", newPassword)
	if n := b.count(t, "SELECT count(*) FROM outbox WHERE event_type = 'EMAIL_VERIFIED'"); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestNobodyGetsAResetMailWithoutAnAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := b.RequestPasswordReset(t.Context(), "nobody@example.com"); err != nil {
		t.Fatal(err)
	}
	if mails := b.deliver(t); len(mails) != 0 {
		t.Errorf("mails = %+v", mails)
	}
	id := b.member(t, "banned@example.com")
	if _, err := b.SetDisabled(t.Context(), id, true); err != nil {
		t.Fatal(err)
	}
	if err := b.RequestPasswordReset(t.Context(), "banned@example.com"); err != nil {
		t.Fatal(err)
	}
	if mails := b.deliver(t); len(mails) != 0 {
		t.Errorf("mails = %+v", mails)
	}
}

func TestResetMailsAreLimited(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 20 {
		if err := b.RequestPasswordReset(t.Context(), "a@example.com"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.requests()); n == 0 || n > 10 {
		t.Errorf("20 requests cause %d mails", n)
	}
}

func TestTrap20ChangePasswordEndsOtherSessions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.member(t, "a@example.com")
	other, mine := b.login(t, "a@example.com", goodPassword), b.login(t, "a@example.com", goodPassword)
	reset := b.resetToken(t, "a@example.com")
	change := auth.ChangePasswordInput{
		AccountID: id, SessionID: b.claims(t, mine.Access).SessionID, Current: goodPassword, New: newPassword, IPAddress: address,
	}
	wrong := change
	wrong.Current = "wrong password"
	wantField(t, b.ChangePassword(t.Context(), wrong), "currentPassword")
	same := change
	same.New = goodPassword
	wantField(t, b.ChangePassword(t.Context(), same), "newPassword")
	weak := change
	weak.New = "12345678"
	wantField(t, b.ChangePassword(t.Context(), weak), "newPassword")
	unknown := change
	unknown.AccountID = uuid.New()
	wantFault(t, b.ChangePassword(t.Context(), unknown), auth.ErrAccountNotFound)
	if !b.valid(t, other.Access) {
		t.Fatal("a refused change ended a session")
	}
	if err := b.ChangePassword(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	if b.valid(t, other.Access) || !b.valid(t, mine.Access) {
		t.Error("the other session must end and this one go on")
	}
	b.refresh(t, mine.Refresh)
	wantFault(t, b.ConfirmPasswordReset(t.Context(), reset, "yet another word"), auth.ErrMailedToken)
	b.login(t, "a@example.com", newPassword)
}

func TestGuessingTheCurrentPasswordIsThrottled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.member(t, "a@example.com")
	for range 20 {
		err := b.ChangePassword(t.Context(), auth.ChangePasswordInput{
			AccountID: id, Current: "wrong password", New: newPassword, IPAddress: address,
		})
		if fault.From(err).Kind == fault.KindRateLimit {
			return
		}
	}
	t.Error("twenty guesses are answered")
}

func TestTrap20ALoginThatRacesWithAResetDoesNotSurviveIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	for range 5 {
		token := b.resetToken(t, "a@example.com")
		var tokens auth.Tokens
		var wg sync.WaitGroup
		wg.Go(func() {
			tokens, _ = b.Login(context.Background(), auth.LoginInput{Email: "a@example.com", Password: goodPassword})
		})
		wg.Go(func() {
			if err := b.ConfirmPasswordReset(context.Background(), token, newPassword); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if tokens.Access != "" && b.valid(t, tokens.Access) {
			t.Fatal("a session opened with the old password lives on")
		}
		back := b.resetToken(t, "a@example.com")
		if err := b.ConfirmPasswordReset(t.Context(), back, goodPassword); err != nil {
			t.Fatal(err)
		}
		b.advance(6 * time.Hour) // the limit of mails starts anew
		b.redis.FlushAll()
	}
}
