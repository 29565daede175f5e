package observability_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

var statement = regexp.MustCompile(`(?m)^\$ sql "((?:[^"\\]|\\.)*)"$`)

// TestStatementsOfRunbooksRun runs every statement of the runbooks against the
// database of a running shop, in a transaction that is undone.
func TestStatementsOfRunbooksRun(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	connection, err := pgx.ConnectConfig(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close(t.Context()) }()
	ran := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range statement.FindAllStringSubmatch(string(text), -1) {
			sql := strings.NewReplacer(`\"`, `"`, "$COMPONENT", "order", "$SUBSCRIPTION", "notification").Replace(match[1])
			transaction, err := connection.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := transaction.Exec(t.Context(), sql); err != nil {
				t.Errorf("%s: %v\n%s", filepath.Base(file), err, sql)
			}
			if err := transaction.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			ran++
		}
	}
	if ran < 10 {
		t.Errorf("only %d statements were found", ran)
	}
}
