package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"time"
)

// keysFresh is how long a process uses its copy of the keys.
const keysFresh = time.Minute

// RotateKeys moves the signing keys on as far as their deadlines allow and
// makes sure that one signs. Any number of processes may call it at once.
func (s *Service) RotateKeys(ctx context.Context) error {
	err := s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		keys, err := tx.LockKeys(ctx)
		if err != nil {
			return err
		}
		now := s.now()
		requested, err := s.requested(ctx, tx, now)
		if err != nil {
			return err
		}
		changed, create := s.config.Keys.Plan(keys, requested, now)
		if create != "" {
			key, err := s.newKey(create, now)
			if err != nil {
				return err
			}
			changed = append(changed, key)
		}
		for _, key := range changed {
			if err := tx.SaveKey(ctx, key); err != nil {
				return fmt.Errorf("save key %s: %w", key.ID, err)
			}
			s.logger.InfoContext(ctx, "signing key changes", "kid", key.ID, "state", key.State)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.keysAt = time.Time{}
	s.mu.Unlock()
	return nil
}

// requested reports whether a new key is asked for that nobody has made yet. A
// request that was ever met is not met again: during an update processes with
// the last request and with the new one run side by side.
func (s *Service) requested(ctx context.Context, tx Tx, now time.Time) (bool, error) {
	if s.config.KeyRequest == "" {
		return false, nil
	}
	unknown, err := tx.RecordKeyRequest(ctx, s.config.KeyRequest, now)
	if err != nil {
		return false, fmt.Errorf("record the request for a key: %w", err)
	}
	return unknown, nil
}

// VerificationKeys returns the public key set.
func (s *Service) VerificationKeys(ctx context.Context) ([]SigningKey, error) {
	keys, err := s.currentKeys(ctx)
	if err != nil {
		return nil, err
	}
	return verifying(keys), nil
}

// newKey returns a new pair whose id is the start of its public half's hash.
func (s *Service) newKey(state KeyState, now time.Time) (SigningKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return SigningKey{}, fmt.Errorf("generate signing key: %w", err)
	}
	sum := sha256.Sum256(public)
	id := base64.RawURLEncoding.EncodeToString(sum[:12])
	sealed, err := s.sealer.Seal(private.Seed(), keyPurpose(id))
	if err != nil {
		return SigningKey{}, fmt.Errorf("seal signing key: %w", err)
	}
	return SigningKey{ID: id, State: state, StateTime: now, Public: public, PrivateSealed: sealed, CreateTime: now}, nil
}

func keyPurpose(id string) []byte { return []byte("auth/signing-key/" + id) }

// signingKey returns the key that signs, making the first one when there is none.
func (s *Service) signingKey(ctx context.Context) (SigningKey, error) {
	for attempt := range 2 {
		keys, err := s.currentKeys(ctx)
		if err != nil {
			return SigningKey{}, err
		}
		if i := slices.IndexFunc(keys, func(k SigningKey) bool { return k.State == KeyActive }); i >= 0 {
			return keys[i], nil
		}
		if attempt == 0 {
			if err := s.RotateKeys(ctx); err != nil {
				return SigningKey{}, err
			}
		}
	}
	return SigningKey{}, fmt.Errorf("auth: no signing key is active")
}

// currentKeys returns the keys, at most keysFresh old, the active one with its private half opened.
func (s *Service) currentKeys(ctx context.Context) ([]SigningKey, error) {
	now := s.now()
	s.mu.Lock()
	keys, fresh := s.keys, !s.keysAt.IsZero() && now.Before(s.keysAt.Add(keysFresh))
	s.mu.Unlock()
	if fresh {
		return keys, nil
	}
	keys, err := s.store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	for i := range keys {
		if keys[i].State != KeyActive {
			continue
		}
		seed, err := s.sealer.Open(keys[i].PrivateSealed, keyPurpose(keys[i].ID))
		if err != nil {
			return nil, fmt.Errorf("open signing key %s: %w", keys[i].ID, err)
		}
		if len(seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("signing key %s has a seed of %d bytes", keys[i].ID, len(seed))
		}
		keys[i].Private = ed25519.NewKeyFromSeed(seed)
	}
	s.mu.Lock()
	s.keys, s.keysAt = keys, now
	s.mu.Unlock()
	return keys, nil
}
