// Package memo remembers what is dear to find out, by the digest of what it was
// found out from.
package memo

import (
	"crypto/sha256"
	"sync"
)

// Limit bounds how many values a Memo remembers: what some thousand stacks need.
const Limit = 1 << 15

// Key is the digest of what a value was made from.
type Key = [sha256.Size]byte

// Memo is safe for concurrent use; its zero value is empty. A full one forgets everything.
type Memo[V any] struct {
	mu    sync.Mutex
	known map[Key]V
}

// Get returns the value of a key, and whether it is known.
func (m *Memo[V]) Get(key Key) (value V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok = m.known[key]
	return value, ok
}

// Put remembers the value of a key.
func (m *Memo[V]) Put(key Key, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= Limit {
		m.known = make(map[Key]V)
	}
	m.known[key] = value
}
