package memo

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

func key(n int) Key {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	var m Memo[int]
	if _, ok := m.Get(key(0)); ok {
		t.Error("an empty one knows something")
	}
	for n := range Limit {
		m.Put(key(n), n)
	}
	for _, n := range []int{0, Limit - 1} {
		if value, ok := m.Get(key(n)); !ok || value != n {
			t.Errorf("%d: %d, %t", n, value, ok)
		}
	}
	m.Put(key(-1), -1)
	if len(m.known) > Limit {
		t.Errorf("%d values are known", len(m.known))
	}
	if _, ok := m.Get(key(0)); ok {
		t.Error("a full one did not forget")
	}
	if value, ok := m.Get(key(-1)); !ok || value != -1 {
		t.Errorf("the newest: %d, %t", value, ok)
	}
}
