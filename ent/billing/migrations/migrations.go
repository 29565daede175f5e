// Package migrations holds the versioned migrations of billing's schema.
package migrations

import "embed"

// FS holds goose SQL migrations.
//
//go:embed *.sql
var FS embed.FS
