package pgtest_test

import (
	"testing"

	"github.com/commercestack/commercestack/internal/pgtest"
)

// BenchmarkNew is what a test pays for its database.
func BenchmarkNew(b *testing.B) {
	pgtest.New(b, "order", nil)
	for b.Loop() {
		pgtest.New(b, "order", nil)
	}
}
