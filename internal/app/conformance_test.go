package app

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeShop knows a login and nothing else, so that every case fails fast.
func fakeShop(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/products":
			_, _ = w.Write([]byte(`{}`))
		case "/api/v1/auth/login":
			_, _ = w.Write([]byte(`{"accessToken":"t"}`))
		case "/dev/stripe/sim/control":
			if r.Header.Get("Authorization") != "Bearer sk_test_secret" {
				http.Error(w, "wrong key", http.StatusUnauthorized)
			}
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func write(t *testing.T, content string, path ...string) string {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConformanceCommand(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, "password\n", folder, "keys", "admin-password")
	full := write(t, "sk_test_secret\n", folder, "full")
	wrong := write(t, "wrong", folder, "wrong")
	url := fakeShop(t)
	tests := map[string]struct {
		args      []string
		wantErr   string
		wantLines []string
	}{
		"a case fails": {
			[]string{"--only", "26", "--data", folder},
			"the shop does not conform",
			[]string{"trap 26   limits-are-told", "FAILED: GET /api/v1/products: RateLimit is", "0 ok, 2 failed, 0 skipped in"},
		},
		"a case is skipped": {[]string{"--only", "25", "--data", folder}, "", []string{"skipped: it needs captured mail", "0 ok, 0 failed, 1 skipped in"}},
		"the whole key":     {[]string{"--only", "25", "--data", folder, "--simulator-key-file", full}, "", []string{"1 skipped in"}},
		"a wrong key":       {[]string{"--only", "25", "--data", folder, "--simulator-key-file", wrong}, "the Stripe simulator", nil},
		"no key file":       {[]string{"--only", "25", "--data", folder, "--simulator-key-file", folder + "/none"}, "no such file", nil},
		"no password":       {[]string{"--only", "25", "--data", folder + "/none"}, "no password", nil},
		"password file":     {[]string{"--only", "25", "--data", folder + "/none", "--admin-password-file", full}, "", []string{"1 skipped in"}},
		"no such trap":      {[]string{"--only", "31", "--data", folder}, "there is no trap 31", nil},
		"a held trap":       {[]string{"--only", "28", "--data", folder}, "trap 28 cannot be seen from outside", nil},
		"a wrong number":    {[]string{"--only", "x", "--data", folder}, "--only", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := Main(t.Context(), append([]string{"conformance", "--url", url}, tt.args...), &out, &out)
			if tt.wantErr == "" && err != nil || tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)) {
				t.Errorf("error = %v, want %q\n%s", err, tt.wantErr, out.String())
			}
			for _, line := range tt.wantLines {
				if !strings.Contains(out.String(), line) {
					t.Errorf("output lacks %q:\n%s", line, out.String())
				}
			}
		})
	}
}

func TestConformanceReadsTheDataFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, "password", folder, "keys", "admin-password")
	write(t, "secret", folder, "keys", "stripe-simulator-key")
	var out strings.Builder
	if err := Main(t.Context(), []string{"conformance", "--url", fakeShop(t), "--data", folder, "--only", "25"}, &out, &out); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestHoldersArePrinted(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := printHolders(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"trap 03   services/product/store/TestTrap03", "trap 17 ", "trap 18 ", "trap 28 "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
}
