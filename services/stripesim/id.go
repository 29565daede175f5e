package stripesim

import (
	"crypto/rand"
	"strings"
)

// newID returns an id in Stripe's form: a prefix and 24 random characters.
func newID(prefix string) string {
	return prefix + "_" + randomText(24)
}

// randomText returns n characters out of 62; the rejection keeps them uniform.
func randomText(n int) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var b strings.Builder
	buf := make([]byte, n)
	for b.Len() < n {
		_, _ = rand.Read(buf) // never fails: crypto/rand ends the process instead
		for _, c := range buf {
			if int(c) < 256-256%len(alphabet) && b.Len() < n {
				b.WriteByte(alphabet[int(c)%len(alphabet)])
			}
		}
	}
	return b.String()
}
