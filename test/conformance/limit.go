package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/commercestack/commercestack/test/shop"
)

var limitCases = []Case{
	{
		Trap: 26, Name: "limits-are-told", Run: limitHeaders,
		Rule: "Rate-limited routes say what is left, over REST and Connect.",
	},
	{
		Trap: 26, Name: "a-forged-x-forwarded-for-lifts-no-limit", Run: spoofedAddress,
		Rule: "A caller who names another address in each request, by REST or Connect, is limited all the same.",
	},
}

var (
	limitForm  = regexp.MustCompile(`^"?[a-z]+"?;.*\br=(\d+)\b.*\bt=\d+`)
	policyForm = regexp.MustCompile(`^"?[a-z]+"?;.*\bq=(\d+)\b.*\bw=\d+`)
)

// remaining reads the headers of the limit.
func remaining(a *shop.Answer) (left, quota int, err error) {
	limit, policy := limitForm.FindStringSubmatch(a.Header.Get("RateLimit")), policyForm.FindStringSubmatch(a.Header.Get("RateLimit-Policy"))
	if limit == nil || policy == nil {
		return 0, 0, fmt.Errorf("RateLimit is %q, RateLimit-Policy is %q", a.Header.Get("RateLimit"), a.Header.Get("RateLimit-Policy"))
	}
	left, err = strconv.Atoi(limit[1])
	if err != nil {
		return 0, 0, err
	}
	quota, err = strconv.Atoi(policy[1])
	return left, quota, err
}

func limitHeaders(ctx context.Context, s *Session) error {
	for _, r := range []struct {
		method, path string
		body         any
	}{
		{http.MethodGet, "/api/v1/products", nil},
		{http.MethodPost, "/api/v1/orders", map[string]any{}},
		{http.MethodPost, "/api/v1/auth/logout", map[string]any{"refreshToken": "none"}},
		{http.MethodPost, "/commerce.auth.v1.AuthService/Login", map[string]any{}},
		{http.MethodPost, "/commerce.product.v1.ProductService/ListProducts", map[string]any{}},
	} {
		answer, err := s.Guest.Do(ctx, r.method, r.path, r.body)
		if err != nil {
			return err
		}
		_, quota, err := remaining(answer)
		if err == nil && quota <= 0 {
			err = fmt.Errorf("the quota is %d", quota)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
	}
	return nil
}

// spoofedAddress uses up the limit of a route that no other case needs.
func spoofedAddress(ctx context.Context, s *Session) error {
	const most = 2000
	first, err := s.logout(ctx, 0)
	if err != nil {
		return err
	}
	left, _, err := remaining(first)
	if err != nil {
		return err
	}
	if left > most {
		return fmt.Errorf("%d tries of a token are left to one caller", left)
	}
	var limited atomic.Int64
	var mu sync.Mutex
	var refused *shop.Answer
	// The limit refills while it is used up.
	n := left + left/2 + 20
	err = together(8, func(worker int) error {
		for i := worker; i < n; i += 8 {
			answer, err := s.logout(ctx, i)
			if err != nil {
				return err
			}
			if answer.Status == http.StatusTooManyRequests {
				limited.Add(1)
				mu.Lock()
				refused = answer
				mu.Unlock()
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if limited.Load() == 0 {
		return fmt.Errorf("%d calls from one caller who names other addresses were not limited", n)
	}
	if wait, err := strconv.Atoi(refused.Header.Get("Retry-After")); err != nil || wait < 1 {
		return fmt.Errorf("Retry-After is %q", refused.Header.Get("Retry-After"))
	}
	if refused.Body["error"] == nil {
		return errors.New("a limited call has no error body: " + brief(refused))
	}
	return refusal(refused, http.StatusTooManyRequests, "RATE_LIMIT")
}

// logout tries a token that nobody has, as if from another address.
func (s *Session) logout(ctx context.Context, i int) (*shop.Answer, error) {
	address := fmt.Sprintf("198.51.%d.%d", i/250, i%250+1)
	caller := s.Guest.With("X-Forwarded-For", address).With("X-Real-Ip", address).With("Forwarded", "for="+address)
	return caller.Do(ctx, http.MethodPost, "/api/v1/auth/logout", map[string]any{"refreshToken": newKey()})
}
