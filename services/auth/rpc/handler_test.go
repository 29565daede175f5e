package rpc

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/services/auth"
)

// The access rules refuse a caller without login before a handler runs; a handler refuses once more.
func TestNobodyIsRefused(t *testing.T) {
	t.Parallel()
	h := &authHandler{}
	for name, call := range map[string]func(context.Context) error{
		"ChangePassword": func(ctx context.Context) error { _, err := h.ChangePassword(ctx, nil); return err },
		"ListSessions":   func(ctx context.Context) error { _, err := h.ListSessions(ctx, nil); return err },
		"RevokeSession":  func(ctx context.Context) error { _, err := h.RevokeSession(ctx, nil); return err },
	} {
		if err := call(t.Context()); !errors.Is(err, auth.ErrNotLoggedIn) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFromID(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	for text, want := range map[string]uuid.UUID{id.String(): id, "": uuid.Nil, "nothing": uuid.Nil} {
		if got := fromID(text); got != want {
			t.Errorf("fromID(%q) = %v", text, got)
		}
	}
}

func TestToSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int32{time.Hour: 3600, 1500 * time.Millisecond: 1, math.MaxInt64: math.MaxInt32} {
		if got := toSeconds(d); got != want {
			t.Errorf("toSeconds(%v) = %d", d, got)
		}
	}
}
