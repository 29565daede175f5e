package jwtverify

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

const (
	revokedPrefix = "auth:revoked:"
	// revocationFresh is how long a session that was alive is not asked about again.
	revocationFresh = 2 * time.Second
	redisTimeout    = 250 * time.Millisecond
	// redisPause is how long a Redis that failed is left alone.
	redisPause = 2 * time.Second
)

// Revocations are the ended sessions whose access tokens have not expired yet, kept in Redis.
//
// While Redis is down sessions count as alive: access tokens live an hour at
// most, and refusing everybody would let the cache's failure close the shop.
type Revocations struct {
	redis  redis.UniversalClient
	now    func() time.Time
	logger *slog.Logger
	alive  *cache[string, bool] // whether the session has ended
	resume atomic.Int64         // Unix nanoseconds; before, Redis is left alone
}

// NewRevocations returns the ended sessions kept in client. Without a client only this value knows of them.
func NewRevocations(client redis.UniversalClient, now func() time.Time, logger *slog.Logger) *Revocations {
	return &Revocations{redis: client, now: now, logger: logger, alive: newCache[string, bool](cacheSize)}
}

// Revoke makes every verifier refuse the sessions' tokens for ttl.
func (r *Revocations) Revoke(ctx context.Context, sessionIDs []uuid.UUID, ttl time.Duration) error {
	for _, id := range sessionIDs {
		r.alive.put(id.String(), true, r.now().Add(ttl))
	}
	if r.redis == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 4*redisTimeout)
	defer cancel()
	pipe := r.redis.Pipeline()
	for _, id := range sessionIDs {
		pipe.Set(ctx, revokedPrefix+id.String(), 1, ttl)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("jwtverify: revoke sessions: %w", err)
	}
	return nil
}

// Revoked reports whether a session has ended. It asks Redis at most every two seconds for each session.
func (r *Revocations) Revoked(ctx context.Context, sessionID string) bool {
	now := r.now()
	if ended, ok := r.alive.get(sessionID, now); ok {
		return ended
	}
	if r.redis == nil || now.UnixNano() < r.resume.Load() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	found, err := r.redis.Exists(ctx, revokedPrefix+sessionID).Result()
	if err != nil {
		r.resume.Store(now.Add(redisPause).UnixNano())
		r.logger.WarnContext(ctx, "ended sessions are not known at the moment", "error", err)
		return false
	}
	r.alive.put(sessionID, found > 0, now.Add(revocationFresh))
	return found > 0
}
