package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/commercestack/commercestack/internal/backup"
	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/services/stripesim"
)

// backupCommand groups the steps of backups. PostgreSQL's own programs run
// between them, in a container that shares the work folder:
//
//	prepare, pg_dump, create
//	fetch, pg_restore, finish
//
// Each group can be run again from its beginning, whenever it died.
type backupCommand struct {
	Prepare backupPrepareCommand `cmd:"" help:"Before pg_dump: write down what belongs to the shop and how to reach it."`
	Create  backupCreateCommand  `cmd:"" help:"After pg_dump: seal and store the dump, and delete backups whose time is over."`
	List    backupListCommand    `cmd:"" help:"List the complete backups as JSON, oldest first."`
	Fetch   backupFetchCommand   `cmd:"" help:"Before pg_restore: open a backup, and make the database ready for it."`
	Finish  backupFinishCommand  `cmd:"" help:"After pg_restore: examine what was restored."`
	Prune   backupPruneCommand   `cmd:"" help:"Delete backups whose time is over, never the newest."`
	Verify  backupVerifyCommand  `cmd:"" help:"Examine a database: do stock, orders, payments and invoices agree?"`
}

// Names of files in the work folder.
const (
	workService  = "pg_service.conf"
	workSchemas  = "schemas"
	workHead     = "head.json"
	workDump     = "dump"
	workRestored = "restored"
	workState    = "state.json"
	workRoots    = "roots.crt"

	workMode = 0o640

	// systemRoots are the authorities of the platform's image.
	systemRoots = "/etc/ssl/certs/ca-certificates.crt"
)

// backupPlace is where backups are kept.
type backupPlace struct {
	URL    string `required:"" env:"COMMERCE_BACKUP_URL" help:"Object storage: file:///folder or s3://bucket?region=…"`
	Folder string `default:".backups" env:"COMMERCE_BACKUP_FOLDER" help:"Folder in it."`
}

func (p backupPlace) open(ctx context.Context) (*backup.Repository, error) {
	return backup.Open(ctx, p.URL, p.Folder)
}

// backupDatabase is the database that is backed up or restored into.
type backupDatabase struct {
	AdminURL string `required:"" env:"COMMERCE_DATABASE_ADMIN_URL" help:"PostgreSQL with a role that may read every schema, and to restore may create roles, schemas and databases."`
}

func (d backupDatabase) database() backup.Database {
	return backup.Database{URL: d.AdminURL, Schemas: shopSchemas()}
}

// shopSchemas are the schemas of a shop.
func shopSchemas() []string {
	schemas := []string{postgresbus.Schema, stripesim.Schema}
	for _, entry := range registry {
		if entry.migrations != nil {
			schemas = append(schemas, entry.name)
		}
	}
	return schemas
}

// workFolder is shared with PostgreSQL's programs.
type workFolder struct {
	Work string `default:"/var/lib/commerce/backup" env:"COMMERCE_BACKUP_WORK" help:"Folder for the dump while it is worked on."`
}

func (w workFolder) path(name string) string { return filepath.Join(w.Work, name) }

// write makes a file whole or absent.
func (w workFolder) write(name string, content []byte) error {
	next := w.path(name + ".new")
	if err := os.WriteFile(next, content, workMode); err != nil { //nolint:gosec // the folder is the caller's choice
		return err
	}
	return os.Rename(next, w.path(name))
}

func (w workFolder) writeJSON(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return w.write(name, text)
}

func (w workFolder) readJSON(name string, value any) error {
	text, err := os.ReadFile(w.path(name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, value); err != nil {
		return fmt.Errorf("%s in the work folder cannot be read: %w", name, err)
	}
	return nil
}

// writeService tells PostgreSQL's programs where the database is.
func (w workFolder) writeService(d backup.Database) error {
	service, needsRoots, err := d.ServiceFile(w.path(workRoots))
	if err != nil {
		return err
	}
	if needsRoots {
		roots, err := os.ReadFile(cmp.Or(os.Getenv("SSL_CERT_FILE"), systemRoots)) //nolint:gosec // as crypto/x509 does
		if err != nil {
			return fmt.Errorf("the database address names no authority, and the system has none: %w", err)
		}
		if err := w.write(workRoots, roots); err != nil {
			return err
		}
	}
	return w.write(workService, service)
}

// backupPrepareCommand runs before pg_dump.
type backupPrepareCommand struct {
	backupDatabase `embed:""`
	workFolder     `embed:""`
}

// Run implements the command.
func (c *backupPrepareCommand) Run(ctx context.Context) error {
	database := c.database()
	head, err := database.Probe(ctx)
	if err != nil {
		return err
	}
	if err := c.writeService(database); err != nil {
		return err
	}
	var options []string
	for _, schema := range head.Schemas {
		options = append(options, "--schema="+schema)
	}
	if err := c.write(workSchemas, []byte(strings.Join(options, "\n")+"\n")); err != nil {
		return err
	}
	return c.writeJSON(workHead, head)
}

// backupCreateCommand runs after pg_dump.
type backupCreateCommand struct {
	backupPlace        `embed:""`
	workFolder         `embed:""`
	EncryptionKeysFile string        `required:"" env:"COMMERCE_ENCRYPTION_KEYS_FILE" help:"Keys of the stack, of which the first one seals."`
	Retention          time.Duration `default:"720h" env:"COMMERCE_BACKUP_RETENTION" help:"How long backups are kept; the newest is kept for ever."`
}

// backupResult is what a backup leaves for the operator.
type backupResult struct {
	// ID of the backup.
	ID string `json:"id"`
	// SnapshotTime is the time of what is in it.
	SnapshotTime time.Time `json:"snapshotTime"`
	// Size that is stored, in bytes.
	Size int64 `json:"size"`
	// Pruned are older backups that were deleted.
	Pruned int `json:"pruned"`
}

// Run implements the command.
func (c *backupCreateCommand) Run(ctx context.Context, s streams) error {
	var head backup.Head
	if err := c.readJSON(workHead, &head); err != nil {
		return fmt.Errorf("nothing was prepared: %w", err)
	}
	ring, err := crypto.LoadKeyring(c.EncryptionKeysFile)
	if err != nil {
		return err
	}
	repository, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = repository.Close() }()
	dump, err := os.Open(c.path(workDump))
	if err != nil {
		return fmt.Errorf("there is no dump: %w", err)
	}
	defer func() { _ = dump.Close() }()
	m, err := repository.Create(ctx, ring, head, dump)
	if err != nil {
		return err
	}
	result := backupResult{ID: m.ID, SnapshotTime: m.SnapshotTime, Size: m.StoredSize}
	// The backup is complete: what cannot be deleted now is deleted the next time.
	gone, err := repository.Prune(ctx, time.Now(), c.Retention)
	if err != nil {
		fmt.Fprintln(s.err, "old backups stay:", err)
	}
	result.Pruned = len(gone)
	return tellResult(s.out, result)
}

// tellResult prints a result and leaves it where the operator looks for it.
func tellResult(to io.Writer, result any) error {
	text, err := json.Marshal(result)
	if err != nil {
		return err
	}
	leaveTermination(string(text))
	_, err = fmt.Fprintln(to, string(text))
	return err
}

// backupListCommand lists backups.
type backupListCommand struct {
	backupPlace `embed:""`
}

// Run implements the command.
func (c *backupListCommand) Run(ctx context.Context, s streams) error {
	repository, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = repository.Close() }()
	all, damaged, err := repository.List(ctx)
	if err != nil {
		return err
	}
	if all == nil {
		all = []backup.Manifest{}
	}
	if err := printJSON(s.out, all); err != nil {
		return err
	}
	if len(damaged) > 0 {
		return fmt.Errorf("%d manifests are damaged: %s", len(damaged), strings.Join(damaged, ", "))
	}
	return nil
}

// backupPruneCommand deletes old backups.
type backupPruneCommand struct {
	backupPlace `embed:""`
	Retention   time.Duration `required:"" env:"COMMERCE_BACKUP_RETENTION" help:"How long backups are kept; the newest is kept for ever."`
}

// Run implements the command.
func (c *backupPruneCommand) Run(ctx context.Context, s streams) error {
	repository, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = repository.Close() }()
	gone, err := repository.Prune(ctx, time.Now(), c.Retention)
	for _, id := range gone {
		fmt.Fprintln(s.out, id)
	}
	return err
}

// restoreState is what fetch leaves for finish.
type restoreState struct {
	// ID of the backup.
	ID string `json:"id"`
	// SnapshotTime is the time of what is in it.
	SnapshotTime time.Time `json:"snapshotTime"`
	// StartTime is when fetch began, by the server's clock.
	StartTime time.Time `json:"startTime"`
	// ScratchURL is the database of a drill.
	ScratchURL string `json:"scratchUrl,omitempty"`
	// Done says that the backup was restored earlier.
	Done bool `json:"done,omitempty"`
}

// backupFetchCommand runs before pg_restore.
type backupFetchCommand struct {
	backupPlace        `embed:""`
	backupDatabase     `embed:""`
	workFolder         `embed:""`
	EncryptionKeysFile string `required:"" env:"COMMERCE_ENCRYPTION_KEYS_FILE" help:"Keys, one of which the backup was sealed with."`
	ID                 string `default:"latest" env:"COMMERCE_BACKUP_ID" help:"Which backup."`
	Scratch            bool   `help:"Restore into a scratch database on the same server, which finish drops."`
}

// Run implements the command.
func (c *backupFetchCommand) Run(ctx context.Context) error {
	target := c.database()
	start, err := databaseClock(ctx, c.AdminURL)
	if err != nil {
		return err
	}
	ring, err := crypto.LoadKeyring(c.EncryptionKeysFile)
	if err != nil {
		return err
	}
	repository, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = repository.Close() }()
	m, err := repository.Find(ctx, c.ID)
	if err != nil {
		return err
	}
	if err := understood(m); err != nil {
		return err
	}
	state := restoreState{ID: m.ID, SnapshotTime: m.SnapshotTime, StartTime: start}
	// The dump comes first: one that does not open must not cost a database.
	if err := c.fetch(ctx, repository, ring, m); err != nil {
		return err
	}
	if c.Scratch {
		if target, err = target.Scratch(ctx, start); err != nil {
			return err
		}
		state.ScratchURL = target.URL
	} else {
		restored, done, err := target.Claim(ctx, m.ID)
		if err != nil {
			return err
		}
		state.ID, state.Done = cmp.Or(restored, m.ID), done
		if done {
			if err := c.write(workRestored, []byte(state.ID+"\n")); err != nil {
				return err
			}
		}
	}
	if !state.Done {
		if err := target.Prepare(ctx); err != nil {
			return err
		}
	}
	if err := c.writeService(target); err != nil {
		return err
	}
	return c.writeJSON(workState, state)
}

// fetch writes the opened dump, which is there only when it is whole.
func (c *backupFetchCommand) fetch(ctx context.Context, repository *backup.Repository, ring *crypto.Keyring, m backup.Manifest) (err error) {
	next := c.path(workDump + ".new")
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, workMode)
	if err != nil {
		return err
	}
	err = errors.Join(repository.Fetch(ctx, ring, m, file), file.Close())
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return os.Rename(next, c.path(workDump))
}

// understood refuses a backup of a newer program: its schemas would be ahead of
// what this one knows.
func understood(m backup.Manifest) error {
	for _, set := range migrationSets() {
		if have := m.Migrations[set.name]; set.newest > 0 && have > set.newest {
			return fmt.Errorf("%w: %s has migration %d, this program knows %d: restore with the version that made it, or a newer one",
				backup.ErrNewer, set.name, have, set.newest)
		}
	}
	return nil
}

// backupFinishCommand runs after pg_restore.
type backupFinishCommand struct {
	backupDatabase `embed:""`
	workFolder     `embed:""`
}

// restoreResult is what a restore leaves for the operator.
type restoreResult struct {
	// ID of the backup.
	ID string `json:"id"`
	// SnapshotTime is the time of what was restored.
	SnapshotTime time.Time `json:"snapshotTime"`
	// RPOSeconds is how old the backup was when the restore began.
	RPOSeconds int64 `json:"rpoSeconds"`
	// RTOSeconds is how long it took from then until everything was examined.
	RTOSeconds int64 `json:"rtoSeconds"`
}

// Run implements the command.
func (c *backupFinishCommand) Run(ctx context.Context, s streams) (err error) {
	var state restoreState
	if err := c.readJSON(workState, &state); err != nil {
		return fmt.Errorf("nothing was fetched: %w", err)
	}
	restored := c.AdminURL
	if state.ScratchURL != "" {
		restored = state.ScratchURL
		defer func() { err = errors.Join(c.database().DropScratch(context.WithoutCancel(ctx)), err) }()
	} else if err := c.database().Settle(ctx, state.ID); err != nil {
		return err
	}
	found, err := verifyDatabase(ctx, restored, state.SnapshotTime)
	if err != nil {
		return err
	}
	end, err := databaseClock(ctx, c.AdminURL)
	if err != nil {
		return err
	}
	if found.Violations > 0 {
		_ = printJSON(s.err, found)
		return fmt.Errorf("backup %s: %w", state.ID, found.broken())
	}
	return tellResult(s.out, restoreResult{
		ID: state.ID, SnapshotTime: state.SnapshotTime,
		RPOSeconds: seconds(state.StartTime.Sub(state.SnapshotTime)), RTOSeconds: seconds(end.Sub(state.StartTime)),
	})
}

// seconds rounds up: what took half a second did not take none.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
