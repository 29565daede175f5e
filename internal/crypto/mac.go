package crypto

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// TokenFor returns a token of 32 bytes that is secret like a random one but the
// same each time for a purpose and a name, so that a repeated request hands out
// the token of the first. It changes when the primary key does: store its hash,
// derive it only to answer the request that created it, and look among
// TokensFor for what was handed out before.
func (r *Keyring) TokenFor(purpose, name string) string {
	return derive(r.tokens[0], purpose, name)
}

// TokensFor returns what TokenFor returned with each key of the ring as the
// first one; TokenFor's own comes first. While a key is being replaced,
// processes that seal with the old and with the new one run side by side.
func (r *Keyring) TokensFor(purpose, name string) []string {
	all := make([]string, len(r.tokens))
	for i, key := range r.tokens {
		all[i] = derive(key, purpose, name)
	}
	return all
}

func derive(key []byte, purpose, name string) string {
	mac := hmac.New(sha256.New, key)
	// The length keeps ("a", "bc") and ("ab", "c") apart.
	mac.Write([]byte{byte(len(purpose) >> 8), byte(len(purpose))})
	mac.Write([]byte(purpose))
	mac.Write([]byte(name))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// tokenKey separates the key of tokens from the one that encrypts.
func tokenKey(secret []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("commercestack tokens v1"))
	return mac.Sum(nil)
}
