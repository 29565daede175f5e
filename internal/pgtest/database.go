package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/postgres"
)

const password = "component" // of every login role in a test server that only this machine reaches

// Schema is one component's part of a test database.
type Schema struct {
	// Component names the schema and its roles.
	Component string
	// Migrations are the component's own; nil for none.
	Migrations fs.FS
	// Plain leaves out the platform's and River's tables.
	Plain bool
}

func (s Schema) sets() []postgres.MigrationSet {
	own := postgres.MigrationSet{Name: s.Component, Files: s.Migrations}
	if s.Plain {
		return []postgres.MigrationSet{own}
	}
	return []postgres.MigrationSet{postgres.Platform(), postgres.River(), own}
}

// Database is a test's own database.
type Database struct {
	name string
	base string // URL of the server's maintenance database

	schemas []Schema
}

// AdminURL is the superuser's URL of the database.
func (d *Database) AdminURL() string { return d.url(nil) }

// URL is the URL of the component's login role.
func (d *Database) URL(component string) string {
	return d.url(url.UserPassword(postgres.LoginRole(component), password))
}

func (d *Database) url(login *url.Userinfo) string {
	location, err := url.Parse(d.base)
	if err != nil {
		panic(err) // made by pgserver
	}
	location.Path = "/" + d.name
	if login != nil {
		location.User = login
	}
	return location.String()
}

// DB connects as the component and closes the pool when the test ends.
func (d *Database) DB(t testing.TB, component string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{
		URL: d.URL(component), Schema: component, Tracer: tracer{}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("open test database: %v", err)
	}
	databases.Store(db, d)
	t.Cleanup(func() {
		databases.Delete(db)
		db.Close()
	})
	return db
}

var (
	databases sync.Map // *postgres.DB → *Database
	serial    atomic.Int64

	templatesMu sync.Mutex
	templates   = map[string]*template{}
)

type template struct {
	once sync.Once
	name string
	err  error
}

// New gives the test a database with the component's schema, migrated and empty, connected as the component's login
// role. The database goes away with the test.
func New(t testing.TB, component string, migrations fs.FS) *postgres.DB {
	t.Helper()
	return NewDatabase(t, Schema{Component: component, Migrations: migrations}).DB(t, component)
}

// NewDatabase gives the test a database with several schemas.
func NewDatabase(t testing.TB, schemas ...Schema) *Database {
	t.Helper()
	base := server(t).URL("postgres")
	from, err := templateFor(base, schemas)
	if err != nil {
		t.Fatalf("prepare test database: %v", err)
	}
	database := &Database{name: fmt.Sprintf("test_%d", serial.Add(1)), base: base, schemas: schemas}
	statements := []string{
		"CREATE DATABASE " + database.name + " TEMPLATE " + from + " STRATEGY file_copy",
		// Rights on a database are not copied with it.
		"REVOKE ALL ON DATABASE " + database.name + " FROM PUBLIC",
		"GRANT CONNECT ON DATABASE " + database.name + " TO " + postgres.GroupRole,
	}
	if err := execute(t.Context(), base, statements...); err != nil {
		t.Fatalf("create test database: %v", err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if err := execute(context.Background(), base, "DROP DATABASE "+database.name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop test database: %v", err)
		}
	})
	return database
}

// templateFor builds each combination of schemas once in a test binary.
func templateFor(base string, schemas []Schema) (string, error) {
	key, err := fingerprint(schemas)
	if err != nil {
		return "", err
	}
	templatesMu.Lock()
	found := templates[key]
	if found == nil {
		found = &template{name: fmt.Sprintf("template_%d", len(templates))}
		templates[key] = found
	}
	templatesMu.Unlock()
	found.once.Do(func() { found.err = build(base, found.name, schemas) })
	return found.name, found.err
}

func build(base, name string, schemas []Schema) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := execute(ctx, base, "CREATE DATABASE "+name); err != nil {
		return err
	}
	admin := (&Database{name: name, base: base}).AdminURL()
	components := make([]postgres.Component, 0, len(schemas))
	for _, schema := range schemas {
		components = append(components, postgres.Component{Name: schema.Component, Password: password})
	}
	if err := postgres.Bootstrap(ctx, admin, components); err != nil {
		return err
	}
	for _, schema := range schemas {
		if err := postgres.Migrate(ctx, admin, schema.Component, schema.sets()...); err != nil {
			return err
		}
	}
	return nil
}

func fingerprint(schemas []Schema) (string, error) {
	hash := sha256.New()
	for _, schema := range schemas {
		fmt.Fprintf(hash, "%s %t\n", schema.Component, schema.Plain)
		if schema.Migrations == nil {
			continue
		}
		err := fs.WalkDir(schema.Migrations, ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".sql") {
				return err
			}
			text, err := fs.ReadFile(schema.Migrations, path)
			fmt.Fprintf(hash, "%s %d\n%s", path, len(text), text)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("migrations of %s: %w", schema.Component, err)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func execute(ctx context.Context, base string, statements ...string) error {
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// AdminURL is the superuser's URL of the server's maintenance database.
func AdminURL(t testing.TB) string {
	t.Helper()
	return server(t).URL("postgres")
}

// Of answers the test database behind a DB that this package opened.
func Of(t testing.TB, db *postgres.DB) *Database {
	t.Helper()
	found, ok := databases.Load(db)
	if !ok {
		t.Fatal("pgtest: the DB was not opened by this package or is closed")
	}
	database, _ := found.(*Database)
	return database
}

// URLFor is the URL of a component's login role in the database behind db.
func URLFor(t testing.TB, db *postgres.DB, component string) string {
	t.Helper()
	return Of(t, db).URL(component)
}
