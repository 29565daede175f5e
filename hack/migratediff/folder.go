package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ariga.io/atlas/sql/migrate"
)

const embedSource = `// Package migrations holds the versioned migrations of the %s component's schema.
package migrations

import "embed"

// FS holds the migrations in goose's format; they run as the schema's owner.
//
//go:embed *.sql
var FS embed.FS
`

// prepareFolder makes the folder and the package that embeds it, for a component's first migration.
func prepareFolder(dir, component string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, "migrations.go")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return os.WriteFile(path, fmt.Appendf(nil, embedSource, component), 0o644)
}

// verifySum fails when a migration was changed, added or removed without saying so. Two branches that both add one
// conflict in atlas.sum, which is its purpose.
func verifySum(dir string) error {
	local, err := migrate.NewLocalDir(dir)
	if err != nil {
		return err
	}
	err = migrate.Validate(local)
	if err == nil {
		return nil
	}
	component := filepath.Base(filepath.Dir(dir))
	detail := err.Error()
	if checksum, ok := errors.AsType[*migrate.ChecksumError](err); ok {
		detail = fmt.Sprintf("%s was changed, added or removed", checksum.File)
	}
	return fmt.Errorf("%s/atlas.sum: %s; applied migrations never change; for a new one run `go run ./hack/migratediff --hash %s`",
		dir, detail, component)
}

func writeSum(dir string) error {
	local, err := migrate.NewLocalDir(dir)
	if err != nil {
		return err
	}
	sum, err := local.Checksum()
	if err != nil {
		return err
	}
	return migrate.WriteSumFile(local, sum)
}
