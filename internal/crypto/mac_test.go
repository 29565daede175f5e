package crypto_test

import (
	"bytes"
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
