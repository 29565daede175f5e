package jwtverify

import (
	"sync"
	"time"
)

// cacheSize bounds each generation of a cache.
const cacheSize = 8192

// cache keeps values until a time of their own. It is bounded by two
// generations: when the young one is full the old one is dropped, which costs
// no bookkeeping for each read.
type cache[K comparable, V any] struct {
	size int

	mu         sync.RWMutex
	young, old map[K]cached[V]
}

type cached[V any] struct {
	value V
	until time.Time
}

func newCache[K comparable, V any](size int) *cache[K, V] {
	return &cache[K, V]{size: size, young: make(map[K]cached[V])}
}

func (c *cache[K, V]) get(key K, now time.Time) (V, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	entry, ok := c.young[key]
	if !ok {
		entry, ok = c.old[key]
	}
	if !ok || !now.Before(entry.until) {
		var zero V
		return zero, false
	}
	return entry.value, true
}

func (c *cache[K, V]) put(key K, value V, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.size {
		c.old, c.young = c.young, make(map[K]cached[V])
	}
	c.young[key] = cached[V]{value, until}
}
