package drift

import (
	"context"
	"database/sql"
	"fmt"

	"ariga.io/atlas/sql/postgres"
	atlas "ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/dialect/sql/schema"
	"github.com/jackc/pgx/v5"
)

// The server prints `state IN ('A', 'B')` in one way, and that print, read again, in another. Printing and reading
// until nothing changes gives every spelling of an expression the same text.
const maxRounds = 5

// canonise rewrites the check constraints and index predicates of an inspected schema to their canonical text.
func canonise(ctx context.Context, db *sql.DB, inspected *atlas.Schema) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing is meant to stay
	for _, table := range inspected.Tables {
		for _, expression := range expressions(table) {
			if *expression, err = canonical(ctx, tx, table.Name, *expression); err != nil {
				return fmt.Errorf("table %s: %w", table.Name, err)
			}
		}
	}
	return nil
}

// expressions answers the conditions over the rows of a table.
func expressions(table *atlas.Table) []*string {
	var found []*string
	for _, attribute := range table.Attrs {
		if check, ok := attribute.(*atlas.Check); ok {
			found = append(found, &check.Expr)
		}
	}
	for _, index := range table.Indexes {
		for _, attribute := range index.Attrs {
			if predicate, ok := attribute.(*postgres.IndexPredicate); ok {
				found = append(found, &predicate.P)
			}
		}
	}
	return found
}

func canonical(ctx context.Context, tx *sql.Tx, table, expression string) (string, error) {
	name := pgx.Identifier{table}.Sanitize()
	for range maxRounds {
		// NOT VALID: the rows that are there do not matter.
		_, err := tx.ExecContext(ctx, fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT drift_probe CHECK (%s) NOT VALID", name, expression))
		if err != nil {
			return "", err
		}
		var printed string
		err = tx.QueryRowContext(ctx, "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint "+
			"WHERE conname = 'drift_probe' AND conrelid = $1::regclass", name).Scan(&printed)
		if err != nil {
			return "", err
		}
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT drift_probe", name)); err != nil {
			return "", err
		}
		if printed == expression {
			break
		}
		expression = printed
	}
	return expression, nil
}

// spellAsEnt gives the expressions of the desired schema, once compared, the text of the Ent schema, which people wrote.
func spellAsEnt(desired *atlas.Schema, tables []*schema.Table) {
	for _, table := range tables {
		inspected, found := desired.Table(table.Name)
		if !found {
			continue
		}
		checks := map[string]string{}
		if table.Annotation != nil {
			checks = table.Annotation.Checks
		}
		for _, attribute := range inspected.Attrs {
			if check, ok := attribute.(*atlas.Check); ok && checks[check.Name] != "" {
				check.Expr = checks[check.Name]
			}
		}
		for _, index := range table.Indexes {
			spellIndex(inspected, index.Name, index.Annotation)
		}
	}
}

func spellIndex(table *atlas.Table, name string, annotation *entsql.IndexAnnotation) {
	if annotation == nil || annotation.Where == "" {
		return
	}
	inspected, found := table.Index(name)
	if !found {
		return
	}
	for _, attribute := range inspected.Attrs {
		if predicate, ok := attribute.(*postgres.IndexPredicate); ok {
			predicate.P = annotation.Where
		}
	}
}
