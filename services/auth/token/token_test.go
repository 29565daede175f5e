package token

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/jwtverify"
	"github.com/commercestack/commercestack/services/auth"
)

func newKey(t *testing.T, id string) auth.SigningKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return auth.SigningKey{ID: id, Public: public, Private: private, State: auth.KeyActive}
}

func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	key := newKey(t, "k1")
	issuer := New(func(context.Context) ([]auth.SigningKey, error) { return []auth.SigningKey{key}, nil }, func() time.Time { return now })
	claims := auth.Claims{
		ID: "j1", UserID: uuid.New(), SessionID: uuid.New(), Email: "a@example.com", Roles: []string{"admin", "user"},
		IssueTime: now, ExpireTime: now.Add(time.Hour),
	}
	signed, err := issuer.Sign(key, claims)
	if err != nil {
		t.Fatal(err)
	}
	got, err := issuer.Verify(t.Context(), signed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(claims, got); diff != "" {
		t.Error(diff)
	}
	decode := func(i int) (part map[string]any) {
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(signed, ".")[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &part); err != nil {
			t.Fatal(err)
		}
		return part
	}
	if diff := cmp.Diff(map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": "k1"}, decode(0)); diff != "" {
		t.Error(diff)
	}
	payload := decode(1)
	if payload["userId"] != claims.UserID.String() || payload["sub"] != payload["userId"] || payload["exp"] != 1_800_003_600.0 {
		t.Errorf("payload = %v", payload)
	}
	permissions, _ := payload["permissions"].([]any)
	if len(permissions) == 0 || permissions[0] != "*" {
		t.Errorf("permissions = %v", permissions)
	}
}

func TestSignNeedsThePrivateHalf(t *testing.T) {
	t.Parallel()
	key := newKey(t, "k1")
	key.Private = nil
	if _, err := New(nil, time.Now).Sign(key, auth.Claims{}); err == nil {
		t.Error("signed without a key")
	}
}

func TestVerifyFailures(t *testing.T) {
	t.Parallel()
	key := newKey(t, "k1")
	down := New(func(context.Context) ([]auth.SigningKey, error) { return nil, errors.New("database is down") }, time.Now)
	signed, err := down.Sign(key, auth.Claims{UserID: uuid.New(), SessionID: uuid.New(), IssueTime: time.Now(), ExpireTime: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := down.Verify(t.Context(), signed); err == nil || errors.Is(err, jwtverify.ErrInvalid) {
		t.Errorf("without keys nobody knows whether a token is valid: %v", err)
	}
	if _, err := down.Verify(t.Context(), "x"); !errors.Is(err, jwtverify.ErrInvalid) {
		t.Errorf("error = %v", err)
	}
}
