package crypto

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
)

// Token returns n random bytes as URL-safe text without padding. 32 bytes
// cannot be guessed, so a plain SHA-256 is enough to store them.
func Token(n int) string {
	secret := make([]byte, n)
	_, _ = rand.Read(secret) // never fails: crypto/rand aborts the program instead
	return base64.RawURLEncoding.EncodeToString(secret)
}

// HashToken returns the SHA-256 of a token in hex: what is stored instead of it.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// EqualTokens compares in constant time.
func EqualTokens(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
