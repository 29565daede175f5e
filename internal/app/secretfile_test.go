package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The environment belongs to the process, so these tests are not parallel.

func TestReadSecretFiles(t *testing.T) {
	file := func(content string) string {
		name := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	t.Setenv("COMMERCE_TEST_ONE", "")
	t.Setenv("COMMERCE_TEST_TWO", "")
	t.Setenv("COMMERCE_IDENTITY_KEYS", "")
	err := readSecretFiles([]string{
		"COMMERCE_TEST_ONE_FILE=" + file("s3cret\n"),
		"COMMERCE_TEST_TWO_FILE=" + file("\n"),
		"COMMERCE_IDENTITY_KEYS_FILE=/nowhere",
		"SOMETHING_FILE=/nowhere",
		"COMMERCE_TEST_NONE_FILE=",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := os.Getenv("COMMERCE_TEST_ONE"); got != "s3cret" {
		t.Errorf("COMMERCE_TEST_ONE = %q, want the file's line", got)
	}
	if got := os.Getenv("COMMERCE_TEST_TWO"); got != "" {
		t.Errorf("COMMERCE_TEST_TWO = %q, want it unset by an empty file", got)
	}
}

func TestReadSecretFilesRefuses(t *testing.T) {
	t.Setenv("COMMERCE_TEST_ONE", "from the environment")
	for want, entry := range map[string]string{
		"both COMMERCE_TEST_ONE and COMMERCE_TEST_ONE_FILE": "COMMERCE_TEST_ONE_FILE=/etc/hostname",
		"COMMERCE_TEST_TWO_FILE":                            "COMMERCE_TEST_TWO_FILE=/nowhere",
	} {
		if err := readSecretFiles([]string{entry}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("readSecretFiles(%s) = %v, want it to name %s", entry, err, want)
		}
	}
}
