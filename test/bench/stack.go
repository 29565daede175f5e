package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/commercestack/commercestack/internal/pgserver"
)

// stack is the platform and the bare handler as processes of their own, and the
// database between them.
type stack struct {
	postgres   *pgserver.Server
	pool       *pgxpool.Pool
	program    string
	folder     string
	shop       *exec.Cmd
	address    string
	metrics    string
	bare       *exec.Cmd
	bareAddr   string
	cold, warm time.Duration
}

const (
	adminEmail    = "admin@example.com"
	adminPassword = "benchmark administrator"
	waitReady     = time.Minute
)

// startStack builds the program, starts PostgreSQL as commerce up would, and
// starts the shop twice to see both times to ready.
func startStack(ctx context.Context, folder string, settings map[string]string) (s *stack, err error) {
	s = &stack{folder: folder, program: filepath.Join(folder, "commerce")}
	defer func() {
		if err != nil {
			_ = s.stop()
		}
	}()
	build := exec.CommandContext(ctx, "go", "build", "-o", s.program, "./cmd/commerce")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return s, fmt.Errorf("build: %w", err)
	}
	if s.postgres, err = pgserver.Start(ctx, pgserver.Config{
		DataDir: filepath.Join(folder, "postgres"), Settings: settings,
	}); err != nil {
		return s, err
	}
	if s.address, err = freeAddress(); err != nil {
		return s, err
	}
	if s.metrics, err = freeAddress(); err != nil {
		return s, err
	}
	if s.cold, err = s.startShop(ctx); err != nil {
		return s, err
	}
	if err := interrupt(s.shop); err != nil {
		return s, err
	}
	if s.warm, err = s.startShop(ctx); err != nil {
		return s, err
	}
	s.pool, err = pgxpool.New(ctx, s.postgres.URL("postgres"))
	return s, err
}

// startShop runs commerce up with its rate limits off: all load comes from one address.
func (s *stack) startShop(ctx context.Context) (time.Duration, error) {
	s.shop = exec.CommandContext(ctx, s.program, "up", "--listen", s.address, "--metrics-listen", s.metrics, "--data", s.folder, "--no-demo",
		"--log-level", "error", "--admin-email", adminEmail, "--gateway-rate-limits", "read=0", "--gateway-rate-limits", "write=0")
	s.shop.Env = append(os.Environ(), "COMMERCE_ADMIN_PASSWORD="+adminPassword, "DATABASE_URL="+s.postgres.URL("postgres"))
	s.shop.Stderr = os.Stderr
	return awaitStart(ctx, s.shop, "http://"+s.address+"/readyz")
}

// startBare runs this program again as the handler to compare with.
func (s *stack) startBare(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if s.bareAddr, err = freeAddress(); err != nil {
		return err
	}
	s.bare = exec.CommandContext(ctx, self, "-bare", s.postgres.URL("postgres"), "-listen", s.bareAddr)
	s.bare.Stderr = os.Stderr
	_, err = awaitStart(ctx, s.bare, "http://"+s.bareAddr+"/ready")
	return err
}

func awaitStart(ctx context.Context, command *exec.Cmd, probe string) (time.Duration, error) {
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGINT) }
	command.WaitDelay = 30 * time.Second
	started := time.Now()
	if err := command.Start(); err != nil {
		return 0, err
	}
	for time.Since(started) < waitReady {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, probe, nil)
		if err != nil {
			return 0, err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return time.Since(started), nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return 0, fmt.Errorf("%s is not ready", command.Path)
}

func interrupt(command *exec.Cmd) error {
	if command == nil || command.Process == nil {
		return nil
	}
	if err := command.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	var exit *exec.ExitError
	if err := command.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

func (s *stack) stop() error {
	all := []error{interrupt(s.bare), interrupt(s.shop)}
	if s.pool != nil {
		s.pool.Close()
	}
	if s.postgres != nil {
		all = append(all, s.postgres.Stop(context.Background()))
	}
	return errors.Join(all...)
}

// resident is the resident memory of the shop's process in bytes.
func (s *stack) resident() int64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.shop.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// counters are read before and after a measurement.
type counters struct {
	transactions, allocations float64
	// cpu is the time of the server, and of PostgreSQL for it, in seconds.
	cpu float64
}

// cpu is the processor time that a process and PostgreSQL have used, in seconds.
func (s *stack) cpu(server *exec.Cmd) (float64, error) {
	total := 0.0
	postmaster := s.postgres.PID()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", postmaster, postmaster))
	if err != nil {
		return 0, err
	}
	for _, pid := range append(strings.Fields(string(children)), strconv.Itoa(postmaster), strconv.Itoa(server.Process.Pid)) {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%s/stat", pid))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a backend that ended is in the sum of its parent
		}
		if err != nil {
			return 0, err
		}
		// proc(5): the name, which is in parentheses, is followed by the third field; utime to cstime are the 14th to the 17th.
		_, rest, _ := strings.Cut(string(content), ") ")
		for _, field := range strings.Fields(rest)[11:15] {
			ticks, err := strconv.ParseFloat(field, 64)
			if err != nil {
				return 0, err
			}
			total += ticks / ticksPerSecond
		}
	}
	return total, nil
}

// ticksPerSecond is the unit of times in /proc on every Linux of today.
const ticksPerSecond = 100

func (s *stack) counters(ctx context.Context) (counters, error) {
	var c counters
	var err error
	if c.cpu, err = s.cpu(s.shop); err != nil {
		return c, err
	}
	// Statistics are flushed by the backends up to a second late.
	time.Sleep(1100 * time.Millisecond)
	err = s.pool.QueryRow(ctx, "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()").Scan(&c.transactions)
	if err != nil {
		return c, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.metrics+"/metrics", nil)
	if err != nil {
		return c, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return c, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return c, err
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "go_memstats_mallocs_total "); ok {
			c.allocations, err = strconv.ParseFloat(value, 64)
		}
	}
	return c, err
}

// seed fills the catalog by SQL, as a restore would: ten thousand API calls
// would only measure themselves. The stock is plentiful.
func (s *stack) seed(ctx context.Context, n int) ([]string, error) {
	statements := []string{
		`SET search_path = product, extensions`,
		`INSERT INTO product (id, slug, sku, name, description, currency_code, price_minor, status, create_time, update_time)
		 SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'bench-' || i, 'BENCH-' || i, 'Bench product ' || i,
		        'A product of the benchmark, number ' || i || ', with a description of ordinary length that people might read.',
		        'EUR', 100 + i, 'ACTIVE', now() - make_interval(secs => i), now()
		 FROM generate_series(1, ` + strconv.Itoa(n) + `) AS i`,
		`INSERT INTO stock_level (product_id, on_hand, reserved) SELECT id, 1000000, 0 FROM product WHERE slug LIKE 'bench-%'
		 ON CONFLICT (product_id) DO UPDATE SET on_hand = 1000000`,
		`INSERT INTO stock_entry (id, product_id, kind, on_hand_delta, reserved_delta, reason, create_time)
		 SELECT ('01900000-0000-7000-9000-' || right(id::text, 12))::uuid, id, 'ADJUSTED', 1000000, 0, 'benchmark', now() FROM product WHERE slug LIKE 'bench-%'`,
		// Only what was filled: a table that was empty when it was analyzed is planned
		// as empty until it is analyzed again, and orders would read it from end to end.
		`ANALYZE product, stock_level`,
		`CREATE SCHEMA IF NOT EXISTS bench`,
		`CREATE TABLE bench.stock (product_id uuid PRIMARY KEY, on_hand bigint NOT NULL, reserved bigint NOT NULL, CHECK (reserved <= on_hand))`,
		`INSERT INTO bench.stock SELECT id, 1000000, 0 FROM product WHERE slug LIKE 'bench-%'`,
		`CREATE TABLE bench.orders (id uuid PRIMARY KEY, email text NOT NULL, product_id uuid NOT NULL, quantity bigint NOT NULL, total bigint NOT NULL, create_time timestamptz NOT NULL)`,
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return nil, fmt.Errorf("%s: %w", statement[:min(60, len(statement))], err)
		}
	}
	rows, err := conn.Query(ctx, "SELECT id::text FROM product WHERE slug LIKE 'bench-%' ORDER BY id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// escape keeps query strings right.
func escape(text string) string { return url.QueryEscape(text) }

// dearest prints the statements that took PostgreSQL most of its time.
func (s *stack) dearest(ctx context.Context, n int) error {
	rows, err := s.pool.Query(ctx, `SELECT calls, rows, total_exec_time, mean_exec_time, plans, total_plan_time, left(regexp_replace(query, '\s+', ' ', 'g'), 110)
		FROM pg_stat_statements ORDER BY total_exec_time + total_plan_time DESC LIMIT $1`, n)
	if err != nil {
		return err
	}
	var calls, count, plans int64
	var total, mean, planning float64
	var query string
	fmt.Printf("%8s %8s %10s %8s %8s %10s\n", "calls", "rows", "total ms", "mean ms", "plans", "planning")
	_, err = pgx.ForEachRow(rows, []any{&calls, &count, &total, &mean, &plans, &planning, &query}, func() error {
		fmt.Printf("%8d %8d %10.1f %8.3f %8d %10.1f  %s\n", calls, count, total, mean, plans, planning, query)
		return nil
	})
	return err
}
