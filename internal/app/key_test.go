package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/commercestack/commercestack/internal/identity"
)

func TestKeysAreMadeOnceAndShared(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "keys")
	var out strings.Builder
	if err := Main(t.Context(), []string{"keys", folder}, &out, &out); err != nil {
		t.Fatal(err)
	}
	paths := strings.Fields(out.String())
	if len(paths) != 2 || filepath.Base(paths[0]) != identityKeysName || filepath.Base(paths[1]) != encryptionKeysName {
		t.Fatalf("made %v", paths)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != secretMode {
			t.Errorf("%s: %v (%v)", path, info.Mode(), err)
		}
	}
	one, err := loadKeys(paths[0], paths[1])
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ensureKeys(folder); err != nil {
		t.Fatal(err)
	}
	other, err := loadKeys(paths[0], paths[1])
	if err != nil {
		t.Fatal(err)
	}
	signed, err := one.signer.Sign(identity.Identity{UserID: "u"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := other.signer.Verify(signed); err != nil || got.UserID != "u" {
		t.Errorf("another process does not believe it: %v", err)
	}
	sealed, err := one.ring.Seal([]byte("x"), []byte("p"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := other.ring.Open(sealed, []byte("p")); err != nil || string(got) != "x" {
		t.Errorf("another process cannot read it: %v", err)
	}
}

func TestKeysThatAreWrong(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	ids, ring, err := ensureKeys(folder)
	if err != nil {
		t.Fatal(err)
	}
	broken := write(t, "topsecret-but-no-key", folder, "broken")
	for name, test := range map[string]struct{ ids, ring, want string }{
		"none":                {"", "", "--identity-keys-file"},
		"one":                 {ids, "", "--encryption-keys-file"},
		"no identity file":    {folder + "/none", ring, "identity keys"},
		"no encryption file":  {ids, folder + "/none", "encryption keys"},
		"a broken identity":   {broken, ring, "identity keys"},
		"a broken encryption": {ids, broken, "encryption keys"},
	} {
		if _, err := loadKeys(test.ids, test.ring); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := write(t, "", folder, "file")
	if _, _, err := ensureKeys(filepath.Join(file, "keys")); err == nil {
		t.Error("a folder inside a file")
	}
	if err := writeOnce(filepath.Join(folder, "new"), func() ([]byte, error) { return nil, errors.New("no randomness") }); err == nil {
		t.Error("a secret that could not be made")
	}
	if err := writeOnce(filepath.Join(folder, "none", "new"), func() ([]byte, error) { return []byte("x"), nil }); err == nil {
		t.Error("a secret in no folder")
	}
}

func TestPasswordFrom(t *testing.T) { //nolint:paralleltest // it sets the environment
	folder := t.TempDir()
	file := write(t, "from file\r\n", folder, "password")
	t.Setenv("TEST_PASSWORD", "")
	if got, err := passwordFrom("TEST_PASSWORD", file); err != nil || got != "from file" {
		t.Errorf("%q (%v)", got, err)
	}
	if got, err := passwordFrom("TEST_PASSWORD", ""); err != nil || got != "" {
		t.Errorf("%q (%v)", got, err)
	}
	if _, err := passwordFrom("TEST_PASSWORD", folder+"/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	t.Setenv("TEST_PASSWORD", "from environment")
	if got, err := passwordFrom("TEST_PASSWORD", file); err != nil || got != "from environment" {
		t.Errorf("%q (%v)", got, err)
	}
}
