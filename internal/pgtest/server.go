package pgtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/commercestack/commercestack/internal/pgserver"
)

const startTimeout = 2 * time.Minute

var (
	running   *pgserver.Throwaway
	errStart  error
	startOnce sync.Once
)

// Main runs the tests of a package, stops its server, and fails the package when goroutines are left.
func Main(m *testing.M, options ...goleak.Option) {
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(options...); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func stop() error {
	if running == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return running.Stop(ctx)
}

func server(t testing.TB) *pgserver.Throwaway {
	t.Helper()
	startOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		running, errStart = pgserver.StartThrowaway(ctx)
	})
	if errStart != nil {
		t.Fatalf("start PostgreSQL: %v", errStart)
	}
	return running
}
