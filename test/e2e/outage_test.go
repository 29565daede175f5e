package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/commercestack/commercestack/internal/app"
	"github.com/commercestack/commercestack/internal/pgserver"
	"github.com/commercestack/commercestack/test/shop"
)

// childVariable makes the test binary run the program instead of the tests, so
// that a test can kill it.
const childVariable = "COMMERCE_E2E_CHILD"

// runChild is what the killed process runs.
func runChild() int {
	if err := app.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// newFolder returns a folder that PostgreSQL's own user can reach into.
func newFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "commerce-e2e-") //nolint:usetesting // the folder above t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestOutages takes the database and the cache away from a running shop.
func TestOutages(t *testing.T) {
	t.Parallel()
	ctx, folder := t.Context(), newFolder(t)
	database := pgserver.Config{DataDir: filepath.Join(folder, "db"), Logger: slog.New(slog.DiscardHandler)}
	server, err := pgserver.Start(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	cache := miniredis.RunT(t)
	p := startOn(t, filepath.Join(folder, "data"), server.URL("postgres"), "--redis-url", "redis://"+cache.Addr())
	product, err := p.admin.NewProduct(ctx, "Outage lamp", "EUR", 1000, 50)
	if err != nil {
		t.Fatal(err)
	}

	cache.Close()
	for _, call := range []func() (*shop.Answer, error){
		func() (*shop.Answer, error) {
			return p.guest.Do(ctx, http.MethodGet, "/api/v1/products/"+product, nil)
		},
		func() (*shop.Answer, error) { return p.guest.Place(ctx, product, 1) },
		func() (*shop.Answer, error) { return p.admin.Do(ctx, http.MethodGet, "/api/v1/users/me", nil) },
	} {
		began := time.Now()
		answer, err := call()
		if err != nil || answer.Status != http.StatusOK {
			t.Errorf("without Redis: %v %v", err, answer)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("without Redis a call took %s", took)
		}
	}
	if err := cache.Restart(); err != nil {
		t.Fatal(err)
	}

	stopCtx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := server.Stop(stopCtx); err != nil {
		t.Fatal(err)
	}
	p.refuses(t, product, "without PostgreSQL")
	if answer, err := p.guest.Do(ctx, http.MethodGet, "/readyz", nil); err != nil || answer.Status != http.StatusServiceUnavailable {
		t.Errorf("without PostgreSQL readyz answers %v %+v", err, answer)
	}
	if server, err = pgserver.Start(ctx, database); err != nil {
		t.Fatal(err)
	}
	if err := p.sellsAgain(ctx, product); err != nil {
		t.Errorf("the shop did not recover: %v", err)
	}
}

// startOn runs a shop on a database of the test's own until the test ends.
func startOn(t *testing.T, data, databaseURL string, flags ...string) *platform {
	t.Helper()
	listen, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	c := start(t.Context(), append([]string{
		"up", "--listen", listen, "--data", data, "--admin-email", adminEmail, "--admin-password", adminPassword,
		"--no-demo", "--log-level", "error", "--database-url", databaseURL,
	}, flags...)...)
	t.Cleanup(func() { _ = c.stop() })
	if err := shop.Eventually(t.Context(), time.Minute, func() (bool, error) {
		return strings.Contains(c.out.String(), "is ready"), c.failed()
	}); err != nil {
		t.Fatal(err)
	}
	p, err := ready(t.Context(), "http://"+listen, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// refuses checks that an order is answered with 503, and soon.
func (p *platform) refuses(t *testing.T, product, when string) {
	t.Helper()
	began := time.Now()
	answer, err := p.guest.Place(t.Context(), product, 1)
	if err != nil || answer.Status != http.StatusServiceUnavailable || answer.Code() != "UNAVAILABLE" || answer.Header.Get("Retry-After") == "" {
		t.Errorf("%s an order answers %v %+v", when, err, answer)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("%s an order hung for %s", when, took)
	}
}

// sellsAgain waits until an order is accepted.
func (p *platform) sellsAgain(ctx context.Context, product string) error {
	return shop.Eventually(ctx, 30*time.Second, func() (bool, error) {
		answer, err := p.guest.Place(ctx, product, 1)
		return err == nil && answer.Status == http.StatusOK, nil
	})
}

// child is the program as a process of its own.
type child struct {
	command *exec.Cmd
	out     shop.Output
}

func startChild(t *testing.T, listen, data string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{command: exec.Command(self, "up", "--listen", listen, "--data", data, "--admin-email", adminEmail,
		"--admin-password", adminPassword, "--no-demo", "--log-level", "error")}
	c.command.Env = append(os.Environ(), childVariable+"=1")
	c.command.Stdout, c.command.Stderr = &c.out, &c.out
	// The program gets a session of its own, so that a terminal's Ctrl-C reaches only the tests.
	c.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.command.Process.Kill()
		_ = c.command.Wait()
	})
	if err := shop.Eventually(t.Context(), time.Minute, func() (bool, error) {
		return strings.Contains(c.out.String(), "is ready"), nil
	}); err != nil {
		t.Fatalf("the program is not ready: %v\n%s", err, c.out.String())
	}
	return c
}

// TestKilledInTheMiddle kills the whole shop, database included, while people
// order. What was answered is there afterwards, repeating a request places no
// second order, and the stock adds up.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	ctx, data := t.Context(), filepath.Join(newFolder(t), "data")
	listen, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	first := startChild(t, listen, data)
	p, err := ready(ctx, "http://"+listen, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	product, err := p.admin.NewProduct(ctx, "Crash helmet", "EUR", 5000, rushStock)
	if err != nil {
		t.Fatal(err)
	}
	rush := startRush(ctx, p.admin, product)
	if err := rush.placedMoreThan(ctx, 30); err != nil {
		t.Fatal(err)
	}
	if err := first.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	rush.end()
	_ = first.command.Wait()

	startChild(t, listen, data)
	if p, err = ready(ctx, "http://"+listen, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	rush.verify(t, p.admin)
}
