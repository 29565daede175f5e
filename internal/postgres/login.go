package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Login is one of the roles that a component may log in as.
type Login struct {
	// Role is one of LoginRoles.
	Role string
	// Password of the role: printable ASCII.
	Password string
}

// LoginRoles are the roles that a component may log in as: the one that holds
// its rights, and two members of that one which alternate, so that a password
// is changed while processes with the old one still run.
func LoginRoles(component string) []string {
	return []string{LoginRole(component), LoginRole(component) + "_a", LoginRole(component) + "_b"}
}

func checkLogin(component, role string) error {
	if err := checkName(component); err != nil {
		return err
	}
	if all := LoginRoles(component); !slices.Contains(all, role) {
		return fmt.Errorf("postgres: component %s does not log in as %s, but as one of %s", component, role, strings.Join(all, ", "))
	}
	return nil
}

// statements let the role log in with its password. A member of the pair gets
// the rights of the component's own role.
func (l Login) statements(component string) ([]string, error) {
	if err := checkLogin(component, l.Role); err != nil {
		return nil, err
	}
	verifier, err := scramVerifier(l.Password)
	if err != nil {
		return nil, err
	}
	var statements []string
	if l.Role != LoginRole(component) {
		statements = []string{
			createRole(l.Role, "NOLOGIN"),
			fmt.Sprintf("GRANT %s TO %s", quote(LoginRole(component)), quote(l.Role)),
			fmt.Sprintf("ALTER ROLE %s SET search_path = %s", quote(l.Role), searchPath(component)),
		}
	}
	return append(statements, fmt.Sprintf("ALTER ROLE %s LOGIN PASSWORD %s", quote(l.Role), literal(verifier))), nil
}

// SetLogin sets the password of the role that loginURL names, lets it log in
// and logs in with it. The component's schema exists. It can be repeated after
// a crash at any point.
func SetLogin(ctx context.Context, adminURL, component, loginURL string) error {
	config, err := pgx.ParseConfig(loginURL)
	if err != nil {
		return fmt.Errorf("postgres: set login of %s: %w", component, err)
	}
	if config.Password == "" {
		return fmt.Errorf("postgres: set login of %s: the address has no password", component)
	}
	statements, err := Login{Role: config.User, Password: config.Password}.statements(component)
	if err != nil {
		return err
	}
	if err := asAdmin(ctx, adminURL, func(conn *pgx.Conn) error { return inLock(ctx, conn, statements) }); err != nil {
		return fmt.Errorf("postgres: set login %s: %w", config.User, err)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("postgres: log in as %s: %w", config.User, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var allowed bool
	if err := conn.QueryRow(ctx, "SELECT has_schema_privilege($1, 'USAGE')", component).Scan(&allowed); err != nil {
		return fmt.Errorf("postgres: log in as %s: %w", config.User, err)
	}
	if !allowed {
		return fmt.Errorf("postgres: %s logs in and may not use the schema %s", config.User, component)
	}
	return nil
}

// ErrInUse says that a role still has sessions.
var ErrInUse = errors.New("the role is in use")

// How often sessions are counted while they are waited for.
const sessionPoll = 500 * time.Millisecond

// RetireLogin waits until nobody is logged in as the role, then takes away its
// right to log in and its password. When ctx ends before, it fails with
// ErrInUse and changes nothing. A role that does not exist is retired already.
// It refuses the last role that the component can log in as.
func RetireLogin(ctx context.Context, adminURL, component, role string) error {
	if err := checkLogin(component, role); err != nil {
		return err
	}
	err := asAdmin(context.WithoutCancel(ctx), adminURL, func(conn *pgx.Conn) error {
		r := retirement{conn: conn, component: component, role: role}
		for {
			done, err := r.try(context.WithoutCancel(ctx))
			if err != nil || done {
				return err
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%w: %d sessions", ErrInUse, r.sessions)
			case <-time.After(sessionPoll):
			}
		}
	})
	if err != nil {
		return fmt.Errorf("postgres: retire login %s: %w", role, err)
	}
	return nil
}

type retirement struct {
	conn            *pgx.Conn
	component, role string
	sessions        int
}

// try retires the role unless it has sessions. Logging in is forbidden first
// and sessions are counted again: one that came in between gets its right back,
// since its process would not survive without.
func (r *retirement) try(ctx context.Context) (done bool, err error) {
	var exists, others bool
	err = r.conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
		EXISTS (SELECT FROM pg_roles WHERE rolname = ANY ($2) AND rolname <> $1 AND rolcanlogin)`, r.role, LoginRoles(r.component)).
		Scan(&exists, &others)
	switch {
	case err != nil:
		return false, err
	case !exists:
		return true, nil
	case !others:
		return false, fmt.Errorf("%s has no other role to log in as", r.component)
	}
	if free, err := r.free(ctx); err != nil || !free {
		return false, err
	}
	if err := inLock(ctx, r.conn, []string{"ALTER ROLE " + quote(r.role) + " NOLOGIN"}); err != nil {
		return false, err
	}
	free, err := r.free(ctx)
	if err != nil {
		return false, err
	}
	if !free {
		return false, inLock(ctx, r.conn, []string{"ALTER ROLE " + quote(r.role) + " LOGIN"})
	}
	return true, inLock(ctx, r.conn, []string{"ALTER ROLE " + quote(r.role) + " PASSWORD NULL"})
}

func (r *retirement) free(ctx context.Context) (bool, error) {
	err := r.conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", r.role).Scan(&r.sessions)
	return r.sessions == 0, err
}

func asAdmin(ctx context.Context, adminURL string, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return f(conn)
}

// inLock runs the statements in one transaction, and again when another
// process changed the same roles meanwhile.
func inLock(ctx context.Context, conn *pgx.Conn, statements []string) error {
	for attempt := 1; ; attempt++ {
		err := bootstrap(ctx, conn, statements)
		if err == nil || !concurrentCatalogChange(err) || attempt == bootstrapAttempts {
			return err
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
}
