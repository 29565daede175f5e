package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/commercestack/commercestack/test/shop"
)

var sessionCases = []Case{
	{
		Trap: 19, Name: "refresh-twins-get-one-successor", Needs: Needs{Development: true}, Run: refreshTwins,
		Rule: "Tabs that refresh at once, and a client that lost the answer, get the same successor and stay logged in.",
	},
	{
		Trap: 19, Name: "a-stolen-refresh-token-ends-its-family-only", Needs: Needs{Development: true}, Run: refreshReuse,
		Rule: "A refresh token used again after the grace period ends that login, and no other login of the person.",
	},
	{
		Trap: 19, Name: "refresh-never-beats-the-end-of-a-session", Needs: Needs{Development: true}, Run: refreshAgainstRevoke,
		Rule: "Whatever refreshes while a session is ended, nothing of that session works afterwards.",
	},
}

// login opens another session of a person.
func (s *Session) login(ctx context.Context, email, password string) (*shop.Person, error) {
	return s.Guest.Login(ctx, email, password)
}

func (s *Session) refresh(ctx context.Context, token string) (*shop.Answer, error) {
	return send(ctx, s.Guest, http.MethodPost, "/api/v1/auth/refresh", map[string]any{"refreshToken": token})
}

// dead wants neither token of a session to work.
func (s *Session) dead(ctx context.Context, access, refresh string) error {
	if refresh != "" {
		err := mustRefuse(ctx, s.Guest, http.MethodPost, "/api/v1/auth/refresh", map[string]any{"refreshToken": refresh}, http.StatusUnauthorized, "AUTH_FAILED")
		if err != nil {
			return fmt.Errorf("a refresh token still works: %w", err)
		}
	}
	return eventually(ctx, 5*time.Second, func() error {
		if err := mustRefuse(ctx, s.Guest.As(access), http.MethodGet, "/api/v1/users/me", nil, http.StatusUnauthorized, "AUTH_FAILED"); err != nil {
			return fmt.Errorf("an access token still works: %w", err)
		}
		return nil
	})
}

// alive wants an access token to work.
func (s *Session) alive(ctx context.Context, access string) error {
	return okay(send(ctx, s.Guest.As(access), http.MethodGet, "/api/v1/users/me", nil))
}

func refreshTwins(ctx context.Context, s *Session) error {
	person, err := s.person(ctx)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	successors := make(map[string]string)
	err = together(8, func(int) error {
		answer, err := s.refresh(ctx, person.RefreshToken)
		if err := okay(answer, err); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		successors[answer.String("refreshToken")] = answer.String("accessToken")
		return nil
	})
	if err != nil {
		return err
	}
	if len(successors) != 1 || successors[person.RefreshToken] != "" {
		return fmt.Errorf("8 refreshes of one token made %d successors", len(successors))
	}
	for successor, access := range successors {
		if err := s.alive(ctx, access); err != nil {
			return err
		}
		if err := okay(s.refresh(ctx, successor)); err != nil {
			return fmt.Errorf("the successor: %w", err)
		}
	}
	return nil
}

// graceMost is the longest time in which a used refresh token may be shown again.
const graceMost = 61 * time.Second

func refreshReuse(ctx context.Context, s *Session) error {
	person, err := s.person(ctx)
	if err != nil {
		return err
	}
	other, err := s.login(ctx, person.Email, shop.Password)
	if err != nil {
		return err
	}
	first, err := s.refresh(ctx, person.RefreshToken)
	if err := okay(first, err); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(graceMost):
	}
	// The thief shows the old token; the owner's successor dies with it.
	if err := s.dead(ctx, person.Token, person.RefreshToken); err != nil {
		return err
	}
	if err := s.dead(ctx, first.String("accessToken"), first.String("refreshToken")); err != nil {
		return fmt.Errorf("after the reuse of its predecessor: %w", err)
	}
	if err := s.alive(ctx, other.Token); err != nil {
		return fmt.Errorf("another login of the person ended, too: %w", err)
	}
	return okay(s.refresh(ctx, other.RefreshToken))
}

func refreshAgainstRevoke(ctx context.Context, s *Session) error {
	person, err := s.person(ctx)
	if err != nil {
		return err
	}
	keeper, err := s.login(ctx, person.Email, shop.Password)
	if err != nil {
		return err
	}
	sessions, err := person.Must(ctx, http.MethodGet, "/api/v1/auth/sessions", nil)
	if err != nil {
		return err
	}
	id := ""
	for i := range sessions.Len("sessions") {
		if sessions.String("sessions", i, "current") == "true" {
			id = sessions.String("sessions", i, "id")
		}
	}
	if sessions.Len("sessions") != 2 || id == "" {
		return fmt.Errorf("two logins show as %s", brief(sessions))
	}
	var mu sync.Mutex
	got := []*shop.Answer{}
	err = together(6, func(i int) error {
		if i == 0 {
			return okay(send(ctx, keeper.Shop, http.MethodDelete, "/api/v1/auth/sessions/"+id, nil))
		}
		answer, err := s.refresh(ctx, person.RefreshToken)
		if err != nil || answer.Status != http.StatusOK {
			return errors.Join(err, refusedToken(answer))
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, answer)
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.dead(ctx, person.Token, person.RefreshToken); err != nil {
		return err
	}
	for _, answer := range got {
		if err := s.dead(ctx, answer.String("accessToken"), answer.String("refreshToken")); err != nil {
			return err
		}
	}
	return s.alive(ctx, keeper.Token)
}

func refusedToken(a *shop.Answer) error {
	if a == nil {
		return nil
	}
	return refusal(a, http.StatusUnauthorized, "AUTH_FAILED")
}
