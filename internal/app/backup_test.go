package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/backup"
	"github.com/commercestack/commercestack/internal/backup/script"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/pgserver"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
)

// backups is a place for backups and the keys that seal them.
type backups struct {
	t         *testing.T
	url, ring string
	database  string
}

// work is the folder of one pod.
func (b backups) work() string { return b.t.TempDir() }

// step runs a subcommand of backup as a container would.
func (b backups) step(work, name string, arguments ...string) (string, error) {
	b.t.Helper()
	var out strings.Builder
	place := []string{"--url", b.url, "--folder", ".backups/shop/demo"}
	database := []string{"--admin-url", b.database}
	keys := []string{"--encryption-keys-file", b.ring}
	given := map[string][][]string{
		"prepare": {database, {"--work", work}}, "create": {place, keys, {"--work", work}}, "list": {place},
		"fetch": {place, database, keys, {"--work", work}}, "finish": {database, {"--work", work}}, "prune": {place}, "verify": {database},
	}
	all := []string{"backup", name}
	for _, some := range given[name] {
		all = append(all, some...)
	}
	err := Main(b.t.Context(), append(all, arguments...), &out, io.Discard)
	return out.String(), err
}

// tool runs a script of PostgreSQL's container.
func (b backups) tool(work, text string) error {
	b.t.Helper()
	message := filepath.Join(work, "termination")
	command := exec.CommandContext(b.t.Context(), "/bin/sh", "-c", text)
	command.Env = append(os.Environ(), script.Work+"="+work, "COMMERCE_TERMINATION_LOG="+message, "PATH="+toolPath(b.t)+":"+os.Getenv("PATH"))
	said, err := command.CombinedOutput()
	if err == nil {
		return nil
	}
	reason, _ := os.ReadFile(message)
	return errors.New(strings.TrimSpace(string(reason)) + "\n" + string(said))
}

// toolPath is where pg_dump is.
func toolPath(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	if path, err := exec.LookPath("pg_dump"); err == nil && len(found) == 0 {
		found = []string{path}
	}
	if len(found) == 0 {
		t.Fatal("pg_dump is not installed")
	}
	return filepath.Dir(found[len(found)-1])
}

// take makes a whole backup.
func (b backups) take(t *testing.T) backupResult {
	t.Helper()
	work := b.work()
	if _, err := b.step(work, "prepare"); err != nil {
		t.Fatal(err)
	}
	if err := b.tool(work, script.Dump); err != nil {
		t.Fatal(err)
	}
	out, err := b.step(work, "create")
	if err != nil {
		t.Fatal(err)
	}
	var result backupResult
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// restore goes through all containers of a restore.
func (b backups) restore(arguments ...string) (restoreResult, error) {
	b.t.Helper()
	work := b.work()
	if _, err := b.step(work, "fetch", arguments...); err != nil {
		return restoreResult{}, err
	}
	if err := b.tool(work, script.Restore); err != nil {
		return restoreResult{}, err
	}
	out, err := b.step(work, "finish")
	if err != nil {
		return restoreResult{}, err
	}
	var result restoreResult
	return result, json.Unmarshal([]byte(out), &result)
}

// elsewhere is a new server, which knows no role of the shop, with an empty database.
func elsewhere(t *testing.T) string {
	t.Helper()
	server, err := pgserver.StartThrowaway(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := postgres.CreateDatabase(t.Context(), server.URL("postgres"), "commerce"); err != nil {
		t.Fatal(err)
	}
	return server.URL("commerce")
}

func query[T any](t *testing.T, url, statement string) (value T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), statement).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func execute(t *testing.T, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// A shop is dumped while customers buy, restored on another server, examined, and
// opened there.
func TestBackupOfABusyShop(t *testing.T) {
	t.Parallel()
	h := newShape(t)
	h.serve("--components", withData+",admin,storefront,gateway", "--listen", h.gateway)
	await(t, http.DefaultClient, h.base()+"/readyz")
	boss := h.boss(nil)
	product, err := boss.NewProduct(t.Context(), "Enamel mug", "EUR", 1290, 5000)
	if err != nil {
		t.Fatal(err)
	}
	buy(t, boss)
	busy, stop := context.WithCancel(t.Context())
	var customers sync.WaitGroup
	for range 3 {
		customers.Go(func() {
			for busy.Err() == nil {
				placed, err := boss.Place(busy, product, 1)
				if err != nil || placed.Status != http.StatusOK {
					continue
				}
				_, _ = boss.Pay(busy, placed.String("order", "id"), "pm_card_visa")
			}
		})
	}
	b := backups{t: t, url: "file://" + t.TempDir(), ring: h.ring, database: h.admin}
	const orders = `SELECT count(*) FROM "order".orders`
	for query[int64](t, h.admin, orders) < 10 {
		time.Sleep(50 * time.Millisecond)
	}
	before := query[int64](t, h.admin, orders)
	taken := b.take(t)
	after := query[int64](t, h.admin, orders)
	stop()
	customers.Wait()
	if time.Since(taken.SnapshotTime) > time.Minute || taken.Size == 0 {
		t.Errorf("taken: %+v", taken)
	}

	there := b
	there.database = elsewhere(t)
	result, err := there.restore("--id", taken.ID)
	if err != nil {
		t.Fatal(err)
	}
	if result.ID != taken.ID || result.RTOSeconds < 1 {
		t.Errorf("restored: %+v", result)
	}
	if n := query[int64](t, there.database, orders); n < before || n > after {
		t.Errorf("%d orders were restored, there were %d to %d", n, before, after)
	}
	if owner := query[string](t, there.database, `SELECT tableowner::text FROM pg_tables WHERE schemaname = 'order' AND tablename = 'orders'`); owner != "order_owner" {
		t.Errorf("the orders belong to %s", owner)
	}
	// The migrations have nothing to do, and the logins work again.
	restored := h.stack
	restored.admin = there.database
	restored.login = strings.Replace(there.database, "postgres://"+userinfo(t, there.database), "postgres://commerce_{component}:component", 1)
	restored.migrate(t)
	login := strings.ReplaceAll(restored.login, "{component}", "order")
	if n := query[int64](t, login, "SELECT count(*) FROM orders"); n < before {
		t.Errorf("order sees %d orders through its own login", n)
	}
	if _, err := there.step("", "verify"); err != nil {
		t.Errorf("verify after the migrations: %v", err)
	}
	// Twice is once, and only into what came from a backup.
	if again, err := there.restore(); err != nil || again.ID != taken.ID {
		t.Errorf("the second time: %+v, %v", again, err)
	}
	if _, err := b.step(b.work(), "fetch"); !errors.Is(err, backup.ErrNotEmpty) {
		t.Errorf("into the shop itself: %v", err)
	}
}

func userinfo(t *testing.T, url string) string {
	t.Helper()
	_, rest, _ := strings.Cut(url, "://")
	login, _, found := strings.Cut(rest, "@")
	if !found {
		t.Fatal("the URL has no login")
	}
	return login
}

// quietShop is a migrated database with one product and nothing running.
func quietShop(t *testing.T) backups {
	t.Helper()
	s := newStack(t)
	s.migrate(t)
	execute(t, s.admin,
		`INSERT INTO product.product (id, slug, name, currency_code, price_minor, status, create_time, update_time)
			VALUES ('01890000-0000-7000-8000-000000000001', 'mug', 'Mug', 'EUR', 1290, 'ACTIVE', now(), now())`,
		`INSERT INTO product.stock_level (product_id, on_hand, reserved) VALUES ('01890000-0000-7000-8000-000000000001', 5, 0)`,
		`INSERT INTO product.stock_entry (id, product_id, kind, on_hand_delta, reserved_delta, create_time)
			VALUES (gen_random_uuid(), '01890000-0000-7000-8000-000000000001', 'ADJUSTED', 5, 0, now())`)
	return backups{t: t, url: "file://" + t.TempDir(), ring: s.ring, database: s.admin}
}

func TestRestoreDrill(t *testing.T) {
	t.Parallel()
	b := quietShop(t)
	if _, err := b.restore("--scratch"); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("without a backup: %v", err)
	}
	taken := b.take(t)
	scratches := func() int64 {
		name := query[string](t, b.database, "SELECT current_database()::text")
		return query[int64](t, b.database, "SELECT count(*) FROM pg_database WHERE starts_with(datname, 'drill_"+name+"_')")
	}
	result, err := b.restore("--scratch")
	if err != nil || result.ID != taken.ID || result.RTOSeconds < 1 || result.RPOSeconds < 0 || result.RPOSeconds > 60 {
		t.Errorf("%+v, %v", result, err)
	}
	if n := scratches(); n != 0 {
		t.Errorf("%d scratch databases stay", n)
	}
	// One that dies leaves its database, and the next one clears it away.
	if _, err := b.step(b.work(), "fetch", "--scratch"); err != nil {
		t.Fatal(err)
	}
	if n := scratches(); n != 1 {
		t.Fatalf("%d scratch databases while one runs", n)
	}
	time.Sleep(1100 * time.Millisecond) // another name
	if _, err := b.restore("--scratch"); err != nil || scratches() != 0 {
		t.Errorf("after one that died: %v, %d databases", err, scratches())
	}
	// A backup of a shop whose stock is wrong fails the drill, and costs no database either.
	execute(t, b.database, "UPDATE product.stock_level SET on_hand = on_hand + 1")
	b.take(t)
	if _, err := b.restore("--scratch"); err == nil || !strings.Contains(err.Error(), "stock_consistent of product") {
		t.Errorf("wrong stock: %v", err)
	}
	if n := scratches(); n != 0 {
		t.Errorf("%d scratch databases stay after a failure", n)
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	b := quietShop(t)
	first := b.take(t)
	fresh := func() backups {
		other := b
		other.database = pgtest.NewDatabase(t).AdminURL()
		return other
	}
	untouched := func(o backups) {
		t.Helper()
		if n := query[int64](t, o.database, "SELECT count(*) FROM pg_namespace WHERE nspname = 'order'"); n != 0 {
			t.Error("the database was touched")
		}
	}
	other := fresh()
	_, foreign, err := ensureKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	other.ring = foreign
	if _, err := other.restore(); !errors.Is(err, crypto.ErrUnknownKey) {
		t.Errorf("another key: %v", err)
	}
	untouched(other)

	other = fresh()
	dump := filepath.Join(strings.TrimPrefix(b.url, "file://"), ".backups/shop/demo", first.ID, "dump")
	content, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dump, content[:len(content)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := other.restore(); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("a dump that was cut off: %v", err)
	}
	untouched(other)
	if err := os.WriteFile(dump, content, 0o600); err != nil {
		t.Fatal(err)
	}

	// One who came in between keeps what it has: nothing of the backup is mixed in.
	work := other.work()
	if _, err := other.step(work, "fetch"); err != nil {
		t.Fatal(err)
	}
	execute(t, other.database, `CREATE SCHEMA product`)
	if err := other.tool(work, script.Restore); err == nil || !strings.HasPrefix(err.Error(), "pg_restore failed with exit code") {
		t.Errorf("into what somebody made meanwhile: %v", err)
	}
	untouched(other)
	execute(t, other.database, `DROP SCHEMA product`)
	// Dying after pg_restore and before finish is made good by the next run.
	work = other.work()
	if _, err := other.step(work, "fetch"); err != nil {
		t.Fatal(err)
	}
	if err := other.tool(work, script.Restore); err != nil {
		t.Fatal(err)
	}
	if result, err := other.restore(); err != nil || result.ID != first.ID {
		t.Errorf("after dying before finish: %+v, %v", result, err)
	}

	other = fresh()
	if _, err := other.step(other.work(), "prepare"); err == nil || !strings.Contains(err.Error(), "no shop in it") {
		t.Errorf("a backup of nothing: %v", err)
	}
	if _, err := other.step(other.work(), "create"); err == nil || !strings.Contains(err.Error(), "nothing was prepared") {
		t.Errorf("create alone: %v", err)
	}
	if _, err := other.step(other.work(), "finish"); err == nil || !strings.Contains(err.Error(), "nothing was fetched") {
		t.Errorf("finish alone: %v", err)
	}

	// A backup of a newer program is refused before anything is touched.
	execute(t, b.database, `INSERT INTO "order".goose_order (version_id, is_applied) VALUES (900, true)`)
	b.take(t)
	if _, err := other.restore(); !errors.Is(err, backup.ErrNewer) {
		t.Errorf("a newer backup: %v", err)
	}
	untouched(other)
}

func TestBackupListAndPrune(t *testing.T) {
	t.Parallel()
	b := quietShop(t)
	first, second := b.take(t), b.take(t)
	out, err := b.step("", "list")
	if err != nil || !strings.Contains(out, first.ID) || !strings.Contains(out, second.ID) || !strings.Contains(out, `"order/order"`) {
		t.Errorf("%v\n%s", err, out)
	}
	time.Sleep(1100 * time.Millisecond)
	if out, err := b.step("", "prune", "--retention", "1s"); err != nil || strings.Count(out, "\n") != 1 {
		t.Errorf("%v: %q", err, out)
	}
	if out, err := b.step("", "list"); err != nil || strings.Count(out, `"id"`) != 1 {
		t.Errorf("the newest must stay: %v\n%s", err, out)
	}
}

// Each rule finds what it is for.
func TestVerifyFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	b := quietShop(t)
	verify := func() (verdict, error) {
		out, err := b.step("", "verify")
		var found verdict
		if decodeErr := json.NewDecoder(bytes.NewReader([]byte(out))).Decode(&found); decodeErr != nil {
			t.Fatalf("%v: %v", err, decodeErr)
		}
		return found, err
	}
	if found, err := verify(); err != nil || found.Violations != 0 || len(found.Rules) < 20 {
		t.Fatalf("a shop in order: %v %+v", err, found)
	}
	const id = "'01890000-0000-7000-8000-0000000000"
	for _, tt := range []struct {
		rule, break_, repair string
	}{
		{"stock_consistent", "UPDATE product.stock_level SET on_hand = 6", "UPDATE product.stock_level SET on_hand = 5"},
		{
			"reservations_match_stock",
			`WITH held AS (INSERT INTO product.reservation (order_id, state, expire_time, create_time) VALUES (` + id + `02', 'ACTIVE', now(), now()) RETURNING order_id)
				INSERT INTO product.reservation_line SELECT order_id, ` + id + `01', 1, '', 'Mug', 'EUR', 1, 'standard', 0 FROM held`,
			"UPDATE product.reservation SET state = 'RELEASED'",
		},
		{
			"invoice_numbers_gapless", "INSERT INTO billing.invoice_counter VALUES ('INV-2026', 2)", "DELETE FROM billing.invoice_counter",
		},
		{
			"charged_once",
			`DROP INDEX billing.payment_one_live_per_order;
			INSERT INTO billing.payment (id, order_id, order_number, amount, currency_code, status, create_time, update_time)
				SELECT gen_random_uuid(), ` + id + `03', '1', 100, 'EUR', 'SUCCEEDED', now(), now() FROM generate_series(1, 2)`,
			"DELETE FROM billing.payment",
		},
		{"outbox_drained", `INSERT INTO "user".outbox (id, event_type, subject, payload, create_time) VALUES (gen_random_uuid(), 'x', 'y', '{}', now() - interval '1 hour')`, `DELETE FROM "user".outbox`},
		{
			"constraints_and_indexes_valid",
			"ALTER TABLE product.stock_level ADD CONSTRAINT odd CHECK (on_hand < 1000) NOT VALID", "ALTER TABLE product.stock_level DROP CONSTRAINT odd",
		},
	} {
		execute(t, b.database, tt.break_)
		found, err := verify()
		hit := false
		for _, r := range found.Rules {
			hit = hit || (r.Rule == tt.rule && r.Violations > 0)
		}
		if err == nil || !hit {
			t.Errorf("%s was not found: %v %+v", tt.rule, err, found)
		}
		execute(t, b.database, tt.repair)
		if _, err := verify(); err != nil {
			t.Errorf("%s repaired: %v", tt.rule, err)
		}
	}
}
