package catalog

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runEntrypoint runs a script with stand-ins for the programs of the image; each
// writes its name and arguments.
func runEntrypoint(t *testing.T, script string, env []string, args ...string) (string, error) {
	t.Helper()
	bin := t.TempDir()
	for name, text := range map[string]string{
		"postgres":     `echo "postgres $*"`,
		"initdb":       `echo "initdb $* password=$(cat)"; mkdir -p "$PGDATA"; echo 15 >"$PGDATA/PG_VERSION"`,
		"pg_ctl":       `echo "pg_ctl $*"`,
		"psql":         `echo "psql $* as $PGPASSWORD: $(cat)"`,
		"redis-server": `echo "redis-server $*"`,
		"id":           `echo 999`,
		"whoami":       `echo postgres`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/bash\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command("bash", append([]string{filepath.Join("files", script)}, args...)...)
	command.Env = append([]string{"PATH=" + bin + ":/usr/bin:/bin"}, env...)
	out, err := command.CombinedOutput()
	return string(out), err
}

func TestPostgresEntrypoint(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		env      []string
		args     []string
		there    bool // the database folder is there
		want     []string
		unwanted []string
		failed   bool
	}{
		"first start": {
			env:  []string{"POSTGRES_PASSWORD=secret", "POSTGRES_USER=shop", "POSTGRES_DB=orders"},
			args: []string{"postgres", "-c", "ssl=on"},
			want: []string{"initdb --username=shop --pwfile=/dev/stdin password=secret", `as secret: CREATE DATABASE :"db";`, "db=orders", "postgres -c ssl=on"},
		},
		"arguments alone": {
			env: []string{"POSTGRES_PASSWORD=secret"}, args: []string{"-c", "ssl=on"},
			want:     []string{"initdb --username=postgres", "postgres -c ssl=on"},
			unwanted: []string{"CREATE DATABASE"}, // the database postgres is there
		},
		"password in a file": {
			env: []string{"POSTGRES_PASSWORD_FILE=" + secret}, args: []string{"postgres"},
			want: []string{"password=from-file"}, unwanted: []string{"secret"},
		},
		"second start": {
			there: true, args: []string{"postgres"},
			want: []string{"postgres"}, unwanted: []string{"initdb"},
		},
		"no password":      {args: []string{"postgres"}, want: []string{"set POSTGRES_PASSWORD"}, failed: true},
		"both passwords":   {env: []string{"POSTGRES_PASSWORD=a", "POSTGRES_PASSWORD_FILE=" + secret}, args: []string{"postgres"}, want: []string{"not both"}, failed: true},
		"trust":            {env: []string{"POSTGRES_HOST_AUTH_METHOD=trust"}, args: []string{"postgres"}, want: []string{"initdb"}},
		"another program":  {args: []string{"echo", "hello"}, want: []string{"hello"}, unwanted: []string{"initdb"}},
		"only its version": {args: []string{"postgres", "--version"}, want: []string{"postgres --version"}, unwanted: []string{"initdb"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			if test.there {
				if err := os.MkdirAll(data, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			out, err := runEntrypoint(t, "postgres.sh", append(test.env, "PGDATA="+data), test.args...)
			if (err != nil) != test.failed {
				t.Errorf("err = %v\n%s", err, out)
			}
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in:\n%s", want, out)
				}
			}
			for _, unwanted := range test.unwanted {
				if strings.Contains(out, unwanted) {
					t.Errorf("%q in:\n%s", unwanted, out)
				}
			}
		})
	}
}

func TestRedisEntrypoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain, protected := filepath.Join(dir, "plain.conf"), filepath.Join(dir, "protected.conf")
	for file, text := range map[string]string{plain: "appendonly yes\n", protected: "protected-mode yes\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"by default":      {args: []string{"redis-server"}, want: "redis-server --protected-mode no\n"},
		"arguments alone": {args: []string{"--appendonly", "yes"}, want: "redis-server --appendonly yes --protected-mode no\n"},
		"protected":       {args: []string{"redis-server", "--protected-mode", "yes"}, want: "redis-server --protected-mode yes\n"},
		"configuration":   {args: []string{plain}, want: "redis-server " + plain + " --protected-mode no\n"},
		"protected by it": {args: []string{protected}, want: "redis-server " + protected + "\n"},
		"another program": {args: []string{"echo", "hello"}, want: "hello\n"},
	} {
		out, err := runEntrypoint(t, "redis.sh", nil, test.args...)
		if err != nil || out != test.want {
			t.Errorf("%s: %q, want %q; err = %v", name, out, test.want, err)
		}
	}
}
