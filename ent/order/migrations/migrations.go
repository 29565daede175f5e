// Package migrations holds the versioned migrations of the order component's schema.
package migrations

import "embed"

// FS holds the migrations in goose's format; they run as the schema's owner.
//
//go:embed *.sql
var FS embed.FS
