package conformance

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/commercestack/commercestack/test/shop"
)

var passwordCases = []Case{
	{
		Trap: 20, Name: "a-password-change-ends-other-sessions", Needs: Needs{Development: true}, Run: changePassword,
		Rule: "Changing the password ends every other login and the old password.",
	},
	{
		Trap: 20, Name: "a-reset-token-works-once", Needs: Needs{Development: true}, Run: resetOnce,
		Rule: "Of eight uses of a reset token at once one counts; all logins end, and the token is used up.",
	},
	{
		Trap: 21, Name: "answers-do-not-tell-who-has-an-account", Needs: Needs{Development: true}, Run: sameAnswers,
		Rule: "Registration, reset and login answer the same for known and unknown addresses.",
	},
	{
		Trap: 21, Name: "times-do-not-tell-who-has-an-account", Needs: Needs{Development: true}, Run: sameTimes,
		Rule: "Registration and reset take the same time for known and unknown addresses.",
	},
	{
		Trap: 22, Name: "opening-a-mailed-link-redeems-nothing", Needs: Needs{Development: true}, Run: openedLink,
		Rule: "A scanner that opens the links of a mail uses up no token.",
	},
}

const otherPassword = "another correct horse battery"

func changePassword(ctx context.Context, s *Session) error {
	person, err := s.person(ctx)
	if err != nil {
		return err
	}
	other, err := s.login(ctx, person.Email, shop.Password)
	if err != nil {
		return err
	}
	body := map[string]any{"currentPassword": shop.Password, "newPassword": otherPassword}
	if err := okay(send(ctx, person.Shop, http.MethodPost, "/api/v1/auth/password-change", body)); err != nil {
		return err
	}
	if err := s.dead(ctx, other.Token, other.RefreshToken); err != nil {
		return err
	}
	if err := s.wrongLogin(ctx, person.Email, shop.Password); err != nil {
		return fmt.Errorf("the old password: %w", err)
	}
	_, err = s.login(ctx, person.Email, otherPassword)
	return err
}

func (s *Session) wrongLogin(ctx context.Context, email, password string) error {
	return mustRefuse(ctx, s.Guest, http.MethodPost, "/api/v1/auth/login",
		map[string]any{"email": email, "password": password}, http.StatusUnauthorized, "AUTH_FAILED")
}

func resetOnce(ctx context.Context, s *Session) error {
	person, err := s.person(ctx)
	if err != nil {
		return err
	}
	if err := okay(send(ctx, s.Guest, http.MethodPost, "/api/v1/auth/password-reset", map[string]any{"email": person.Email})); err != nil {
		return err
	}
	token, err := s.Guest.MailToken(ctx, person.Email, "/reset-password")
	if err != nil {
		return fmt.Errorf("the mail with the reset link: %w", err)
	}
	var won atomic.Int64
	body := map[string]any{"token": token, "newPassword": otherPassword}
	err = together(8, func(int) error {
		answer, err := send(ctx, s.Guest, http.MethodPost, "/api/v1/auth/password-reset/confirm", body)
		if err != nil {
			return err
		}
		if answer.Status == http.StatusOK {
			won.Add(1)
			return nil
		}
		if strings.Contains(string(answer.Raw), token) {
			return fmt.Errorf("the answer repeats the token")
		}
		return refusal(answer, http.StatusBadRequest, "INVALID_INPUT")
	})
	if err != nil {
		return err
	}
	if won.Load() != 1 {
		return fmt.Errorf("a reset token worked %d times", won.Load())
	}
	if err := s.dead(ctx, person.Token, person.RefreshToken); err != nil {
		return err
	}
	if err := mustRefuse(ctx, s.Guest, http.MethodPost, "/api/v1/auth/password-reset/confirm", body, http.StatusBadRequest, "INVALID_INPUT"); err != nil {
		return err
	}
	_, err = s.login(ctx, person.Email, otherPassword)
	return err
}

// question is one way to ask whether an address has an account.
type question struct {
	path string
	body func(email string) map[string]any
}

var questions = []question{
	{"/api/v1/auth/register", func(email string) map[string]any {
		return map[string]any{"email": email, "password": "not the person's password", "displayName": "Somebody"}
	}},
	{"/api/v1/auth/password-reset", func(email string) map[string]any { return map[string]any{"email": email} }},
}

func sameAnswers(ctx context.Context, s *Session) error {
	person, err := s.person(ctx)
	if err != nil {
		return err
	}
	login := question{"/api/v1/auth/login", func(email string) map[string]any {
		return map[string]any{"email": email, "password": "not the person's password"}
	}}
	for _, q := range append(slices.Clone(questions), login) {
		known, err := send(ctx, s.Guest, http.MethodPost, q.path, q.body(person.Email))
		if err != nil {
			return err
		}
		unknown, err := send(ctx, s.Guest, http.MethodPost, q.path, q.body(shop.NewEmail()))
		if err != nil {
			return err
		}
		if known.Status != unknown.Status || faceless(known) != faceless(unknown) {
			return fmt.Errorf("%s answers %d %s for a known address and %d %s for an unknown one",
				q.path, known.Status, brief(known), unknown.Status, brief(unknown))
		}
	}
	return s.alive(ctx, person.Token) // asking changed nothing for the person
}

// faceless is a body without what differs from request to request.
func faceless(a *shop.Answer) string {
	text := string(a.Raw)
	for _, field := range []string{"timestamp", "requestId"} {
		if value := a.String("error", field); value != "" {
			text = strings.ReplaceAll(text, value, "")
		}
	}
	return text
}

func sameTimes(ctx context.Context, s *Session) error {
	const rounds = 5 // as many mails as one address may get
	person, err := s.person(ctx)
	if err != nil {
		return err
	}
	for _, q := range questions {
		var known, unknown []time.Duration
		for range rounds {
			for _, ask := range []struct {
				email string
				took  *[]time.Duration
			}{{person.Email, &known}, {shop.NewEmail(), &unknown}} {
				took, err := s.timed(ctx, q, ask.email)
				if err != nil {
					return err
				}
				*ask.took = append(*ask.took, took)
			}
		}
		slices.Sort(known)
		slices.Sort(unknown)
		// The fastest answers are free of the noise of the machine.
		fast, slow := min(known[1], unknown[1]), max(known[1], unknown[1])
		if slow > 2*fast && slow-fast > 40*time.Millisecond {
			return fmt.Errorf("%s takes %s for a known address and %s for an unknown one", q.path, known[1], unknown[1])
		}
	}
	return nil
}

// timed asks once, not counting what the rate limit makes wait.
func (s *Session) timed(ctx context.Context, q question, email string) (time.Duration, error) {
	for {
		started := time.Now()
		answer, err := s.Guest.Do(ctx, http.MethodPost, q.path, q.body(email))
		took := time.Since(started)
		if err != nil || answer.Status == http.StatusOK {
			return took, err
		}
		if answer.Status != http.StatusTooManyRequests {
			return 0, fmt.Errorf("%s: status %d: %s", q.path, answer.Status, brief(answer))
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(answer.RetryAfter()):
		}
	}
}

func openedLink(ctx context.Context, s *Session) error {
	email := shop.NewEmail()
	body := map[string]any{"email": email, "password": shop.Password}
	if err := okay(send(ctx, s.Guest, http.MethodPost, "/api/v1/auth/register", body)); err != nil {
		return err
	}
	token, err := s.Guest.MailToken(ctx, email, "/verify-email")
	if err != nil {
		return err
	}
	for range 3 {
		page, err := send(ctx, s.Guest, http.MethodGet, "/verify-email"+shop.Query("token", token), nil)
		if err != nil {
			return err
		}
		if page.Status != http.StatusOK {
			return fmt.Errorf("the mailed link answers status %d", page.Status)
		}
		if policy := page.Header.Get("Referrer-Policy"); policy != "no-referrer" && policy != "same-origin" && policy != "strict-origin" &&
			policy != "strict-origin-when-cross-origin" {
			return fmt.Errorf("the page of a token has Referrer-Policy %q", policy)
		}
	}
	if err := okay(send(ctx, s.Guest, http.MethodPost, "/api/v1/auth/verify-email", map[string]any{"token": token})); err != nil {
		return fmt.Errorf("the token after its link was opened: %w", err)
	}
	if err := mustRefuse(ctx, s.Guest, http.MethodPost, "/api/v1/auth/verify-email", map[string]any{"token": token},
		http.StatusBadRequest, "INVALID_INPUT"); err != nil {
		return fmt.Errorf("the token a second time: %w", err)
	}
	_, err = s.login(ctx, email, shop.Password)
	return err
}
