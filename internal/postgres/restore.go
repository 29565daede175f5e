package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// PrepareRestore makes, in the database of adminURL, what a dump of the
// components' schemas refers to and does not hold: the roles, which cannot log in
// yet, and the extensions. Bootstrap completes the roles afterwards.
func PrepareRestore(ctx context.Context, adminURL string, components []string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("postgres: prepare a restore: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	statements := databaseStatements(conn.Config().Database)
	for _, component := range components {
		if err := checkName(component); err != nil {
			return err
		}
		owner, login := OwnerRole(component), LoginRole(component)
		statements = slices.Concat(statements, []string{
			createRole(owner, "NOLOGIN"),
			createRole(login, "NOLOGIN"),
			fmt.Sprintf("GRANT %s TO CURRENT_USER", quote(owner)),
			fmt.Sprintf("GRANT %s TO %s", quote(GroupRole), quote(login)),
		})
	}
	if err := inLock(ctx, conn, statements); err != nil {
		return fmt.Errorf("postgres: prepare database %s for a restore: %w", conn.Config().Database, err)
	}
	return nil
}
