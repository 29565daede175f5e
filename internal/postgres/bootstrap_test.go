package postgres_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
)

const insufficientPrivilege = "42501"

func TestAComponentReachesItsOwnRowsAndNothingElse(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"}, pgtest.Schema{Component: "user"})
	conn := connect(t, database.URL("order"))
	const insertInbox = "INSERT INTO inbox (subscriber, event_id) VALUES ('s', gen_random_uuid())"
	tests := map[string]struct {
		statement string
		refused   bool
	}{
		"own rows":               {insertInbox, false},
		"own sequence":           {"INSERT INTO outbox (id, event_type, subject, payload) VALUES (gen_random_uuid(), 't', 's', '{}')", false},
		"own jobs":               {"SELECT count(*) FROM river_job", false},
		"extensions":             {"SELECT similarity('mug', 'mugs'), unaccent('é')", false},
		"foreign write":          {strings.Replace(insertInbox, "inbox", `"user".inbox`, 1), true},
		"foreign read":           {`SELECT * FROM "user".inbox`, true},
		"foreign table":          {`CREATE TABLE "user".mine (id int)`, true},
		"own table":              {"CREATE TABLE mine (id int)", true},
		"public table":           {"CREATE TABLE public.mine (id int)", true},
		"extension table":        {"CREATE TABLE extensions.mine (id int)", true},
		"temporary table":        {"CREATE TEMPORARY TABLE mine (id int)", true},
		"change a table":         {"ALTER TABLE inbox ADD COLUMN x int", true},
		"drop a table":           {"DROP TABLE inbox", true},
		"empty a table":          {"TRUNCATE inbox", true},
		"become the owner":       {"SET ROLE order_owner", true},
		"become the admin":       {"SET ROLE postgres", true},
		"become another":         {"SET ROLE commerce_user", true},
		"make a role":            {"CREATE ROLE mine", true},
		"make a schema":          {"CREATE SCHEMA mine", true},
		"rewrite the migrations": {"DELETE FROM goose_platform", true},
		"rewrite River's":        {"DELETE FROM river_migration", true},
		"read a file":            {"SELECT pg_read_file('postgresql.conf')", true},
	}
	for name, test := range tests {
		// One connection: not parallel.
		t.Run(name, func(t *testing.T) {
			_, err := conn.Exec(t.Context(), test.statement)
			if refused := state(err) == insufficientPrivilege; refused != test.refused || (err != nil && !refused) {
				t.Errorf("refused %t, want %t: %v", refused, test.refused, err)
			}
		})
	}
}

func TestOthersCannotConnect(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"})
	if _, err := connect(t, database.AdminURL()).Exec(t.Context(), "CREATE ROLE stranger LOGIN PASSWORD 'stranger'"); err != nil {
		t.Fatal(err)
	}
	stranger, err := url.Parse(database.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	stranger.User = url.UserPassword("stranger", "stranger")
	if conn, err := pgx.Connect(t.Context(), stranger.String()); state(err) != insufficientPrivilege {
		if err == nil {
			_ = conn.Close(t.Context())
		}
		t.Errorf("connecting says %v, want %s", err, insufficientPrivilege)
	}
}

func TestBootstrapAndMigrateRepeatedlyAndAtOnce(t *testing.T) {
	t.Parallel()
	// Two databases share the server's roles, and every one is bootstrapped by several processes at once.
	components := []postgres.Component{{Name: "billing", Password: "one"}, {Name: "user", Password: "two"}}
	var databases []*pgtest.Database
	for range 2 {
		databases = append(databases, pgtest.NewDatabase(t))
	}
	var group errgroup.Group
	for _, database := range databases {
		for range 4 {
			group.Go(func() error {
				for range 2 {
					if err := postgres.Bootstrap(t.Context(), database.AdminURL(), components); err != nil {
						return err
					}
					for _, component := range components {
						err := postgres.Migrate(t.Context(), database.AdminURL(), component.Name, postgres.Platform(), postgres.River())
						if err != nil {
							return err
						}
					}
				}
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var versions int
	conn := connect(t, databases[0].AdminURL())
	err := conn.QueryRow(t.Context(), "SELECT count(*) FROM billing.goose_platform WHERE version_id = 1").Scan(&versions)
	if err != nil || versions != 1 {
		t.Errorf("the first migration ran %d times (%v)", versions, err)
	}
}

func TestBootstrapByAnAdminThatIsNoSuperuser(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t)
	admin := connect(t, database.AdminURL())
	var name string
	if err := admin.QueryRow(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"CREATE ROLE managed LOGIN CREATEROLE PASSWORD 'managed'", "ALTER DATABASE " + name + " OWNER TO managed",
	} {
		if _, err := admin.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	managed, err := url.Parse(database.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	managed.User = url.UserPassword("managed", "managed")
	components := []postgres.Component{{Name: "managed_shop", Password: "secret"}}
	for range 2 {
		if err := postgres.Bootstrap(t.Context(), managed.String(), components); err != nil {
			t.Fatal(err)
		}
		if err := postgres.Migrate(t.Context(), managed.String(), "managed_shop", postgres.Platform(), postgres.River()); err != nil {
			t.Fatal(err)
		}
	}
	login := *managed
	login.User = url.UserPassword(postgres.LoginRole("managed_shop"), "secret")
	db, err := postgres.Open(t.Context(), postgres.Config{URL: login.String(), Schema: "managed_shop"})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
}

func TestBootstrapKeepsOrChangesPasswords(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t)
	open := func(password string) error {
		location, err := url.Parse(database.AdminURL())
		if err != nil {
			t.Fatal(err)
		}
		location.User = url.UserPassword(postgres.LoginRole("password_test"), password)
		conn, err := pgx.Connect(t.Context(), location.String())
		if err == nil {
			err = conn.Close(t.Context())
		}
		return err
	}
	for _, step := range []struct{ set, works, fails string }{
		{`it's "first" $1 \ %`, `it's "first" $1 \ %`, "second"},
		{"", `it's "first" $1 \ %`, ""},
		{"second", "second", `it's "first" $1 \ %`},
	} {
		err := postgres.Bootstrap(t.Context(), database.AdminURL(), []postgres.Component{{Name: "password_test", Password: step.set}})
		if err != nil {
			t.Fatal(err)
		}
		if err := open(step.works); err != nil {
			t.Errorf("after setting %q, %q is refused: %v", step.set, step.works, err)
		}
		if err := open(step.fails); err == nil {
			t.Errorf("after setting %q, %q is accepted", step.set, step.fails)
		}
	}
}

func TestBootstrapRefuses(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t)
	const secret = "pässword"
	tests := map[string]struct {
		url       string
		component postgres.Component
		message   string
	}{
		"no name":          {database.AdminURL(), postgres.Component{}, "is not of the form"},
		"quotes in a name": {database.AdminURL(), postgres.Component{Name: `a"; DROP`}, "is not of the form"},
		"password":         {database.AdminURL(), postgres.Component{Name: "a", Password: secret}, "printable ASCII"},
		"no server":        {"postgres://u:" + secret + "@127.0.0.1:1/x", postgres.Component{Name: "a"}, "refused"},
		"no URL":           {"postgres://u:" + secret + "@host:port/", postgres.Component{Name: "a"}, "parse"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := postgres.Bootstrap(t.Context(), test.url, []postgres.Component{test.component})
			if err == nil || !strings.Contains(err.Error(), test.message) || strings.Contains(err.Error(), secret) {
				t.Errorf("error %v, want %q in it and no password", err, test.message)
			}
		})
	}
	t.Run("not an admin", func(t *testing.T) {
		t.Parallel()
		weak := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"})
		if err := postgres.Bootstrap(t.Context(), weak.URL("order"), []postgres.Component{{Name: "mine"}}); state(err) != insufficientPrivilege {
			t.Errorf("error %v", err)
		}
	})
}

func TestCreateDatabase(t *testing.T) {
	t.Parallel()
	admin := pgtest.AdminURL(t)
	var group errgroup.Group
	for range 4 {
		group.Go(func() error { return postgres.CreateDatabase(t.Context(), admin, "commerce") })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := postgres.CreateDatabase(t.Context(), admin, "commerce"); err != nil {
		t.Errorf("a second time: %v", err)
	}
	connect(t, strings.Replace(admin, "/postgres?", "/commerce?", 1))
	if err := postgres.CreateDatabase(t.Context(), admin, `a"b`); err == nil {
		t.Error("a name with a quote is accepted")
	}
	if err := postgres.CreateDatabase(t.Context(), "postgres://127.0.0.1:1/x", "commerce"); err == nil {
		t.Error("no server and no error")
	}
	weak := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"})
	if err := postgres.CreateDatabase(t.Context(), weak.URL("order"), "mine"); state(err) != insufficientPrivilege {
		t.Errorf("a component makes a database: %v", err)
	}
}
