package crypto_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/internal/crypto"
)

func newKey(t testing.TB, id string) crypto.Key {
	t.Helper()
	key, err := crypto.GenerateKey(id)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRing(t testing.TB, keys ...crypto.Key) *crypto.Keyring {
	t.Helper()
	ring, err := crypto.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func seal(t testing.TB, ring *crypto.Keyring, plaintext, ad string) []byte {
	t.Helper()
	sealed, err := ring.Seal([]byte(plaintext), []byte(ad))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	ring := newRing(t, newKey(t, "2026-01"))
	rapid.Check(t, func(rt *rapid.T) {
		plaintext := rapid.SliceOf(rapid.Byte()).Draw(rt, "plaintext")
		ad := rapid.SliceOf(rapid.Byte()).Draw(rt, "associated data")
		sealed, err := ring.Seal(plaintext, ad)
		if err != nil {
			rt.Fatal(err)
		}
		if len(plaintext) > 3 && bytes.Contains(sealed, plaintext) {
			rt.Fatal("the plaintext is readable")
		}
		opened, err := ring.Open(sealed, ad)
		if err != nil || !bytes.Equal(opened, plaintext) {
			rt.Fatalf("opened %x, %v", opened, err)
		}
		// Any changed bit is noticed.
		i := rapid.IntRange(0, len(sealed)*8-1).Draw(rt, "bit")
		sealed[i/8] ^= 1 << (i % 8)
		if _, err := ring.Open(sealed, ad); err == nil {
			rt.Fatalf("bit %d was changed and nobody noticed", i)
		}
	})
}

func TestSealedTwiceDiffers(t *testing.T) {
	t.Parallel()
	ring := newRing(t, newKey(t, "a"))
	if bytes.Equal(seal(t, ring, "x", "p"), seal(t, ring, "x", "p")) {
		t.Error("two seals of one text are equal: the nonce repeats")
	}
}

func TestOpenRefusals(t *testing.T) {
	t.Parallel()
	ring := newRing(t, newKey(t, "a"))
	sealed := seal(t, ring, "secret", "users.phone.1")
	withVersion := bytes.Clone(sealed)
	withVersion[0] = 2
	tests := map[string]struct {
		sealed []byte
		ad     string
		want   error
	}{
		"another place": {sealed, "users.phone.2", crypto.ErrCorrupt},
		"no place":      {sealed, "", crypto.ErrCorrupt},
		"cut":           {sealed[:len(sealed)-1], "users.phone.1", crypto.ErrCorrupt},
		"cut short":     {sealed[:10], "users.phone.1", crypto.ErrCorrupt},
		"empty":         {nil, "users.phone.1", crypto.ErrCorrupt},
		"one byte":      {[]byte{1}, "users.phone.1", crypto.ErrCorrupt},
		"other version": {withVersion, "users.phone.1", crypto.ErrCorrupt},
		"plain text":    {[]byte("this was never sealed, it is long though"), "users.phone.1", crypto.ErrCorrupt},
		"no id":         {append([]byte{1, 0}, make([]byte, 40)...), "users.phone.1", crypto.ErrCorrupt},
		"odd id":        {append([]byte{1, 1, 0}, make([]byte, 40)...), "users.phone.1", crypto.ErrCorrupt},
	}
	for name, tt := range tests {
		if plain, err := ring.Open(tt.sealed, []byte(tt.ad)); !errors.Is(err, tt.want) || plain != nil {
			t.Errorf("%s: %q, %v, want %v", name, plain, err, tt.want)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	first, second := newKey(t, "one"), newKey(t, "two")
	before := newRing(t, first)
	sealed := seal(t, before, "secret", "p")

	rotating := newRing(t, second, first)
	if rotating.Primary() != "two" || !rotating.NeedsReseal(sealed) || before.NeedsReseal(sealed) {
		t.Error("the field of the old key is not reported")
	}
	opened, err := rotating.Open(sealed, []byte("p"))
	if err != nil || string(opened) != "secret" {
		t.Fatalf("opened %q, %v", opened, err)
	}
	resealed := seal(t, rotating, "secret", "p")
	if rotating.NeedsReseal(resealed) {
		t.Error("a fresh field is reported")
	}

	after := newRing(t, second)
	if _, err := after.Open(resealed, []byte("p")); err != nil {
		t.Errorf("resealed field: %v", err)
	}
	var unknown *crypto.UnknownKeyError
	if _, err := after.Open(sealed, []byte("p")); !errors.Is(err, crypto.ErrUnknownKey) || !errors.As(err, &unknown) || unknown.ID != "one" || !strings.Contains(err.Error(), "one") {
		t.Errorf("dropped key: %v", err)
	}
	if !after.NeedsReseal(nil) || !after.NeedsReseal([]byte("plain")) {
		t.Error("what is not sealed is not reported")
	}
	// A foreign key with the same id opens nothing.
	if _, err := newRing(t, newKey(t, "one")).Open(sealed, []byte("p")); !errors.Is(err, crypto.ErrCorrupt) {
		t.Errorf("other key, same id: %v", err)
	}
}

func TestKeyringValidation(t *testing.T) {
	t.Parallel()
	good := newKey(t, "a")
	for name, keys := range map[string][]crypto.Key{
		"none":      nil,
		"twice":     {good, good},
		"short":     {{ID: "a", Secret: make([]byte, 16)}},
		"no id":     {{Secret: good.Secret}},
		"long id":   {{ID: strings.Repeat("a", 65), Secret: good.Secret}},
		"odd id":    {{ID: "a:b", Secret: good.Secret}},
		"second id": {good, {ID: "ü", Secret: good.Secret}},
	} {
		if _, err := crypto.NewKeyring(keys...); !errors.Is(err, crypto.ErrInvalidKeyring) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := crypto.GenerateKey("a b"); !errors.Is(err, crypto.ErrInvalidKeyring) {
		t.Errorf("GenerateKey: %v", err)
	}
}

func TestKeysAreNotPrinted(t *testing.T) {
	t.Parallel()
	key := newKey(t, "a")
	encoded := base64.StdEncoding.EncodeToString(key.Secret)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, key); strings.Contains(text, encoded) || text != "key a" {
			t.Errorf("%s prints %q", format, text)
		}
	}
}

func TestLoadKeyring(t *testing.T) {
	t.Parallel()
	one, two := newKey(t, "one"), newKey(t, "two")
	secret := base64.StdEncoding.EncodeToString(one.Secret)
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ring, err := crypto.LoadKeyring(write("# keys of the shop\n\n " + two.Line() + " \r\n" + one.Line() + "\n"))
	if err != nil || ring.Primary() != "two" {
		t.Fatalf("%+v, %v", ring, err)
	}
	if _, err := ring.Open(seal(t, newRing(t, one), "x", "p"), []byte("p")); err != nil {
		t.Errorf("second key: %v", err)
	}
	for name, path := range map[string]string{
		"no file":        filepath.Join(t.TempDir(), "none"),
		"a folder":       t.TempDir(),
		"empty":          write("# nothing\n"),
		"no colon":       write(secret + "\n"),
		"not base64":     write("one:" + secret[:10] + "!" + secret[11:] + "\n"),
		"trailing bits":  write("one:" + secret[:42] + "_=\n"),
		"short":          write("one:AAAA\n"),
		"a line too far": write(one.Line() + "\nx" + strings.Repeat("y", 100_000) + "\n"),
	} {
		_, err := crypto.LoadKeyring(path)
		if !errors.Is(err, crypto.ErrInvalidKeyring) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), secret[:10]) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
}

func TestGenerateKeyring(t *testing.T) {
	t.Parallel()
	first, err := crypto.GenerateKeyring()
	if err != nil {
		t.Fatal(err)
	}
	second, err := crypto.GenerateKeyring()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypto.ParseKeyring(append(first, second...))
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := ring.Open(seal(t, ring, "x", "p"), []byte("p")); err != nil || string(opened) != "x" {
		t.Errorf("opened %q, %v", opened, err)
	}
}

func FuzzOpen(f *testing.F) {
	ring := newRing(f, newKey(f, "a"))
	f.Add(seal(f, ring, "secret", "p"), []byte("p"))
	f.Add([]byte{1, 1, 'a'}, []byte{})
	f.Fuzz(func(t *testing.T, sealed, ad []byte) {
		plain, err := ring.Open(sealed, ad)
		if err != nil && plain != nil {
			t.Fatalf("refused with %v but returned %q", err, plain)
		}
		if err == nil && ring.NeedsReseal(sealed) {
			t.Fatal("opened with the only key, yet to be sealed again")
		}
	})
}

func FuzzParseKeyring(f *testing.F) {
	f.Add(newKey(f, "a").Line())
	f.Add("# comment\n:\n")
	f.Fuzz(func(t *testing.T, text string) {
		ring, err := crypto.ParseKeyring([]byte(text))
		if (ring == nil) == (err == nil) {
			t.Fatalf("%v, %v", ring, err)
		}
	})
}
