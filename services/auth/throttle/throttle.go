package throttle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	prefix = "auth:throttle:"
	// redisTimeout bounds what a slow Redis may cost a login.
	redisTimeout = 250 * time.Millisecond
	// redisPause is how long a Redis that failed is left alone, so that only few logins pay for its timeout.
	redisPause = 2 * time.Second
)

// attemptScript counts on each key unless one of them is blocked. It answers
// the longest wait in milliseconds, 0 when the attempt counts. ARGV: now, then
// free, first, limit and memory of each key, all times in milliseconds.
var attemptScript = redis.NewScript(`
local now, blocked = tonumber(ARGV[1]), 0
for i = 1, #KEYS do
  local left = tonumber(redis.call('HGET', KEYS[i], 'until') or '0') - now
  if left > blocked then blocked = left end
end
if blocked > 0 then return blocked end
for i = 1, #KEYS do
  local free, first = tonumber(ARGV[i*4-2]), tonumber(ARGV[i*4-1])
  local limit, memory = tonumber(ARGV[i*4]), tonumber(ARGV[i*4+1])
  local over = redis.call('HINCRBY', KEYS[i], 'attempts', 1) - free
  local wait = 0
  if over > 30 then wait = limit elseif over > 0 then wait = math.min(first * 2^(over-1), limit) end
  redis.call('HSET', KEYS[i], 'until', string.format('%.0f', now + wait))
  redis.call('PEXPIRE', KEYS[i], string.format('%.0f', wait + memory))
end
return 0`)

// forgiveScript deletes each key whose argument is negative. Of the others it
// takes back one attempt, and the wait when the rest is within the free attempts given by the argument.
var forgiveScript = redis.NewScript(`
for i = 1, #KEYS do
  local free = tonumber(ARGV[i])
  if free < 0 then
    redis.call('DEL', KEYS[i])
  elseif redis.call('EXISTS', KEYS[i]) == 1 and redis.call('HINCRBY', KEYS[i], 'attempts', -1) <= free then
    redis.call('HSET', KEYS[i], 'until', '0')
  end
end
return 0`)

// Throttle is safe for concurrent use.
type Throttle struct {
	redis  redis.UniversalClient
	now    func() time.Time
	logger *slog.Logger
	local  *memory
	resume atomic.Int64 // Unix nanoseconds; before, Redis is left alone
}

// New returns a Throttle that counts in Redis, or only in this process when client is nil.
func New(client redis.UniversalClient, now func() time.Time, logger *slog.Logger) *Throttle {
	return &Throttle{redis: client, now: now, logger: logger, local: newMemory()}
}

// key is one count and its policy.
type key struct {
	name   string
	policy policy
}

// refund is the argument of forgiveScript.
func (k key) refund() int64 {
	if k.policy == addressPolicy {
		return addressPolicy.free
	}
	return -1
}

func guessKeys(email, address string) []key {
	account := digest(email)
	keys := []key{{"account:" + account, accountPolicy}}
	if network := network(address); network != "" {
		keys = append(keys,
			key{"pair:" + account + ":" + network, pairPolicy},
			key{"address:" + network, addressPolicy})
	}
	return keys
}

// Guess counts an attempt to guess the password of an account from an address
// (which may be unknown, ""). A positive duration is how long to wait; such an attempt is not counted.
func (t *Throttle) Guess(ctx context.Context, email, address string) time.Duration {
	return t.attempt(ctx, guessKeys(email, address))
}

// Forgive takes back a successful attempt: the counts of the account start
// anew, the address gets this one attempt back and no more. So many people
// behind one address do not slow each other down, and an attacker's own
// account buys no guesses at others.
func (t *Throttle) Forgive(ctx context.Context, email, address string) {
	keys := guessKeys(email, address)
	t.local.forgive(keys)
	if !t.redisUsable(t.now()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	names := make([]string, len(keys))
	args := make([]any, len(keys))
	for i, k := range keys {
		names[i], args[i] = prefix+k.name, k.refund()
	}
	if err := forgiveScript.Run(ctx, t.redis, names, args...).Err(); err != nil {
		t.logger.WarnContext(ctx, "attempts are not forgiven, the counts expire by themselves", "error", err)
	}
}

// Mail counts a mail to an address and reports whether it may be sent now.
func (t *Throttle) Mail(ctx context.Context, email string) bool {
	return t.attempt(ctx, []key{{"mail:" + digest(email), mailPolicy}}) == 0
}

func (t *Throttle) attempt(ctx context.Context, keys []key) time.Duration {
	now := t.now()
	if t.redisUsable(now) {
		wait, err := t.attemptRedis(ctx, keys, now)
		if err == nil {
			return wait
		}
		t.resume.Store(now.Add(redisPause).UnixNano())
		t.logger.WarnContext(ctx, "guesses are counted in this process only", "error", err)
	}
	return t.local.attempt(keys, now)
}

func (t *Throttle) redisUsable(now time.Time) bool {
	return t.redis != nil && now.UnixNano() >= t.resume.Load()
}

func (t *Throttle) attemptRedis(ctx context.Context, keys []key, now time.Time) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	names := make([]string, 0, len(keys))
	args := []any{now.UnixMilli()}
	for _, k := range keys {
		names = append(names, prefix+k.name)
		args = append(args, k.policy.free, k.policy.first.Milliseconds(), k.policy.limit.Milliseconds(), k.policy.memory.Milliseconds())
	}
	wait, err := attemptScript.Run(ctx, t.redis, names, args...).Int64()
	return time.Duration(wait) * time.Millisecond, err
}

// digest keeps addresses out of Redis.
func digest(email string) string {
	sum := sha256.Sum256([]byte(email))
	return hex.EncodeToString(sum[:16])
}

// network is the address for IPv4 and the /64 for IPv6, of which one customer has more than enough addresses.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ""
	}
	return prefix.String()
}
