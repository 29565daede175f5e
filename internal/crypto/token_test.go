package crypto_test

import (
	"encoding/base64"
	"testing"

	"github.com/commercestack/commercestack/internal/crypto"
)

func TestToken(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 1000 {
		token := crypto.Token(crypto.TokenBytes)
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || len(raw) != crypto.TokenBytes || seen[token] {
			t.Fatalf("token %q, %v", token, err)
		}
		seen[token] = true
	}
	if raw, err := base64.RawURLEncoding.DecodeString(crypto.Token(1)); err != nil || len(raw) != 16 {
		t.Errorf("a token of 1 byte has %d, %v, want 16", len(raw), err)
	}
}

func TestHashToken(t *testing.T) {
	t.Parallel()
	// SHA-256 of "abc", FIPS 180-2.
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := crypto.HashToken("abc"); got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
	hash := crypto.HashToken("abc")
	for token, match := range map[string]bool{"abc": true, "abd": false, "": false} {
		if crypto.TokenMatches(token, hash) != match {
			t.Errorf("TokenMatches(%q) = %t", token, !match)
		}
	}
	if crypto.TokenMatches("abc", "") || crypto.TokenMatches("abc", hash[:63]) {
		t.Error("a short hash matches")
	}
	if !crypto.EqualTokens("a", "a") || crypto.EqualTokens("a", "b") || crypto.EqualTokens("a", "ab") {
		t.Error("EqualTokens is wrong")
	}
}
