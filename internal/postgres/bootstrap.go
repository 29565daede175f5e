package postgres

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// GroupRole is a NOLOGIN role that every component's login role is a member of. Migrations of schemas that all
	// components use (the bus) grant to it.
	GroupRole = "commerce_component"
	// ExtensionSchema holds pg_trgm and unaccent; everybody may use it, and it is on every search path.
	ExtensionSchema = "extensions"

	// First key of the advisory locks of this package; the second one says what is locked.
	lockSpace         = 0x636f6d6d
	lockBootstrap     = 1
	bootstrapAttempts = 10
)

var validName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

func checkName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("postgres: component name %q is not of the form %s", name, validName)
	}
	return nil
}

// OwnerRole is the NOLOGIN role that owns the component's tables and that its migrations run as.
func OwnerRole(component string) string { return component + "_owner" }

// LoginRole is the role that holds the component's rights. The component connects as this one, or as one of two members
// of it that alternate (LoginRoles).
func LoginRole(component string) string { return "commerce_" + component }

func searchPath(schema string) string {
	return quote(schema) + ", " + quote(ExtensionSchema)
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// Component is a schema to make. Its tables come later, from Migrate.
type Component struct {
	// Name of the component and of its schema: lower-case letters, digits and underscores.
	Name string
	// Password of the login role: printable ASCII. An empty one leaves the role as it is, for a role whose password is set
	// elsewhere.
	Password string
	// Logins are roles of the alternating pair to prepare. With some, the component's own role is made without the right
	// to log in, unless it has a password too.
	Logins []Login
}

// CreateDatabase makes the database unless it exists. adminURL names another database of the same server.
func CreateDatabase(ctx context.Context, adminURL, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("postgres: create database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return fmt.Errorf("postgres: create database %s: %w", name, err)
	}
	if exists {
		return nil
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+quote(name))
	// Another process may have made it in between.
	if err != nil && !slices.Contains([]string{"42P04", stateUniqueViolation}, sqlState(err)) {
		return fmt.Errorf("postgres: create database %s: %w", name, err)
	}
	return nil
}

// Bootstrap makes or repairs, in the database of adminURL, the schema and the roles of every component, the rights
// between them and the extensions. It takes away what PUBLIC has, so a role sees its own schema and nothing else.
// It can run at any time, and several times at once. The admin needs CREATEROLE and to own the database.
func Bootstrap(ctx context.Context, adminURL string, components []Component) error {
	var statements []string
	for _, component := range components {
		if err := checkName(component.Name); err != nil {
			return err
		}
		made, err := component.statements()
		if err != nil {
			return fmt.Errorf("postgres: component %s: %w", component.Name, err)
		}
		statements = append(statements, made...)
	}
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("postgres: bootstrap: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	database := conn.Config().Database
	statements = slices.Concat(databaseStatements(database), statements)
	if err := inLock(ctx, conn, statements); err != nil {
		return fmt.Errorf("postgres: bootstrap database %s: %w", database, err)
	}
	return nil
}

func bootstrap(ctx context.Context, conn *pgx.Conn, statements []string) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, $2)", lockSpace, lockBootstrap); err != nil {
			return err
		}
		// Passwords are in here only as SCRAM verifiers, so a server that logs statements learns none.
		_, err := tx.Exec(ctx, strings.Join(statements, ";\n"), pgx.QueryExecModeSimpleProtocol)
		return err
	})
}

// Advisory locks belong to one database, roles to the whole server: two databases bootstrapped at once can still
// meet in the catalog of roles.
func concurrentCatalogChange(err error) bool {
	return slices.Contains([]string{"XX000", "42710", stateUniqueViolation, stateDeadlock}, sqlState(err))
}

func databaseStatements(database string) []string {
	return []string{
		createRole(GroupRole, "NOLOGIN"),
		fmt.Sprintf("REVOKE ALL ON DATABASE %s FROM PUBLIC", quote(database)),
		fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s", quote(database), quote(GroupRole)),
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
		fmt.Sprintf("CREATE SCHEMA IF NOT EXISTS %s", quote(ExtensionSchema)),
		fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO PUBLIC", quote(ExtensionSchema)),
		fmt.Sprintf("CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA %s", quote(ExtensionSchema)),
		fmt.Sprintf("CREATE EXTENSION IF NOT EXISTS unaccent SCHEMA %s", quote(ExtensionSchema)),
	}
}

func (c Component) statements() ([]string, error) {
	schema, owner, login := quote(c.Name), quote(OwnerRole(c.Name)), quote(LoginRole(c.Name))
	kind := "LOGIN"
	if len(c.Logins) > 0 && c.Password == "" {
		kind = "NOLOGIN"
	}
	statements := []string{
		createRole(OwnerRole(c.Name), "NOLOGIN"),
		createRole(LoginRole(c.Name), kind),
		fmt.Sprintf("GRANT %s TO CURRENT_USER", owner),
		fmt.Sprintf("GRANT %s TO %s", quote(GroupRole), login),
		fmt.Sprintf("CREATE SCHEMA IF NOT EXISTS %s AUTHORIZATION %s", schema, owner),
		fmt.Sprintf("REVOKE ALL ON SCHEMA %s FROM PUBLIC", schema),
		fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s", schema, login),
		fmt.Sprintf("ALTER ROLE %s SET search_path = %s", owner, searchPath(c.Name)),
		fmt.Sprintf("ALTER ROLE %s SET search_path = %s", login, searchPath(c.Name)),
	}
	// Tables made by earlier migrations get their rights again, tables to come get them when they are made.
	for _, grant := range []struct{ rights, objects string }{
		{"SELECT, INSERT, UPDATE, DELETE", "TABLES"}, {"USAGE, SELECT", "SEQUENCES"}, {"EXECUTE", "FUNCTIONS"},
	} {
		statements = append(statements, fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA %s GRANT %s ON %s TO %s",
			owner, schema, grant.rights, grant.objects, login))
	}
	statements = append(statements,
		fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s REVOKE ALL ON FUNCTIONS FROM PUBLIC", owner))
	logins := c.Logins
	if c.Password != "" {
		logins = append([]Login{{Role: LoginRole(c.Name), Password: c.Password}}, logins...)
	}
	for _, l := range logins {
		made, err := l.statements(c.Name)
		if err != nil {
			return nil, err
		}
		statements = append(statements, made...)
	}
	return statements, nil
}

func createRole(name, kind string) string {
	return fmt.Sprintf("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %s) THEN CREATE ROLE %s %s "+
		"NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS; END IF; END $$", literal(name), quote(name), kind)
}

// How often a waiting migration looks whether the lock is free. It polls rather than waits in the server, because a
// waiting statement holds a snapshot that CREATE INDEX CONCURRENTLY in the other process would wait for.
const lockPoll = 50 * time.Millisecond
