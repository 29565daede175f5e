// Command bench measures a shop against a bare Go and pgx handler that runs the
// same SQL, on the same database, in the same run on the same machine. It prints
// requests per second, the ratio to the bare handler, latencies, errors,
// transactions, allocations and processor time per request, memory and time to ready.
//
//	go run ./test/bench -seconds 10
//
// The load comes from wrk (Debian's package) over loopback. Figures are for
// reading: no test asserts them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

const connections = 32

type options struct {
	seconds  int
	products int
	rounds   int
	keep     bool
	only     string
	profile  string
	dearest  int
}

func main() {
	var o options
	flag.IntVar(&o.seconds, "seconds", 8, "length of one measurement, in seconds")
	flag.IntVar(&o.products, "products", 10_000, "products in the catalog")
	flag.IntVar(&o.rounds, "rounds", 2, "how often bare and platform are measured in turn")
	flag.BoolVar(&o.keep, "keep", false, "keep the data folder")
	flag.StringVar(&o.only, "only", "", "measure the cases whose name contains this")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of the platform under load to this file")
	flag.IntVar(&o.dearest, "statements", 0, "print that many statements that took PostgreSQL most of its time under the platform's load")
	bare := flag.String("bare", "", "serve the bare handler on this database (used by the benchmark itself)")
	listen := flag.String("listen", "", "address of the bare handler")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *bare != "" {
		err = serveBare(ctx, *bare, *listen)
	} else {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to clean up
	}
}

func run(ctx context.Context, o options) (err error) {
	folder, err := os.MkdirTemp("", "commerce-bench-")
	if err != nil {
		return err
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		return err
	}
	if !o.keep {
		defer func() { _ = os.RemoveAll(folder) }()
	}
	settings := map[string]string{}
	if o.dearest > 0 {
		settings["shared_preload_libraries"] = "pg_stat_statements"
		settings["pg_stat_statements.track_planning"] = "on"
	}
	s, err := startStack(ctx, folder, settings)
	if err != nil {
		return err
	}
	defer func() {
		if stopped := s.stop(); err == nil {
			err = stopped
		}
	}()
	fmt.Printf("time to ready, empty folder     %6.1f s\n", s.cold.Seconds())
	fmt.Printf("time to ready, second start     %6.1f s\n", s.warm.Seconds())
	time.Sleep(3 * time.Second)
	fmt.Printf("resident memory, idle           %6.1f MiB (without PostgreSQL)\n\n", float64(s.resident())/(1<<20))
	ids, err := s.seed(ctx, o.products)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if o.dearest > 0 {
		if _, err := s.pool.Exec(ctx, "CREATE EXTENSION pg_stat_statements"); err != nil {
			return err
		}
	}
	if err := s.startBare(ctx); err != nil {
		return fmt.Errorf("bare handler: %w", err)
	}
	fmt.Printf("%d products, %d connections, %d × %d s each, bare and platform in turn\n", o.products, connections, o.rounds, o.seconds)
	fmt.Printf("%-34s %9s %9s %7s %8s %8s %8s %7s %8s %9s %7s %8s\n", "", "bare/s", "ours/s", "ratio", "p50 ms", "p95 ms", "p99 ms", "errors", "tx/req", "allocs/req", "cpu ms", "bare cpu")
	for _, c := range cases(ids) {
		if !strings.Contains(c.name, o.only) {
			continue
		}
		if err := s.measure(ctx, c, o); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	fmt.Printf("\nresident memory, after the load %6.1f MiB (without PostgreSQL)\n", float64(s.resident())/(1<<20))
	return nil
}
