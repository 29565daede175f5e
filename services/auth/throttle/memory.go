package throttle

import (
	"sync"
	"time"
)

// maxKeys bounds the memory of the local counts. Beyond it the oldest are forgotten.
const maxKeys = 10_000

// memory counts in this process.
type memory struct {
	mu     sync.Mutex
	counts map[string]count
}

func newMemory() *memory { return &memory{counts: make(map[string]count)} }

func (m *memory) attempt(keys []key, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	var blocked time.Duration
	next := make([]count, len(keys))
	for i, k := range keys {
		counted, wait := k.policy.attempt(m.counts[k.name], now)
		next[i], blocked = counted, max(blocked, wait)
	}
	if blocked > 0 {
		return blocked
	}
	m.makeRoom(len(keys), now)
	for i, k := range keys {
		m.counts[k.name] = next[i]
	}
	return 0
}

func (m *memory) forgive(keys []key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range keys {
		free := k.refund()
		c, known := m.counts[k.name]
		if free < 0 || !known {
			delete(m.counts, k.name)
			continue
		}
		if c.attempts--; c.attempts <= free {
			c.until = time.Time{}
		}
		m.counts[k.name] = c
	}
}

// makeRoom drops what expired and, when that is not enough, arbitrary counts:
// an attacker with thousands of addresses must not exhaust the memory.
func (m *memory) makeRoom(room int, now time.Time) {
	if len(m.counts)+room <= maxKeys {
		return
	}
	for name, c := range m.counts {
		if !now.Before(c.forget) {
			delete(m.counts, name)
		}
	}
	for name := range m.counts {
		if len(m.counts)+room <= maxKeys*9/10 {
			return
		}
		delete(m.counts, name)
	}
}
