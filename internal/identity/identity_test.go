package identity

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func newTestSigner(tb testing.TB, keys Keys, now time.Time) *Signer {
	tb.Helper()
	signer, err := NewSigner(keys)
	if err != nil {
		tb.Fatal(err)
	}
	signer.now = func() time.Time { return now }
	return signer
}

func sample() Identity {
	return Identity{
		UserID: "0198c1de-0000-7000-8000-000000000001", SessionID: "s", Email: "a@example.com", Roles: []string{"user"},
		Permissions: []string{"read:own", "write:own"}, GuestToken: "guest", Service: "order", ClientIP: "192.0.2.1", UserAgent: "test/1",
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	if id, ok := Lookup(context.Background()); ok || !id.Anonymous() {
		t.Error("an empty context must be anonymous")
	}
	ctx := With(context.Background(), sample())
	if diff := cmp.Diff(sample(), From(ctx)); diff != "" {
		t.Error(diff)
	}
}

func TestCanAndActor(t *testing.T) {
	t.Parallel()
	user := Identity{UserID: "u", Permissions: []string{"read:own"}}
	if !user.Can("read:own") || user.Can("write:own") || !user.Can("") {
		t.Error("exact permissions only")
	}
	if !(Identity{Permissions: []string{"*"}}).Can("manage:products") {
		t.Error("* grants all")
	}
	for want, id := range map[string]Identity{
		ActorUser: user, ActorAdmin: {UserID: "u", Roles: []string{"admin"}}, ActorService: {Service: "order"}, ActorGuest: {Roles: []string{"admin"}},
	} {
		if got := id.Actor(); got != want {
			t.Errorf("%+v is %q, want %q", id, got, want)
		}
	}
	if (Identity{UserID: "u", Service: "order"}).Actor() != ActorUser {
		t.Error("a component acting for a person counts as that person")
	}
}

func TestGuestTokenHash(t *testing.T) {
	t.Parallel()
	if got := (Identity{}).GuestTokenHash(); got != "" {
		t.Errorf("no token, hash %q", got)
	}
	const want = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	if got := (Identity{GuestToken: "hello"}).GuestTokenHash(); got != want {
		t.Errorf("hash = %q", got)
	}
}

func TestSignVerify(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	old, fresh := GenerateKeys(), GenerateKeys()
	token, err := newTestSigner(t, old, now).Sign(sample())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		keys  Keys
		at    time.Duration
		token string
		want  error
	}{
		{"same key", old, 0, token, nil},
		{"rotated, still known", append(Keys{fresh[0]}, old...), 0, token, nil},
		{"end of life", old, life + skew, token, nil},
		{"clock behind", old, -skew, token, nil},
		{"expired", old, life + skew + time.Second, token, ErrExpired},
		{"from the future", old, -skew - time.Second, token, ErrExpired},
		{"unknown key", fresh, 0, token, ErrInvalid},
		{"same id, other secret", Keys{{ID: old[0].ID, Secret: fresh[0].Secret}}, 0, token, ErrInvalid},
		{"empty", old, 0, "", ErrInvalid},
		{"no signature", old, 0, token[:strings.LastIndexByte(token, '.')], ErrInvalid},
		{"bad base64", old, 0, token + "!", ErrInvalid},
		{"too long", old, 0, strings.Repeat("a", maxToken+1), ErrInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := newTestSigner(t, test.keys, now.Add(test.at)).Verify(test.token)
			if !errors.Is(err, test.want) {
				t.Fatalf("error = %v, want %v", err, test.want)
			}
			want := sample()
			if test.want != nil {
				want = Identity{}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVerifyRefusesEveryChangedByte(t *testing.T) {
	t.Parallel()
	signer := newTestSigner(t, GenerateKeys(), time.Unix(1_800_000_000, 0))
	token, err := signer.Sign(sample())
	if err != nil {
		t.Fatal(err)
	}
	for i := range token {
		changed := []byte(token)
		changed[i] ^= 1
		if _, err := signer.Verify(string(changed)); err == nil {
			t.Fatalf("accepted with byte %d changed", i)
		}
	}
}

func TestSignLimits(t *testing.T) {
	t.Parallel()
	signer := newTestSigner(t, GenerateKeys(), time.Now())
	if _, err := signer.Sign(Identity{Roles: make([]string, maxList+1)}); err == nil {
		t.Error("accepted too many roles")
	}
	if _, err := signer.Sign(Identity{GuestToken: strings.Repeat("x", maxToken)}); err == nil {
		t.Error("accepted what no header holds")
	}
	token, err := signer.Sign(Identity{UserAgent: strings.Repeat("x", 10*maxUserAgent)})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := signer.Verify(token); err != nil || len(id.UserAgent) != maxUserAgent {
		t.Errorf("user agent of %d bytes, %v", len(id.UserAgent), err)
	}
}

func TestDecodeRefusesMalformedPayloads(t *testing.T) {
	t.Parallel()
	good := encode(sample(), time.Unix(1, 0))
	for name, payload := range map[string][]byte{
		"empty": nil, "other version": append([]byte{9}, good[1:]...), "cut": good[:len(good)-1], "more": append(bytes.Clone(good), 0),
		"huge length": append(bytes.Clone(good[:9]), 0xff, 0xff, 0xff, 0x7f), "long list": append(append(bytes.Clone(good[:9]), make([]byte, 7)...),
			append([]byte{0x81, 0x02}, make([]byte, 400)...)...),
	} {
		if _, _, err := decode(payload); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error = %v", name, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	signer := newTestSigner(t, GenerateKeys(), time.Unix(1_800_000_000, 0))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 40, 60)
		list := rapid.Custom(func(t *rapid.T) []string {
			if list := rapid.SliceOfN(text, 0, 5).Draw(t, "list"); len(list) > 0 {
				return list
			}
			return nil
		})
		want := Identity{
			UserID: text.Draw(t, "user"), SessionID: text.Draw(t, "session"), Email: text.Draw(t, "email"), Roles: list.Draw(t, "roles"),
			Permissions: list.Draw(t, "permissions"), GuestToken: text.Draw(t, "guest"), Service: text.Draw(t, "service"),
			ClientIP: text.Draw(t, "ip"), UserAgent: text.Draw(t, "agent"),
		}
		token, err := signer.Sign(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := signer.Verify(token)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	secret := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, minSecret))
	tests := []struct{ name, text, problem string }{
		{"two keys and a comment", "# rotation\n\nnew:" + secret + "\n old : " + secret + "\n", ""},
		{"empty", "\n", "none given"},
		{"no colon", "new", "line 1 is not id:base64"},
		{"not base64", "ok:" + secret + "\nnew:%%%", "line 2 is not base64"},
		{"short", "new:AAAA", "shorter than 32 bytes"},
		{"twice", "a:" + secret + "\na:" + secret, "given twice"},
		{"bad id", "a.b:" + secret, "bad key id"},
		{"huge", strings.Repeat("#", maxKeyFile+1), "more than"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "keys")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			keys, err := LoadKeys(path)
			if test.problem == "" {
				if err != nil || len(keys) != 2 || keys[0].ID != "new" || keys[1].ID != "old" {
					t.Fatalf("keys = %v, %v", keys, err)
				}
				again, err := ParseKeys(keys.Encode())
				if err != nil || !cmp.Equal(keys, again) {
					t.Errorf("encoding lost keys: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("error = %v, want %q", err, test.problem)
			}
		})
	}
	if _, err := LoadKeys(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := NewSigner(nil); err == nil {
		t.Error("a signer without keys")
	}
}

func FuzzVerify(f *testing.F) {
	signer := newTestSigner(f, Keys{{ID: "k", Secret: bytes.Repeat([]byte{1}, minSecret)}}, time.Unix(1_800_000_000, 0))
	token, err := signer.Sign(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add("k..")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := signer.Verify(text)
		if err == nil && text != token {
			t.Fatalf("accepted a token nobody signed: %+v", id)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(sample(), time.Unix(1_800_000_000, 0)))
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, payload []byte) {
		id, issued, err := decode(payload)
		if err != nil {
			return
		}
		again, _, err := decode(encode(id, issued))
		if len(id.UserAgent) <= maxUserAgent && (err != nil || !cmp.Equal(id, again)) {
			t.Fatalf("%+v became %+v, %v", id, again, err)
		}
	})
}

func BenchmarkSignVerify(b *testing.B) {
	signer := newTestSigner(b, GenerateKeys(), time.Now())
	id := sample()
	b.ReportAllocs()
	for b.Loop() {
		token, _ := signer.Sign(id)
		if _, err := signer.Verify(token); err != nil {
			b.Fatal(err)
		}
	}
}
