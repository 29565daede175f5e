package crypto

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// TokenBytes is enough randomness for a token that guards an account.
const TokenBytes = 32

// Token returns n random bytes as URL-safe text without padding. Below 16
// bytes a token can be guessed, so fewer are never used.
func Token(n int) string {
	const least = 16
	random := make([]byte, max(n, least))
	_, _ = rand.Read(random) // never fails: the process ends instead
	return base64.RawURLEncoding.EncodeToString(random)
}

// HashToken returns the SHA-256 of a token, which is what is stored.
func HashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// TokenMatches tells in constant time whether hash is the HashToken of token.
func TokenMatches(token string, hash []byte) bool {
	return subtle.ConstantTimeCompare(HashToken(token), hash) == 1
}
