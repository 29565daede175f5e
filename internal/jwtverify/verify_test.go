package jwtverify

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type bench struct {
	verifier *Verifier
	private  ed25519.PrivateKey
	public   ed25519.PublicKey
	nanos    atomic.Int64

	mu      sync.Mutex
	keys    map[string]ed25519.PublicKey
	failure error
	fetches int
	ended   map[string]bool
}

func newBench(t testing.TB) *bench {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{private: private, public: public, keys: map[string]ed25519.PublicKey{"k1": public}, ended: map[string]bool{}}
	b.nanos.Store(1_800_000_000 * int64(time.Second))
	b.verifier = New(Config{Keys: b.fetch, Now: b.now, Revoked: func(_ context.Context, id string) bool { return b.ended[id] }})
	return b
}

func (b *bench) now() time.Time          { return time.Unix(0, b.nanos.Load()) }
func (b *bench) advance(d time.Duration) { b.nanos.Add(int64(d)) }

func (b *bench) fetch(context.Context) (map[string]ed25519.PublicKey, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fetches++
	if b.failure != nil {
		return nil, b.failure
	}
	return b.keys, nil
}

func (b *bench) claims() Claims {
	return Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: Issuer, Subject: "u1", Audience: jwt.ClaimStrings{Audience}, ID: "j1",
			IssuedAt: jwt.NewNumericDate(b.now()), NotBefore: jwt.NewNumericDate(b.now()), ExpiresAt: jwt.NewNumericDate(b.now().Add(time.Hour)),
		},
		UserID: "u1", SessionID: "s1", Email: "a@example.com", Roles: []string{"user"}, Permissions: []string{"read:own"},
	}
}

func (b *bench) sign(t testing.TB, method jwt.SigningMethod, key any, header map[string]any, claims jwt.Claims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = "k1"
	for name, value := range header {
		if value == nil {
			delete(token.Header, name)
		} else {
			token.Header[name] = value
		}
	}
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (b *bench) good(t testing.TB) string {
	t.Helper()
	return b.sign(t, jwt.SigningMethodEdDSA, b.private, nil, b.claims())
}

func TestVerify(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.good(t)
	for range 2 { // the second time from memory
		got, err := b.verifier.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		want := identity.Identity{UserID: "u1", SessionID: "s1", Email: "a@example.com", Roles: []string{"user"}, Permissions: []string{"read:own"}}
		if diff := cmp.Diff(want, got.Identity()); diff != "" {
			t.Error(diff)
		}
	}
	b.ended["s1"] = true
	if _, err := b.verifier.Verify(t.Context(), token); !errors.Is(err, ErrRevoked) {
		t.Errorf("an ended session: %v", err)
	}
	delete(b.ended, "s1")
	b.advance(time.Hour + skew - time.Second)
	if _, err := b.verifier.Verify(t.Context(), token); err != nil {
		t.Errorf("within the skew: %v", err)
	}
	b.advance(2 * time.Second)
	if _, err := b.verifier.Verify(t.Context(), token); !errors.Is(err, ErrExpired) {
		t.Errorf("after its life: %v", err)
	}
}

func TestForgeriesAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*Claims)) string {
		claims := b.claims()
		change(&claims)
		return b.sign(t, jwt.SigningMethodEdDSA, b.private, nil, claims)
	}
	good := b.good(t)
	parts := strings.Split(good, ".")
	admin := base64.RawURLEncoding.EncodeToString([]byte(`{"userId":"u1","sub":"u1","sid":"s1","roles":["admin"],"permissions":["*"]}`))
	tests := map[string]string{
		"empty":              "",
		"no token":           "hello",
		"alg none":           b.sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, b.claims()),
		"alg none, no kid":   b.sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, map[string]any{"kid": nil}, b.claims()),
		"alg none signature": strings.Join(parts[:2], ".") + ".",
		"HMAC by public key": b.sign(t, jwt.SigningMethodHS256, []byte(b.public), nil, b.claims()),
		"another key":        b.sign(t, jwt.SigningMethodEdDSA, stranger, nil, b.claims()),
		"unknown kid":        b.sign(t, jwt.SigningMethodEdDSA, b.private, map[string]any{"kid": "k2"}, b.claims()),
		"no kid":             b.sign(t, jwt.SigningMethodEdDSA, b.private, map[string]any{"kid": nil}, b.claims()),
		"kid of other type":  b.sign(t, jwt.SigningMethodEdDSA, b.private, map[string]any{"kid": 1}, b.claims()),
		"critical header":    b.sign(t, jwt.SigningMethodEdDSA, b.private, map[string]any{"crit": []string{"x"}}, b.claims()),
		"changed payload":    parts[0] + "." + admin + "." + parts[2],
		"other audience":     with(func(c *Claims) { c.Audience = jwt.ClaimStrings{"bank"} }),
		"no audience":        with(func(c *Claims) { c.Audience = nil }),
		"other issuer":       with(func(c *Claims) { c.Issuer = "someone" }),
		"no end":             with(func(c *Claims) { c.ExpiresAt = nil }),
		"no start":           with(func(c *Claims) { c.NotBefore = nil }),
		"not yet":            with(func(c *Claims) { c.NotBefore = jwt.NewNumericDate(b.now().Add(time.Minute)) }),
		"from the future":    with(func(c *Claims) { c.IssuedAt = jwt.NewNumericDate(b.now().Add(time.Minute)) }),
		"no session":         with(func(c *Claims) { c.SessionID = "" }),
		"no user":            with(func(c *Claims) { c.UserID, c.Subject = "", "" }),
		"two users":          with(func(c *Claims) { c.Subject = "u2" }),
		"too long":           with(func(c *Claims) { c.Email = strings.Repeat("a", maxToken) }),
	}
	for name, token := range tests {
		if _, err := b.verifier.Verify(t.Context(), token); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error = %v", name, err)
		} else if strings.Contains(fault.From(err).Message, "kid") {
			t.Errorf("%s: the answer says what failed", name)
		}
	}
	expired := with(func(c *Claims) { c.ExpiresAt = jwt.NewNumericDate(b.now().Add(-time.Minute)) })
	if _, err := b.verifier.Verify(t.Context(), expired); !errors.Is(err, ErrExpired) {
		t.Errorf("expired: %v", err)
	}
}

func TestEveryChangedByteIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.good(t)
	for i := range token {
		changed := []byte(token)
		changed[i] ^= 1
		if _, err := b.verifier.Verify(t.Context(), string(changed)); err == nil {
			t.Fatalf("accepted with byte %d changed", i)
		}
	}
}

func TestUnknownKeysAreFetchedButNotOften(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 100 {
		token := b.sign(t, jwt.SigningMethodEdDSA, b.private, map[string]any{"kid": "invented"}, b.claims())
		if _, err := b.verifier.Verify(t.Context(), token); !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	}
	if b.fetches != 1 {
		t.Errorf("100 invented key ids cause %d fetches", b.fetches)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.keys = map[string]ed25519.PublicKey{"k1": b.public, "k2": public}
	b.mu.Unlock()
	b.advance(fetchPause)
	fresh := b.sign(t, jwt.SigningMethodEdDSA, private, map[string]any{"kid": "k2"}, b.claims())
	if _, err := b.verifier.Verify(t.Context(), fresh); err != nil {
		t.Errorf("a rotated key is not found: %v", err)
	}
}

func TestKeysStayGoodWhileAuthIsDown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.failure = errors.New("connection refused")
	_, err := b.verifier.Verify(t.Context(), b.good(t))
	if f := fault.From(err); f == nil || f.Kind != fault.KindUnavailable || f.RetryAfter == 0 {
		t.Fatalf("before the first fetch: %v", err)
	}
	b.failure = nil
	b.advance(fetchPause)
	if _, err := b.verifier.Verify(t.Context(), b.good(t)); err != nil {
		t.Fatal(err)
	}
	b.failure = errors.New("connection refused")
	b.advance(keysFresh)
	if _, err := b.verifier.Verify(t.Context(), b.good(t)); err != nil {
		t.Errorf("known keys stop working: %v", err)
	}
}

func TestAWithdrawnKeyStopsWorking(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.good(t)
	if _, err := b.verifier.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.keys = map[string]ed25519.PublicKey{}
	b.mu.Unlock()
	b.advance(keysFresh)
	if _, err := b.verifier.Verify(t.Context(), token); !errors.Is(err, ErrInvalid) {
		t.Errorf("error = %v", err)
	}
}

func TestParallelCallersCauseOneFetch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.good(t)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if _, err := b.verifier.Verify(context.Background(), token); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if b.fetches != 1 {
		t.Errorf("%d fetches", b.fetches)
	}
}

func TestDecodeKeys(t *testing.T) {
	t.Parallel()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := base64.RawURLEncoding.EncodeToString(public)
	keys, err := decodeKeys([]*authv1.JsonWebKey{
		{Kty: "OKP", Crv: "Ed25519", Kid: "a", X: x}, {Kty: "RSA", Kid: "b"}, {Kty: "OKP", Crv: "X25519", Kid: "c", X: x}, {Kty: "OKP", Crv: "Ed25519", X: x},
	})
	if err != nil || len(keys) != 1 || !keys["a"].Equal(public) {
		t.Errorf("%v, %v", keys, err)
	}
	for _, bad := range []string{"", "!", x[:10]} {
		if _, err := decodeKeys([]*authv1.JsonWebKey{{Kty: "OKP", Crv: "Ed25519", Kid: "a", X: bad}}); err == nil {
			t.Errorf("key %q is accepted", bad)
		}
	}
}

func newRevocations(t *testing.T, b *bench) (*Revocations, *miniredis.Miniredis) {
	t.Helper()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	return NewRevocations(client, b.now, slog.New(slog.DiscardHandler)), server
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	here, server := newRevocations(t, b)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	there := NewRevocations(client, b.now, slog.New(slog.DiscardHandler)) // another process
	id := uuid.New()
	if there.Revoked(t.Context(), id.String()) || here.Revoked(t.Context(), id.String()) {
		t.Fatal("ended before its end")
	}
	if err := here.Revoke(t.Context(), []uuid.UUID{id}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if !here.Revoked(t.Context(), id.String()) {
		t.Error("not known where it was ended")
	}
	b.advance(revocationFresh)
	if !there.Revoked(t.Context(), id.String()) {
		t.Error("not known in another process after two seconds")
	}
	if got := server.TTL(revokedPrefix + id.String()); got != time.Hour {
		t.Errorf("kept for %v", got)
	}
}

func TestRevocationsWhileRedisIsDown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	revocations, server := newRevocations(t, b)
	id := uuid.New()
	server.SetError("LOADING")
	if revocations.Revoked(t.Context(), "s1") {
		t.Error("a failing cache closes the shop")
	}
	if err := revocations.Revoke(t.Context(), []uuid.UUID{id}, time.Hour); err == nil {
		t.Error("the failure is not reported")
	}
	if !revocations.Revoked(t.Context(), id.String()) {
		t.Error("this process at least knows")
	}
	server.SetError("")
	if err := server.Set(revokedPrefix+"s1", "1"); err != nil {
		t.Fatal(err)
	}
	if revocations.Revoked(t.Context(), "s1") {
		t.Error("a Redis that failed was asked again at once")
	}
	b.advance(redisPause)
	if !revocations.Revoked(t.Context(), "s1") {
		t.Error("a Redis that came back is not asked")
	}
}

func TestRevocationsWithoutRedis(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	revocations := NewRevocations(nil, b.now, slog.New(slog.DiscardHandler))
	id := uuid.New()
	if err := revocations.Revoke(t.Context(), []uuid.UUID{id}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if !revocations.Revoked(t.Context(), id.String()) || revocations.Revoked(t.Context(), "other") {
		t.Error("the wrong session has ended")
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	c := newCache[string, int](10)
	for i := range 1000 {
		c.put(fmt.Sprint(i), i, now.Add(time.Minute))
	}
	if n := len(c.young) + len(c.old); n > 20 {
		t.Errorf("%d entries", n)
	}
	if got, ok := c.get("999", now); !ok || got != 999 {
		t.Error("the newest is gone")
	}
	if _, ok := c.get("999", now.Add(time.Minute)); ok {
		t.Error("kept past its time")
	}
}

func FuzzVerify(f *testing.F) {
	b := newBench(f)
	good := b.good(f)
	f.Add(good)
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		claims, err := b.verifier.Verify(context.Background(), token)
		if err == nil && token != good {
			t.Errorf("accepted %q as %+v", token, claims)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	bench := newBench(b)
	token := bench.good(b)
	for b.Loop() {
		if _, err := bench.verifier.Verify(context.Background(), token); err != nil {
			b.Fatal(err)
		}
	}
}
