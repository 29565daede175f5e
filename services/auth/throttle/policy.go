package throttle

import "time"

// policy is one way of counting.
type policy struct {
	// free attempts cost no wait.
	free int64
	// first is the wait after them; it doubles with each attempt up to limit.
	first, limit time.Duration
	// memory is how long after the last attempt the count is kept.
	memory time.Duration
}

// The ways of counting, and the mails an address may get.
var (
	pairPolicy    = policy{free: 5, first: time.Second, limit: 15 * time.Minute, memory: time.Hour}
	accountPolicy = policy{free: 50, first: time.Second, limit: time.Minute, memory: time.Hour}
	addressPolicy = policy{free: 30, first: time.Second, limit: 15 * time.Minute, memory: time.Hour}
	mailPolicy    = policy{free: 5, first: 5 * time.Minute, limit: time.Hour, memory: 6 * time.Hour}
)

// wait is how long nobody may try after the given number of attempts.
func (p policy) wait(attempts int64) time.Duration {
	over := attempts - p.free
	switch {
	case over <= 0:
		return 0
	case over > 30: // the shift would overflow; every limit is far below
		return p.limit
	default:
		return min(p.first<<(over-1), p.limit)
	}
}

// count is the state of one key.
type count struct {
	attempts int64
	until    time.Time // no attempt before
	forget   time.Time
}

// attempt counts one attempt at now, unless it comes too early: then it
// returns how long to wait and the count stays as it is.
func (p policy) attempt(c count, now time.Time) (count, time.Duration) {
	if now.Before(c.until) {
		return c, c.until.Sub(now)
	}
	if !now.Before(c.forget) {
		c.attempts = 0
	}
	c.attempts++
	c.until = now.Add(p.wait(c.attempts))
	c.forget = c.until.Add(p.memory)
	return c, 0
}
