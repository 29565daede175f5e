package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/reseal"
)

// keyFile writes key lines in order and returns the file's path.
func keyFile(t *testing.T, lines ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "encryption.keys")
	if err := os.WriteFile(path, bytes.Join(lines, nil), secretMode); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEncryptionRewrite is what the operator does: both keys everywhere, the
// new one first, rewrite under traffic, then the new one alone. What people
// stored and were given goes on to work.
func TestEncryptionRewrite(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.migrate(t)
	oldKey, err := os.ReadFile(s.ring)
	if err != nil {
		t.Fatal(err)
	}
	newKey, err := crypto.GenerateKeyring()
	if err != nil {
		t.Fatal(err)
	}
	both, alone := keyFile(t, newKey, oldKey), keyFile(t, newKey)
	h := &shape{stack: s, t: t, scheme: "http"}
	objects := "file://" + t.TempDir()
	run := func(ring string) (string, func()) {
		h.ring = ring
		listen := freeAddress(t)
		stop := h.launch(h.stack.serve("--components", strings.Join(ComponentNames(), ","), "--listen", listen, "--development",
			"--objects-url", objects, "--billing-stripe-key", stripeKey, "--billing-webhook-secrets", hookSecret, "--no-auth-require-verified-email")...)
		await(t, http.DefaultClient, "http://"+listen+"/readyz")
		return "http://" + listen, stop
	}
	at, stop := run(s.ring)
	const key = "Idempotency-Key: 018f0000-0000-7000-8000-000000000001"
	register := `{"email":"reader@example.com","password":"correct horse battery"}`
	request(t, at, "POST", "/api/v1/auth/register", register, 200, key)
	cart := request(t, at, "POST", "/api/v1/carts", `{}`, 200, "Idempotency-Key: 018f0000-0000-7000-8000-000000000002")
	login := request(t, at, "POST", "/api/v1/auth/login", register, 200)
	refreshed := request(t, at, "POST", "/api/v1/auth/refresh", fmt.Sprintf(`{"refreshToken":%q}`, login["refreshToken"]), 200)
	stop()

	admin, err := pgxpool.New(t.Context(), s.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	storeBilling(t, admin, s.ring)

	at, stop = run(both)
	traffic, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for i := 0; traffic.Err() == nil; i++ {
			request(t, at, "POST", "/api/v1/auth/register", fmt.Sprintf(`{"email":"r%d@example.com","password":"correct horse battery"}`, i), 200,
				"Idempotency-Key: "+uuid.NewString())
		}
	})
	rewrite := func(ring string) (string, error) {
		var out strings.Builder
		err := Main(t.Context(), []string{"encryption", "rewrite", "--database-url", s.login, "--encryption-keys-file", ring}, &out, io.Discard)
		return out.String(), err
	}
	for range 2 { // it can be repeated
		if out, err := rewrite(both); err != nil || !strings.Contains(out, "every field is sealed with the key "+id(newKey)) {
			t.Errorf("%s (%v)", out, err)
		}
	}
	end()
	running.Wait()
	stop()
	if left := sealedWith(t, admin, id(oldKey)); len(left) > 0 {
		t.Errorf("the old key is still in %v", left)
	}
	if all := sealedWith(t, admin, id(newKey)); len(all) < 6 {
		t.Errorf("the traffic sealed only %v", all)
	}
	if out, err := rewrite(keyFile(t, oldKey)); err == nil || out != "" || !strings.Contains(err.Error(), "component auth, table signing_key, column private_sealed: 1 fields are still sealed with another key") {
		t.Errorf("a ring without the key: %s, %v", out, err)
	}

	at, stop = run(alone)
	defer stop()
	request(t, at, "POST", "/api/v1/auth/register", register, 200, key)
	if again := request(t, at, "POST", "/api/v1/carts", `{}`, 200, "Idempotency-Key: 018f0000-0000-7000-8000-000000000002"); again["guestToken"] != cart["guestToken"] || cart["guestToken"] == nil {
		t.Errorf("the repeated request has another token: %v, %v", again, cart)
	}
	request(t, at, "GET", "/api/v1/auth/sessions", "", 200, "Authorization: Bearer "+fmt.Sprint(refreshed["accessToken"]))
	request(t, at, "POST", "/api/v1/auth/refresh", fmt.Sprintf(`{"refreshToken":%q}`, refreshed["refreshToken"]), 200)
}

// id is the id of a key line.
func id(line []byte) string {
	name, _, _ := strings.Cut(string(line), ":")
	return name
}

// request calls the platform and returns its answer.
func request(t *testing.T, at, method, path, body string, status int, headers ...string) map[string]any {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, at+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return nil
	}
	r.Header.Set("Content-Type", "application/json")
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer response.Body.Close()
	content, _ := io.ReadAll(response.Body)
	answer := map[string]any{}
	if response.StatusCode == http.StatusTooManyRequests {
		time.Sleep(100 * time.Millisecond)
		return answer
	}
	if response.StatusCode != status {
		t.Errorf("%s: %d %s", path, response.StatusCode, content)
	}
	_ = json.Unmarshal(content, &answer)
	return answer
}

// storeBilling writes a billing profile, whose place in the table its field is bound to.
func storeBilling(t *testing.T, admin *pgxpool.Pool, ringFile string) {
	t.Helper()
	ring, err := crypto.LoadKeyring(ringFile)
	if err != nil {
		t.Fatal(err)
	}
	userID := uuid.New()
	sealed, err := ring.Seal([]byte(`{}`), []byte("billing/billing_profile/details/"+userID.String()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Exec(t.Context(), `INSERT INTO billing.billing_profile (id, details_sealed, create_time, update_time) VALUES ($1, $2, now(), now())`,
		userID, sealed); err != nil {
		t.Fatal(err)
	}
}

// sealedWith lists the columns of every schema that hold a field of a key.
func sealedWith(t *testing.T, admin *pgxpool.Pool, key string) []string {
	t.Helper()
	var found []string
	for _, entry := range registry {
		if entry.migrations == nil {
			continue
		}
		for _, column := range sealedOf(entry.name) {
			field := column.Name
			if column.JSON != "" {
				field = "decode(" + column.Name + "->>'" + column.JSON + "', 'base64')"
			}
			var n int
			if err := admin.QueryRow(t.Context(), fmt.Sprintf("SELECT count(*) FROM %s WHERE substring(%s from 3 for $1) = $2",
				pgx.Identifier{entry.name, column.Table}.Sanitize(), field), len(key), []byte(key)).Scan(&n); err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				found = append(found, entry.name+"."+column.Table+"."+column.Name)
			}
		}
	}
	return found
}

// TestSealedColumnsAreDeclared asks the database which columns look sealed: one
// that is not declared would be lost with the key it was sealed with.
func TestSealedColumnsAreDeclared(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.migrate(t)
	conn, err := pgx.Connect(t.Context(), s.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rows, err := conn.Query(t.Context(), `SELECT table_schema, table_name, column_name FROM information_schema.columns
		WHERE data_type = 'bytea' AND (column_name LIKE '%sealed%' OR table_name = 'idempotency_key') AND table_schema = ANY ($1)`, ComponentNames())
	if err != nil {
		t.Fatal(err)
	}
	seen, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (column [3]string, err error) {
		return column, row.Scan(&column[0], &column[1], &column[2])
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, column := range seen {
		if !slices.ContainsFunc(sealedOf(column[0]), func(c reseal.Column) bool { return c.Table == column[1] && c.Name == column[2] }) {
			t.Errorf("%s is not declared", strings.Join(column[:], "."))
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d columns look sealed", len(seen))
	}
}
