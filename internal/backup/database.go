package backup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/postgres"
)

// Database is the database of a shop, seen by its administrator.
type Database struct {
	// URL of the administrator.
	URL string
	// Schemas that belong to the shop.
	Schemas []string
}

// connected runs f on one connection.
func (d Database) connected(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, d.URL)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return f(conn)
}

// Probe begins a backup: it says which time it is, what is there and how far it was migrated.
func (d Database) Probe(ctx context.Context) (head Head, err error) {
	err = d.connected(ctx, func(conn *pgx.Conn) error {
		var now time.Time
		var server string
		if err := conn.QueryRow(ctx, "SELECT clock_timestamp(), current_setting('server_version')").Scan(&now, &server); err != nil {
			return err
		}
		head = NewHead(now)
		head.Server = server
		if head.Schemas, err = d.present(ctx, conn); err != nil {
			return err
		}
		if len(head.Schemas) == 0 {
			return errors.New("backup: the database has no shop in it")
		}
		head.Migrations, err = migrations(ctx, conn, head.Schemas)
		return err
	})
	return head, err
}

// present are the shop's schemas that are there, sorted.
func (d Database) present(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, "SELECT nspname::text FROM pg_namespace WHERE nspname = ANY ($1) ORDER BY 1", d.Schemas)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// migrations are the newest versions that the tables of goose and River tell.
func migrations(ctx context.Context, conn *pgx.Conn, schemas []string) (map[string]int64, error) {
	rows, err := conn.Query(ctx, `SELECT schemaname::text, tablename::text FROM pg_tables
		WHERE schemaname = ANY ($1) AND (tablename ~ '^goose_' OR tablename = 'river_migration') ORDER BY 1, 2`, schemas)
	if err != nil {
		return nil, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Schema, Table string }])
	if err != nil {
		return nil, err
	}
	versions := map[string]int64{}
	for _, t := range tables {
		column, set := "version_id", strings.TrimPrefix(t.Table, "goose_")
		if t.Table == "river_migration" {
			column, set = "version", "river"
		}
		var newest int64
		query := "SELECT coalesce(max(" + column + "), 0) FROM " + pgx.Identifier{t.Schema, t.Table}.Sanitize()
		if err := conn.QueryRow(ctx, query).Scan(&newest); err != nil {
			return nil, err
		}
		versions[t.Schema+"/"+set] = newest
	}
	return versions, nil
}

// The note on a database into which a backup is restored.
const (
	noteRestoring = "commerce: restoring "
	noteRestored  = "commerce: restored "
)

// Claim makes sure that a backup may be restored into the database, and notes
// which. done says that it was restored before: the whole of it appears in one
// transaction, and nobody else writes before that. A database with a shop that
// does not come from a backup is refused.
func (d Database) Claim(ctx context.Context, id string) (restored string, done bool, err error) {
	err = d.connected(ctx, func(conn *pgx.Conn) error {
		there, err := d.present(ctx, conn)
		if err != nil {
			return err
		}
		note, err := readNote(ctx, conn)
		if err != nil {
			return err
		}
		if len(there) == 0 {
			return writeNote(ctx, conn, noteRestoring+id)
		}
		for _, prefix := range []string{noteRestored, noteRestoring} {
			if before, ok := strings.CutPrefix(note, prefix); ok && validID.MatchString(before) {
				restored, done = before, true
				return nil
			}
		}
		return fmt.Errorf("%w: it has the schema %s", ErrNotEmpty, there[0])
	})
	return restored, done, err
}

// Settle notes that a backup was restored.
func (d Database) Settle(ctx context.Context, id string) error {
	return d.connected(ctx, func(conn *pgx.Conn) error {
		there, err := d.present(ctx, conn)
		if err != nil {
			return err
		}
		if len(there) == 0 {
			return errors.New("backup: nothing was restored")
		}
		return writeNote(ctx, conn, noteRestored+id)
	})
}

func readNote(ctx context.Context, conn *pgx.Conn) (note string, err error) {
	err = conn.QueryRow(ctx, "SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = current_database()").Scan(&note)
	return note, err
}

func writeNote(ctx context.Context, conn *pgx.Conn, note string) error {
	_, err := conn.Exec(ctx, "COMMENT ON DATABASE "+pgx.Identifier{conn.Config().Database}.Sanitize()+" IS '"+strings.ReplaceAll(note, "'", "''")+"'")
	return err
}

// Prepare makes what the dump refers to and does not hold.
func (d Database) Prepare(ctx context.Context) error {
	return postgres.PrepareRestore(ctx, d.URL, d.Schemas)
}

// scratchName begins the names of scratch databases of a database.
func scratchName(database string) string { return "drill_" + database + "_" }

// Scratch makes an empty database beside the shop's, on the same server and with
// the same collation, and returns it. Those of earlier drills, which died before
// they could drop theirs, are dropped first: one drill runs at a time.
func (d Database) Scratch(ctx context.Context, now time.Time) (scratch Database, err error) {
	err = d.connected(ctx, func(conn *pgx.Conn) error {
		database := conn.Config().Database
		if err := dropScratch(ctx, conn, database); err != nil {
			return err
		}
		name := scratchName(database) + now.UTC().Format("20060102150405")
		var encoding, collate, ctype string
		err := conn.QueryRow(ctx, "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = current_database()").
			Scan(&encoding, &collate, &ctype)
		if err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, fmt.Sprintf("CREATE DATABASE %s TEMPLATE template0 ENCODING '%s' LC_COLLATE '%s' LC_CTYPE '%s'",
			pgx.Identifier{name}.Sanitize(), encoding, strings.ReplaceAll(collate, "'", "''"), strings.ReplaceAll(ctype, "'", "''"))); err != nil {
			return fmt.Errorf("backup: make a scratch database: %w", err)
		}
		location, err := url.Parse(d.URL)
		if err != nil {
			return errURL
		}
		location.Path = "/" + name
		scratch = Database{URL: location.String(), Schemas: d.Schemas}
		return nil
	})
	return scratch, err
}

// DropScratch drops the scratch databases of the shop's database.
func (d Database) DropScratch(ctx context.Context) error {
	return d.connected(ctx, func(conn *pgx.Conn) error { return dropScratch(ctx, conn, conn.Config().Database) })
}

var scratchTail = regexp.MustCompile(`^[0-9]{14}$`)

func dropScratch(ctx context.Context, conn *pgx.Conn, database string) error {
	rows, err := conn.Query(ctx, "SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)", scratchName(database))
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if !scratchTail.MatchString(strings.TrimPrefix(name, scratchName(database))) {
			continue
		}
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
			return fmt.Errorf("backup: drop a scratch database: %w", err)
		}
	}
	return nil
}

// errURL replaces errors that quote an address with its password.
var errURL = errors.New("backup: the database address is not a URL")

// ServiceName is the name under which ServiceFile describes the database.
const ServiceName = "commerce"

// ServiceFile is a pg_service.conf, by which PostgreSQL's programs find the
// database without a password on their command line. They know no authorities of
// the system: where the address names none, those in the file roots are trusted,
// and needsRoots says that the file must be there.
func (d Database) ServiceFile(roots string) (service []byte, needsRoots bool, err error) {
	location, err := url.Parse(d.URL)
	if err != nil || location.Host == "" {
		return nil, false, errURL
	}
	var hosts, ports []string
	for part := range strings.SplitSeq(location.Host, ",") {
		host, port, err := net.SplitHostPort(part)
		if err != nil {
			host, port = strings.Trim(part, "[]"), "5432"
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	password, _ := location.User.Password()
	lines := []string{
		"[" + ServiceName + "]", "host=" + strings.Join(hosts, ","), "port=" + strings.Join(ports, ","),
		"user=" + location.User.Username(), "password=" + password, "dbname=" + strings.TrimPrefix(location.Path, "/"),
	}
	for _, name := range slices.Sorted(maps.Keys(location.Query())) {
		// A pool's own settings are none of libpq's.
		if !strings.HasPrefix(name, "pool_") && name != "default_query_exec_mode" {
			lines = append(lines, name+"="+location.Query().Get(name))
		}
	}
	if needsRoots = strings.HasPrefix(location.Query().Get("sslmode"), "verify-") && location.Query().Get("sslrootcert") == ""; needsRoots {
		lines = append(lines, "sslrootcert="+roots)
	}
	for _, line := range lines {
		if strings.ContainsAny(line, "\r\n") {
			return nil, false, errURL
		}
	}
	return []byte(strings.Join(lines, "\n") + "\n"), needsRoots, nil
}
