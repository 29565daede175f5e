package jwtverify

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect/v2"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	"github.com/commercestack/commercestack/internal/fault"
)

const (
	// keysFresh is how long a key set is used before it is fetched again.
	keysFresh = 5 * time.Minute
	// fetchPause is the least time between two fetches, so that tokens with invented key ids cost nothing.
	fetchPause = 5 * time.Second
	// fetchTimeout bounds one fetch.
	fetchTimeout = 5 * time.Second
)

// Keys fetches the key set: public keys by key id.
type Keys func(ctx context.Context) (map[string]ed25519.PublicKey, error)

// FromClient fetches the key set from the auth component.
func FromClient(client *connect.Client) Keys {
	service := authv1connect.NewAuthServiceClient(client)
	return func(ctx context.Context) (map[string]ed25519.PublicKey, error) {
		answer, err := service.GetJsonWebKeySet(ctx, &authv1.GetJsonWebKeySetRequest{})
		if err != nil {
			return nil, err
		}
		return decodeKeys(answer.GetKeys())
	}
}

// decodeKeys ignores keys of other kinds, which a later version may publish.
func decodeKeys(set []*authv1.JsonWebKey) (map[string]ed25519.PublicKey, error) {
	keys := make(map[string]ed25519.PublicKey, len(set))
	for _, key := range set {
		if key.GetKty() != "OKP" || key.GetCrv() != "Ed25519" || key.GetKid() == "" {
			continue
		}
		public, err := base64.RawURLEncoding.DecodeString(key.GetX())
		if err != nil || len(public) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("jwtverify: key %q of the key set is malformed", key.GetKid())
		}
		keys[key.GetKid()] = public
	}
	return keys, nil
}

// keySet caches the fetched keys. While fetching fails the keys of before stay good.
type keySet struct {
	fetch Keys
	now   func() time.Time

	mu      sync.Mutex
	keys    map[string]ed25519.PublicKey
	fetched time.Time // last success
	tried   time.Time // last attempt
	failure error     // of the last attempt
}

// find returns the key with the id. An unknown id fetches the set anew, but not too often.
func (s *keySet) find(ctx context.Context, id string) (ed25519.PublicKey, error) {
	// Callers wait for one fetch instead of each starting one.
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	key, known := s.keys[id]
	stale := s.fetched.IsZero() || !now.Before(s.fetched.Add(keysFresh))
	if (stale || !known) && (s.tried.IsZero() || !now.Before(s.tried.Add(fetchPause))) {
		s.refetch(ctx, now)
		key, known = s.keys[id]
	}
	switch {
	case known:
		return key, nil
	case s.failure != nil:
		return nil, fault.Unavailable("auth", fetchPause).WithCause(s.failure)
	default:
		return nil, errUnknownKey
	}
}

func (s *keySet) refetch(ctx context.Context, now time.Time) {
	// One caller going away must not fail the fetch for those who wait for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	keys, err := s.fetch(ctx)
	s.tried, s.failure = now, err
	if err == nil {
		s.keys, s.fetched = keys, now
	}
}
