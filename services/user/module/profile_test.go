package module_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/user/v1/userv1connect"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/pgtest"
)

func TestProfileComesWithTheRegistration(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.person(t, "ada@example.com")
	b.publish(t)
	if n := b.count(t, "SELECT count(*) FROM profile WHERE id = $1 AND display_name = 'Registered'", ada.UserID); n != 1 {
		t.Fatalf("%d profiles", n)
	}
	me := b.must(t, ada, "GET", "/api/v1/users/me", "").object("user")
	if me["id"] != ada.UserID || me["email"] != "ada@example.com" || me["emailVerified"] != true || me["etag"] != "1" {
		t.Errorf("me = %v", me)
	}
}

func TestProfileIsMadeWhenFirstAskedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.person(t, "ada@example.com")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { b.must(t, ada, "GET", "/api/v1/users/me", "") })
	}
	wg.Wait()
	b.publish(t)
	if n := b.count(t, "SELECT count(*) FROM profile"); n != 1 {
		t.Errorf("%d profiles", n)
	}
}

func TestUpdateMe(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.person(t, "ada@example.com")
	got := b.must(t, ada, "PATCH", "/api/v1/users/me", `{"displayName":" Ada L. ","phone":"+43 1 234567","locale":"de-AT"}`).object("user")
	if got["displayName"] != "Ada L." || got["phone"] != "+43 1 234567" || got["locale"] != "de-AT" || got["etag"] != "2" {
		t.Errorf("user = %v", got)
	}
	got = b.must(t, ada, "PATCH", "/api/v1/users/me", `{"phone":""}`, `If-Match: "2"`).object("user")
	if got["phone"] != "" || got["displayName"] != "Ada L." {
		t.Errorf("user = %v", got)
	}
	for _, stale := range []string{`"2"`, `"99"`, `"other"`} {
		if got := b.call(t, ada, "PATCH", "/api/v1/users/me", `{"locale":"fr"}`, "If-Match: "+stale); got.status != 412 || got.code() != "STALE_ETAG" {
			t.Errorf("etag %s: %d %s", stale, got.status, got.text)
		}
	}
	if got := b.call(t, ada, "PATCH", "/api/v1/users/me", `{"locale":"fr","etag":"2"}`); got.status != 412 {
		t.Errorf("etag in the body: %d %s", got.status, got.text)
	}
	b.must(t, ada, "PATCH", "/api/v1/users/me", `{"locale":"fr","etag":"3"}`)
}

func TestUpdateMeRefusesWhatAPersonMayNotChange(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.person(t, "ada@example.com")
	tests := map[string]string{
		`{"roles":["admin"]}`:                                 "roles",
		`{"disabled":true}`:                                   "disabled",
		`{"email":"eve@example.com"}`:                         "email",
		`{"emailVerified":true}`:                              "emailVerified",
		`{"createTime":"2020-01-01T00:00:00Z"}`:               "createTime",
		`{"addresses":[]}`:                                    "addresses",
		`{"locale":"not a locale"}`:                           "locale",
		`{"phone":"call me"}`:                                 "phone",
		`{"displayName":"a\nb"}`:                              "displayName",
		`{"displayName":"` + strings.Repeat("x", 201) + `"}`:  "displayName",
		`{"phone":"` + strings.Repeat("1", 41) + `"}`:         "phone",
		`{"roles":["root"]}`:                                  "roles",
		`{"displayName":"ok","roles":["admin"],"locale":"x"}`: "roles",
	}
	for body, field := range tests {
		got := b.call(t, ada, "PATCH", "/api/v1/users/me", body)
		if got.status != 400 || got.code() != "INVALID_INPUT" || !strings.Contains(got.text, field) {
			t.Errorf("%s: %d %s", body, got.status, got.text)
		}
	}
	client := userv1connect.NewUserServiceClient(b.client("", "user"))
	_, err := client.UpdateMe(identity.With(t.Context(), ada), &userv1.UpdateMeRequest{User: &userv1.User{Roles: []string{"admin"}}})
	if f := fault.From(err); f == nil || f.Kind != fault.KindInvalidInput || f.Field != "user.roles" {
		t.Errorf("without a mask: %v", err)
	}
	if got := b.must(t, ada, "GET", "/api/v1/users/me", "").object("user"); got["etag"] != "1" {
		t.Errorf("a refused change changed %v", got)
	}
}

func TestPersonalDataIsStoredSealed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.person(t, "ada@example.com")
	b.must(t, ada, "PATCH", "/api/v1/users/me", `{"phone":"+43 1 7654321"}`)
	b.must(t, ada, "POST", "/api/v1/users/me/addresses", newAddress("Kärntner Ring 1", true))
	for _, table := range []string{"profile", "address", "idempotency_key", "audit_log", "inbox"} {
		for _, secret := range []string{"7654321", "Ring 1", "Ada Lovelace"} {
			if n := b.count(t, "SELECT count(*) FROM "+table+" t WHERE position($1 IN t::text) > 0 OR position(encode(convert_to($1, 'UTF8'), 'hex') IN t::text) > 0", secret); n != 0 {
				t.Errorf("table %s holds %q in clear", table, secret)
			}
		}
	}
	// A sealed value moved to another row does not open.
	bob := b.person(t, "bob@example.com")
	b.must(t, bob, "GET", "/api/v1/users/me", "")
	if _, err := b.db.Pool().Exec(t.Context(), "UPDATE profile SET phone_sealed = (SELECT phone_sealed FROM profile WHERE id = $1) WHERE id = $2", ada.UserID, bob.UserID); err != nil {
		t.Fatal(err)
	}
	if got := b.call(t, bob, "GET", "/api/v1/users/me", ""); got.status != 500 || strings.Contains(got.text, "7654321") {
		t.Errorf("%d %s", got.status, got.text)
	}
}

func TestAdministratorsManageUsers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	admin, ada := b.admin(t, "admin@example.com"), b.person(t, "ada@example.com")
	path := "/api/v1/users/" + ada.UserID
	for _, request := range [][2]string{{"GET", path}, {"GET", "/api/v1/users"}, {"DELETE", path}, {"PATCH", path}} {
		body := ""
		if request[0] == "PATCH" {
			body = `{"roles":["admin"]}`
		}
		if got := b.call(t, ada, request[0], request[1], body); got.status != http.StatusForbidden || got.code() != "UNAUTHORIZED" {
			t.Errorf("a user: %s %s answers %d %s", request[0], request[1], got.status, got.text)
		}
		if got := b.call(t, identity.Identity{}, request[0], request[1], body); got.status != http.StatusUnauthorized {
			t.Errorf("a guest: %s %s answers %d", request[0], request[1], got.status)
		}
	}
	got := b.must(t, admin, "PATCH", path, `{"displayName":"Countess","roles":["admin","user"],"disabled":true}`).object("user")
	if got["displayName"] != "Countess" || got["disabled"] != true || fmt.Sprint(got["roles"]) != "[admin user]" {
		t.Errorf("user = %v", got)
	}
	if got := b.must(t, admin, "GET", path, "").object("user"); got["disabled"] != true {
		t.Errorf("user = %v", got)
	}
	if got := b.call(t, admin, "PATCH", path, `{"roles":["user"]}`, `If-Match: "1"`); got.status != 412 {
		t.Errorf("stale: %d %s", got.status, got.text)
	}
	if got := b.call(t, admin, "PATCH", path, `{"roles":[]}`); got.status != 400 {
		t.Errorf("no roles: %d %s", got.status, got.text)
	}
	if got := b.call(t, admin, "PATCH", path, `{"email":"x@example.com"}`); got.status != 400 {
		t.Errorf("another owner's field: %d %s", got.status, got.text)
	}
	own := "/api/v1/users/" + admin.UserID
	for _, body := range []string{`{"roles":["user"]}`, `{"disabled":true}`} {
		if got := b.call(t, admin, "PATCH", own, body); got.status != 409 || got.code() != "OWN_ACCOUNT" {
			t.Errorf("%s: %d %s", body, got.status, got.text)
		}
	}
	if got := b.call(t, admin, "DELETE", own, ""); got.status != 409 || got.code() != "LAST_ADMIN" {
		t.Errorf("the last administrator: %d %s", got.status, got.text)
	}
	for _, missing := range []string{uuid.NewString(), "not-an-id"} {
		want := map[bool]int{true: 404, false: 400}[len(missing) == 36]
		for _, method := range []string{"GET", "PATCH"} {
			if got := b.call(t, admin, method, "/api/v1/users/"+missing, map[string]string{"PATCH": `{"locale":"en"}`}[method]); got.status != want {
				t.Errorf("%s %s: %d %s", method, missing, got.status, got.text)
			}
		}
	}
	b.must(t, admin, "DELETE", path, "")
	if got := b.call(t, admin, "GET", path, ""); got.status != 404 {
		t.Errorf("erased: %d %s", got.status, got.text)
	}
	if n := b.count(t, "SELECT count(*) FROM audit_log WHERE action = 'UserService/DeleteUser' AND actor = 'admin' AND actor_id = $1", admin.UserID); n == 0 {
		t.Error("no audit row")
	}
}

func TestListUsersCostsTheSameForAnyNumber(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	admin := b.admin(t, "admin@example.com")
	b.publish(t)
	cost := func(size int) (queries int, users []*userv1.User, next string) {
		client := userv1connect.NewUserServiceClient(b.client("", "user"))
		queries = pgtest.CountQueries(identity.With(t.Context(), admin), func(ctx context.Context) {
			answer, err := client.ListUsers(ctx, &userv1.ListUsersRequest{PageSize: int32(size)})
			if err != nil {
				t.Fatal(err)
			}
			users, next = answer.GetUsers(), answer.GetNextPageToken()
		})
		return queries, users, next
	}
	one, _, _ := cost(100)
	for i := range 5 {
		b.person(t, fmt.Sprintf("person%d@example.com", i)) // their events are still on the way
	}
	many, users, next := cost(100)
	if one != many || many != 1 || len(users) != 6 || next != "" {
		t.Errorf("%d queries for one user, %d for %d", one, many, len(users))
	}
	if users[5].GetDisplayName() != "Registered" || users[0].GetEmail() != "person4@example.com" || users[0].GetEtag() != "1" {
		t.Errorf("users = %v", users)
	}
	page := b.must(t, admin, "GET", "/api/v1/users?pageSize=4", "")
	token, _ := page.body["nextPageToken"].(string)
	rest := b.must(t, admin, "GET", "/api/v1/users?pageSize=4&pageToken="+token, "")
	if len(page.list("users")) != 4 || len(rest.list("users")) != 2 {
		t.Errorf("pages of %d and %d", len(page.list("users")), len(rest.list("users")))
	}
	if found := b.must(t, admin, "GET", "/api/v1/users?q=person3", "").list("users"); len(found) != 1 {
		t.Errorf("%d found", len(found))
	}
	if found := b.must(t, admin, "GET", "/api/v1/users?q=nobody", "").list("users"); len(found) != 0 {
		t.Errorf("%d found", len(found))
	}
	for _, bad := range []string{"pageSize=101", "pageSize=-1", "pageToken=garbage"} {
		if got := b.call(t, admin, "GET", "/api/v1/users?"+bad, ""); got.status != 400 {
			t.Errorf("%s: %d %s", bad, got.status, got.text)
		}
	}
}

func TestDeleteMeErasesEverything(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.admin(t, "admin@example.com")
	ada := b.person(t, "ada@example.com")
	b.publish(t)
	b.must(t, ada, "POST", "/api/v1/users/me/addresses", newAddress("Ring 1", true))
	b.must(t, ada, "DELETE", "/api/v1/users/me", "")
	b.publish(t)
	for _, table := range []string{"profile WHERE id = $1", "address WHERE user_id = $1"} {
		if n := b.count(t, "SELECT count(*) FROM "+table, ada.UserID); n != 0 {
			t.Errorf("%d rows are left of %s", n, table)
		}
	}
	for _, request := range [][3]string{
		{"GET", "/api/v1/users/me", ""},
		{"PATCH", "/api/v1/users/me", `{"locale":"en"}`},
		{"POST", "/api/v1/users/me/addresses", newAddress("Ring 1", true)},
	} {
		if got := b.call(t, ada, request[0], request[1], request[2]); got.status != 404 {
			t.Errorf("%s %s by an erased person: %d %s", request[0], request[1], got.status, got.text)
		}
	}
}

func TestTrap17ALateRegistrationDoesNotBringAnErasedUserBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := uuid.New()
	registered := event.New(id.String(), &eventv1.UserRegistered{UserId: id.String(), Email: "a@example.com"})
	deleted := event.New(id.String(), &eventv1.UserDeleted{UserId: id.String()})
	for _, e := range []event.Event{deleted, registered, deleted, registered} {
		b.bus.deliver(t, e)
	}
	if n := b.count(t, "SELECT count(*) FROM profile"); n != 0 {
		t.Error("an erased user is back")
	}
	// Both at once, in either order: never a profile of an erased user.
	for range 20 {
		id := uuid.New()
		var wg sync.WaitGroup
		for _, e := range []event.Event{
			event.New(id.String(), &eventv1.UserRegistered{UserId: id.String()}),
			event.New(id.String(), &eventv1.UserDeleted{UserId: id.String()}),
		} {
			wg.Go(func() {
				if err := b.bus.try(context.Background(), e); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if n := b.count(t, "SELECT count(*) FROM profile p JOIN erased_user e USING (id)"); n != 0 {
		t.Errorf("%d erased users are back", n)
	}
}

func TestMalformedEventsAreErrors(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, e := range []event.Event{
		event.New("x", &eventv1.UserRegistered{UserId: "x"}),
		event.New("x", &eventv1.UserDeleted{UserId: "x"}),
		{ID: uuid.New(), Type: "USER_REGISTERED", Time: time.Now()},
		{ID: uuid.New(), Type: "USER_DELETED", Time: time.Now()},
	} {
		if err := b.bus.try(t.Context(), e); err == nil {
			t.Errorf("%s %v is taken", e.Type, e.Payload)
		}
	}
}

func TestDatabaseRefusesForeignWrites(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, statement := range []string{
		`INSERT INTO auth.inbox (subscriber, event_id) VALUES ('x', gen_random_uuid())`,
		`SELECT * FROM auth.outbox`,
		`DROP TABLE profile`,
	} {
		_, err := b.db.Pool().Exec(t.Context(), statement)
		if err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}
