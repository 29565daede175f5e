package crypto_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/commercestack/commercestack/internal/crypto"
)

func TestTokenForIsStableAndSeparatesItsInputs(t *testing.T) {
	t.Parallel()
	ring := func(b byte) *crypto.Keyring {
		r, err := crypto.NewKeyring(crypto.Key{ID: "k", Secret: bytes.Repeat([]byte{b}, 32)})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	token := ring(1).TokenFor("cart", "1")
	if token != ring(1).TokenFor("cart", "1") || len(token) != 43 {
		t.Errorf("token %q is not stable or not 32 bytes", token)
	}
	for name, other := range map[string]string{
		"key": ring(2).TokenFor("cart", "1"), "purpose": ring(1).TokenFor("order", "1"),
		"name": ring(1).TokenFor("cart", "2"), "border": ring(1).TokenFor("car", "t1"),
	} {
		if token == other {
			t.Errorf("another %s gives the same token", name)
		}
	}
}

// TestTokensSurviveAChangeOfTheKey: whatever key was the first when a token was
// handed out, it is found as long as the ring has the key.
func TestTokensSurviveAChangeOfTheKey(t *testing.T) {
	t.Parallel()
	first, second := newKey(t, "first"), newKey(t, "second")
	before, introduced, promoted, after := newRing(t, first), newRing(t, first, second), newRing(t, second, first), newRing(t, second)
	handedOut := before.TokenFor("cart", "1")
	for name, ring := range map[string]*crypto.Keyring{"introduced": introduced, "promoted": promoted} {
		tokens := ring.TokensFor("cart", "1")
		if len(tokens) != 2 || tokens[0] != ring.TokenFor("cart", "1") || !slices.Contains(tokens, handedOut) || !slices.Contains(tokens, after.TokenFor("cart", "1")) {
			t.Errorf("%s: %d tokens, the old one among them: %t", name, len(tokens), slices.Contains(tokens, handedOut))
		}
	}
	if slices.Contains(after.TokensFor("cart", "1"), handedOut) {
		t.Error("a token outlives its key")
	}
}
