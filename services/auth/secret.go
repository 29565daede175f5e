package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// newSecret returns 256 random bits as text that is safe in a URL.
func newSecret() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails: the runtime ends the program instead
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// hashSecret is what is stored of a secret. The secret has 256 random bits, so a fast hash without salt is enough.
func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
