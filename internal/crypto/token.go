package crypto

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
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

// HashToken returns the SHA-256 of a token in hex, which is what is stored.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// EqualTokens compares two tokens, or two hashes, in constant time.
func EqualTokens(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// TokenMatches tells in constant time whether hash is the HashToken of token.
func TokenMatches(token, hash string) bool {
	return EqualTokens(HashToken(token), hash)
}
