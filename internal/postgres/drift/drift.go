// Package drift finds what tells a migrated schema from the schema that Ent
// describes, and plans the statements that would close the gap.
//
// Both sides are inspected in a real server, so that defaults, checks and index
// predicates are compared in the server's own spelling. Migrations may say more
// than Ent can: indexes, check constraints, functions and triggers that only they
// know are left alone, and so are tables and columns whose comment starts with
// "unmanaged".
package drift

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"
	atlas "ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
)

// Marker starts the comment of a table or column that belongs to a migration alone.
const Marker = "unmanaged"

// Plan answers the statements that bring the component's schema in migrated to what tables describe; there are none
// when they agree. Both handles act as the schema's owner (postgres.OpenOwner) in databases with the same migrations; the
// component's tables in scratch are replaced by what Ent would make, and what its defaults call stays.
func Plan(ctx context.Context, migrated, scratch *sql.DB, component string, tables []*schema.Table) (*migrate.Plan, error) {
	maker, err := schema.NewMigrate(entsql.OpenDB(dialect.Postgres, scratch))
	if err != nil {
		return nil, fmt.Errorf("drift: %w", err)
	}
	if err := dropTables(ctx, scratch); err != nil {
		return nil, fmt.Errorf("drift: clear the scratch schema: %w", err)
	}
	if err := maker.Create(ctx, tables...); err != nil {
		return nil, fmt.Errorf("drift: make the tables of Ent: %w", err)
	}
	driver, current, err := inspect(ctx, migrated, component)
	if err != nil {
		return nil, fmt.Errorf("drift: inspect the migrated schema: %w", err)
	}
	_, desired, err := inspect(ctx, scratch, component)
	if err != nil {
		return nil, fmt.Errorf("drift: inspect the schema of Ent: %w", err)
	}
	if err := errors.Join(canonise(ctx, migrated, current), canonise(ctx, scratch, desired)); err != nil {
		return nil, fmt.Errorf("drift: canonical expressions: %w", err)
	}
	changes, err := driver.SchemaDiff(current, desired, atlas.DiffNormalized())
	if err != nil {
		return nil, fmt.Errorf("drift: compare: %w", err)
	}
	changes = relevant(changes)
	if err := identities(changes); err != nil {
		return nil, err
	}
	if len(changes) == 0 {
		return &migrate.Plan{}, nil
	}
	spellAsEnt(desired, tables)
	// Statements name no schema: migrations run with the component's search path.
	plan, err := driver.PlanChanges(ctx, component, changes, func(options *migrate.PlanOptions) {
		unqualified := ""
		options.SchemaQualifier = &unqualified
	})
	if err != nil {
		return nil, fmt.Errorf("drift: plan: %w", err)
	}
	return plan, nil
}

// dropTables keeps functions, types and free sequences, which tables of Ent may use and Ent does not make.
func dropTables(ctx context.Context, scratch *sql.DB) error {
	_, err := scratch.ExecContext(ctx, `DO $$
		DECLARE name text;
		BEGIN
			FOR name IN SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
			LOOP
				EXECUTE format('DROP TABLE IF EXISTS %I CASCADE', name);
			END LOOP;
		END $$`)
	return err
}

func inspect(ctx context.Context, db *sql.DB, component string) (migrate.Driver, *atlas.Schema, error) {
	driver, err := postgres.Open(db)
	if err != nil {
		return nil, nil, err
	}
	found, err := driver.InspectSchema(ctx, component, &atlas.InspectOptions{
		Mode: atlas.InspectSchemas | atlas.InspectTables,
		// The tables that every component has and the records of the migrations.
		Exclude: []string{"outbox", "inbox", "idempotency_key", "audit_log", "river_*", "goose_*"},
	})
	return driver, found, err
}

// identities refuses what has no statement that could be undone: a column that became or ceased to be an identity.
func identities(changes []atlas.Change) error {
	for _, change := range changes {
		table, ok := change.(*atlas.ModifyTable)
		if !ok {
			continue
		}
		for _, change := range table.Changes {
			if column, ok := change.(*atlas.ModifyColumn); ok && column.Change.Is(atlas.ChangeAttr) {
				return fmt.Errorf("drift: %s.%s is an identity column on one side only: where callers give the id, annotate "+
					"the field with entsql.Annotation{Incremental: new(false)}; else write the migration by hand", table.T.Name, column.To.Name)
			}
		}
	}
	return nil
}

func relevant(changes []atlas.Change) []atlas.Change {
	return slices.DeleteFunc(changes, func(change atlas.Change) bool {
		switch change := change.(type) {
		case *atlas.ModifySchema:
			return true
		case *atlas.DropTable:
			return unmanaged(change.T.Attrs)
		case *atlas.ModifyTable:
			change.Changes = relevant(change.Changes)
			return len(change.Changes) == 0
		case *atlas.DropColumn:
			return unmanaged(change.C.Attrs)
		case *atlas.DropIndex, *atlas.DropCheck:
			return true
		case *atlas.DropForeignKey:
			// Ent has no name for a foreign key that is the primary key too. Its own names never end like PostgreSQL's.
			return strings.HasSuffix(change.F.Symbol, "_fkey")
		case *atlas.AddAttr:
			return isComment(change.A)
		case *atlas.ModifyAttr:
			return isComment(change.From)
		case *atlas.DropAttr:
			return isComment(change.A)
		case *atlas.ModifyColumn:
			change.Change &^= atlas.ChangeComment
			return change.Change == atlas.NoChange
		default:
			return false
		}
	})
}

// Comments are for readers of the database; Ent keeps its own in Go.
func isComment(attribute atlas.Attr) bool {
	_, ok := attribute.(*atlas.Comment)
	return ok
}

func unmanaged(attributes []atlas.Attr) bool {
	return slices.ContainsFunc(attributes, func(attribute atlas.Attr) bool {
		comment, ok := attribute.(*atlas.Comment)
		return ok && strings.HasPrefix(comment.Text, Marker)
	})
}
