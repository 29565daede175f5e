package module_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/user/migrate"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/user/module"
)

func newAddress(line string, isDefault bool) string {
	return fmt.Sprintf(`{"address":{"recipient":"Ada Lovelace","line1":%q,"city":"Wien","postalCode":"1010","countryCode":"AT"},"isDefault":%t}`, line, isDefault)
}

func idOf(a answer) string {
	id, _ := a.object("address")["id"].(string)
	return id
}

func TestAddressBook(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.person(t, "ada@example.com")
	const path = "/api/v1/users/me/addresses"
	first := idOf(b.must(t, ada, "POST", path, newAddress("First 1", true)))
	second := idOf(b.must(t, ada, "POST", path, newAddress("Second 2", true)))
	book := b.must(t, ada, "GET", path, "").list("addresses")
	if len(book) != 2 {
		t.Fatalf("%d addresses", len(book))
	}
	defaults := func() (ids []any) {
		for _, entry := range b.must(t, ada, "GET", path, "").list("addresses") {
			if address, _ := entry.(map[string]any); address["isDefault"] == true {
				ids = append(ids, address["id"])
			}
		}
		return ids
	}
	if got := defaults(); len(got) != 1 || got[0] != second {
		t.Errorf("defaults = %v", got)
	}
	changed := b.must(t, ada, "PATCH", path+"/"+first, newAddress("First 99", true)).object("address")
	if address, _ := changed["address"].(map[string]any); address["line1"] != "First 99" || address["recipient"] != "Ada Lovelace" {
		t.Errorf("changed = %v", changed)
	}
	if got := defaults(); len(got) != 1 || got[0] != first {
		t.Errorf("defaults = %v", got)
	}
	b.must(t, ada, "DELETE", path+"/"+second, "")
	if got := b.call(t, ada, "DELETE", path+"/"+second, ""); got.status != 404 {
		t.Errorf("deleted twice: %d", got.status)
	}
	me := b.must(t, ada, "GET", "/api/v1/users/me", "").object("user")
	if addresses, _ := me["addresses"].([]any); len(addresses) != 1 {
		t.Errorf("me = %v", me)
	}
}

func TestTrap23AddressesOfOthersAreNotFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada, eve := b.person(t, "ada@example.com"), b.person(t, "eve@example.com")
	const path = "/api/v1/users/me/addresses"
	target := idOf(b.must(t, ada, "POST", path, newAddress("Ring 1", true)))
	for round := range 2 {
		for _, id := range []string{target, uuid.NewString()} {
			for _, method := range []string{"PATCH", "DELETE"} {
				body := map[string]string{"PATCH": newAddress("Stolen 1", true)}[method]
				if got := b.call(t, eve, method, path+"/"+id, body); got.status != 404 || got.code() != "NOT_FOUND" {
					t.Errorf("round %d: %s answers %d %s", round, method, got.status, got.text)
				}
			}
		}
		b.must(t, eve, "GET", "/api/v1/users/me", "") // with a profile of her own the second time
	}
	book := b.must(t, ada, "GET", path, "")
	if len(book.list("addresses")) != 1 || !strings.Contains(book.text, "Ring 1") {
		t.Errorf("book = %s", book.text)
	}
	if got := b.must(t, eve, "GET", path, ""); len(got.list("addresses")) != 0 {
		t.Errorf("eve sees %s", got.text)
	}
	if got := b.call(t, identity.Identity{}, "GET", path, ""); got.status != http.StatusUnauthorized {
		t.Errorf("a guest: %d", got.status)
	}
}

func TestAddressesAreCheckedAndBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.person(t, "ada@example.com")
	const path = "/api/v1/users/me/addresses"
	for body, field := range map[string]string{
		`{}`: "address",
		strings.Replace(newAddress("x", false), "AT", "at", 1):     "address.countryCode",
		strings.Replace(newAddress("x", false), "Wien", "", 1):     "address.city",
		newAddress(strings.Repeat("x", 201), false):                "address.line1",
		strings.Replace(newAddress("x", false), "Ada", "\xff", 1):  "",
		`{"address":{"recipient":"x"},"unknownField":true}`:        "",
		strings.Replace(newAddress("x", false), `"1010"`, `{}`, 1): "",
	} {
		got := b.call(t, ada, "POST", path, body)
		if got.status != 400 || got.code() != "INVALID_INPUT" || field != "" && !strings.Contains(got.text, `"`+field+`"`) {
			t.Errorf("%.80s: %d %s", body, got.status, got.text)
		}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	for i := range 60 {
		wg.Go(func() {
			got := b.call(t, ada, "POST", path, newAddress(fmt.Sprint("Street ", i), i%2 == 0))
			mu.Lock()
			defer mu.Unlock()
			answers[got.status]++
			if got.status != 200 && got.code() != "ADDRESS_BOOK_FULL" {
				t.Errorf("%d %s", got.status, got.text)
			}
		})
	}
	wg.Wait()
	if answers[200] != 50 || answers[409] != 10 {
		t.Errorf("answers = %v", answers)
	}
	if n := b.count(t, "SELECT count(*) FROM address WHERE is_default"); n != 1 {
		t.Errorf("%d defaults", n)
	}
}

func TestAnIdempotencyKeyAddsOneAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.person(t, "ada@example.com")
	var ids []string
	for range 3 {
		ids = append(ids, idOf(b.must(t, ada, "POST", "/api/v1/users/me/addresses", newAddress("Ring 1", false), "Idempotency-Key: once")))
	}
	if ids[0] == "" || ids[0] != ids[1] || ids[1] != ids[2] {
		t.Errorf("ids = %v", ids)
	}
	// A crash after the commit and before the answer was stored: the claim runs again under the same id.
	if _, err := b.db.Pool().Exec(t.Context(), "UPDATE idempotency_key SET state = 'in_progress', response = NULL, lease_until = now() - interval '1 hour'"); err != nil {
		t.Fatal(err)
	}
	if again := idOf(b.must(t, ada, "POST", "/api/v1/users/me/addresses", newAddress("Ring 1", false), "Idempotency-Key: once")); again != ids[0] {
		t.Errorf("id = %s, want %s", again, ids[0])
	}
	if n := b.count(t, "SELECT count(*) FROM address"); n != 1 {
		t.Errorf("%d addresses", n)
	}
}

func TestExportMe(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.person(t, "ada@example.com")
	b.must(t, ada, "POST", "/api/v1/users/me/addresses", newAddress("Ring 1", true))
	b.holdings.orders, b.holdings.profile = 250, true
	got := b.must(t, ada, "GET", "/api/v1/users/me/export", "")
	var export struct {
		ExportTime     string
		User           struct{ Email string }
		Sessions       []json.RawMessage
		Orders         []struct{ Number string }
		Invoices       []struct{ Number string }
		BillingProfile struct{ Name string }
	}
	if err := json.Unmarshal([]byte(got.text), &export); err != nil {
		t.Fatal(err)
	}
	if export.User.Email != "ada@example.com" || len(export.Orders) != 250 || len(export.Invoices) != 250 ||
		export.Orders[249].Number != "249" || export.BillingProfile.Name != "Ada Ltd" || len(export.Sessions) != 1 {
		t.Errorf("export = %.300s", got.text)
	}
	if !strings.Contains(got.text, "Ring 1") || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("export = %.300s", got.text)
	}
	for _, asked := range b.holdings.asked {
		if asked.UserID != ada.UserID || asked.Service != "user" {
			t.Errorf("asked as %+v", asked)
		}
	}
	b.holdings.down = true
	if got := b.call(t, ada, "GET", "/api/v1/users/me/export", ""); got.status != 503 {
		t.Errorf("an export without its orders: %d %.200s", got.status, got.text)
	}
	b.holdings.down, b.holdings.profile, b.holdings.orders = false, false, 0
	got = b.must(t, ada, "GET", "/api/v1/users/me/export", "")
	if strings.Contains(got.text, "billingProfile") || !strings.Contains(got.text, `"orders": []`) {
		t.Errorf("export = %s", got.text)
	}
}

func TestStartNeedsItsEnvironment(t *testing.T) {
	t.Parallel()
	if _, err := module.New(t.Context(), module.Config{}, component.Env{}); err == nil {
		t.Error("starts without anything")
	}
}

func TestMigrationsMatchTheSchema(t *testing.T) {
	t.Parallel()
	pgtest.AssertSchemaMatches(t, pgtest.New(t, "user", module.Migrations), migrate.Tables)
}
